"""Laws of explicit gradients: they are refused, or right by the chain rule."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...catalog import Row
from ...compare import Refused, compare
from ...labels import Labels
from ...tensor_map import TensorMap
from ..edits import blocks_in, map_values, require_grad, with_values
from ..law import data_law, law
from ..outcomes import Nothing
from ..premises import MODULE, TWIN, WRITTEN, ability, is_written, of_row
from ..session import ModuleSession, Session
from ..twin import quiet

#: Each row of a gradient is one of the output's: of the same sample of the same block.
_ROWS = ("keeps_keys", "keeps_samples", "keeps_components", "per_sample")


_NO_BLOCKS = Nothing("its output is no map with blocks")
_GRADIENTS = "gradients = [sorted(block.gradients_list()) for block in y.blocks()]"
#: The same of all maps in what comes back.
_ALL_GRADIENTS = """\
def blocks_of(y):
    if isinstance(y, (dict, list, tuple)):
        items = y.values() if isinstance(y, dict) else y
        return [block for item in items for block in blocks_of(item)]
    return y.blocks() if hasattr(y, "blocks") else []
gradients = [sorted(block.gradients_list()) for block in blocks_of(y)]"""


@law(maps={"max_gradients": 2, "min_samples": 1, "min_properties": 1})
def explicit_gradients_are_not_left_out(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A map with explicit gradients is refused, or the blocks of the output that depend on its values
    have them with respect to all parameters, or it is declared that they have none. [maths] what has no
    gradient is taken for what has none to speak of: forces of an energy without them would be 0; a
    module that leaves them out says that it does."""
    y = f.attempt(x)
    if isinstance(y, Refused):
        return y
    is_bounded = "bound" in f.recipe.row.maps
    other = draw(f.like(x), label="other") if is_bounded else map_values(lambda v: 1 - v, x)
    first, second = blocks_in(y), blocks_in(f.run("z = module(x)", x=other))
    if not first:
        return _NO_BLOCKS
    if len(first) != len(second) or "deterministic" not in f.recipe.row.traits:
        depends = [True] * len(first)
    else:
        depends = [compare(a.values, b.values) is not None for a, b in zip(first, second, strict=True)]
    if not any(depends):
        return Nothing("its output is the same for other values")
    found = f.run(_GRADIENTS if isinstance(y, TensorMap) else _ALL_GRADIENTS)
    if _leaves_them_out(f):
        return found, [[] for _ in found]
    given = x.block(0).gradients_list()
    pairs = zip(found, depends, strict=True)
    return found, [sorted({*there, *given}) if of_values else there for there, of_values in pairs]


