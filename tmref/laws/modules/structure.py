"""Laws of structure: what depends on what."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from hypothesis import strategies as st

from ...block import TensorBlock
from ...compare import Refused, compare
from ...labels import Labels
from ...strategies import dyadic_numbers, labels, like, sub_maps
from ...tensor_map import TensorMap
from ..edits import map_values, take_samples, with_an_unknown_entry, with_keys, with_values, zeros_like
from ..law import data_law, law
from ..session import ModuleSession, Session


@law("per_block", maps={"min_blocks": 2})
def blocks_do_not_influence_each_other(f: ModuleSession, x: Any, draw: Any) -> Any:
    """With other values in all blocks but one, that one's output stays. [doc] each block goes through
    the module of its own key."""
    kept = draw(st.integers(0, len(x) - 1), label="kept")
    other = draw(like(x), label="other")
    values = [(x if i == kept else other).block(i).values for i in range(len(x))]
    return f(x).block(kept), f(with_values(x, values)).block(kept)


@law("per_sample")
def samples_do_not_influence_each_other(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Some of the samples, in another order, give the same of the output. [torch] Linear and
    activations treat every row by itself."""
    rows = [draw(_some_of(len(block)), label=f"rows_{i}") for i, block in enumerate(x)]
    return f(take_samples(x, rows)), take_samples(f(x), rows)


def _some_of(size: int) -> st.SearchStrategy[list[int]]:
    """The first numbers up to ``size`` in any order: all of them most often, or fewer."""
    left_out = st.sampled_from([0, *range(size + 1)])
    orders = st.permutations(range(size))
    return st.builds(lambda order, without: order[: size - without], orders, left_out)


