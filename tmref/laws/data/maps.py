"""Laws of maps: they are blocks by key."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...block import TensorBlock
from ...compare import Refused, compare
from ...labels import Labels
from ...strategies import keys, tensor_maps
from ...tensor_map import TensorMap
from ..dense import PROPERTIES, SAMPLES, labels_of
from ..law import data_law
from ..session import Session
from . import _moves_by_value
from ._common import (
    COPIES,
    DTYPES,
    again,
    converted,
    offered,
    selections,
    sevens,
    some_of,
    ways_of,
)

_MAPS = tensor_maps(max_gradients=1)
#: What maps say of themselves, and in what it stays.
_TEXTS = st.text('ab é\n"', max_size=3)
_INFO = st.dictionaries(_TEXTS, _TEXTS, min_size=1, max_size=3)
_KEPT = st.sampled_from(
    [
        *("x", "copy.copy(x)", "x.to(dtype=torch.float64)", "x.to('cpu')", *COPIES),
        *("pickle.loads(pickle.dumps(x))", "TensorMap.load_buffer(x.save_buffer())"),
    ]
)
#: Keys of few values, so that several of them agree in some dimensions.
_FEW = keys(
    names=st.sampled_from(
        [("key", "o3_lambda"), ("key", "o3_lambda", "center_type"), ("key", "center_type"), ("key",)]
    ),
    values=st.integers(0, 2),
    min_size=2,
)
_OF_FEW, _OF_SEVERAL_SAMPLES = (
    tensor_maps(
        keys=_FEW,
        sample_names=st.sampled_from(
            [("system", "atom"), ("system",), ("system", "atom"), ("center_type", "_")]
        ),
        component_names=st.sampled_from([(), (), (), ("xyz",)]),
        property_names=st.sampled_from([("n",), ("n", "l"), ("n", "_"), ("center_type", "l")]),
        max_gradients=1,
        min_samples=min_samples,
    )
    for min_samples in (0, 2)
)
#: Those, most of whose gradients can be merged, and many of whose samples agree in some dimensions, or
#: with those of other blocks.
_MERGED = st.builds(
    lambda x, alike, many, back: _of_few(_of_the_same_directions(x) if alike else x, many, back),
    _OF_FEW | _OF_SEVERAL_SAMPLES,
    st.sampled_from([True, True, True, False]),
    st.sampled_from([None, 1, 2, 2, 3]),
    st.booleans(),
)


@data_law("tensor_map", _OF_FEW)
def a_block_is_found_by_its_position_and_by_its_key(f: Session, x: Any, draw: Any) -> Any:
    """The block of the i-th key is the i-th, however it is asked for. [doc] TensorMap.block: "the key in
    this TensorMap with the same values as selection"."""
    names = "x.keys.names"
    values = "[int(value) for value in x.keys[i].values]"
    ways = [
        *("x.block(i)", "x[i]", "x.block_by_id(i)", "x.block(x.keys[i])", "x[x.keys.entry(i)]"),
        f"x.block(dict(zip({names}, {values})))",
        f"x[dict(zip({names}, {values}))]",
        f"x.block(Labels({names}, x.keys.values[i:i + 1]))",
        *("x.blocks(i)[0]", "x.blocks(x.keys[i])[0]", "x.blocks()[i]"),
        "[block for _, block in x.items()][i]",
    ]
    return f.run(f"[[block.values for block in [{', '.join(ways)}]] for i in range(len(x))]", x=x), [
        [block.values] * len(ways) for block in x
    ]


@data_law("tensor_map", _OF_FEW)
def the_blocks_of_a_selection_are_found_by_a_scan(f: Session, x: Any, draw: Any) -> Any:
    """The blocks whose keys have the values of the selection in its dimensions, all of them. [doc]
    TensorMap.blocks: "which can be a subset of the dimensions of the keys"."""
    selection = draw(_values_of(x.keys), label="selection")
    given = [selection, labels_of(list(selection), [list(selection.values())])]
    wanted = [b for key, b in x.items() if all(key[n] == v for n, v in selection.items())]
    run = f.run if wanted else f.attempt_to_run  # that none is found may be said by an error
    found = run("x.blocks(selection)", x=x, selection=draw(st.sampled_from(given), label="given"))
    return found if isinstance(found, Refused) else (found, _in_the_order_of(found, wanted))


