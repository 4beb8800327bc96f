"""Laws of data: labels are lists of named integers, blocks labelled arrays, maps blocks by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from hypothesis import strategies as st

from ..block import TensorBlock
from ..compare import Refused, compare
from ..labels import Labels
from ..strategies import dimension_names, gradients, keys, labels, tensor_blocks, tensor_maps
from ..tensor_map import TensorMap
from . import merging
from .law import data_law
from .subject import Data, NotOffered

# --- labels


@data_law("labels", labels())
def a_position_is_where_the_entry_is(f: Data, x: Any, draw: Any) -> Any:
    """The position of the i-th entry is i. [doc] Labels.position: the "position of the given entry in
    this set of labels"."""
    return f.run("[x.position(entry) for entry in x]", x=x), list(range(len(x)))


@data_law("labels", labels())
def a_row_has_a_position_where_it_is_in_the_labels(f: Data, x: Any, draw: Any) -> Any:
    """The position of a row is its index, and it is in the labels, where it is one of theirs; else it
    is None. [doc] Labels.position: "or None if the entry is not present in the labels"."""
    rows = draw(_like(x), label="other").values.tolist()
    found = f.run("[[x.position(row), row in x] for row in rows]", x=x, rows=rows)
    mine = x.values.tolist()
    return found, [[mine.index(row), True] if row in mine else [None, False] for row in rows]


@data_law("labels", labels(min_size=1))
def labels_can_be_read_by_entry_and_by_dimension(f: Data, x: Any, draw: Any) -> Any:
    """Entries by position, by iteration, by name; columns by name; all are the same numbers. [doc]
    Labels: "iterate over labels entries, or directly index"; "get all the values associated with a
    given dimension/column name"."""
    code = (
        "[x.names, x.values.tolist()]",
        "[len(x), [entry.values.tolist() for entry in x]]",
        "[[int(entry[name]) for name in entry.names] for entry in x]",
        "[x[i].values.tolist() for i in range(len(x))]",
        "[[x.entry(i).names, len(x.entry(i))] for i in range(len(x))]",
        "[[x.column(name).tolist(), x[name].tolist()] for name in x.names]",
    )
    rows, size = x.values.tolist(), len(x.names)
    columns = [list(column) for column in zip(*rows, strict=True)]
    return f.run(f"[{', '.join(code)}]", x=x), [
        [x.names, rows],
        [len(rows), rows],
        rows,
        rows,
        [[x.names, size] for _ in rows],
        [[column, column] for column in columns],
    ]


@data_law("labels", labels())
def equality_is_that_of_names_and_values(f: Data, x: Any, draw: Any) -> Any:
    """Labels are equal where all their names and values are, and so are entries. [doc] Labels.__eq__:
    "same dimension names and same values"; LabelsEntry.__eq__ says the same."""
    other = draw(_nearly(x), label="other")
    pairs = "[[bool(a == b), bool(a != b)] for a in x for b in other]"
    found = f.run(f"[x == x, x == other, x != other, {pairs}]", x=x, other=other)
    same_names, rows, others = x.names == other.names, x.values.tolist(), other.values.tolist()
    same = same_names and rows == others
    equal = [same_names and a == b for a in rows for b in others]
    return found, [True, same, not same, [[e, not e] for e in equal]]


@data_law("labels", labels())
def ranges_and_empty_labels_are_what_they_say(f: Data, x: Any, draw: Any) -> Any:
    """Labels.range counts from 0, Labels.empty has names and no entries, Labels.single one entry.
    [doc] "values in the [0, end) range"; "given names but no values"; "only one entry"."""
    end, names = draw(st.integers(0, 300), label="end"), x.names
    code = "[Labels.range(name, end), Labels.empty(names), Labels.empty(name), len(Labels.single())]"
    found = f.run(code, name=names[0], names=names, end=end)
    one = Labels(names[0], torch.arange(end).reshape(-1, 1))
    none = [torch.empty((0, size), dtype=torch.int32) for size in (len(names), 1)]
    return found, [one, Labels(names, none[0]), Labels(names[0], none[1]), 1]


