"""Strategies for blocks, their gradients, and maps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref import Labels, TensorBlock, TensorMap
from tmref.labels import _checked_names
from tmref.rotations import O3_NAMES

from . import axes
from ._bytes import Bytes, sizes
from ._options import (
    check_block,
    check_flags,
    check_map,
    checked_components,
    checked_labels,
    checked_names,
    is_sequence,
)
from ._strategy import Draw, strategy
from .numbers import MAX_FEATURES, check_size, check_sizes, check_strategies
from .values import Values

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .values import ValueOptions

GRADIENT_NAMES = ("positions", "cell")
MAX_ROWS = 3
MAX_COMPONENT_SIZE = 3
_MOST_COMPONENTS = 4
_MOST_KEY_NAMES = max(map(len, (*axes.KEYS, *axes.SPHERICAL_NAMES)))

#: How many components a gradient has more than the values, and the dimensions of its samples.
_EXTRA = (0, 1, 2)
_GRADIENT_SAMPLES = (("sample",), ("sample", "atom"))

#: What the blocks of a map have in common besides: nothing, the number of properties, all sizes, or all
#: labels (but ``o3_mu``).
_ALIKE = ("", "", "", "", "properties", "shape", "shape", "labels")
#: Whether the first sample of a block is zeros.
_HOLLOW = (False,) * 7 + (True,)


@dataclass(frozen=True)
class _Gradient:
    """What the gradients of all blocks with respect to one parameter have in common."""

    parameter: str
    extra: int
    samples: tuple[str, ...]
    max_rows: int = MAX_ROWS
    components: Sequence[Labels] | None = None

    def draw(self, draw: Draw, of: TensorBlock, values: Values) -> TensorBlock:
        """A gradient of the block ``of``."""
        width = len(self.samples)
        data = draw.bytes("gradient", 1 + len(_EXTRA) + 2 * self.max_rows, exact=True)
        number = data.pick(sizes(0, self.max_rows)) if len(of) else 0
        entries = [data.pick(sizes(1, MAX_COMPONENT_SIZE)) for _ in _EXTRA]
        rows = set()
        for _ in range(number):
            # eight are counted modulo the samples: a row stays as it is while their number shrinks
            sample = data.pick(range(max(8, len(of)))) % len(of)
            rows.add((sample, *data.label_values(width - 1)))
        labelled = axes.labels_of_rows(self.samples, dict.fromkeys(sorted(rows)))
        taken = {name for component in of.components for name in component.names}
        free = (name for name in map("direction_{}".format, itertools.count(1)) if name not in taken)
        directions = [Labels.range(next(free), size) for size in entries[: self.extra]]
        if self.components is not None:
            directions = self._beside(taken)
        return _draw_block(draw, [labelled, *directions, *of.components, of.properties], of, values)

    def _beside(self, taken: set[str]) -> list[Labels]:
        """The components that were drawn for it, of other names than those of the block."""
        found = list(self.components or ())
        names = [axis.names[0] for axis in found]
        if not taken.isdisjoint(names):
            raise InvalidArgument(
                f"gradient_components gave the names {names} for a block with the components "
                f"{sorted(taken)}, which its gradients have, too; each must have another name"
            )
        return found


def _draw_block(
    draw: Draw,
    labels: Sequence[Labels],
    like: TensorBlock | tuple[torch.dtype, torch.device],
    values: Values,
    **how: Any,
) -> TensorBlock:
    """A block of these labels, of the dtype and device of another block or as given."""
    dtype, device = (like.dtype, like.device) if isinstance(like, TensorBlock) else like
    numbers = values.draw(draw, [len(axis) for axis in labels], dtype, device, **how)
    if device.type != "cpu":
        labels = [axis.to(device) for axis in labels]
    samples, *components, properties = labels
    return TensorBlock._unchecked(numbers, samples, tuple(components), properties)


@strategy
def gradients(
    block: TensorBlock,
    *,
    max_rows: int = MAX_ROWS,
    max_components: int = 2,
    **values: Unpack[ValueOptions],
) -> Callable[[Draw], TensorBlock]:
    """Gradients of the ``block``: what its ``add_gradient`` takes, of shape ``(rows, *extra,
    *components, properties)``.

    They have up to ``max_rows`` rows, each of one sample of the block (the first dimension of the
    samples, ``sample``), perhaps of an atom besides; up to ``max_components`` extra components (at most
    two) of one to three entries; and the block's own components, properties, dtype and device. Other
    options are those of :func:`array_values` but ``dtypes`` and ``devices``.

    Shrinks towards no rows. Raises InvalidArgument for what is no block, and bounds that can't be met,
    TypeError for an option that doesn't exist.

    >>> block = find(tensor_blocks(), lambda block: len(block.samples) == 2)
    >>> find(gradients(block), lambda gradient: len(gradient.samples) == 1).samples
    Labels.range("sample", 1)
    """
    check_block("gradients", block)
    check_size("max_rows", max_rows)
    check_size("max_components", max_components, 0, len(_EXTRA) - 1)
    _without_kind(values, "a gradient has the block's {}")
    how = Values.checked(values, len(block.properties))

    def draw_gradient(draw: Draw) -> TensorBlock:
        data = draw.bytes("gradient names", 2, exact=True)
        kind = _Gradient(
            "", data.pick(_EXTRA[: max_components + 1]), data.pick(_GRADIENT_SAMPLES), max_rows
        )
        return kind.draw(draw, block, how)

    return draw_gradient


def _without_kind(values: ValueOptions, why: str) -> None:
    """TypeError for options that say what dtype and device are, which something else says already."""
    for name in ("dtypes", "devices"):
        if name in values:
            raise TypeError(f"{why.format(name)}: leave the option {name!r} out")


def _names_of(drawn: Sequence[str], may_be_none: bool) -> tuple[str, ...]:
    """The drawn names, checked. Raises as Labels do."""
    return () if may_be_none and not drawn else _checked_names(drawn)


Counts = tuple[int, int, tuple[int, ...]]


@dataclass
class _Blocks:
    """What all blocks of a map have in common, the tables of their sizes, and the sizes and labels that
    all of them have where they are ``alike``.
    """

    names: Sequence[Sequence[str]]  # of samples, components and properties
    kind: tuple[torch.dtype, torch.device]
    gradients: Sequence[_Gradient]
    values: Values
    tables: tuple[Sequence[int], Sequence[int]]
    alike: str
    counts: Counts
    labels: Sequence[Labels] = ()
    #: What samples, components and properties are drawn from, where it was said, or are for all blocks.
    drawn_from: Mapping[str, Any] = field(default_factory=dict)
    of_all: dict[str, Any] = field(default_factory=dict)
    of_mu: str = O3_NAMES[2]
    names_of: dict[str, list[str]] = field(default_factory=dict)

    def draw(
        self, draw: Draw, needed: bool, found: axes.KeyRows | None, o3_lambda: int | None
    ) -> TensorBlock | None:
        """A block under the next of the keys ``found``, or under one that is known to be of
        ``o3_lambda``; None where its key has a block already.
        """
        data = draw.bytes("block", 3 + _MOST_COMPONENTS + _MOST_KEY_NAMES, exact=True)
        counts = pick_counts(data, self.tables)
        if self.alike == "properties":
            counts = counts[0], self.counts[1], counts[2]
        elif self.alike:
            counts = self.counts
        hollow = data.pick(_HOLLOW)
        is_new = found is None or found.add(data, needed)
        if found is not None:
            o3_lambda = found.last_lambda()
        # drawn all the same, lest a map of one set of labels take fewer choices and pass for simpler
        labels = self.draw_labels(draw, counts)
        if self.labels:
            labels = list(self.labels)
        labels = self._as_said(draw, labels)
        if o3_lambda is not None:
            labels.insert(1, axes.spherical_component(o3_lambda, self.of_mu))
        block = _draw_block(draw, labels, self.kind, self.values, hollow=hollow)
        for gradient in self.gradients:
            drawn = draw.part(gradient.draw, block, self.values)
            block.add_gradient(gradient.parameter, drawn)
        # drawn all the same, so that what is drawn after it stays what it is
        return block if is_new else None

    def _as_said(self, draw: Draw, labels: list[Labels]) -> list[Labels]:
        """The labels, with those of the axes that something was said about."""
        parts: dict[str, Any] = {
            "samples": labels[0],
            "components": labels[1:-1],
            "properties": labels[-1],
        }
        for axis, of_axis in self.drawn_from.items():
            if self.of_all.get(axis) is None:
                parts[axis] = self._of_the_same_names(axis, _labels_of(axis, draw(of_axis)))
        for axis, of_all in self.of_all.items():
            parts[axis] = self.of_all[axis] = parts[axis] if of_all is None else of_all
        return [parts["samples"], *parts["components"], parts["properties"]]

    def _of_the_same_names(self, axis: str, drawn: Any) -> Any:
        """What was drawn for an axis, which has the names that it has in all blocks."""
        if axis != "components":
            first = self.names_of.setdefault(axis, drawn.names)
            if drawn.names != first:
                raise InvalidArgument(
                    f"{axis} gave labels of {drawn.names} after some of {first}; those of all blocks "
                    "have the same names: say names=st.just(...)"
                )
        return drawn

    def draw_labels(self, draw: Draw, counts: Counts) -> list[Labels]:
        """Labels of samples, components but for ``o3_mu``, and properties."""
        of_samples, of_components, of_properties = self.names
        number, features, entries = counts
        entries = tuple(itertools.islice(itertools.cycle(entries), len(of_components)))
        need = number * len(of_samples) + features * len(of_properties) + sum(entries)
        data = draw.bytes("labels", need)
        samples = axes.labels_of_rows(of_samples, axes.label_rows(data, number, len(of_samples)))
        components = [
            axes.labels_of_rows((name,), axes.label_rows(data, size, 1))
            for name, size in zip(of_components, entries, strict=True)
        ]
        rows = axes.label_rows(data, features, len(of_properties))
        return [samples, *components, axes.labels_of_rows(of_properties, rows)]


def _labels_of(axis: str, drawn: Any) -> Any:
    """What a strategy gave for an axis, checked."""
    return checked_components(axis, drawn) if axis == "components" else checked_labels(axis, drawn)


def pick_counts(data: Bytes, tables: tuple[Sequence[int], Sequence[int]]) -> Counts:
    """The numbers of samples and properties, and those of the entries of components."""
    entries = sizes(1, MAX_COMPONENT_SIZE)
    return (
        data.pick(tables[0]),
        data.pick(tables[1]),
        tuple(data.pick(entries) for _ in range(_MOST_COMPONENTS)),
    )


@strategy
def tensor_blocks(
    *,
    samples: st.SearchStrategy[Labels] | None = None,
    components: st.SearchStrategy[list[Labels]] | None = None,
    properties: st.SearchStrategy[Labels] | None = None,
    max_gradients: int = 0,
    **values: Unpack[ValueOptions],
) -> Callable[[Draw], TensorBlock]:
    """Blocks of the drawn labels, by default those of :func:`samples`, :func:`components` and
    :func:`properties`, with up to ``max_gradients`` gradients (at most two, as :func:`gradients` gives).

    Values are multiples of 1/8 in float32 or float64 unless the options of :func:`array_values` say
    something else. Shrinks towards no samples, no components, no properties, and zeros. Raises
    InvalidArgument for options that can't be met, TypeError for one that doesn't exist.

    >>> find(tensor_blocks(), lambda block: bool((block.values < 0).any()))
    TensorBlock(torch.tensor([[-1.0]]), Labels.range("system", 1), [], Labels.range("n", 1))
    """
    check_strategies(samples=samples, components=components, properties=properties)
    check_size("max_gradients", max_gradients, 0, len(GRADIENT_NAMES))
    how = Values.checked(values)
    of_samples = axes.samples() if samples is None else samples
    of_components = axes.components() if components is None else components
    of_properties = axes.properties() if properties is None else properties

    def draw_block(draw: Draw) -> TensorBlock:
        kind = how.kind(draw, draw.bytes("dtype", 1, exact=True))
        drawn = [
            checked_labels("samples", draw(of_samples)),
            *checked_components("components", draw(of_components)),
            checked_labels("properties", draw(of_properties)),
        ]
        block = _draw_block(draw, drawn, kind, how)
        for gradient in _pick_gradients(draw, max_gradients):
            block.add_gradient(gradient.parameter, gradient.draw(draw, block, how))
        return block

    return draw_block


def _pick_gradients(
    draw: Draw,
    most: int,
    names: Sequence[str] = GRADIENT_NAMES,
    samples: Sequence[Sequence[str]] = _GRADIENT_SAMPLES,
    components: st.SearchStrategy[list[Labels]] | None = None,
) -> list[_Gradient]:
    """The gradients that all blocks of a map have: up to ``most``, and one at least unless it is 0."""
    if not most:
        return []
    number = most if most == 1 else draw(st.sampled_from(range(1, most + 1)))
    data = draw.bytes("gradients", 2 * most, exact=True)
    return [
        _Gradient(
            name,
            data.pick(_EXTRA),
            tuple(data.pick(samples)),
            components=(
                None
                if components is None
                else checked_components("gradient_components", draw(components))
            ),
        )
        for name in names[:number]
    ]


@strategy
def tensor_maps(
    *,
    keys: st.SearchStrategy[Labels] | None = None,
    samples: st.SearchStrategy[Labels] | None = None,
    components: st.SearchStrategy[list[Labels]] | None = None,
    properties: st.SearchStrategy[Labels] | None = None,
    same_samples: bool = False,
    sample_names: st.SearchStrategy[Sequence[str]] | None = None,
    component_names: st.SearchStrategy[Sequence[str]] | None = None,
    property_names: st.SearchStrategy[Sequence[str]] | None = None,
    min_blocks: int = 0,
    max_blocks: int = 4,
    min_samples: int = 0,
    max_samples: int = 4,
    min_properties: int = 0,
    max_properties: int = MAX_FEATURES,
    max_gradients: int = 0,
    gradient_names: Sequence[str] = GRADIENT_NAMES,
    gradient_samples: Sequence[Sequence[str]] = _GRADIENT_SAMPLES,
    gradient_components: st.SearchStrategy[list[Labels]] | None = None,
    spherical: bool = False,
    max_lambda: int = axes.MAX_LAMBDA,
    o3_names: Sequence[str] = O3_NAMES,
    one_width: bool = False,
    **values: Unpack[ValueOptions],
) -> Callable[[Draw], TensorMap]:
    """Maps of ``min_blocks`` to ``max_blocks`` blocks, or of the drawn ``keys``; blocks have samples,
    components and properties of their own.

    No blocks, no samples, no properties and up to two components all occur, and blocks of one shape.
    Names of dimensions are drawn, too: ``sample_names``, ``component_names`` (one for each component)
    and ``property_names`` are strategies of tuples of names, as :func:`dimension_names` gives.
    ``samples`` and ``properties`` are strategies of the labels themselves, drawn for each block, of the
    same names and of as many entries as the bounds allow; ``components`` are drawn for all blocks. Where
    ``same_samples``, all blocks have the samples of the first.

    Where ``spherical``, keys are those of :func:`spherical_keys` up to ``max_lambda``, and every block
    has the one component ``o3_mu`` of 2 ``o3_lambda`` + 1 entries; ``o3_names`` are what these three
    dimensions are called. Where ``one_width``, all blocks have
    equally many properties. Where ``max_gradients`` isn't 0, every map that has blocks has gradients
    with respect to that many of the ``gradient_names`` or fewer, as :func:`gradients` gives, under
    names out of ``gradient_samples``, with the drawn ``gradient_components`` besides the block's.
    Values are multiples of 1/8 of at most :func:`unit_bound` for ``max_properties`` features unless the
    options of :func:`array_values` say something else.

    Shrinks towards no blocks, or few small ones. Raises InvalidArgument for options that contradict
    each other or can't be met, TypeError for one that doesn't exist.

    >>> x = find(tensor_maps(spherical=True), lambda x: any(len(block.samples) == 2 for block in x))
    >>> x.keys
    Labels(["o3_lambda", "o3_sigma"], torch.tensor([[0, 1]]))
    >>> print(x.block(0))
    TensorBlock with shape (2, 1, 0)
        samples: [system]
        components: [o3_mu]
        properties: [n]
    """
    check_sizes("min_blocks", min_blocks, "max_blocks", max_blocks)
    check_sizes("min_samples", min_samples, "max_samples", max_samples)
    check_sizes("min_properties", min_properties, "max_properties", max_properties)
    check_size("max_gradients", max_gradients, 0, len(_checked_parameters(gradient_names)))
    check_size("max_lambda", max_lambda)
    check_flags(same_samples=same_samples, spherical=spherical, one_width=one_width)
    of_lambda, _, of_mu = of_o3 = axes.checked_o3_names(o3_names)
    of_gradients = _checked_gradient_samples(gradient_samples)
    check_strategies(
        keys=keys,
        gradient_components=gradient_components,
        samples=samples,
        components=components,
        properties=properties,
        sample_names=sample_names,
        component_names=component_names,
        property_names=property_names,
    )
    if spherical and keys is None:
        axes.check_spherical(min_blocks, max_blocks, max_lambda, "min_blocks", "max_blocks")
    if spherical and component_names is not None:
        raise InvalidArgument("component_names are o3_mu where spherical=True: leave one of them out")
    for axis, of_labels, of_names in (
        ("samples", samples, sample_names),
        ("components", components, component_names),
        ("properties", properties, property_names),
    ):
        if of_labels is not None and of_names is not None:
            raise InvalidArgument(f"{axis} have names of their own: leave the names of {axis} out")
    if spherical and components is not None:
        raise InvalidArgument("components are o3_mu where spherical=True: leave one of them out")
    drawn_from: dict[str, Any] = {}
    if samples is not None:
        drawn_from["samples"] = samples.filter(_of_sizes(min_samples, max_samples))
    if components is not None:
        drawn_from["components"] = components
    if properties is not None:
        drawn_from["properties"] = properties.filter(_of_sizes(min_properties, max_properties))
    of_all: dict[str, Any] = {"components": None} if components is not None else {}
    of_all |= {"samples": None} if same_samples else {}
    of_all |= {"properties": None} if one_width and properties is not None else {}
    how = Values.checked(values, max_properties)
    tables = sizes(min_samples, max_samples), sizes(min_properties, max_properties)
    number = st.sampled_from(sizes(min_blocks, max_blocks))
    of_keys = axes.spherical_names(of_o3) if spherical else axes.KEYS
    of_components = ((),) if spherical else axes.component_names(2)

    def draw_map(draw: Draw) -> TensorMap:
        drawn = None if keys is None else _checked_keys(draw(keys), of_lambda if spherical else None)
        count = draw(number) if drawn is None else len(drawn)
        data = draw.bytes("map", 6 + 2 + _MOST_COMPONENTS, exact=True)
        dtype, device = how.kind(draw, data)
        found = axes.KeyRows(data.pick(of_keys), max_lambda if spherical else None, of_lambda=of_lambda)
        if not count:
            return TensorMap((found.labels() if drawn is None else drawn).to(device), [])
        tables_of_names = axes.SAMPLES, of_components, axes.PROPERTIES
        asked = sample_names, component_names, property_names
        names = [
            picked if option is None else _names_of(draw(option), option is component_names)
            for option, picked in zip(asked, map(data.pick, tables_of_names), strict=True)
        ]
        alike, counts = data.pick(_ALIKE), pick_counts(data, tables)
        common = _Blocks(
            names=names,
            kind=(dtype, device),
            gradients=_pick_gradients(
                draw, max_gradients, gradient_names, of_gradients, gradient_components
            ),
            values=how,
            tables=tables,
            alike=alike or ("properties" if one_width else ""),
            counts=counts,
            drawn_from=drawn_from,
            of_all=dict(of_all),
            of_mu=of_mu,
        )
        if alike == "labels":
            common.labels = common.draw_labels(draw, counts)
        blocks: list[TensorBlock] = []
        for i in range(count):
            needed = len(blocks) + count - i <= min_blocks
            o3_lambda = drawn[i][of_lambda] if drawn is not None and spherical else None
            of_key = found if drawn is None else None
            block = draw.part(common.draw, needed, of_key, o3_lambda)
            if block is not None:
                block._owned = True
                blocks.append(block)
        return TensorMap._unchecked((found.labels() if drawn is None else drawn).to(device), blocks)

    return draw_map


def _checked_parameters(names: Sequence[str]) -> Sequence[str]:
    """The names of what gradients are with respect to. Raises InvalidArgument where they are none."""
    if not is_sequence(names) or not all(isinstance(name, str) for name in names):
        remedy = f"; for one name: [{names!r}]" if isinstance(names, str) else ""
        raise InvalidArgument(f"gradient_names={names!r} must be a list of names{remedy}")
    if len(set(names)) != len(names):
        raise InvalidArgument(f"gradient_names={names!r} must be distinct")
    return names


def _checked_gradient_samples(samples: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """The names that samples of gradients may have. Raises InvalidArgument where they are none."""
    if not is_sequence(samples) or not samples or not all(map(is_sequence, samples)):
        raise InvalidArgument(
            f"gradient_samples={samples!r} must be a list of lists of names: [('sample', 'atom')]"
        )
    found = tuple(checked_names(f"gradient_samples[{i}]", names) for i, names in enumerate(samples))
    if any(names[0] != "sample" for names in found):
        raise InvalidArgument(f"gradient_samples={samples!r} must all begin with sample")
    return found


def _of_sizes(low: int, high: int) -> Callable[[Any], bool]:
    """Whether labels have so many entries; what is no labels goes through, to be refused in words."""
    return lambda labels: not isinstance(labels, Labels) or low <= len(labels) <= high


def _checked_keys(keys: object, of_lambda: str | None) -> Labels:
    if not isinstance(keys, Labels):
        raise InvalidArgument(f"keys must give tmref's Labels, got a {type(keys).__name__}: {keys!r}")
    if of_lambda is not None and of_lambda not in keys.names:
        raise InvalidArgument(f"keys gave {keys!r}; where spherical=True they need {of_lambda}")
    if of_lambda is not None:
        at = keys.names.index(of_lambda)
        least = min((row[at] for row in keys._entries()), default=0)
        if least < 0:
            raise InvalidArgument(
                f"keys gave {keys!r}; where spherical=True {of_lambda} must be at least 0, got {least}"
            )
    return keys


@strategy
def like(tensor: TensorMap, **values: Unpack[ValueOptions]) -> Callable[[Draw], TensorMap]:
    """Maps with the metadata of ``tensor``, gradients' included, its dtype and device, and other values.

    Options are those of :func:`array_values` but ``dtypes`` and ``devices``; without a bound, values
    are up to :func:`unit_bound` of the features. Shrinks towards zeros. Raises InvalidArgument for what
    is no map, and options that can't be met, TypeError for one that doesn't exist.

    >>> x = find(tensor_maps(), lambda x: any(block.values.numel() for block in x))
    >>> find(like(x), lambda y: bool((y[0].values > 0).any()))[0].values
    tensor([[1.]])
    """
    check_map("like", tensor)
    _without_kind(values, "the map has {} of its own")
    how = Values.checked(values, max((len(block.properties) for block in tensor), default=0))

    def draw_like(draw: Draw) -> TensorMap:
        return TensorMap(tensor.keys, [_draw_like(draw, block, how) for block in tensor])

    return draw_like


def _draw_like(draw: Draw, block: TensorBlock, values: Values) -> TensorBlock:
    labels = [block.samples, *block.components, block.properties]
    again = _draw_block(draw, labels, block, values, purpose="other values")
    for parameter, gradient in block.gradients():
        again.add_gradient(parameter, _draw_like(draw, gradient, values))
    return again