@law("deterministic", "leaves_out_gradients", maps={"max_gradients": 1})
def what_has_no_gradients_gives_the_same(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where explicit gradients are left out, the output is that for the map without them. [maths] what
    is left out has no part in it."""
    y = f.attempt(x)
    return y if isinstance(y, Refused) else (y, f(with_values(x, [block.values for block in x])))


#: What says that explicit gradients are left out has none that could be right or wrong.
_LEFT_OUT = Nothing("it says that it leaves explicit gradients out")


def _leaves_them_out(f: ModuleSession) -> bool:
    return "leaves_out_gradients" in f.recipe.row.traits


@law("deterministic", "per_block", *_ROWS, maps={"max_gradients": 2})
def explicit_gradients_are_refused_or_right_by_the_chain_rule(
    f: ModuleSession, x: Any, draw: Any
) -> Any:
    """A map with explicit gradients is refused, or the gradients of the output are the derivatives of
    its values: at every sample, the module's Jacobian (by autograd) times the gradient of the input.
    [maths] the chain rule."""
    if _leaves_them_out(f):
        return _LEFT_OUT
    y = f.attempt(x)
    if isinstance(y, Refused):
        return y
    blocks = [TensorBlock(b.values, b.samples, b.components, b.properties) for b in y]
    for parameter in x.block(0).gradients_list():
        gradients = [block.gradient(parameter) for block in x]
        for out, gradient, pushed in zip(
            blocks, gradients, _pushed_forward(f, x, gradients), strict=True
        ):
            shape = (*gradient.shape[:-1], len(out.properties))
            labels = gradient.samples, gradient.components, out.properties
            out.add_gradient(parameter, TensorBlock(pushed.reshape(shape), *labels))
    return y, TensorMap(y.keys, blocks)


def _is_of_no_chain_rule(row: Row) -> bool:
    """Whether it is a module of one's own that doesn't promise what the chain rule at every sample
    needs."""
    return not is_written(row) and not row.traits >= {"per_block", *_ROWS}


_OWN_LABELS = of_row("a module of one's own whose output has samples of its own", _is_of_no_chain_rule)


@law(
    "deterministic",
    maps={"max_gradients": 1, "min_samples": 1},
    needs=[_OWN_LABELS],
    known_as="explicit_gradients_are_refused_or_right_by_the_chain_rule",
)
def explicit_gradients_are_derivatives_of_the_output(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A map with explicit gradients is refused, or those of the output, whatever its samples are, are
    the derivatives of its values: at every one of its samples, the Jacobian (by autograd) times the
    gradients of all samples of the input that have the same further dimensions; where the output has no
    row, that is 0. [maths] the chain rule; [doc] TensorBlock: the first dimension of the samples of a
    gradient is the sample of the values."""
    if _leaves_them_out(f):
        return _LEFT_OUT
    x = _off_kinks(x)
    y = f.attempt(x)
    if isinstance(y, Refused):
        return y
    blocks = blocks_in(y)
    if not blocks:
        return _NO_BLOCKS
    at = require_grad(x)
    outputs = blocks_in(f(at))
    if not all(block.values.requires_grad or not block.values.numel() for block in outputs):
        return Nothing("autograd does not go through it")
    parameter = x.block(0).gradients_list()[0]
    try:
        jacobian = _Jacobian([block.values for block in at], [block.values for block in outputs])
        expected = [_derivatives(block, i, parameter, x, jacobian) for i, block in enumerate(blocks)]
    except _NotDifferentiable as error:
        return Nothing(f"autograd can't differentiate it: {error}")
    found = [b.gradient(parameter) for b in blocks if parameter in b.gradients_list()]
    return found, [gradient for gradient in expected if gradient is not None]


def _off_kinks(x: TensorMap) -> TensorMap:
    """The map with values near those that it has, none of them 0 and no two the same: whatever has a
    kink there has none between."""
    blocks = []
    for block in x:
        steps = torch.arange(block.values.numel(), dtype=torch.float64) * 0.6180339887 % 1
        values = block.values + (0.011 + 0.1 * steps).reshape(block.shape).to(block.dtype)
        moved = TensorBlock(values, block.samples, block.components, block.properties)
        for parameter, gradient in block.gradients():
            moved.add_gradient(parameter, gradient.copy())
        blocks.append(moved)
    return TensorMap(x.keys, blocks)


class _NotDifferentiable(Exception):
    """Autograd can't differentiate something, or not twice."""


class _Jacobian:
    """The Jacobian of outputs by inputs, which is multiplied by tangents of the inputs.

    A vector times it is linear in the vector: differentiating that by the vector takes autograd alone.
    Raises _NotDifferentiable where autograd raises.
    """

    def __init__(self, inputs: list[torch.Tensor], outputs: list[torch.Tensor]) -> None:
        self._vectors = [torch.zeros_like(y).requires_grad_() for y in outputs]
        pairs = [(y, v) for y, v in zip(outputs, self._vectors, strict=True) if y.requires_grad]
        self._products: tuple[torch.Tensor, ...] = ()
        if pairs:
            ys, vs = zip(*pairs, strict=True)
            self._products = _grad(ys, inputs, vs, create_graph=True)

    def __call__(self, tangents: list[torch.Tensor]) -> list[torch.Tensor]:
        """What the tangents become, one for each output."""
        pairs = zip(self._products, tangents, strict=True) if self._products else ()
        chosen = [(p, t) for p, t in pairs if p.requires_grad]
        if not chosen:
            return [torch.zeros_like(vector) for vector in self._vectors]
        products, of_inputs = zip(*chosen, strict=True)
        return list(_grad(products, self._vectors, of_inputs))


def _grad(outputs: Any, inputs: Any, vectors: Any, **how: Any) -> tuple[torch.Tensor, ...]:
    try:
        return torch.autograd.grad(
            outputs, inputs, vectors, retain_graph=True, materialize_grads=True, **how
        )
    except RuntimeError as error:
        raise _NotDifferentiable(str(error).partition("\n")[0]) from error


def _derivatives(
    block: TensorBlock, i: int, parameter: str, x: TensorMap, jacobian: _Jacobian
) -> TensorBlock | None:
    """The gradient that the i-th block of the output must have: of the rows that it has, and of those
    that are missing where the derivative isn't 0; None where it has none."""
    if parameter not in block.gradients_list():
        return None
    gradient = block.gradient(parameter)
    extra = gradient.values.dim() - block.values.dim()
    of_input = x.block(0).gradient(parameter)
    comparable = gradient.samples.names[1:] == of_input.samples.names[1:]
    if not comparable or extra != of_input.values.dim() - x.block(0).values.dim():
        return gradient  # nobody says which of them belong together
    rows = [tuple(row) for row in gradient.samples.values.tolist()]
    further = {row[1:] for row in rows}
    further |= {tuple(row[1:]) for b in x for row in b.gradient(parameter).samples.values.tolist()}
    directions = gradient.shape[1 : extra + 1].numel()
    derivatives = {rest: _pushed_to(i, parameter, rest, directions, x, jacobian) for rest in further}
    missing = [
        (sample, *rest)
        for rest, pushed in sorted(derivatives.items())
        for sample in range(len(block))
        if (sample, *rest) not in rows and bool((pushed[:, sample] != 0).any())
    ]
    every = sorted([*rows, *missing]) if missing else rows
    values = [derivatives[rest][:, sample] for sample, *rest_of in every for rest in [tuple(rest_of)]]
    shape = (len(values), *gradient.shape[1:])
    found = torch.stack(values).reshape(shape) if values else gradient.values.new_zeros(shape)
    if not missing:  # what autograd has no number for is whatever it is
        found = torch.where(found.isfinite(), found, gradient.values)
    labels = torch.tensor(every, dtype=torch.int32).reshape(-1, len(gradient.samples.names))
    samples = Labels(gradient.samples.names, labels)
    return TensorBlock(found, samples, gradient.components, gradient.properties)


def _pushed_to(
    i: int,
    parameter: str,
    rest: tuple[int, ...],
    directions: int,
    x: TensorMap,
    jacobian: _Jacobian,
) -> torch.Tensor:
    """What the gradients at rows of these further dimensions become in the i-th block of the output, of
    shape ``(directions, *values)``."""
    pushed = []
    for direction in range(directions):
        tangents = []
        for block in x:
            gradient = block.gradient(parameter)
            tangent = torch.zeros_like(block.values)
            extra = gradient.values.dim() - block.values.dim()
            of_block = gradient.shape[1 : extra + 1].numel()
            of_rows = gradient.values.reshape(len(gradient), of_block, *block.shape[1:])
            for row, (sample, *of_sample) in enumerate(gradient.samples.values.tolist()):
                if tuple(of_sample) == rest and direction < of_block:
                    tangent[sample] += of_rows[row, direction]
            tangents.append(tangent)
        pushed.append(jacobian(tangents)[i])
    return torch.stack(pushed)


#: How a module stands in others that only call it: in torch's whichever it is,
_WRAPPINGS = ("torch.nn.Sequential(module)", "torch.nn.Sequential(module, torch.nn.Identity())")
#: and in the implementation's own where it promises to be a layer of these.
_WRAPPINGS_OF_LAYERS = (
    "nn.Sequential(in_keys, module)",
    *_WRAPPINGS,
    "nn.Sequential(in_keys, nn.Sequential(in_keys, module))",
)


@law("per_block", *_ROWS, maps={"max_gradients": 1}, needs=[MODULE, TWIN])
def explicit_gradients_are_refused_or_right_in_a_sequential(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Within a Sequential of a module, too, explicit gradients are refused, or become the derivatives of
    the output. [maths] the chain rule."""
    if _leaves_them_out(f):
        return _LEFT_OUT
    wrappings = _WRAPPINGS_OF_LAYERS if is_written(f.recipe.row) else _WRAPPINGS
    wrapping = draw(st.sampled_from(wrappings), label="wrapping")
    y = f.attempt_to_run(f"y = {wrapping}(x)", in_keys=f.recipe.in_keys, x=x)
    if isinstance(y, Refused):
        return y
    blocks = [TensorBlock(b.values, b.samples, b.components, b.properties) for b in y]
    for out, (key, block) in zip(blocks, x.items(), strict=True):
        for parameter, gradient in block.gradients():
            values = _pushed(f.twin.module(key), block, gradient, gradient.values)
            labels = gradient.samples, gradient.components, out.properties
            out.add_gradient(parameter, TensorBlock(values, *labels))
    return y, TensorMap(y.keys, blocks)


@law(
    *("per_block", *_ROWS, "pure"),
    maps={"max_gradients": 2},
    needs=[ability("takes_gradients"), WRITTEN],
)
def explicit_gradients_go_through(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where an implementation says that its modules take explicit gradients, a module that treats every
    sample by itself, and leaves its input, refuses none of them. [doc] ``takes_gradients`` of the
    implementation."""
    f(x)
    found = f.look("[block.gradients_list() for block in y.blocks()]")
    return found, [block.gradients_list() for block in x]


def _pushed_forward(f: ModuleSession, x: TensorMap, gradients: list[TensorBlock]) -> list[torch.Tensor]:
    """The module's Jacobian times every row of the gradients.

    A vector times the Jacobian is linear in the vector, so that differentiating by the vector gives
    the Jacobian times another: it takes autograd alone, and one call of the module on the map as it is.
    Rows of one sample are pushed one after the other.
    """
    at = require_grad(x)
    outputs = [block.values for block in f(at)]
    pushed = []
    for block, y, gradient in zip(at, outputs, gradients, strict=True):
        vector = torch.zeros_like(y).requires_grad_()
        (product,) = torch.autograd.grad(
            y, block.values, vector, create_graph=True, retain_graph=True, materialize_grads=True
        )
        directions = gradient.shape[1 : gradient.values.dim() - block.values.dim() + 1].numel()
        tangents = gradient.values.reshape(len(gradient), directions, *block.shape[1:])
        result = y.new_zeros((len(gradient), directions, *y.shape[1:]))
        for rows in _rounds(gradient.samples.values[:, 0].tolist()):
            samples = gradient.samples.values[rows, 0].to(torch.int64)
            for direction in range(directions if product.requires_grad else 0):
                tangent = torch.zeros_like(block.values).index_put((samples,), tangents[rows, direction])
                (times_tangent,) = torch.autograd.grad(
                    product, vector, tangent, retain_graph=True, materialize_grads=True
                )
                result[rows, direction] = times_tangent[samples]
        pushed.append(result)
    return pushed


def _rounds(samples: list[int]) -> list[list[int]]:
    """The rows of a gradient in groups, in none of which a sample stands twice."""
    rounds: list[list[int]] = []
    for row, sample in enumerate(samples):
        nth = samples[:row].count(sample)
        rounds[nth:] = rounds[nth:] or [[]]
        rounds[nth].append(row)
    return rounds


@law("per_block", *_ROWS, maps={"max_gradients": 1, "max_blocks": 2}, needs=[TWIN])
def gradients_of_gradients_are_refused_or_right(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A map with gradients of gradients is refused, or they become Df times each of them, and that only
    where f is linear piece by piece. [maths] the second derivative of f(x) is Df ∂²x + D²f ∂x ∂x; where
    D²f isn't 0, it takes ∂x at rows that need not be there."""
    if _leaves_them_out(f):
        return _LEFT_OUT
    twice = TensorMap(x.keys, [_with_gradients_of_gradients(block) for block in x])
    y = f.attempt_to_run("y = module(x)", x=twice)
    if isinstance(y, Refused):
        return y
    if not any(len(g) for block in x for _, g in block.gradients()):
        return None
    piecewise_linear = f.recipe.row.exact or all(
        isinstance(f.twin.module(key), torch.nn.Identity) for key in x.keys
    )
    if not piecewise_linear:
        return y, Refused()
    names = f.look(_NAMES)
    if any("again" not in of for of_block in names for of in of_block):
        return names, [[["again"]] * len(block.gradients_list()) for block in x]
    found = [[g.gradient("again").values for _, g in block.gradients()] for block in y]
    expected = [
        [_pushed(f.twin.module(key), block, g, g.gradient("again").values) for _, g in block.gradients()]
        for key, block in twice.items()
    ]
    return found, expected


_NAMES = (
    "[[block.gradient(name).gradients_list() for name in block.gradients_list()] "
    "for block in y.blocks()]"
)


def _with_gradients_of_gradients(block: TensorBlock) -> TensorBlock:
    """The block whose gradients have a gradient in every row."""
    twice = TensorBlock(block.values, block.samples, block.components, block.properties)
    for parameter, gradient in block.gradients():
        labels = gradient.components, gradient.properties
        of_gradient = TensorBlock(gradient.values, gradient.samples, *labels)
        rows = Labels.range("sample", len(gradient)).to(gradient.device)
        of_gradient.add_gradient("again", TensorBlock(2 * gradient.values + 1, rows, *labels))
        twice.add_gradient(parameter, of_gradient)
    return twice


def _pushed(
    module: torch.nn.Module, block: TensorBlock, gradient: TensorBlock, tangents: torch.Tensor
) -> torch.Tensor:
    """The Jacobian of a torch module times the tangents, which there is one of for every row of the
    gradient."""
    directions = tangents.shape[1 : tangents.dim() - block.values.dim() + 1].numel()
    rows = gradient.samples.values[:, 0].to(torch.int64).repeat_interleave(directions)
    at = block.values[rows]
    with quiet():  # torch warns of what it does itself, at the first of them
        pushed = torch.func.jvp(module, (at,), (tangents.reshape(at.shape),))[1]
    return pushed.reshape(*tangents.shape[:-1], pushed.shape[-1])


_SQUARE = """\
class Own(torch.nn.Module):
    def forward(self, input):
        return input * input"""
_IN_PLACE = """\
class Own(torch.nn.Module):
    def forward(self, input):
        return input.mul_(input)"""
_CUMULATED = """\
class Own(torch.nn.Module):
    def forward(self, input):
        return input.cumsum(0)"""
_SUBCLASS = """\
class Own(torch.nn.Linear):
    def __init__(self):
        super().__init__(1, 1)
    def forward(self, input):
        return input * input"""
_COMPOSED = """\
class Squared(torch.nn.Module):
    def forward(self, input):
        return input * input
class Own(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Identity(), Squared())"""
_HOOKED = """\
def Own():
    module = torch.nn.Identity()
    module.register_forward_hook(lambda module, inputs, output: output * output)
    return module"""
_CUMULATED_SUBCLASS = """\
class Own(torch.nn.Linear):
    def __init__(self):
        super().__init__(1, 1)
    def forward(self, input):
        return input.cumsum(0)"""
_CUMULATED_SEQUENTIAL = """\
class Own(torch.nn.Sequential):
    def forward(self, input):
        return input.cumsum(0)"""
_IN_A_SEQUENTIAL = """\
class Sums(torch.nn.Module):
    def forward(self, input):
        return input.cumsum(0)
def Own():
    return torch.nn.Sequential(torch.nn.Identity(), Sums())"""
_SUMS = "sums over the samples"
#: The code of modules of one's own: those that don't sum square every value.
_OWN = {
    "a square": _SQUARE,
    "a square in place": _IN_PLACE,
    "a square in a subclass of Linear": _SUBCLASS,
    "a square in a subclass of Sequential": _COMPOSED,
    "a square by a hook": _HOOKED,
    _SUMS: _CUMULATED,
    f"{_SUMS} in a subclass of Linear": _CUMULATED_SUBCLASS,
    f"{_SUMS} in a subclass of Sequential": _CUMULATED_SEQUENTIAL,
    f"{_SUMS} in a Sequential": _IN_A_SEQUENTIAL,
}


@data_law("any_module_map", maps={"min_blocks": 1, "max_gradients": 1})
def explicit_gradients_are_refused_or_right_for_any_module(f: Session, x: Any, draw: Any) -> Any:
    """Explicit gradients that go through a module of one's own are refused, or become the derivatives of
    its values; they are refused where a sample of the output depends on others, since their rows say at
    which samples x depends on the parameter, not f(x). [maths] the chain rule."""
    kind = draw(st.sampled_from(sorted(_OWN)), label="kind")
    f.run(_OWN[kind])
    y = f.attempt_to_run("y = nn.ModuleMap(x.keys, [Own() for _ in x.keys])(x)", x=x)
    if isinstance(y, Refused):
        return y
    if not any(len(gradient) for block in x for _, gradient in block.gradients()):
        return None
    if kind.startswith(_SUMS):
        return (y, Refused()) if any(map(_misses_a_row, x)) else None
    return y, _with_gradients(map_values(torch.square, x), x)


_COUNTING = """\
calls = []
def Counted():
    module = torch.nn.Identity()
    module.register_forward_hook(lambda module, inputs, output: calls.append(len(inputs)))
    return module"""


@data_law("any_module_map", maps={"min_blocks": 1, "max_gradients": 1})
def a_hook_is_called_once_for_a_block_with_gradients(f: Session, x: Any, draw: Any) -> Any:
    """A map with explicit gradients is refused, or hooks of the modules are called as often as without
    gradients. [torch] a forward hook "will be called every time after forward() has computed an
    output"; one forward of the map is one of every module."""
    plain = with_values(x, [block.values for block in x])
    f.run(_COUNTING)
    f.run("module = nn.ModuleMap(x.keys, [Counted() for _ in x.keys])", x=plain)
    f.run("y = module(x)")
    before = f.run("len(calls)")
    y = f.attempt_to_run("y = module(x)", x=x)
    return y if isinstance(y, Refused) else (f.run("len(calls)"), 2 * before)


def _misses_a_row(block: TensorBlock) -> bool:
    """Whether a sample depends on a parameter, and the gradient has no row for the sample after it."""
    for _, gradient in block.gradients():
        rows = gradient.samples.values.tolist()
        for (sample, *rest), values in zip(rows, gradient.values, strict=True):
            if values.any() and sample + 1 < len(block) and [sample + 1, *rest] not in rows:
                return True
    return False


def _with_gradients(y: TensorMap, x: TensorMap) -> TensorMap:
    """The squares ``y`` of x, under default properties, with the gradients that they have."""
    blocks = []
    for before, after in zip(x, y, strict=True):
        properties = Labels.range("_", len(after.properties))
        block = TensorBlock(after.values, after.samples, after.components, properties)
        for parameter, gradient in before.gradients():
            at = before.values[gradient.samples.values[:, 0].to(torch.int64)]
            extra = gradient.values.dim() - before.values.dim()
            at = at.reshape(len(gradient), *[1] * extra, *before.shape[1:])
            labels = gradient.samples, gradient.components, properties
            block.add_gradient(parameter, TensorBlock(2 * at * gradient.values, *labels))
        blocks.append(block)
    return TensorMap(y.keys, blocks)
