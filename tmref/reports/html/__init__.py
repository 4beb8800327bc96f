"""The page of verdicts: one file for a browser, which needs nothing else."""

from .page import BEGINNING, page

__all__ = ["BEGINNING", "page"]
