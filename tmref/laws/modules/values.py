"""Laws of values: every block gets what the plain torch module of its key makes of it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from hypothesis import strategies as st

from ...compare import Refused
from ...strategies import layouts
from ...strategies.values import laid_out
from ...tensor_map import TensorMap
from ..edits import accepted, by_twin, make_parameters_signs, map_values, with_values
from ..law import law
from ..outcomes import NotOffered
from ..premises import MODULE, TWIN, WRITTEN
from ..session import ModuleSession


@law(needs=[TWIN])
def values_are_those_of_plain_torch(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The values of a block are what the torch module of its key makes of them. [doc] the module at
    position i is applied to the block of the i-th key; blocks are matched by their keys, and
    Sequential applies its layers in order."""
    y = f(x)
    return y, by_twin(f, y, x)


@law(maps={"allow_nan": True, "allow_infinity": True}, needs=[TWIN])
def nan_and_infinities_are_those_of_plain_torch(f: ModuleSession, x: Any, draw: Any) -> Any:
    """NaN and infinities in the input come out where plain torch has them, and touch nothing else.
    [torch] operations follow IEEE 754: NaN stays NaN, and is never replaced."""
    y = f(x)
    return y, by_twin(f, y, x)


@law(maps={"dtypes": (torch.float16, torch.bfloat16)}, needs=[TWIN])
def values_of_half_precision_are_those_of_plain_torch(f: ModuleSession, x: Any, draw: Any) -> Any:
    """float16 and bfloat16 are dtypes as any other: the output has the input's, and the values of plain
    torch. [torch] the modules work on all floating dtypes. Values and parameters are 0, 1 and -1, so
    that sums are exact."""
    x = map_values(torch.sign, x)
    make_parameters_signs(f)
    y = f(x)
    return y, by_twin(f, y, x)


