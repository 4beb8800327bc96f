"""Laws of labels: they are lists of named integers."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from ...compare import Refused, compare
from ...labels import Labels
from ...strategies import dimension_names, labels
from ..dense import labels_of
from ..law import data_law
from ..session import Session
from ._common import again, labels_like, offered, selections, ways_of


@data_law("labels", labels())
def a_position_is_where_the_entry_is(f: Session, x: Any, draw: Any) -> Any:
    """The position of the i-th entry is i. [doc] Labels.position: the "position of the given entry in
    this set of labels"."""
    return f.run("[x.position(entry) for entry in x]", x=x), list(range(len(x)))


@data_law("labels", labels())
def a_row_has_a_position_where_it_is_in_the_labels(f: Session, x: Any, draw: Any) -> Any:
    """The position of an entry is its index, and it is in the labels, where it is one of theirs; else it
    is None: of a list, a tuple, an array, and an entry of other labels. [doc] Labels.position: "or None
    if the entry is not present in the labels"; "Union[LabelsEntry, torch.Tensor, List[int],
    Tuple[int, ...]]"."""
    other = draw(labels_like(x), label="other")
    entries = other.values.tolist()
    ways = ["entries", "map(tuple, entries)", "other.values", "other"]
    way = draw(st.sampled_from(ways), label="way")
    given = {"other": other} if "other" in way else {"entries": entries}
    found = f.run(f"[[x.position(entry), entry in x] for entry in {way}]", x=x, **given)
    mine = x.values.tolist()
    return found, [[mine.index(entry), True] if entry in mine else [None, False] for entry in entries]


@data_law("labels", labels(min_size=1))
def labels_can_be_read_by_entry_and_by_dimension(f: Session, x: Any, draw: Any) -> Any:
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
    entries, size = x.values.tolist(), len(x.names)
    columns = [list(column) for column in zip(*entries, strict=True)]
    return f.run(f"[{', '.join(code)}]", x=x), [
        [x.names, entries],
        [len(entries), entries],
        entries,
        entries,
        [[x.names, size] for _ in entries],
        [[column, column] for column in columns],
    ]


@data_law("labels", labels(min_size=1))
def an_entry_is_a_named_tuple(f: Session, x: Any, draw: Any) -> Any:
    """It is read by position, by iteration, as a tuple and in words. [doc] LabelsEntry.__getitem__:
    "dimension: Union[str, int]"; "convert them to tuple first (tuple(entry))"; print: "as a named tuple
    (i.e. (key_1=value_1, key_2=value_2))"."""
    code = "[[int(entry[i]) for i in range(len(entry))], [*map(int, tuple(entry))], entry.print()]"
    found = f.run(f"[{code} for entry in x]", x=x)
    entries = x.values.tolist()
    pairs = [zip(x.names, entry, strict=True) for entry in entries]
    words = [f"({', '.join(f'{name}={value}' for name, value in of)})" for of in pairs]
    return found, [[entry, entry, printed] for entry, printed in zip(entries, words, strict=True)]


@data_law("labels", labels(max_size=6))
def printed_labels_have_their_entries(f: Session, x: Any, draw: Any) -> Any:
    """The names come first, and then, of all entries or of no more than asked for, the values of one in
    each line, in their order. [doc] Labels.print: "how many entries to print, use -1 to print
    everything"."""
    most = draw(st.sampled_from([-1, -1, 2, 3, 4, 100]), label="most")
    indent = draw(st.sampled_from([0, 3]), label="indent")
    rows = [list(map(str, row)) for row in x.values.tolist()]
    given = {"x": x, "most": most, "indent": indent}
    lines = f.run("lines = [line.split() for line in x.print(most, indent).splitlines()]", **given)
    if not 0 <= most < len(rows):
        return lines, [x.names, *rows]
    f.run("shown = [line for line in lines if line in rows]", rows=rows)
    are_shown = "[lines[0], shown == [row for row in rows if row in shown], len(shown) <= most]"
    return f.run(are_shown), [x.names, True, True]


@data_law("labels", labels())
def equality_is_that_of_names_and_values(f: Session, x: Any, draw: Any) -> Any:
    """Labels are equal where all their names and values are, and so are entries. [doc] Labels.__eq__:
    "same dimension names and same values"; LabelsEntry.__eq__ says the same."""
    other = draw(_nearly(x), label="other")
    pairs = "[[bool(a == b), bool(a != b)] for a in x for b in other]"
    found = f.run(f"[x == x, x == other, x != other, {pairs}]", x=x, other=other)
    same_names, entries, others = x.names == other.names, x.values.tolist(), other.values.tolist()
    same = same_names and entries == others
    equal = [same_names and a == b for a in entries for b in others]
    return found, [True, same, not same, [[e, not e] for e in equal]]


