"""Strategies for blocks and maps."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from tmref import Labels, TensorBlock, TensorMap

from . import axes
from .numbers import MAX_FEATURES, check_size, checked_bound, dyadic_tensors

GRADIENT_NAMES = ("positions", "cell")

_EXTRA = st.sampled_from([(), ("direction_1",), ("direction_1", "direction_2")])
_GRADIENT_SAMPLES = st.sampled_from([("sample",), ("sample", "atom")])

_DTYPES = st.sampled_from([torch.float64, torch.float32])


def _draw_values(draw: st.DrawFn, axes: list[Labels], dtype: torch.dtype, bound: int) -> TensorBlock:
    """A block of these labels."""
    values = draw(dyadic_tensors(tuple(map(len, axes)), dtype=dtype, bound=bound))
    return TensorBlock(values, axes[0], axes[1:-1], axes[-1])


def _draw_gradient(
    draw: st.DrawFn, of: TensorBlock, extra: tuple[str, ...], names: tuple[str, ...], bound: int
) -> TensorBlock:
    """A gradient of the block ``of``, with a component more for each name in ``extra``."""
    most = min(3, len(of)) if len(names) == 1 else 3
    samples = axes.draw_labels(draw, names, 0, most if len(of) else 0)
    rows = [(draw(axes.sizes(0, len(of) - 1)), *row) for row in samples.values[:, 1:].tolist()]
    rows = sorted(set(rows))
    labelled = Labels(names, torch.tensor(rows, dtype=torch.int32).reshape(len(rows), len(names)))
    directions = [Labels.range(name, draw(axes.sizes(1, 3))) for name in extra]
    return _draw_values(draw, [labelled, *directions, *of.components, of.properties], of.dtype, bound)


@st.composite
def _block(
    draw: st.DrawFn,
    samples: st.SearchStrategy[Labels],
    components: st.SearchStrategy[list[Labels]],
    properties: st.SearchStrategy[Labels],
    dtypes: st.SearchStrategy[torch.dtype],
    bound: int,
) -> TensorBlock:
    labels = [draw(samples), *draw(components), draw(properties)]
    return _draw_values(draw, labels, draw(dtypes), bound)


def tensor_blocks(
    *,
    samples: st.SearchStrategy[Labels] | None = None,
    components: st.SearchStrategy[list[Labels]] | None = None,
    properties: st.SearchStrategy[Labels] | None = None,
    dtypes: st.SearchStrategy[torch.dtype] | None = None,
    bound: int | None = None,
) -> st.SearchStrategy[TensorBlock]:
    """Blocks without gradients, of the drawn labels and dtype (float64 or float32).

    Values are multiples of 1/8 as :func:`dyadic_tensors` gives. Shrinks towards no samples, no
    components, no properties, and zeros. Raises InvalidArgument for a bound that is no int from 1 to
    127.
    """
    return _block(
        axes.samples() if samples is None else samples,
        axes.components() if components is None else components,
        axes.properties() if properties is None else properties,
        _DTYPES if dtypes is None else dtypes,
        checked_bound(bound),
    )


@st.composite
def _map(
    draw: st.DrawFn,
    keys: st.SearchStrategy[Labels],
    samples: tuple[int, int],
    properties: tuple[int, int],
    dtypes: st.SearchStrategy[torch.dtype],
    max_gradients: int,
    bound: int,
    spherical: bool,
    one_width: bool,
) -> TensorMap:
    drawn_keys = draw(keys)
    if not len(drawn_keys):
        return TensorMap(drawn_keys, [])
    sample_names = draw(axes.sample_names())
    component_names = () if spherical else draw(axes.component_names())
    property_names = draw(axes.property_names())
    dtype = draw(dtypes)
    gradients = [
        (parameter, draw(_EXTRA), draw(_GRADIENT_SAMPLES))
        for parameter in GRADIENT_NAMES[: draw(axes.sizes(1, max_gradients)) if max_gradients else 0]
    ]
    if one_width:
        properties = (draw(axes.sizes(*properties)),) * 2
    blocks = []
    for key in drawn_keys:
        labels = [axes.draw_labels(draw, sample_names, *samples)]
        labels += [axes.draw_labels(draw, [name], 1, 3) for name in component_names]
        if spherical:
            labels += [axes.spherical_component(key["o3_lambda"])]
        labels += [axes.draw_labels(draw, property_names, *properties)]
        block = _draw_values(draw, labels, dtype, bound)
        for parameter, extra, names in gradients:
            block.add_gradient(parameter, _draw_gradient(draw, block, extra, names, bound))
        blocks.append(block)
    return TensorMap(drawn_keys, blocks)


def tensor_maps(
    *,
    keys: st.SearchStrategy[Labels] | None = None,
    min_blocks: int = 0,
    max_blocks: int = 4,
    min_samples: int = 0,
    max_samples: int = 4,
    min_properties: int = 0,
    max_properties: int = MAX_FEATURES,
    dtypes: st.SearchStrategy[torch.dtype] | None = None,
    max_gradients: int = 0,
    bound: int | None = None,
    spherical: bool = False,
    one_width: bool = False,
) -> st.SearchStrategy[TensorMap]:
    """Maps of ``min_blocks`` to ``max_blocks`` blocks, or of the drawn ``keys``; blocks have samples,
    components and properties of their own.

    No blocks, no samples, no properties and up to two components all occur, and so do two dtypes,
    float64 and float32. Where ``spherical``, keys are those of :func:`spherical_keys`, and every block
    has the one component ``o3_mu`` of 2 ``o3_lambda`` + 1 entries. Where ``one_width``, all blocks have
    equally many properties. Where ``max_gradients`` isn't 0, every map that has blocks has gradients
    with respect to that many parameters or fewer, with up to two components more than the values and any
    number of rows. Values are multiples of 1/8 as :func:`dyadic_tensors` gives, without a bound those
    of :func:`unit_bound` for ``max_properties`` features.

    Shrinks towards no blocks, or few small ones. Raises InvalidArgument for bounds that contradict
    each other.
    """
    axes.check_sizes("min_samples", min_samples, "max_samples", max_samples)
    axes.check_sizes("min_properties", min_properties, "max_properties", max_properties)
    check_size("max_gradients", max_gradients, 0, len(GRADIENT_NAMES))
    axes.check_sizes("min_blocks", min_blocks, "max_blocks", max_blocks)
    if keys is None:
        kind = axes.spherical_keys if spherical else axes.keys
        keys = kind(min_size=min_blocks, max_size=max_blocks)
    return _map(
        keys,
        (min_samples, max_samples),
        (min_properties, max_properties),
        _DTYPES if dtypes is None else dtypes,
        max_gradients,
        checked_bound(bound, max_properties),
        spherical,
        one_width,
    )


def like(tensor: TensorMap, *, bound: int | None = None) -> st.SearchStrategy[TensorMap]:
    """Maps with the metadata, dtype and device of ``tensor`` and other values, without gradients.

    Without a bound, values are up to :func:`unit_bound` of its features. Raises InvalidArgument for a
    bound that is no int from 1 to 127.
    """
    features = max((len(block.properties) for block in tensor), default=0)
    return _like(tensor, checked_bound(bound, features))


@st.composite
def _like(draw: st.DrawFn, tensor: TensorMap, bound: int) -> TensorMap:
    return TensorMap(
        tensor.keys,
        [
            TensorBlock(
                draw(dyadic_tensors(tuple(b.shape), dtype=b.dtype, bound=bound)).to(b.device),
                b.samples,
                b.components,
                b.properties,
            )
            for b in tensor
        ],
    )