@data_law("tensor_map", tensor_maps(min_blocks=1, max_blocks=3))
def several_blocks_are_found_by_their_positions(f: Session, x: Any, draw: Any) -> Any:
    """They come in the order of the positions, as often as these do; one that isn't there is refused.
    [doc] TensorMap.blocks_by_id: "the blocks with the given indices"; blocks: "for a List[int] this is
    equivalent to TensorMap.blocks_by_id"."""
    offered(f, "x.blocks_by_id", x=x)
    positions = draw(st.lists(st.integers(0, len(x)), min_size=1, max_size=4), label="positions")
    code = draw(st.sampled_from(["x.blocks_by_id(positions)", "x.blocks(positions)"]), label="code")
    is_there = max(positions) < len(x)
    run = f.run if is_there and "by_id" in code else f.attempt_to_run  # metatensor's core has no lists
    found = run(code, x=x, positions=positions)
    if isinstance(found, Refused):
        return found if is_there else (found, Refused())
    return found, [x.block(i) for i in positions] if is_there else Refused()


@data_law("tensor_map", tensor_maps(max_blocks=2))
def the_block_of_a_map_of_one_is_found(f: Session, x: Any, draw: Any) -> Any:
    """Without a selection it is the one block, and no other number of them is one. [doc]
    TensorMap.block: "the single block in this TensorMap matching the selection"."""
    if len(x) == 1:
        return f.run("x.block()", x=x), x.block(0)
    return f.attempt_to_run("x.block()", x=x), Refused()


@data_law("tensor_map", _MAPS)
def what_is_moved_says_where_it_is(f: Session, x: Any, draw: Any) -> Any:
    """A map, its blocks and its labels are on the device that it was moved to. [doc] TensorMap.device:
    "the device of all the arrays stored inside this TensorMap"; TensorBlock.device and Labels.device say
    the same."""
    device = draw(st.sampled_from(["cpu", "meta"]), label="device")
    offered(f, "x.device", x=x)
    if isinstance(f.attempt_to_run(f"y = x.to(device={device!r})\nlen(y)", x=x), Refused):
        return None
    parts = "for block in y.blocks() for b in [block, *[g for _, g in block.gradients()]]"
    on_axes = "[str(axis.device) for axis in [b.samples, *b.components, b.properties]]"
    of_each = f"[[str(b.device), str(b.values.device), {on_axes}] {parts}]"
    found = f.attempt_to_run(f"[str(y.keys.device), {of_each}, str(y.device)]")
    if isinstance(found, Refused):
        return None
    every = [b for block in x for b in [block, *[g for _, g in block.gradients()]]]
    of_blocks = [[device, device, [device] * (2 + len(b.components))] for b in every]
    where = found[-1] if not len(x) else device  # of no blocks there are no arrays
    return found, [device, of_blocks, where]


@data_law("tensor_map", tensor_maps(min_blocks=1, max_gradients=1))
def a_map_has_the_keys_and_names_that_it_is_made_of(f: Session, x: Any, draw: Any) -> Any:
    """Its length is the number of blocks, its items are keys and blocks in order, and names are those of
    its blocks. [doc] TensorMap.items: "(key, block) pairs"; "names of the samples for all blocks"."""
    names = "x.sample_names, x.component_names, x.property_names"
    items = "[[key.names, key.values.tolist(), block] for key, block in x.items()]"
    found = f.run(f"[len(x), x.keys, {names}, {items}]", x=x)
    first = x.block(0)
    of_blocks = first.samples.names, [c.names[0] for c in first.components], first.properties.names
    pairs = zip(x.keys.values.tolist(), x, strict=True)
    return found, [
        len(x.keys),
        x.keys,
        *of_blocks,
        [[x.keys.names, entry, block] for entry, block in pairs],
    ]