@law("pointwise")
def every_value_stands_for_itself(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where a value grows, the output changes there at most. [maths] an activation is a function of
    one number."""
    other = map_values(torch.maximum, x, draw(like(x), label="other"))  # about half of the values stay
    y, z = f(x), f(other)
    same = [a.values == b.values for a, b in zip(x, other, strict=True)]
    shared = [torch.where(s, b.values, a.values) for s, a, b in zip(same, y, z, strict=True)]
    return y, with_values(y, shared)


@law("linear")
def linear_up_to_its_bias(f: ModuleSession, x: Any, draw: Any) -> Any:
    """f(ax + y) - f(0) = a(f(x) - f(0)) + f(y) - f(0). [maths] y = xWᵀ + b."""
    a = draw(dyadic_numbers(), label="a")
    y = draw(like(x), label="y")
    zero = f(zeros_like(x))
    left = map_values(torch.sub, f(map_values(lambda p, q: a * p + q, x, y)), zero)
    right = map_values(lambda p, q, o: a * (p - o) + (q - o), f(x), f(y), zero)
    return left, right


@law("keyed")
def an_unknown_key_never_gets_the_module_of_another(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A block whose key the module doesn't know is refused, left out, or comes back as it was, but
    never with what the module of another key makes of it. [doc] the block of the i-th key gets the
    i-th module; it says nothing of other blocks."""
    return _under_other_keys(f, x, draw(with_an_unknown_entry(x.keys), label="keys"))


@law("keyed")
def keys_are_matched_by_the_names_of_their_dimensions(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Under keys whose dimensions have other names, or the same in another order, no block gets the
    module of a key that differs by name. [doc] TensorMap.block finds keys by "the same values ... for
    the dimensions/names": a key is named values."""
    return _under_other_keys(f, x, draw(_with_other_names(x.keys), label="keys"))


@law("composed", recipes={"shuffled_layers": True})
def the_layers_of_a_sequential_go_by_key(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Layers that were made with their keys in another order are still applied by key, and so are
    their properties. [doc] Sequential applies its layers in order, and each of them goes by key."""
    y = f(x)
    properties = dict(zip(f.recipe.in_keys, f.properties, strict=True))
    twins = zip(f.twin(x), x.items(), strict=True)
    expected = [TensorBlock(v, b.samples, b.components, properties[key]) for v, (key, b) in twins]
    return y, TensorMap(x.keys, expected)


@law("keyed", "per_block", maps={"min_blocks": 2})
def fewer_blocks_are_refused_or_give_the_same(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A map of some of the blocks is refused, or each of them gives what it gives among all. [doc] by
    ModuleMap.forward, the map must have the keys of the module; the tutorial applies it to fewer."""
    part = draw(sub_maps(x), label="part")
    y = f(x)
    z = f.attempt_to_run("z = module(x)", x=part)
    if isinstance(z, Refused):
        return None
    return z, TensorMap(part.keys, [y.block(key) for key in part.keys])


@law("composed")
def a_sequential_is_its_layers_one_after_the_other(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The layers, called one after the other as modules of their own, give what the Sequential gives.
    [doc] Sequential "applies a list of ModuleMaps to the input in order"."""
    y = f(x)
    code = "x"
    for name in _make_layers(f):
        code = f"{name}({code})"
    return f.run(f"z = {code}"), y


@law("composed")
def sequentials_may_be_nested(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Some of the layers in a Sequential of their own within it, or within torch.nn.Sequential, give the
    same. [maths] composition is associative; [torch] torch.nn.Sequential calls one module after the
    other."""
    y = f(x)
    layers = _make_layers(f)
    first = draw(st.integers(0, len(layers) - 1), label="first")
    last = draw(st.integers(first, len(layers) - 1), label="last")
    outer = draw(st.sampled_from(["nn.Sequential(in_keys, ", "torch.nn.Sequential("]), label="outer")
    inner = f"nn.Sequential(in_keys, {', '.join(layers[first : last + 1])})"
    code = outer + ", ".join([*layers[:first], inner, *layers[last + 1 :]]) + ")"
    return f.run(f"z = {code}(x)", in_keys=f.recipe.in_keys), y


def _make_layers(f: ModuleSession) -> list[str]:
    """Make the layers of a Sequential as modules of their own; the names that they have in the code."""
    made = []
    for name, call in zip(("one", "two", "three"), f.written.call.args[1:], strict=False):
        f.make(name, dataclasses.replace(f.written, call=call))
        made.append(name)
    return made


@law("keyed", examples=50)
def a_sequential_of_one_module_is_that_module(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A Sequential of a module gives what the module gives, properties included. [doc] Sequential takes
    "a list of ModuleMap objects that will be applied in order"."""
    y = f(x)
    return f.run("z = nn.Sequential(in_keys, module)(x)", in_keys=f.recipe.in_keys), y


_NEGATED = """\
class Negated(nn.ReLU):
    def forward(self, tensor):
        y = super().forward(tensor)
        blocks = [TensorBlock(-b.values, b.samples, b.components, b.properties) for b in y.blocks()]
        return TensorMap(y.keys, blocks)
y = nn.Sequential(x.keys, nn.ReLU(x.keys), Negated(x.keys))(x)"""


@data_law("any_module_map", maps={"min_blocks": 1}, examples=30)
def a_sequential_does_what_the_forward_of_a_layer_does(f: Session, x: Any, draw: Any) -> Any:
    """A layer of a class whose forward does more than the one that it inherits does so in a Sequential,
    too, or is refused. [doc] the layers "will be applied in order to the input tensor map"; [torch]
    torch.nn.Sequential calls the modules that it is given."""
    y = f.attempt_to_run(_NEGATED, x=x)
    if isinstance(y, Refused):
        return None
    return y, _expected(x, [-block.values.relu() for block in x])


@data_law("any_module_map", maps={"min_blocks": 1}, examples=30)
def a_sequential_calls_the_hooks_of_its_layers(f: Session, x: Any, draw: Any) -> Any:
    """A forward hook of a layer is called once in a forward of the Sequential that is made of it.
    [torch] a forward hook "will be called every time after forward() has computed an output", and so
    torch.nn.Sequential does."""
    f.run("hooked, calls = nn.Tanh(x.keys), []", x=x)
    f.run("hooked.register_forward_hook(lambda *given: calls.append(len(given))) is None")
    f.run("y = nn.Sequential(x.keys, hooked, nn.ReLU(x.keys))(x)")
    return f.run("len(calls)"), 1


#: Two components.
_TWO_COMPONENTS = st.just(("a", "b"))
#: A torch module of one's own, of one parameter.
_SCALED = """\
class Scaled(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))
    def forward(self, input):
        return self.factor * input"""


@data_law("any_module_map")
def the_module_of_a_key_is_the_one_in_its_place(f: Session, x: Any, draw: Any) -> Any:
    """Whatever the order of the keys, the block of the i-th of in_keys goes through the i-th module, and
    has the i-th of the out_properties. [doc] ModuleMap: the "module at position i ... is applied to the
    tensor block" of "the i-th key in in_keys"."""
    order = draw(st.permutations(range(len(x))), label="order")
    ordered = TensorMap(Labels(x.keys.names, x.keys.values[order]), [x.block(i) for i in order])
    factors = draw(st.lists(dyadic_numbers(), min_size=len(x), max_size=len(x)), label="factors")
    properties = draw(st.none() | _properties_for(ordered), label="out_properties")
    f.run(_SCALED)
    f.run(
        "module = nn.ModuleMap(in_keys, [Scaled(factor) for factor in factors], out_properties)",
        in_keys=ordered.keys,
        factors=factors,
        out_properties=properties,
    )
    places = [ordered.keys.position(key) for key in x.keys]
    values = [factors[i] * block.values for i, block in zip(places, x, strict=True)]
    expected = None if properties is None else [properties[i] for i in places]
    return f.run("y = module(x)", x=x), _expected(x, values, expected)


def _properties_for(x: TensorMap) -> st.SearchStrategy[list[Labels]]:
    """Other properties for every block."""
    names = st.just(("n", "l"))
    sizes = [len(block.properties) for block in x]
    of_blocks = [labels(names=names, min_size=size, max_size=size) for size in sizes]
    return st.tuples(*of_blocks).map(list)


def _expected(
    x: TensorMap, values: list[torch.Tensor], properties: list[Labels] | None = None
) -> TensorMap:
    """The map with these values and properties, by default those counting from 0."""
    if properties is None:
        properties = [Labels.range("_", of_block.shape[-1]) for of_block in values]
    rows = zip(x, values, properties, strict=True)
    return TensorMap(x.keys, [TensorBlock(v, b.samples, b.components, p) for b, v, p in rows])


@data_law("any_module_map", maps={"min_blocks": 2}, examples=50)
def a_module_given_twice_is_one_module(f: Session, x: Any, draw: Any) -> Any:
    """A module that is given for several keys is the same for all of them: it is counted once, and what
    is done to it is done for all. [torch] torch.nn.ModuleList has the modules that it is given."""
    factor = draw(dyadic_numbers(), label="factor")
    f.run(_SCALED)
    f.run("shared = Scaled(1.0)\nmodule = nn.ModuleMap(x.keys, [shared for _ in x.keys])", x=x)
    f.run("shared.factor.data.fill_(factor)", factor=factor)
    number = f.run("len(list(module.parameters()))")
    return [f.run("y = module(x)"), number], [_expected(x, [factor * b.values for b in x]), 1]


@data_law("any_module_map", examples=50)
def from_module_makes_one_for_every_key(f: Session, x: Any, draw: Any) -> Any:
    """ModuleMap.from_module has a module of its own for every key, in the order of the keys. [doc] it is
    "applying the same type of module on each tensor block"."""
    properties = draw(st.none() | _properties_for(x), label="out_properties")
    f.run(_SCALED)
    f.run(
        "module = nn.ModuleMap.from_module(x.keys, Scaled(0.5), out_properties)",
        x=x,
        out_properties=properties,
    )
    before = f.run("y = module(x)")
    f.run("for i, p in enumerate(module.parameters()):\n    p.data.fill_(i + 1)")
    after = f.run("z = module(x)")
    first = _expected(x, [0.5 * b.values for b in x], properties)
    second = _expected(x, [i * b.values for i, b in enumerate(x, 1)], properties)
    return [before, after], [first, second]


@data_law("any_module_map", maps={"min_blocks": 1, "component_names": _TWO_COMPONENTS}, examples=40)
def the_norm_of_a_covariant_block_is_over_all_its_components(f: Session, x: Any, draw: Any) -> Any:
    """Covariant blocks of several components are refused by an EquivariantTransformation, or are
    multiplied by a function of their norm over all of them. [doc] EquivariantTransformation: the "norm
    of the block over the component dimensions"."""
    y = f.attempt_to_run(
        "y = nn.EquivariantTransformation([torch.nn.Tanh() for _ in x.keys], x.keys, "
        "in_features=sizes, out_features=sizes, invariant_keys=none)(x)",
        x=x,
        sizes=[len(block.properties) for block in x],
        none=Labels(x.keys.names, x.keys.values[:0]),
    )
    if isinstance(y, Refused):
        return None

    def scaled(values: torch.Tensor) -> torch.Tensor:
        return torch.linalg.vector_norm(values, dim=(1, 2), keepdim=True).tanh() * values

    return y, _expected(x, [f.there(scaled)(block.values) for block in x])


@data_law("any_module_map", maps={"min_blocks": 1, "min_properties": 1}, examples=40)
def sizes_of_layer_norms_are_those_of_the_keys(f: Session, x: Any, draw: Any) -> Any:
    """Where all keys are invariant, every block of an InvariantLayerNorm has the weights of its own key,
    in the order of the keys: as many as it has features. [doc] InvariantLayerNorm: in_features is a
    "list of int, the number of features in the input tensor for each block indexed by the keys"."""
    sizes = [len(block.properties) for block in x]
    f.run(
        "module = nn.InvariantLayerNorm("
        f"in_keys, in_features, invariant_keys=in_keys, dtype=dtype, device='{f.device}')",
        in_keys=x.keys,
        in_features=sizes,
        dtype=x.dtype,
    )
    y = f.run("y = module(x)", x=x)
    shapes = f.run("[tuple(p.shape) for p in module.parameters()]")
    return [y.keys, shapes], [x.keys, [(size,) for size in sizes for _ in range(2)]]


#: What no block can have for values, made of its ``input``.
_NO_VALUES = {
    "a sample less": "input[1:]",
    "samples twice": "torch.cat([input, input])",
    "an axis more": "input.unsqueeze(-1)",
    "an axis less": "input.sum(1)",
    "no axis": "input.sum()",
    "components twice": "torch.cat([input, input], 1)",
    "another dtype": "input.to(torch.float32 if input.dtype == torch.float64 else torch.float64)",
    "a list": "input.tolist()",
    "nothing": "None",
}
_WRONG = """\
class Wrong(torch.nn.Module):
    def forward(self, input):
        return"""
#: Maps whose values none of these can be.
_OF_TWO_COMPONENTS = {
    "min_blocks": 2,
    "min_samples": 1,
    "min_properties": 1,
    "component_names": _TWO_COMPONENTS,
}


@data_law("any_module_map", maps=_OF_TWO_COMPONENTS)
def what_is_no_block_is_refused(f: Session, x: Any, draw: Any) -> Any:
    """Where a module returns what can't be the values of a block, of its samples and components, and of
    the dtype of the others, there is no output. [doc] TensorBlock: the values have the shape (samples,
    *components, properties); TensorMap: blocks have the same dtype."""
    kind = draw(st.sampled_from(sorted(_NO_VALUES)), label="kind")
    which = draw(st.integers(0, len(x) - 1), label="which")
    f.run(f"{_WRONG} {_NO_VALUES[kind]}")
    modules = "[Wrong() if i == which else torch.nn.Identity() for i in range(len(x.keys))]"
    f.run(f"module = nn.ModuleMap(x.keys, {modules})", x=x, which=which)
    y = f.attempt_to_run("y = module(x)")
    return None if isinstance(y, Refused) else (y, Refused())


@data_law("any_module_map", maps={"min_blocks": 1}, examples=50)
def properties_of_another_number_are_refused(f: Session, x: Any, draw: Any) -> Any:
    """Where a module returns another number of properties than its out_properties have entries, there is
    no output. [doc] TensorBlock: labels have the sizes of the values."""
    which = draw(st.integers(0, len(x) - 1), label="which")
    more = draw(st.sampled_from([1, -1]), label="more")
    sizes = [len(b.properties) for b in x]
    sizes[which] = max(0, sizes[which] + more) or 1
    if sizes[which] == len(x.block(which).properties):
        return None
    f.run(
        "module = nn.ModuleMap(x.keys, [torch.nn.Identity() for _ in x.keys], out_properties)",
        x=x,
        out_properties=[Labels.range("n", size) for size in sizes],
    )
    y = f.attempt_to_run("y = module(x)")
    return None if isinstance(y, Refused) else (y, Refused())


def _under_other_keys(f: ModuleSession, x: TensorMap, keys: Labels) -> Any:
    """The blocks of ``x`` under other keys, and what may become of them."""
    given = with_keys(x, keys)
    y = f.attempt(given)
    if isinstance(y, Refused):
        return None
    if any(key not in given.keys for key in y.keys):
        return y.keys, given.keys
    expected = []
    for key, block in y.items():
        values = given.block(key).values
        if f.recipe.in_keys.position(key) is not None:
            expected.append(f.twin.module(key)(values))
        elif compare(block.values, values) is None:
            expected.append(values)
        else:
            return y, Refused()
    return y, with_values(y, expected)


@st.composite
def _with_other_names(draw: Any, known: Labels) -> Labels:
    """The same values under names in another order, or under other names; or dimensions in another
    order, names and values alike."""
    names = known.names
    if len(names) == 1 or not draw(st.booleans()):
        return Labels([f"other_{name}" for name in names], known.values)
    order = draw(st.permutations(names).filter(lambda new: list(new) != names))
    columns = [names.index(name) for name in order] if draw(st.booleans()) else range(len(names))
    return Labels(list(order), known.values[:, list(columns)])
