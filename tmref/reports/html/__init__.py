"""The page of verdicts: one file for a browser, which needs nothing else."""

from .page import page
from .place import usable_place, write

__all__ = ["page", "usable_place", "write"]
