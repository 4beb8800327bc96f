"""The laws: properties that every implementation of these modules has to satisfy."""

from ..catalog import aggregates
from .answer import UnexpectedVerdicts
from .chapters import LAWS
from .checks import check_implementation, parametrize_with_laws
from .law import EXAMPLES, Law, data_law, law
from .own import check_function, check_module, parametrize_module_with_laws
from .subject import row_of_function, row_of_module

__all__ = [
    "EXAMPLES",
    "LAWS",
    "Law",
    "UnexpectedVerdicts",
    "aggregates",
    "check_function",
    "check_implementation",
    "check_module",
    "data_law",
    "law",
    "parametrize_module_with_laws",
    "parametrize_with_laws",
    "row_of_function",
    "row_of_module",
]