@data_law("tensor_map", _MAPS, ways=COPIES)
def a_copy_of_a_map_is_independent_of_it(f: Session, x: Any, draw: Any) -> Any:
    """What is written to a deep copy stays in it, what is written to another is shared. [doc]
    TensorMap.copy: "make a full copy of the blocks values; otherwise, ... share the same memory"."""
    way = draw(st.sampled_from(f.ways), label="way")
    f.run(f"y = {way}", x=x)
    f.run(
        "for _, block in y.items():\n    block.values.fill_(7)\n"
        "    for _, gradient in block.gradients():\n        gradient.values.fill_(7)"
    )
    return f.run("x"), TensorMap(x.keys, list(map(sevens, x))) if "False" in way else x


@data_law("tensor_map", _MAPS, ways=ways_of("TensorMap"))
def maps_survive_being_copied_and_saved(f: Session, x: Any, draw: Any) -> Any:
    """What is copied, pickled or saved comes back as it was, where that is offered. [doc]
    TensorMap.copy: "with the same keys and blocks"; "Load a serialized TensorMap"."""
    return again(f, x, draw)


@data_law("tensor_map", _MAPS)
def a_map_of_another_dtype_has_its_values_converted(f: Session, x: Any, draw: Any) -> Any:
    """Values and gradients are converted as torch does it, labels stay. [doc] TensorMap.to: "new dtype
    to use for all arrays"."""
    dtype = draw(DTYPES, label="dtype")
    expected = TensorMap(x.keys, [converted(block, dtype) for block in x])
    return f.run("x.to(dtype=dtype)", x=x, dtype=dtype), expected


@data_law("tensor_map", _MAPS)
def a_map_on_meta_has_names_and_sizes(f: Session, x: Any, draw: Any) -> Any:
    """Where that is offered, what is moved to the meta device is there, of the same names, sizes and
    dtypes; the map itself stays. [doc] TensorMap.to: "Move the keys and all the blocks in this
    TensorMap to the given ... device"; [torch] "meta device is an abstract device which denotes a
    tensor which records only metadata, but no actual data"."""
    # metatensor's core moves arrays of numpy nowhere
    ways = ["x.to('meta')", "x.to(device='meta', arrays='torch')"]
    way = draw(st.sampled_from(ways), label="way")
    axes = "b.samples, *b.components, b.properties"
    sizes = f"[[axis.names, len(axis), str(axis.device)] for axis in [{axes}]]"
    parts = "for of in y.blocks() for b in [of, *[g for _, g in sorted(of.gradients())]]"
    blocks = f"[[list(b.values.shape), b.values.dtype, b.values.device.type, {sizes}] {parts}]"
    if isinstance(f.attempt_to_run(f"y = {way}\nlen(y)", x=x), Refused):
        return None
    found = f.attempt_to_run(f"[y.keys.names, len(y.keys), str(y.keys.device), {blocks}]")
    if isinstance(found, Refused):
        return None
    every = [b for of in x for b in [of, *[g for _, g in sorted(of.gradients())]]]
    expected = [x.keys.names, len(x.keys), "meta", list(map(_sizes_on_meta, every))]
    return (found, expected) if compare(found, expected) else (f.run("x"), x)


def _sizes_on_meta(block: TensorBlock) -> list[Any]:
    axes = block.samples, *block.components, block.properties
    sizes = [[axis.names, len(axis), "meta"] for axis in axes]
    return [list(block.shape), block.dtype, "meta", sizes]


@data_law("tensor_map", keys(max_size=0))
def a_map_without_blocks_says_that_it_has_none(f: Session, x: Any, draw: Any) -> Any:
    """It has its keys, no blocks, and the names of none; what is copied or converted of it, too. [doc]
    TensorMap.sample_names: "names of the samples dimensions for all blocks"."""
    way = draw(st.sampled_from(["x", "x.to(dtype=torch.float64)", "x.to('cpu')", *COPIES]), label="way")
    f.run("x = TensorMap(keys, [])", keys=x)
    f.run(f"y = {way}")
    names = "y.sample_names, y.component_names, y.property_names"
    found = f.run(f"[y, len(y), {names}, [*y.blocks()], [*y.items()]]")
    return found, [TensorMap(x, []), 0, [], [], [], [], []]


