"""What is known to be wrong with what metatensor's modules leave as it was, in both flavours."""

from __future__ import annotations

from .. import Known
from .forward import _IN_PLACE, _has_values, _one_block

METATENSOR: tuple[Known, ...] = tuple(
    Known(
        law=law,
        rows=("layer_norm_no_mean",),
        when=_has_values,
        example=_one_block,
        reason=_IN_PLACE,
    )
    for law in ("writing_to_the_output_leaves_the_input", "writing_to_the_input_leaves_the_output")
)
