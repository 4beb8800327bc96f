"""GELU as a kind: all that tmref is told of it."""

from tmref.catalog import module_row
from tmref.catalog.kinds.activations import Activation


class GELU(Activation):
    """y = x Φ(x), or its approximation by tanh."""

    typed = {"approximate": "[torch] GELU: approximate is 'none' or 'tanh'"}  # noqa: RUF012


ROWS = (module_row("gelu", GELU("GELU", {"approximate": "tanh"}), "pointwise"),)