@data_law("labels", labels())
def selecting_is_a_scan(f: Data, x: Any, draw: Any) -> Any:
    """The positions of the entries that agree with one of the selection's in all its dimensions. [doc]
    Labels.select: "that match one of the entry in the selection for all the selection's dimension"."""
    selection = draw(_selections(x), label="selection")
    columns = [x.names.index(name) for name in selection.names]
    wanted = selection.values.tolist()
    rows = enumerate(x.values.tolist())
    found = f.run("sorted(x.select(selection).tolist())", x=x, selection=selection)
    return found, [i for i, row in rows if [row[c] for c in columns] in wanted]


@data_law("labels", labels())
def set_algebra_is_that_of_sets(f: Data, x: Any, draw: Any) -> Any:
    """Union, intersection and difference have the entries that they have for sets, and the mappings
    say where each entry went. [doc] "the position in the union where each entry of the input Labels
    ended up"; "If entries ... are not used in the output, the mapping for them is set to -1"."""
    name = draw(st.sampled_from(["union", "intersection", "difference"]), label="name")
    _offered(f, f"x.{name}_and_mapping", x=x)
    other = draw(_like(x), label="other")
    found, *_ = f.run(f"y = x.{name}_and_mapping(other)", x=x, other=other)
    mapped = "sorted(y[0].values.tolist()), [mapping.tolist() for mapping in y[1:]]"
    code = f"[y[0].names, {mapped}, y[0] == x.{name}(other)]"
    mine, theirs = (list(map(tuple, part.values.tolist())) for part in (x, other))
    rows = sorted(getattr(set(mine), name)(theirs))
    where = {tuple(row): i for i, row in enumerate(found.values.tolist())}
    mappings = [[where.get(row, -1) for row in of] for of in (mine, theirs)]
    return f.run(code), [
        x.names,
        [list(row) for row in rows],
        mappings[: 1 if name == "difference" else 2],
        True,
    ]


@data_law("labels", labels(names=dimension_names(min_size=2, max_size=3), values=st.integers(0, 3)))
def dimensions_change_as_columns_of_a_table(f: Data, x: Any, draw: Any) -> Any:
    """A dimension is renamed, appended, inserted, removed, or all are permuted, and the others stay.
    [doc] "to the end of the Labels"; "before index"; "desired ordering of the dimensions"; a removal
    "can only be performed if the resulting Labels instance will be unique"."""
    for code, names, columns in draw(st.lists(_changes(x), min_size=3, max_size=3), label="changes"):
        _offered(f, code.partition("(")[0], x=x)
        sides = _changed_columns(f, x, code, names, columns)
        if sides is not None and compare(*sides) is not None:
            return sides
    return None


@data_law("labels", labels())
def labels_survive_being_copied_and_saved(f: Data, x: Any, draw: Any) -> Any:
    """What is copied, pickled or saved comes back as it was, where that is offered. [doc] "Save these
    Labels to an in-memory buffer"; "Load a serialized Labels"."""
    return _again(f, x, draw, "Labels")


def _changed_columns(f: Data, x: Labels, code: str, names: list[str], columns: list[int]) -> Any:
    rows = [[row[c] for c in columns] for row in x.values.tolist()]
    is_set = len(set(map(tuple, rows))) == len(rows)
    y = f.run(code, x=x) if is_set else f.attempt_to_run(code, x=x)
    if isinstance(y, Refused):
        return f.steps.clear()  # a script can't go on after it
    return y, _labels(names, rows) if is_set else Refused()


@st.composite
def _like(draw: Any, x: Labels) -> Labels:
    """Labels of the same names, some of whose entries are those of ``x``, or nearly."""
    new = draw(labels(names=st.just(tuple(x.names))))
    rows = x.values.tolist()
    near = [[*row[:-1], row[-1] ^ 1] for row in rows]
    old = draw(st.lists(st.sampled_from(rows + near), min_size=1, unique_by=tuple)) if rows else []
    both = dict.fromkeys(map(tuple, [*old, *new.values.tolist()]))
    return _labels(x.names, draw(st.permutations(list(both))))


