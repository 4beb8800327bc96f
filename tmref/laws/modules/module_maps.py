"""Laws of ModuleMaps: the module of a key is for its block, whatever the order."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...compare import Refused
from ...labels import Labels
from ...strategies import dyadic_numbers, labels
from ...tensor_map import TensorMap
from ..edits import labelled
from ..law import data_law
from ..session import Session

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
    return f.run("y = module(x)", x=x), labelled(x, values, expected)


def _properties_for(x: TensorMap) -> st.SearchStrategy[list[Labels]]:
    """Other properties for every block."""
    names = st.just(("n", "l"))
    sizes = [len(block.properties) for block in x]
    of_blocks = [labels(names=names, min_size=size, max_size=size) for size in sizes]
    return st.tuples(*of_blocks).map(list)


@data_law("any_module_map", maps={"min_blocks": 2})
def a_module_given_twice_is_one_module(f: Session, x: Any, draw: Any) -> Any:
    """A module that is given for several keys is the same for all of them: it is counted once, and what
    is done to it is done for all. [torch] torch.nn.ModuleList has the modules that it is given."""
    factor = draw(dyadic_numbers(), label="factor")
    f.run(_SCALED)
    f.run("shared = Scaled(1.0)\nmodule = nn.ModuleMap(x.keys, [shared for _ in x.keys])", x=x)
    f.run("shared.factor.data.fill_(factor)", factor=factor)
    number = f.run("len(list(module.parameters()))")
    return [f.run("y = module(x)"), number], [labelled(x, [factor * b.values for b in x]), 1]


@data_law("any_module_map")
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
    first = labelled(x, [0.5 * b.values for b in x], properties)
    second = labelled(x, [i * b.values for i, b in enumerate(x, 1)], properties)
    return [before, after], [first, second]


@data_law("any_module_map", maps={"min_blocks": 1, "component_names": _TWO_COMPONENTS})
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
        return y

    def scaled(values: torch.Tensor) -> torch.Tensor:
        return torch.linalg.vector_norm(values, dim=(1, 2), keepdim=True).tanh() * values

    return y, labelled(x, [f.there(scaled)(block.values) for block in x])


@data_law("any_module_map", maps={"min_blocks": 1, "min_properties": 1})
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
    return y, Refused()


@data_law("any_module_map", maps={"min_blocks": 1})
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
    return y, Refused()
