"""What the strategies must meet, and how often they do: a corner that is met no more is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tmref import TensorBlock, TensorMap, catalog

from ._bytes import INT32_MAX, INT32_MIN
from ._settings import settings_of_our_own
from .actions import permutations, rotations
from .axes import MAX_LAMBDA, keys, samples, spherical_keys
from .maps import tensor_maps
from .recipes import recipes
from .values import LAYOUTS, dtypes, layouts

Predicate = Callable[[Any], object]


@dataclass(frozen=True)
class Corner:
    """Something that ``strategy`` has to give within ``within`` examples."""

    strategy: st.SearchStrategy[Any]
    name: str
    met: Predicate
    within: int = 100


def count(
    corners: Sequence[Corner], examples: int = 1000, hypothesis_seed: int = 0
) -> dict[Corner, int]:
    """In how many of so many examples each corner is met."""
    found = dict.fromkeys(corners, 0)
    for strategy in dict.fromkeys(corner.strategy for corner in corners):
        here = [corner for corner in corners if corner.strategy is strategy]

        def meet(x: Any, here: Sequence[Corner]) -> None:
            for corner in here:
                found[corner] += bool(corner.met(x))

        test = given(x=strategy, here=st.just(here))(meet)
        seed(hypothesis_seed)(_settings(examples)(test))()
    return found


def _settings(examples: int) -> settings:
    # this counts whatever time it takes; the tests of the strategies suppress nothing
    return settings_of_our_own(
        max_examples=examples, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )


def _any_block(met: Callable[[TensorBlock], object]) -> Predicate:
    return lambda x: any(met(block) for block in x)


def _any_gradient(met: Callable[[TensorBlock, TensorBlock], object]) -> Predicate:
    return lambda x: any(met(block, gradient) for block in x for _, gradient in block.gradients())


def _any_value(met: Callable[[torch.Tensor], torch.Tensor]) -> Predicate:
    return _any_block(lambda block: bool(met(block.values).any()))


def _has_label(value: int) -> Predicate:
    return lambda labels: bool((labels.values == value).any())


def _is_unsorted(labels: Any) -> bool:
    return bool(labels.values.tolist() != sorted(labels.values.tolist()))


def _pairs(x: TensorMap) -> set[tuple[int, int]]:
    return {(key["o3_lambda"], key["o3_sigma"]) for key in x.keys}


def _shapes(x: TensorMap) -> set[tuple[int, ...]]:
    return {tuple(block.shape) for block in x}


_MAPS = tensor_maps()
_SPHERICAL = tensor_maps(spherical=True)
_GRADIENTS = tensor_maps(max_gradients=2)
_ANY_LAYOUT = tensor_maps(
    min_blocks=1,
    min_samples=1,
    min_properties=1,
    layouts=layouts(),
    dtypes=dtypes(allow_complex=True),
    requires_grad=st.booleans(),
)
_SPECIAL = tensor_maps(wide=True, allow_nan=True, allow_infinity=True, allow_subnormal=True)
_ANY_DTYPE = tensor_maps(
    min_blocks=1, dtypes=dtypes(allow_half=True, allow_integers=True, allow_complex=True)
)
_KEYS, _SAMPLES, _SPHERICAL_KEYS = keys(), samples(), spherical_keys()


@st.composite
def recipes_of_row(draw: st.DrawFn, row: str) -> catalog.Recipe:
    of_row = catalog.row(row)
    return draw(recipes(of_row, draw(tensor_maps(min_blocks=1, **of_row.maps))))


_LINEAR, _EQUIVARIANT = recipes_of_row("linear"), recipes_of_row("equivariant_linear")
_ROTATIONS = rotations()
_PERMUTATIONS = tensor_maps().flatmap(permutations)


def _layout(strategy: st.SearchStrategy[Any]) -> list[Corner]:
    def strides(block: TensorBlock) -> tuple[int, ...]:
        sizes = zip(block.values.stride(), block.shape, strict=True)
        return tuple(stride for stride, size in sizes if size > 1)

    met: dict[str, Callable[[TensorBlock], object]] = {
        "contiguous": lambda b: b.values.is_contiguous(),
        "transposed": lambda b: sorted(s := strides(b), reverse=True) != list(s),
        "strided": lambda b: 1 not in strides(b) and 0 not in strides(b) and strides(b),
        "expanded": lambda b: 0 in strides(b),
        "offset": lambda b: b.values.storage_offset(),
        "conjugate": lambda b: b.values.is_conj(),
        "negative": lambda b: b.values.is_neg(),
    }
    return [Corner(strategy, f"values are {name}", _any_block(met[name])) for name in LAYOUTS]


def _omitted(strategy: st.SearchStrategy[Any], *names: str) -> list[Corner]:
    """Each argument left out, and written."""

    def writes(name: str) -> Predicate:
        return lambda recipe: name in recipe.call.kwargs

    def omits(name: str) -> Predicate:
        return lambda recipe: name not in recipe.call.kwargs

    corners = [Corner(strategy, f"{name} is left out", omits(name)) for name in names]
    return corners + [Corner(strategy, f"{name} is written", writes(name)) for name in names]


def _of_lambda(o3_lambda: int) -> Predicate:
    return lambda x: o3_lambda in {pair[0] for pair in _pairs(x)}


#: What has to be met, by strategy.
CORNERS: tuple[Corner, ...] = (
    Corner(_MAPS, "no blocks", lambda x: len(x) == 0),
    Corner(_MAPS, "one block", lambda x: len(x) == 1),
    Corner(_MAPS, "four blocks", lambda x: len(x) == 4),
    Corner(_MAPS, "a block of no samples", _any_block(lambda b: b.shape[0] == 0)),
    Corner(_MAPS, "a block of no properties", _any_block(lambda b: b.shape[-1] == 0)),
    Corner(_MAPS, "a block of one sample", _any_block(lambda b: b.shape[0] == 1)),
    Corner(_MAPS, "no block has values", lambda x: len(x) and not any(b.values.numel() for b in x)),
    Corner(_MAPS, "no components", lambda x: len(x) and not x.component_names),
    Corner(_MAPS, "one component", lambda x: len(x.component_names) == 1),
    Corner(_MAPS, "two components", lambda x: len(x.component_names) == 2),
    Corner(_MAPS, "three blocks of one shape", lambda x: len(x) > 2 and len(_shapes(x)) == 1),
    Corner(_MAPS, "blocks of different shapes", lambda x: len(_shapes(x)) > 1),
    Corner(_MAPS, "keys are not sorted", lambda x: _is_unsorted(x.keys)),
    Corner(_MAPS, "keys are sorted, two at least", lambda x: len(x) > 1 and not _is_unsorted(x.keys)),
    Corner(_MAPS, "keys of three dimensions", lambda x: len(x) and len(x.keys.names) == 3),
    Corner(_MAPS, "largest key", lambda x: _has_label(INT32_MAX)(x.keys), 500),
    Corner(_MAPS, "smallest key", lambda x: _has_label(INT32_MIN)(x.keys), 500),
    Corner(_MAPS, "largest sample", _any_block(lambda b: _has_label(INT32_MAX)(b.samples)), 500),
    Corner(_MAPS, "smallest property", _any_block(lambda b: _has_label(INT32_MIN)(b.properties)), 1000),
    Corner(
        _MAPS,
        "two blocks of the same samples",
        lambda x: len({b.samples for b in x if len(b)}) < sum(len(b) > 0 for b in x),
    ),
    Corner(_MAPS, "float32", lambda x: len(x) and x.dtype == torch.float32),
    Corner(_MAPS, "float64", lambda x: len(x) and x.dtype == torch.float64),
    Corner(_MAPS, "a fraction", _any_value(lambda v: v != v.round())),
    Corner(_MAPS, "a negative value", _any_value(lambda v: v < 0)),
    Corner(
        _MAPS,
        "a sample of zeros beside another",
        _any_block(lambda b: b.values.any() and b.values.numel() and not b.values[0].any()),
    ),
    *(
        Corner(_SPHERICAL, f"λ = {o3_lambda}", _of_lambda(o3_lambda))
        for o3_lambda in range(MAX_LAMBDA + 1)
    ),
    Corner(_SPHERICAL, "scalar and pseudoscalar", lambda x: {(0, 1), (0, -1)} <= _pairs(x), 300),
    Corner(
        _SPHERICAL,
        "pseudoscalar without scalar",
        lambda x: (0, -1) in _pairs(x) and (0, 1) not in _pairs(x),
    ),
    Corner(_SPHERICAL, "invariant blocks alone", lambda x: _pairs(x) == {(0, 1)}),
    Corner(
        _SPHERICAL,
        "invariant and covariant blocks",
        lambda x: (0, 1) in _pairs(x) and len(_pairs(x)) > 1,
    ),
    Corner(_SPHERICAL, "covariant blocks alone", lambda x: len(x) and (0, 1) not in _pairs(x)),
    Corner(
        _SPHERICAL,
        "o3_lambda is not the first dimension",
        lambda x: len(x) and x.keys.names[0] != "o3_lambda",
    ),
    Corner(_SPHERICAL, "further dimensions", lambda x: len(x) and len(x.keys.names) == 4),
    Corner(
        _SPHERICAL,
        "a zero vector beside another",
        _any_block(lambda b: b.shape[1] > 1 and b.values.any() and not b.values.any(1).all()),
        500,
    ),
    Corner(_GRADIENTS, "gradients of rows", _any_gradient(lambda b, g: len(g))),
    Corner(
        _GRADIENTS, "gradients of no rows, of samples", _any_gradient(lambda b, g: len(b) and not len(g))
    ),
    Corner(_GRADIENTS, "two parameters", _any_block(lambda b: len(b.gradients_list()) == 2)),
    Corner(
        _GRADIENTS,
        "no component more",
        _any_gradient(lambda b, g: len(b.components) == len(g.components)),
    ),
    Corner(
        _GRADIENTS,
        "two components more",
        _any_gradient(lambda b, g: len(g.components) == len(b.components) + 2),
    ),
    Corner(
        _GRADIENTS,
        "two rows of one sample",
        _any_gradient(lambda b, g: len(set(g.samples.values[:, 0].tolist())) < len(g)),
    ),
    Corner(
        _GRADIENTS,
        "a sample without a row beside one with it",
        _any_gradient(lambda b, g: 0 < len(set(g.samples.values[:, 0].tolist())) < len(b)),
    ),
    *_layout(_ANY_LAYOUT),
    Corner(_ANY_LAYOUT, "requires_grad", _any_block(lambda b: b.values.requires_grad)),
    Corner(_SPECIAL, "NaN", _any_value(torch.isnan)),
    Corner(_SPECIAL, "an infinity", _any_value(torch.isinf)),
    Corner(
        _SPECIAL, "a subnormal", _any_value(lambda v: (v != 0) & (v.abs() < torch.finfo(v.dtype).tiny))
    ),
    Corner(_SPECIAL, "the largest number", _any_value(lambda v: v.abs() == torch.finfo(v.dtype).max)),
    Corner(_SPECIAL, "above a million", _any_value(lambda v: v.abs() > 1e6)),
    Corner(_SPECIAL, "below a millionth", _any_value(lambda v: (v != 0) & (v.abs() < 1e-6))),
    Corner(_ANY_DTYPE, "float16", lambda x: x.dtype == torch.float16, 300),
    Corner(_ANY_DTYPE, "bfloat16", lambda x: x.dtype == torch.bfloat16, 300),
    Corner(_ANY_DTYPE, "an integer dtype", lambda x: x.dtype == torch.int64, 300),
    Corner(_ANY_DTYPE, "complex64", lambda x: x.dtype == torch.complex64, 300),
    Corner(_KEYS, "no keys", lambda x: len(x) == 0),
    Corner(_KEYS, "four keys", lambda x: len(x) == 4, 300),
    Corner(_KEYS, "largest label", _has_label(INT32_MAX), 1000),
    Corner(_KEYS, "smallest label", _has_label(INT32_MIN), 1000),
    Corner(_SAMPLES, "not sorted", _is_unsorted),
    Corner(_SAMPLES, "names are not sorted", lambda x: x.names != sorted(x.names)),
    Corner(
        _SPHERICAL_KEYS,
        "(0, -1) alone",
        lambda x: len(x) == 1 and _has_label(-1)(x) and x[0]["o3_lambda"] == 0,
        500,
    ),
    *_omitted(_LINEAR, "out_features", "out_properties", "dtype"),
    Corner(_LINEAR, "in_features is a list", lambda r: isinstance(r.call.kwargs["in_features"], list)),
    Corner(_LINEAR, "the keys of the module in another order", lambda r: _is_unsorted(r.in_keys)),
    *_omitted(_EQUIVARIANT, "invariant_keys"),
    Corner(_ROTATIONS, "the identity", lambda r: r.quaternion == (1, 0, 0, 0) and not r.inversion),
    Corner(_ROTATIONS, "an inversion", lambda r: r.inversion),
    Corner(
        _ROTATIONS, "no rotation by right angles", lambda r: (r.matrix().abs() - 0.5).abs().min() < 0.4
    ),
    Corner(_PERMUTATIONS, "blocks change places", lambda p: p.keys != tuple(sorted(p.keys))),
    Corner(
        _PERMUTATIONS, "samples change places", lambda p: any(s != tuple(sorted(s)) for s in p.samples)
    ),
)