@st.composite
def _nearly(draw: Any, x: Labels) -> Labels:
    """The same labels again, or other ones that differ little."""
    names, rows = x.names, x.values.tolist()
    ways = [(names, rows), (["renamed", *names[1:]], rows)]
    if len(names) > 1:
        ways.append((names[::-1], rows))
    if rows:
        other = 0 if rows[-1][-1] else 1
        ways += [(names, rows[:-1]), (names, [*rows[:-1], [*rows[-1][:-1], other]])]
        ways.append((names, rows[::-1]))
    names, rows = draw(st.sampled_from(ways))
    return _labels(names, list(dict.fromkeys(map(tuple, rows))))


@st.composite
def _selections(draw: Any, x: Labels) -> Labels:
    """Some of the dimensions, in any order, with values that occur and others."""
    names = draw(_some_of(x.names))
    columns = [x.names.index(name) for name in names]
    part = [tuple(row[c] for c in columns) for row in x.values.tolist()]
    return draw(_like(_labels(names, list(dict.fromkeys(part)))))


@st.composite
def _changes(draw: Any, x: Labels) -> tuple[str, list[str], list[int]]:
    """Code that changes the dimensions, the names afterwards, and which columns they were."""
    names, size = x.names, len(x.names)
    i, at = draw(st.integers(0, size - 1)), draw(st.integers(0, size))
    order = draw(st.permutations(range(size)).filter(lambda order: order != list(range(size))))
    every = list(range(size))
    column = f"x.values[:, {i}]"
    ways = [
        (f"x.rename({names[i]!r}, 'new')", [*names[:i], "new", *names[i + 1 :]], every),
        (f"x.append('new', {column})", [*names, "new"], [*every, i]),
        (
            f"x.insert({at}, 'new', {column})",
            [*names[:at], "new", *names[at:]],
            [*every[:at], i, *every[at:]],
        ),
        (f"x.permute({list(order)})", [names[c] for c in order], list(order)),
    ]
    if size > 1:
        rest = [c for c in every if c != i]
        ways += [(f"x.remove({names[i]!r})", [names[c] for c in rest], rest)] * 2
    return draw(st.sampled_from(ways))


def _labels(names: Sequence[str], rows: Sequence[Sequence[int]]) -> Labels:
    return Labels(list(names), torch.tensor(rows, dtype=torch.int32).reshape(len(rows), len(names)))


def _offered(f: Data, code: str, **given: Any) -> None:
    """Raise NotOffered where the code, an attribute, can't be had."""
    if isinstance(f.attempt_to_run(code, **given), Refused):
        raise NotOffered(f"{f.implementation.name} does not offer it: {code}")
    f.steps.pop()  # nothing was done


# --- blocks

_BLOCKS = tensor_blocks(max_gradients=2)


@data_law("tensor_block", _BLOCKS)
def a_block_has_the_parts_that_it_is_made_of(f: Data, x: Any, draw: Any) -> Any:
    """Its values and labels are those given, its length is the number of samples. [doc]
    TensorBlock.__len__: "the number of samples"."""
    code = "[len(x), list(x.shape), x.values, x.samples, x.components, x.properties]"
    expected = [len(x.values), list(x.shape), x.values, x.samples, x.components, x.properties]
    return f.run(code, x=x), expected


@data_law("tensor_block", tensor_blocks())
def gradients_that_are_added_come_back(f: Data, x: Any, draw: Any) -> Any:
    """A gradient is found by its parameter, and in the list of all. [doc] TensorBlock.gradient: "the
    gradient of the block values with respect to the given parameter"."""
    added = {name: draw(gradients(x), label=name) for name in ("positions", "cell")}
    for name, gradient in added.items():
        f.run(
            f"x.add_gradient({name!r}, {name})",
            **({"x": x} if name == "positions" else {}),
            **{name: gradient},
        )
    each = "[[name, gradient] for name, gradient in sorted(x.gradients(), key=lambda pair: pair[0])]"
    found = f.run(f"[sorted(x.gradients_list()), x.gradient('cell'), x.gradient('positions'), {each}]")
    names = sorted(added)
    return found, [names, *(added[n] for n in names), [[n, added[n]] for n in names]]