@data_law("labels", labels())
def ranges_and_empty_labels_are_what_they_say(f: Session, x: Any, draw: Any) -> Any:
    """Labels.range counts from 0, Labels.empty has names and no entries, Labels.single one entry.
    [doc] "values in the [0, end) range"; "given names but no values"; "only one entry"."""
    end, names = draw(st.integers(0, 300), label="end"), x.names
    code = "[Labels.range(name, end), Labels.empty(names), Labels.empty(name), len(Labels.single())]"
    found = f.run(code, name=names[0], names=names, end=end)
    one = Labels(names[0], torch.arange(end).reshape(-1, 1))
    none = [torch.empty((0, size), dtype=torch.int32) for size in (len(names), 1)]
    return found, [one, Labels(names, none[0]), Labels(names[0], none[1]), 1]


@data_law("labels", labels())
def selecting_is_a_scan(f: Session, x: Any, draw: Any) -> Any:
    """The positions of the entries that agree with one of the selection's in all its dimensions. [doc]
    Labels.select: "that match one of the entry in the selection for all the selection's dimension"."""
    selection = draw(selections(x), label="selection")
    columns = [x.names.index(name) for name in selection.names]
    wanted = selection.values.tolist()
    entries = enumerate(x.values.tolist())
    found = f.run("sorted(x.select(selection).tolist())", x=x, selection=selection)
    return found, [i for i, entry in entries if [entry[c] for c in columns] in wanted]


@data_law("labels", labels())
def set_algebra_is_that_of_sets(f: Session, x: Any, draw: Any) -> Any:
    """Union, intersection and difference have the entries that they have for sets, and the mappings
    say where each entry went. [doc] "the position in the union where each entry of the input Labels
    ended up"; "If entries ... are not used in the output, the mapping for them is set to -1"."""
    name = draw(st.sampled_from(["union", "intersection", "difference"]), label="name")
    offered(f, f"x.{name}_and_mapping", x=x)
    other = draw(labels_like(x), label="other")
    found, *_ = f.run(f"y = x.{name}_and_mapping(other)", x=x, other=other)
    mapped = "sorted(y[0].values.tolist()), [mapping.tolist() for mapping in y[1:]]"
    code = f"[y[0].names, {mapped}, y[0] == x.{name}(other)]"
    mine, theirs = (list(map(tuple, part.values.tolist())) for part in (x, other))
    entries = sorted(getattr(set(mine), name)(theirs))
    where = {tuple(entry): i for i, entry in enumerate(found.values.tolist())}
    mappings = [[where.get(entry, -1) for entry in of] for of in (mine, theirs)]
    return f.run(code), [
        x.names,
        [list(entry) for entry in entries],
        mappings[: 1 if name == "difference" else 2],
        True,
    ]


@data_law("labels", labels(names=dimension_names(min_size=2, max_size=3), values=st.integers(0, 3)))
def dimensions_change_as_columns_of_a_table(f: Session, x: Any, draw: Any) -> Any:
    """A dimension is renamed, appended, inserted, removed, or all are permuted, and the others stay.
    [doc] "to the end of the Labels"; "before index"; "desired ordering of the dimensions"; a removal
    "can only be performed if the resulting Labels instance will be unique"."""
    for code, names, columns in draw(st.lists(_changes(x), min_size=3, max_size=3), label="changes"):
        offered(f, code.partition("(")[0], x=x)
        sides = _changed_columns(f, x, code, names, columns)
        if compare(*sides) is not None:
            break
    return sides


@data_law("labels", labels(), ways=ways_of("Labels"))
def labels_survive_being_copied_and_saved(f: Session, x: Any, draw: Any) -> Any:
    """What is copied, pickled or saved comes back as it was, where that is offered. [doc] "Save these
    Labels to an in-memory buffer"; "Load a serialized Labels"."""
    return again(f, x, draw)


def _changed_columns(f: Session, x: Labels, code: str, names: list[str], columns: list[int]) -> Any:
    entries = [[entry[c] for c in columns] for entry in x.values.tolist()]
    is_set = len(set(map(tuple, entries))) == len(entries)
    y = f.run(code, x=x) if is_set else f.attempt_to_run(code, x=x)
    if isinstance(y, Refused):
        f.steps.clear()  # a script can't go on after it
    return y, labels_of(names, entries) if is_set else Refused()


@st.composite
def _nearly(draw: Any, x: Labels) -> Labels:
    """The same labels again, or other ones that differ little."""
    names, entries = x.names, x.values.tolist()
    ways = [(names, entries), (["renamed", *names[1:]], entries)]
    if len(names) > 1:
        ways.append((names[::-1], entries))
    if entries:
        other = 0 if entries[-1][-1] else 1
        ways += [(names, entries[:-1]), (names, [*entries[:-1], [*entries[-1][:-1], other]])]
        ways.append((names, entries[::-1]))
    names, entries = draw(st.sampled_from(ways))
    return labels_of(names, list(dict.fromkeys(map(tuple, entries))))


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
