"""Laws of metadata: what becomes of labels."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...block import TensorBlock
from ...compare import Refused
from ...labels import Labels
from ...strategies import keys, labels
from ...tensor_map import TensorMap
from ..edits import (
    LABEL_FREE,
    Relabelling,
    accepted,
    relabelled,
    require_labels,
    with_keys,
    with_properties,
)
from ..law import data_law, law
from ..outcomes import Nothing
from ..premises import PROPERTIES, WRITTEN
from ..session import ModuleSession, Session


@law("keeps_keys")
def keys_survive_in_order(f: ModuleSession, x: Any, draw: Any) -> Any:
    """The output has the keys of the input, in their order. [doc] ModuleMap applies a module to every
    block of the map."""
    return f(x).keys, x.keys


@law("keeps_keys", maps={"min_blocks": 0, "max_blocks": 0})
def a_map_without_blocks_gives_one_without_blocks(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A map of no blocks gives a map of no blocks, under the same keys. [maths] for every block is for
    none, too."""
    return f(x), x


@law("keeps_keys", "keeps_samples")
def samples_survive(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Every block has the samples that it had, in their order. [doc] ModuleMap: only the properties
    can't be preserved."""
    return [block.samples for block in f(x)], [block.samples for block in x]


@law("keeps_keys", "keeps_components")
def components_survive(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Every block has the components that it had, in their order. [doc] ModuleMap: only the
    properties can't be preserved."""
    f(x)
    found = f.look("[block.components for block in y.blocks()]")
    return found, [block.components for block in x]


@law("keeps_keys", "keeps_properties")
def properties_survive(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Every block has the properties that it had, in their order. [maths] what is kept is the same
    before and after."""
    return [block.properties for block in f(x)], [block.properties for block in x]


@law("keeps_keys", "keyed", needs=[PROPERTIES])
def properties_are_those_asked_for(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Every block has the out_properties of its key, by default one dimension "_" counting from 0.
    [doc] "By default the output properties are relabeled using Labels.range with '_' as key"."""
    y = f(x)
    if any(key not in y.keys for key in x.keys):
        return y.keys, x.keys
    properties = dict(zip(f.recipe.in_keys, f.properties, strict=True))
    return [y.block(key).properties for key in x.keys], [properties[key] for key in x.keys]


@law("keeps_keys", "keeps_samples", "keeps_components", maps={"max_gradients": 2})
def gradients_keep_their_labels(f: ModuleSession, x: Any, draw: Any) -> Any:
    """A map with explicit gradients is refused, or the output has gradients with respect to the same
    parameters, at the same samples and of the same components, and of the properties of its values.
    [maths] a derivative of f(x) is where one of x is. [doc] TensorBlock: gradients have the properties
    of their values."""
    y = f.attempt(x)
    if isinstance(y, Refused):
        return y
    if not any(block.has_any_gradient() for block in y):
        return Nothing("it leaves out explicit gradients")  # which is another law's
    names = f.look(_PARAMETERS)
    components = f.look(_COMPONENTS)
    found = [[[g.samples, g.properties] for _, g in _sorted(block)] for block in y]
    expected = [
        [[g.samples, out.properties] for _, g in _sorted(block)] for block, out in zip(x, y, strict=True)
    ]
    return [names, components, found], [
        [[name for name, _ in _sorted(block)] for block in x],
        [[g.components for _, g in _sorted(block)] for block in x],
        expected,
    ]


#: By which parameters there are gradients, and their components.
_PARAMETERS = "[sorted(block.gradients_list()) for block in y.blocks()]"
_COMPONENTS = (
    "[[block.gradient(name).components for name in sorted(block.gradients_list())] "
    "for block in y.blocks()]"
)


def _sorted(block: TensorBlock) -> list[tuple[str, TensorBlock]]:
    return sorted(block.gradients(), key=lambda pair: pair[0])


#: What is left of a map on meta: all but the numbers.
_ON_META = (
    "[[str(part) for part in (block.values.device, block.samples.device, block.properties.device, "
    "block.values.dtype, list(block.values.shape))] "
    "for block in MODULE(x.to(device='meta')).blocks()]"
)


@law("keeps_keys", "keyed")
def maps_on_meta_are_refused_or_stay_there(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where the map, and the module or not, are moved to the device meta, which has shapes and no
    numbers, the output is there, of the dtypes and shapes that it has elsewhere, or is refused. [torch]
    the output of a module is on the device of its input."""
    moved = draw(st.booleans(), label="moved")
    y = f(x)
    found = f.attempt_to_run(_ON_META.replace("MODULE", "module.to('meta')" if moved else "module"))
    if isinstance(found, Refused):
        return found
    return found, [["meta"] * 3 + [str(b.dtype), str(list(b.shape))] for b in y]


#: The output made once more, by the constructors, which check it.
_MADE_AGAIN = """\
def again(labels):
    return Labels(labels.names, labels.values)
def made_of(block):
    labels = [again(axis) for axis in [block.samples, *block.components, block.properties]]
    made = TensorBlock(block.values, labels[0], labels[1:-1], labels[-1])
    for parameter, gradient in block.gradients():
        made.add_gradient(parameter, made_of(gradient))
    return made
z = TensorMap(again(y.keys), [made_of(block) for block in y.blocks()])"""


@law("keeps_keys", "keyed", maps={"max_gradients": 1})
def the_output_is_what_the_constructors_take(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Labels, blocks and a map can be made of what the output has: rows are unique, sizes fit, gradients
    are of samples that are there. [doc] Labels: entries are unique; TensorBlock: labels have the sizes
    of the values."""
    _, y = accepted(f, x)
    return f.run(_MADE_AGAIN), y


@law("keyed", "keeps_keys", "deterministic", needs=[WRITTEN])
def names_of_keys_mean_nothing(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where the dimensions of the keys have other names and another order, in the module and the map
    alike, the output is the same under those keys. [doc] keys are what blocks are found by; only
    invariant_keys select by what they are."""
    order = draw(st.permutations(x.keys.names), label="order")
    new = Relabelling({n: f"new_{n}" for n in order if n not in f.recipe.row.o3_names}, tuple(order))
    y = f(x)
    require_labels(y, x)
    f.make("other", relabelled(f.written, new))
    return f.run("z = other(x)", x=with_keys(x, new(x.keys))), with_keys(y, new(y.keys))


@law(*LABEL_FREE)
def names_of_samples_components_and_properties_mean_nothing(f: ModuleSession, x: Any, draw: Any) -> Any:
    """Where samples, components and properties have dimensions of other names, in another order, the
    values stay, and so do the properties of the output, unless it keeps those of the input. [doc]
    ModuleMap applies a module to the values of every block."""
    first = x.block(0)
    orders = [
        draw(st.permutations(labels.names), label=label)
        for labels, label in ((first.samples, "samples"), (first.properties, "properties"))
    ]
    of_samples, of_properties = (
        Relabelling({name: f"new_{name}" for name in order}, tuple(order)) for order in orders
    )
    y = f(x)
    require_labels(y, x, "samples", "components")
    of_mu = f.recipe.row.o3_names[-1]
    given = TensorMap(x.keys, [_renamed(block, of_mu, of_samples, of_properties) for block in x])
    z = f.run("z = module(x)", x=given)
    return z, with_properties(
        f, TensorMap(y.keys, [_renamed(b, of_mu, of_samples) for b in y]), given, z
    )


def _renamed(
    block: TensorBlock,
    of_mu: str,
    of_samples: Relabelling,
    of_properties: Relabelling | None = None,
) -> TensorBlock:
    components = [
        c if c.names == [of_mu] else Labels(f"new_{c.names[0]}", c.values) for c in block.components
    ]
    properties = block.properties if of_properties is None else of_properties(block.properties)
    return TensorBlock(block.values, of_samples(block.samples), components, properties)


_IDENTITIES = "module = nn.ModuleMap(in_keys, [torch.nn.Identity() for _ in in_keys], out_properties)"


@data_law("any_module_map", keys())
def keys_and_properties_of_a_module_are_those_given(f: Session, x: Any, draw: Any) -> Any:
    """A ModuleMap says with which in_keys and out_properties it was made. [doc] ModuleMap.in_keys:
    "Labels that defines the keys this module map expects as input"; ModuleMap.out_properties: "A list of
    labels that is used to determine properties of the output"."""
    of_one_name = labels(names=st.just(("n", "l")))
    properties = draw(
        st.none() | st.lists(of_one_name, min_size=len(x), max_size=len(x)), label="out_properties"
    )
    f.run(_IDENTITIES, in_keys=x, out_properties=properties)
    return f.run("[module.in_keys, module.out_properties]"), [x, properties]


@data_law("any_module_map", maps={"min_blocks": 1})
def default_properties_are_32_bit_integers(f: Session, x: Any, draw: Any) -> Any:
    """The integers of the output's labels are of the type of those that were given. [doc] Labels are of
    "32-bit integers"."""
    code = "y = nn.ModuleMap(x.keys, [torch.nn.Identity() for _ in x.keys])(x)"
    f.run(code, x=x)
    dtypes = "sorted({str(block.properties.values.dtype) for block in y.blocks()})"
    return f.run(dtypes), f.run(dtypes.replace("y.", "x."))