@data_law("tensor_block", _BLOCKS)
def a_copy_of_a_block_is_independent_of_it(f: Data, x: Any, draw: Any) -> Any:
    """What is written to a deep copy stays in it, what is written to another is shared. [doc]
    TensorBlock.copy: "make a full copy of the values; otherwise, ... share the same memory"."""
    way = draw(st.sampled_from(_COPIES), label="way")
    f.run(f"y = {way}", x=x)
    f.run("y.values.fill_(7)\nfor _, gradient in y.gradients():\n    gradient.values.fill_(7)")
    return f.run("x"), _sevens(x) if "False" in way else x


@data_law("tensor_block", _BLOCKS)
def blocks_survive_being_copied_and_saved(f: Data, x: Any, draw: Any) -> Any:
    """What is copied, pickled or saved comes back as it was, where that is offered. [doc]
    TensorBlock.copy: "with the same values and labels"; "Load a serialized TensorBlock"."""
    return _again(f, x, draw, "TensorBlock")


@data_law("tensor_block", _BLOCKS)
def a_block_of_another_dtype_has_its_values_converted(f: Data, x: Any, draw: Any) -> Any:
    """Values and gradients are converted as torch does it, labels stay. [doc] TensorBlock.to: "new dtype
    to use for all arrays"."""
    dtype = draw(_DTYPES, label="dtype")
    return f.run("x.to(dtype=dtype)", x=x, dtype=dtype), _converted(x, dtype)


_COPIES = ("x.copy()", "x.copy(deep=True)", "copy.deepcopy(x)", "x.copy(deep=False)")
_DTYPES = st.sampled_from([torch.float32, torch.float64])


def _again(f: Data, x: Any, draw: Any, kind: str) -> Any:
    """What comes back from a copy, a pickle or a buffer, and ``x``."""
    saved = ["pickle.loads(pickle.dumps(x))", f"{kind}.load_buffer(x.save_buffer())"]
    # metatensor's core gives arrays of numpy unless it is told otherwise
    ways = ["copy.copy(x)", "copy.deepcopy(x)", *saved]
    if kind != "Labels":
        ways += [*(f"{way}.to(arrays='torch')" for way in saved), *_COPIES]
    y = f.attempt_to_run(draw(st.sampled_from(ways), label="way"), x=x)
    return None if isinstance(y, Refused) else (y, x)


def _sevens(block: TensorBlock) -> TensorBlock:
    return _changed(block, lambda values: torch.full_like(values, 7))


def _converted(block: TensorBlock, dtype: torch.dtype) -> TensorBlock:
    return _changed(block, lambda values: values.to(dtype))


def _changed(block: TensorBlock, change: Any) -> TensorBlock:
    """The block and its gradients with ``change`` of their values."""
    made = TensorBlock(change(block.values), block.samples, block.components, block.properties)
    for name, gradient in block.gradients():
        made.add_gradient(name, _changed(gradient, change))
    return made


# --- maps

_MAPS = tensor_maps(max_gradients=1)
#: Keys of few values, so that several of them agree in some dimensions.
_FEW = keys(
    names=st.sampled_from(
        [("key", "o3_lambda"), ("key", "o3_lambda", "center_type"), ("key", "center_type"), ("key",)]
    ),
    values=st.integers(0, 2),
    min_size=2,
)
_OF_FEW = tensor_maps(
    keys=_FEW,
    sample_names=st.sampled_from([("system",), ("system", "atom"), ("center_type", "_")]),
    component_names=st.sampled_from([(), (), (), ("xyz",)]),
    property_names=st.sampled_from([("n",), ("n", "l"), ("n", "_"), ("center_type", "l")]),
    max_gradients=1,
)
#: Those, most of whose gradients can be merged.
_MERGED = st.builds(
    lambda x, alike: _of_the_same_directions(x) if alike else x,
    _OF_FEW,
    st.sampled_from([True, True, True, False]),
)


