"""Strategies for blocks and maps."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from tmref import Labels, TensorBlock, TensorMap

from . import axes as of
from .numbers import MAX_FEATURES, dyadic_tensors

GRADIENT_NAMES = ("positions", "cell")
GRADIENT_SAMPLE_NAMES = ("sample", "atom")
GRADIENT_COMPONENT_NAMES = ("direction_1", "direction_2")

_DTYPES = st.sampled_from([torch.float64, torch.float32])


@st.composite
def _gradient(
    draw: st.DrawFn, values: TensorBlock, extra: list[str], names: list[str], bound: int | None
) -> TensorBlock:
    """A gradient of ``values``, with a sample dimension more where ``names`` have two."""
    rows = st.integers(0, max(len(values) - 1, 0))
    samples = draw(
        st.lists(
            st.tuples(rows, *[st.integers(0, 9)] * (len(names) - 1)),
            unique=True,
            max_size=3 if len(values) else 0,
        )
    )
    directions = [Labels.range(name, draw(st.integers(1, 3))) for name in extra]
    labelled = Labels(names, torch.tensor(samples, dtype=torch.int32).reshape(len(samples), len(names)))
    components = [*directions, *values.components]
    shape = (len(labelled), *map(len, components), len(values.properties))
    tensor = draw(dyadic_tensors(shape, dtype=values.dtype, bound=bound))
    return TensorBlock(tensor, labelled, components, values.properties)


@st.composite
def _block(
    draw: st.DrawFn,
    samples: st.SearchStrategy[Labels],
    components: st.SearchStrategy[list[Labels]],
    properties: st.SearchStrategy[Labels],
    dtypes: st.SearchStrategy[torch.dtype],
    bound: int | None,
) -> TensorBlock:
    axes = [draw(samples), *draw(components), draw(properties)]
    shape = tuple(map(len, axes))
    values = draw(dyadic_tensors(shape, dtype=draw(dtypes), bound=bound))
    return TensorBlock(values, axes[0], axes[1:-1], axes[-1])


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
    components, no properties, and zeros.
    """
    return _block(
        of.samples() if samples is None else samples,
        of.components() if components is None else components,
        of.properties() if properties is None else properties,
        _DTYPES if dtypes is None else dtypes,
        bound,
    )


@st.composite
def _map(
    draw: st.DrawFn,
    keys: st.SearchStrategy[Labels],
    min_samples: int,
    max_samples: int,
    min_properties: int,
    max_properties: int,
    dtypes: st.SearchStrategy[torch.dtype],
    max_gradients: int,
    bound: int | None,
) -> TensorMap:
    drawn_keys = draw(keys)
    if not len(drawn_keys):
        return TensorMap(drawn_keys, [])
    samples = of.samples(names=st.just(draw(of._OF_SAMPLES)), min_size=min_samples, max_size=max_samples)
    components = of.components(names=st.just(draw(_COMPONENT_NAMES)))
    properties = of.properties(
        names=st.just(draw(of._OF_PROPERTIES)), min_size=min_properties, max_size=max_properties
    )
    dtype = st.just(draw(dtypes))
    parameters = {}
    if max_gradients:
        for name in draw(
            st.lists(st.sampled_from(GRADIENT_NAMES), unique=True, min_size=1, max_size=max_gradients)
        ):
            extra = GRADIENT_COMPONENT_NAMES[: draw(st.integers(0, 2))]
            sample_names = GRADIENT_SAMPLE_NAMES[: draw(st.integers(1, 2))]
            parameters[name] = (list(extra), list(sample_names))
    blocks = []
    for _ in range(len(drawn_keys)):
        block = draw(_block(samples, components, properties, dtype, bound))
        for name, (extra, sample_names) in parameters.items():
            block.add_gradient(name, draw(_gradient(block, extra, sample_names, bound)))
        blocks.append(block)
    return TensorMap(drawn_keys, blocks)


_COMPONENT_NAMES = st.lists(st.sampled_from(of.COMPONENT_NAMES), unique=True, max_size=2)


def tensor_maps(
    *,
    keys: st.SearchStrategy[Labels] | None = None,
    min_samples: int = 0,
    max_samples: int = 4,
    min_properties: int = 0,
    max_properties: int = MAX_FEATURES,
    dtypes: st.SearchStrategy[torch.dtype] | None = None,
    max_gradients: int = 0,
    bound: int | None = None,
) -> st.SearchStrategy[TensorMap]:
    """Maps of the drawn keys, whose blocks have samples, components and properties of their own.

    No blocks, no samples, no properties and up to two components all occur, and so do two dtypes,
    float64 and float32. Where ``max_gradients`` isn't 0, every map that has blocks has gradients with
    respect to that many parameters or fewer, with up to two components more than the values and any
    number of rows. Values are multiples of 1/8 as :func:`dyadic_tensors` gives.

    Shrinks towards no blocks, or few small ones. Raises InvalidArgument for bounds that contradict
    each other.
    """
    of._check_sizes(min_samples=min_samples, max_samples=max_samples)
    of._check_sizes(min_properties=min_properties, max_properties=max_properties)
    if max_gradients not in range(len(GRADIENT_NAMES) + 1):
        raise InvalidArgument(
            f"max_gradients={max_gradients!r} must be an int from 0 to {len(GRADIENT_NAMES)}"
        )
    return _map(
        of.keys() if keys is None else keys,
        min_samples,
        max_samples,
        min_properties,
        max_properties,
        _DTYPES if dtypes is None else dtypes,
        max_gradients,
        bound,
    )


@st.composite
def like(draw: st.DrawFn, tensor: TensorMap, *, bound: int | None = None) -> TensorMap:
    """Maps with the metadata, dtype and device of ``tensor`` and other values, without gradients."""
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