@law("pure", needs=[TWIN], tried=True)
def values_are_the_same_however_they_lie_in_memory(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Transposed, strided, expanded and lazily negated values give what plain torch makes of the same
    numbers. [torch] modules take tensors of any strides."""
    lying = [draw(layouts(), label=f"layout_{i}") for i in range(len(x))]
    code = ", ".join(_LAID_OUT[layout].format(i) for i, layout in enumerate(lying))
    f.run("blocks = [x.block(i) for i in range(len(x.keys))]", x=x)
    f.run("values = [block.values for block in blocks]")
    f.run(f"values = [{code}]")
    y = f.run(
        "x = TensorMap(x.keys, [TensorBlock(v, b.samples, b.components, b.properties) "
        "for v, b in zip(values, blocks)])\n"
        "y = module(x)"
    )
    values = [laid_out(block.values, layout) for block, layout in zip(x, lying, strict=True)]
    return y, by_twin(f, y, with_values(x, values))


#: The code that lays out values as :func:`tmref.strategies.layouts` says.
_LAID_OUT = {
    "contiguous": "values[{0}]",
    "conjugate": "values[{0}]",
    "transposed": "values[{0}].transpose(0, -1).contiguous().transpose(0, -1)",
    "strided": "torch.stack([values[{0}], values[{0}] + torch.nan], -1)[..., 0]",
    "expanded": "values[{0}][:1].expand(values[{0}].shape) if values[{0}].numel() else values[{0}]",
    "offset": "torch.cat([values[{0}][:1], values[{0}]])[len(values[{0}][:1]) :]",
    "negative": "torch._neg_view(-values[{0}])",
}


@law("pointwise", "keeps_keys", maps={"wide": True}, needs=[TWIN], relative=True)
def the_largest_and_smallest_numbers_are_as_exact_as_those_of_plain_torch(
    f: ModuleSession, x: Any, draw: Any
) -> Any:
    """For numbers of all magnitudes, the output relative to torch's is 1, up to rounding. [torch] as
    the activations themselves: none overflows, or loses its digits, where its result has them."""
    y = f(x)
    expected = [block.values for block in by_twin(f, y, x)]
    return f.run(_RATIOS, expected=expected), [torch.ones_like(values) for values in expected]


#: Numbers so small that dividing them loses digits count as equal.
_RATIOS = """def ratio(found, right):
    tiny = torch.finfo(right.dtype).smallest_normal / torch.finfo(right.dtype).eps
    is_lost = (found.abs() <= tiny) & (right.abs() <= tiny) & right.isfinite()
    return torch.where(is_lost | (found == right), 1, found / right)
ratios = [ratio(block.values, right) for block, right in zip(y.blocks(), expected)]"""


@law(
    *("normalised", "keeps_keys"),
    maps={"min_samples": 1, "min_properties": 1},
    needs=[TWIN, WRITTEN],
)
def layer_norms_are_as_exact_for_large_means(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A sample far away from 0 is normalised as one around 0 is. [torch] the variance is that of the
    differences from the mean; a mean of squares less a squared mean has lost all digits."""
    far = draw(st.sampled_from((512.0, -2048.0)), label="far")
    return _normalised(f, map_values(lambda v: far + _ramp(v), x))


@law(
    *("normalised", "keeps_keys"),
    maps={"dtypes": (torch.float16,), "min_samples": 1, "min_properties": 1},
    needs=[TWIN, WRITTEN],
    relative=True,
)
def layer_norms_of_float16_do_not_overflow(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Values of float16 whose variance is too large for it are normalised all the same. [torch] its
    layer norm computes mean and variance of half precision in float32."""
    return _normalised(f, map_values(lambda v: 512 * _ramp(v), x))


def _ramp(values: torch.Tensor) -> torch.Tensor:
    """0, 1, 2, ... for every sample."""
    return torch.arange(values[0].numel(), dtype=values.dtype).reshape(values[0].shape).expand_as(values)


def _normalised(f: ModuleSession, x: TensorMap) -> Any:
    """What it makes of ``x``, and what plain torch does in float64."""
    y = f(x)
    exact = copy.deepcopy(f.twin)
    exact.modules.double()
    expected = []
    for key, block in x.items():
        if isinstance(f.twin.module(key), torch.nn.Identity):
            expected.append(block.values)
        else:
            expected.append(exact.module(key)(block.values.double()).to(x.dtype))
    return y, with_values(y, expected)


@law("deterministic", maps={"max_gradients": 1})
def what_is_not_recorded_is_the_same(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Without grad mode and in inference mode a map gives what it gives with it, explicit gradients
    included, where these are not refused. [torch] no_grad "disables gradient calculation",
    inference_mode is "analogous to no_grad": values are the same."""
    x, y = accepted(f, x)
    mode = draw(st.sampled_from(("inference_mode", "no_grad")), label="mode")
    f.run(f"with torch.{mode}():\n    y = module(x)", x=x)
    return f.run("y"), y


@law(maps={"dtypes": (torch.float32,)}, needs=[TWIN], tried=True)
def autocast_casts_as_it_does_in_plain_torch(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Under torch.autocast, blocks get what the torch module of their key makes of them there, dtypes
    included. [torch] autocast chooses the dtype by operation. Where it chooses several, which no map
    can have, it is refused, or one of them is that of all blocks. Values and parameters are 0, 1 and
    -1, so that sums are exact."""
    x = map_values(torch.sign, x)
    make_parameters_signs(f)
    on = f.device.type
    try:
        autocast = torch.autocast(on, dtype=torch.bfloat16)
    except RuntimeError as error:
        raise NotOffered(f"torch does not offer it: autocast on {on}") from error
    with autocast:
        twins = f.twin(x)
    kinds = {value.dtype for value in twins}
    code = f'with torch.autocast("{on}", dtype=torch.bfloat16):\n    y = module(x)'
    if len(kinds) == 1:
        f.run(code, x=x)
    else:
        refused = f.attempt_to_run(code, x=x)
        if isinstance(refused, Refused):
            return refused
    y = f.run("y")
    if f.recipe.row.keeps_sizes and y.dtype in (torch.bfloat16, torch.float32):
        twins = [value.to(y.dtype) for value in twins]  # the dtype of either factor will do
    return y, with_values(y, twins)


@law("deterministic", needs=[MODULE], copied=True)
def training_and_evaluation_are_the_same_without_state(f: ModuleSession, x: Any, draw: Any) -> Any:
    """eval() and train() change the flag of every part, and no value. [torch] they have an effect on
    certain modules only, as Dropout and BatchNorm."""
    y = f(x)
    evaluated = f.run("y = module.eval()(x)")
    none = f.look(_MODES)
    trained = f.run("y = module.train()(x)")
    every = f.look(_MODES)
    return [evaluated, none, trained, every], [y, [False] * len(none), y, [True] * len(every)]


_MODES = "[part.training for part in module.modules()]"