@data_law("tensor_map", _OF_FEW)
def a_block_is_found_by_its_position_and_by_its_key(f: Data, x: Any, draw: Any) -> Any:
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
def the_blocks_of_a_selection_are_found_by_a_scan(f: Data, x: Any, draw: Any) -> Any:
    """The blocks whose keys have the values of the selection in its dimensions, all of them. [doc]
    TensorMap.blocks: "which can be a subset of the dimensions of the keys"."""
    selection = draw(_values_of(x.keys), label="selection")
    given = [selection, _labels(list(selection), [list(selection.values())])]
    wanted = [b for key, b in x.items() if all(key[n] == v for n, v in selection.items())]
    run = f.run if wanted else f.attempt_to_run  # that none is found may be said by an error
    found = run("x.blocks(selection)", x=x, selection=draw(st.sampled_from(given), label="given"))
    return None if isinstance(found, Refused) else (found, _in_the_order_of(found, wanted))


@data_law("tensor_map", tensor_maps(min_blocks=1, max_gradients=1))
def a_map_has_the_keys_and_names_that_it_is_made_of(f: Data, x: Any, draw: Any) -> Any:
    """Its length is the number of blocks, its items are keys and blocks in order, and names are those of
    its blocks. [doc] TensorMap.items: "(key, block) pairs"; "names of the samples for all blocks"."""
    names = "x.sample_names, x.component_names, x.property_names"
    items = "[[key.names, key.values.tolist(), block] for key, block in x.items()]"
    found = f.run(f"[len(x), x.keys, {names}, {items}]", x=x)
    first = x.block(0)
    of_blocks = first.samples.names, [c.names[0] for c in first.components], first.properties.names
    pairs = zip(x.keys.values.tolist(), x, strict=True)
    return found, [len(x.keys), x.keys, *of_blocks, [[x.keys.names, row, block] for row, block in pairs]]


@data_law("tensor_map", _MAPS)
def a_copy_of_a_map_is_independent_of_it(f: Data, x: Any, draw: Any) -> Any:
    """What is written to a deep copy stays in it, what is written to another is shared. [doc]
    TensorMap.copy: "make a full copy of the blocks values; otherwise, ... share the same memory"."""
    way = draw(st.sampled_from(_COPIES), label="way")
    f.run(f"y = {way}", x=x)
    f.run(
        "for _, block in y.items():\n    block.values.fill_(7)\n"
        "    for _, gradient in block.gradients():\n        gradient.values.fill_(7)"
    )
    return f.run("x"), TensorMap(x.keys, list(map(_sevens, x))) if "False" in way else x


@data_law("tensor_map", _MAPS)
def maps_survive_being_copied_and_saved(f: Data, x: Any, draw: Any) -> Any:
    """What is copied, pickled or saved comes back as it was, where that is offered. [doc]
    TensorMap.copy: "with the same keys and blocks"; "Load a serialized TensorMap"."""
    return _again(f, x, draw, "TensorMap")


@data_law("tensor_map", _MAPS)
def a_map_of_another_dtype_has_its_values_converted(f: Data, x: Any, draw: Any) -> Any:
    """Values and gradients are converted as torch does it, labels stay. [doc] TensorMap.to: "new dtype
    to use for all arrays"."""
    dtype = draw(_DTYPES, label="dtype")
    expected = TensorMap(x.keys, [_converted(block, dtype) for block in x])
    return f.run("x.to(dtype=dtype)", x=x, dtype=dtype), expected