@data_law("tensor_map", _MAPS)
def what_a_map_says_of_itself_stays(f: Session, x: Any, draw: Any) -> Any:
    """Its info is what was set, also of what is copied, converted, pickled or saved, and None of what
    was not. [doc] TensorMap.get_info: "value of the info, or None if the info does not exist"; "the info
    (i.e. global metadata) of the TensorMap is stored inside the info.json file"."""
    offered(f, "x.set_info", x=x)
    info, way = draw(_INFO, label="info"), draw(_KEPT, label="way")
    f.run("for key, value in info.items():\n    x.set_info(key, value)", x=x, info=info)
    if isinstance(f.attempt_to_run(f"y = {way}\nkept = y.info()"), Refused):
        return None
    found = f.run(
        "[[{key: z.get_info(key) for key in sorted(z.info())}, z.get_info('no')] for z in [x, y]]"
    )
    return found, [[dict(sorted(info.items())), None]] * 2


@data_law("tensor_map", _MERGED, as_it_came=True)
def keys_to_samples_puts_blocks_below_each_other(f: Session, x: Any, draw: Any) -> Any:
    """Every value stands under its key without the moved dimensions, and its sample with them; what no
    block has is the fill value, and gradients are merged alike; the map itself stays. [doc]
    TensorMap.keys_to_samples: "adding keys_to_move to the end of the samples labels dimensions";
    "lexicographically sorted"; ":return: a new TensorMap with merged blocks"."""
    moved = draw(_moves(x.keys), label="moved")
    return _moved(f, x, draw, "samples", moved)


@data_law("tensor_map", _MERGED, as_it_came=True)
def keys_to_properties_puts_blocks_beside_each_other(f: Session, x: Any, draw: Any) -> Any:
    """Every value stands under its key without the moved dimensions, and its property with them; what no
    block has is the fill value, and gradients are merged alike; the map itself stays. [doc]
    TensorMap.keys_to_properties: "adding keys_to_move at the beginning of the properties labels
    dimensions"; ":return: a new TensorMap with merged blocks"."""
    moved = draw(_moves(x.keys), label="moved")
    return _moved(f, x, draw, "properties", moved)


@data_law("tensor_map", _MERGED.map(lambda x: _of_the_same_properties(x)), as_it_came=True)
def keys_to_properties_has_the_entries_of_labels(f: Session, x: Any, draw: Any) -> Any:
    """With Labels that have entries, properties are those of every entry, whether it is the key of a
    block or not; the map itself stays. [doc] TensorMap.keys_to_properties: "contain all of the entries
    of keys_to_move"; ":return: a new TensorMap with merged blocks"."""
    moved = draw(selections(x.keys).filter(len), label="moved")
    return _moved(f, x, draw, "properties", moved)


@data_law("tensor_map", _MAPS, as_it_came=True)
def components_to_properties_moves_every_value(f: Session, x: Any, draw: Any) -> Any:
    """Every value stands under its property with the moved components; the map itself stays. [doc]
    TensorMap.components_to_properties: "from the component labels to the property labels"."""
    offered(f, "x.components_to_properties", x=x)
    names = x.component_names
    if not names:
        return None
    moved = draw(some_of(names), label="moved")
    if set(moved) & set(x.property_names):
        return None  # refused, or never right
    y = f.run("y = x.components_to_properties(moved)", x=x, moved=moved)
    return _with_the_input(f, x, y, _moves_by_value.components_to_properties(x, moved, y))


def _moved(f: Session, x: TensorMap, draw: Any, axis: str, given: Any) -> Any:
    """The map with dimensions of its keys moved, sorted and then not, and what must come of it."""
    names = given.names if isinstance(given, Labels) else given
    names = [names] if isinstance(names, str) else names
    wanted = (
        list(map(tuple, given.values.tolist())) if isinstance(given, Labels) and len(given) else None
    )
    fill = draw(st.sampled_from([1.5, 1.5, 0]), label="fill")
    sides: Any = None
    for sorts in (True, False):
        place = SAMPLES if axis == "samples" else PROPERTIES
        move = _moves_by_value.Move(names, place, wanted, fill, sorts)
        options = (", fill_value=fill" if fill != 0 else "") + ("" if sorts else ", sort_samples=False")
        run = f.attempt_to_run if move.may_be_refused(x) else f.run
        y = run(f"y = x.keys_to_{axis}(moved{options})", x=x, moved=given, fill=fill)
        if isinstance(y, Refused):
            sides = sides or ((y, Refused()) if move.must_be_refused(x) else y)
            continue
        sides = _with_the_input(f, x, y, Refused() if move.must_be_refused(x) else move(x, y))
        if compare(*sides):
            break
    return sides


