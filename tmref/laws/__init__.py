"""The laws: properties that every implementation of these modules has to satisfy."""

from .answer import UnexpectedVerdicts
from .chapters import LAWS
from .checks import check_implementation, check_module, parametrize_with_laws
from .law import EXAMPLES, Law, data_law, law

__all__ = [
    "EXAMPLES",
    "LAWS",
    "Law",
    "UnexpectedVerdicts",
    "check_implementation",
    "check_module",
    "data_law",
    "law",
    "parametrize_with_laws",
]