@data_law("tensor_map", _MERGED)
def keys_to_samples_puts_blocks_below_each_other(f: Data, x: Any, draw: Any) -> Any:
    """Every value stands under its key without the moved dimensions, and its sample with them; what no
    block has is the fill value, and gradients are merged alike. [doc] TensorMap.keys_to_samples: "adding
    keys_to_move to the end of the samples labels dimensions"; "lexicographically sorted"."""
    moved = draw(_moves(x.keys), label="moved")
    return _moved(f, x, draw, "samples", moved)


@data_law("tensor_map", _MERGED)
def keys_to_properties_puts_blocks_beside_each_other(f: Data, x: Any, draw: Any) -> Any:
    """Every value stands under its key without the moved dimensions, and its property with them; what no
    block has is the fill value, and gradients are merged alike. [doc] TensorMap.keys_to_properties:
    "adding keys_to_move at the beginning of the properties labels dimensions"."""
    moved = draw(_moves(x.keys), label="moved")
    return _moved(f, x, draw, "properties", moved)


@data_law("tensor_map", _MERGED.map(lambda x: _of_the_same_properties(x)))
def keys_to_properties_has_the_entries_of_labels(f: Data, x: Any, draw: Any) -> Any:
    """With Labels that have entries, properties are those of every entry, whether it is the key of a
    block or not. [doc] TensorMap.keys_to_properties: "contain all of the entries of keys_to_move"."""
    moved = draw(_selections(x.keys).filter(len), label="moved")
    return _moved(f, x, draw, "properties", moved)


@data_law("tensor_map", _MAPS)
def components_to_properties_moves_every_value(f: Data, x: Any, draw: Any) -> Any:
    """Every value stands under its property with the moved components. [doc]
    TensorMap.components_to_properties: "from the component labels to the property labels"."""
    _offered(f, "x.components_to_properties", x=x)
    names = x.component_names
    if not names:
        return None
    moved = draw(_some_of(names), label="moved")
    if set(moved) & set(x.property_names):
        return None  # refused, or never right
    y = f.run("y = x.components_to_properties(moved)", x=x, moved=moved)
    return y, merging.components_to_properties(x, moved, y)


def _moved(f: Data, x: TensorMap, draw: Any, axis: str, given: Any) -> Any:
    """The map with dimensions of its keys moved, and what must come of it."""
    names = given.names if isinstance(given, Labels) else given
    wanted = (
        list(map(tuple, given.values.tolist())) if isinstance(given, Labels) and len(given) else None
    )
    sorts, fill = draw(st.booleans(), label="sorts"), draw(st.sampled_from([1.5, 1.5, 0]), label="fill")
    move = merging.Move([names] if isinstance(names, str) else names, axis, wanted, fill, sorts)
    options = ", fill_value=fill" * (fill != 0) + ", sort_samples=False" * (not sorts)
    run = f.attempt_to_run if move.may_be_refused(x) else f.run
    y = run(f"y = x.keys_to_{axis}(moved{options})", x=x, moved=given, fill=fill)
    if isinstance(y, Refused):
        return None
    return y, Refused() if move.must_be_refused(x) else move(x, y)


@st.composite
def _some_of(draw: Any, names: list[str]) -> list[str]:
    """At least one of the names, several most often, in any order."""
    order = draw(st.permutations(names))
    return list(order[: draw(st.sampled_from([len(names), *range(1, len(names) + 1)]))])


@st.composite
def _moves(draw: Any, known: Labels) -> Any:
    """Names of dimensions: one, a list, or labels without entries."""
    names = draw(_some_of(known.names))
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
    rows = dict(zip(known.names, near or [draw(st.integers(0, 2)) for _ in known.names], strict=True))
    return {name: rows[name] for name in names}


def _in_the_order_of(found: Any, wanted: list[Any]) -> list[Any]:
    """What is wanted, in the order in which it was found: documents say nothing of the order."""
    rest, order = list(wanted), []
    for item in found:
        where = next((i for i, one in enumerate(rest) if compare(item, one) is None), None)
        if where is not None:
            order.append(rest.pop(where))
    return [*order, *rest]