def _with_the_input(f: Session, x: TensorMap, y: Any, expected: Any) -> Any:
    """What came of a move, and where that is as it must be, what became of its input."""
    return (y, expected) if compare(y, expected) else (f.run("x"), x)


@st.composite
def _moves(draw: Any, known: Labels) -> Any:
    """Names of dimensions: one, a list, or labels without entries."""
    names = draw(some_of(known.names))
    return draw(st.sampled_from([names, names, Labels.empty(names), names[0]]))


def _of_the_same_properties(x: TensorMap) -> TensorMap:
    """The map with as many properties in every block as in the one that has the fewest, and the same."""
    least = min(x, key=lambda block: len(block.properties)).properties

    def cut(block: TensorBlock) -> TensorBlock:
        values = block.values[..., : len(least)].clone()
        made = TensorBlock(values, block.samples, block.components, least)
        for name, gradient in block.gradients():
            made.add_gradient(name, cut(gradient))
        return made

    return TensorMap(x.keys, list(map(cut, x)))


def _of_few(x: TensorMap, many: int | None, backwards: bool) -> TensorMap:
    """The map with so ``many`` values in the dimensions of samples, and more in the last one where there
    would be a sample twice; blocks and samples in the opposite order where they come ``backwards``."""
    if many is None:
        return x
    blocks = []
    for block in x:
        rows: dict[tuple[int, ...], None] = {}
        for entry in block.samples.values.tolist():
            row = [value % many for value in entry]
            while tuple(row) in rows:
                row[-1] += 1
            rows[tuple(row)] = None
        samples = labels_of(block.samples.names, list(rows)[:: -1 if backwards else 1])
        made = TensorBlock(block.values, samples, block.components, block.properties)
        for name, gradient in block.gradients():
            made.add_gradient(name, gradient)
        blocks.append(made)
    if backwards:
        return TensorMap(Labels(x.keys.names, x.keys.values.flip(0)), blocks[::-1])
    return TensorMap(x.keys, blocks)


def _of_the_same_directions(x: TensorMap) -> TensorMap:
    """The map with as many directions in its gradients as in those that have the fewest."""
    blocks = []
    for block in x:
        made = TensorBlock(block.values, block.samples, block.components, block.properties)
        for name, gradient in block.gradients():
            extra = len(gradient.components) - len(block.components)
            axes = zip(*(b.gradient(name).components[:extra] for b in x), strict=True)
            least = [min(axis, key=len) for axis in axes]
            values = gradient.values
            for axis, directions in enumerate(least):
                values = values.narrow(1 + axis, 0, len(directions))
            components = [*least, *block.components]
            made.add_gradient(
                name, TensorBlock(values.clone(), gradient.samples, components, block.properties)
            )
        blocks.append(made)
    return TensorMap(x.keys, blocks)


@st.composite
def _values_of(draw: Any, known: Labels) -> dict[str, int]:
    """A value for some of the dimensions: those of one of the keys most often."""
    few = draw(st.sampled_from([1, 1, len(known.names)]))
    names = draw(st.permutations(known.names))[:few]
    near = draw(st.sampled_from([None, *known.values.tolist()]))
    values = dict(zip(known.names, near or [draw(st.integers(0, 2)) for _ in known.names], strict=True))
    return {name: values[name] for name in names}


def _in_the_order_of(found: Any, wanted: list[Any]) -> list[Any]:
    """What is wanted, in the order in which it was found: documents say nothing of the order."""
    rest, order = list(wanted), []
    for item in found:
        where = next((i for i, one in enumerate(rest) if compare(item, one) is None), None)
        if where is not None:
            order.append(rest.pop(where))
    return [*order, *rest]
