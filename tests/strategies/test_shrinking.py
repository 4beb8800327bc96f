"""What planted predicates shrink to: the smallest map there is, as it is printed."""

import random

import pytest
import torch
from hypothesis import Phase, find, given, seed, settings
from hypothesis import strategies as st

from tmref import Labels, TensorBlock, TensorMap, with_gradients
from tmref.strategies import layouts, tensor_maps
from tmref.strategies._bytes import INT32_MAX, INT32_MIN

NO_VALUES = 'TensorBlock(torch.empty((0, 0)), Labels.range("system", 0), [], Labels.range("n", 0))'
ONE = 'TensorBlock(torch.tensor([[{}]]), Labels.range("system", 1), [], Labels.range("n", 1))'
SPHERICAL = 'Labels(["o3_lambda", "o3_sigma"], torch.tensor([{}]))'
GRADIENT = (
    'TensorMap(Labels.range("key", 1), [with_gradients({}, {{"positions": TensorBlock({}, '
    'Labels{}, [], Labels.range("n", {}))}})])'
)


def one_key(block):
    return f'TensorMap(Labels.range("key", 1), [{block}])'


def two_keys(first, second, keys='Labels.range("key", 2)'):
    return f"TensorMap({keys}, [{first}, {second}])"


def any_value(predicate):
    return lambda x: any(bool(predicate(block.values).any()) for block in x)


def any_gradient(predicate):
    return lambda x: any(bool(predicate(g)) for block in x for _, g in block.gradients())


def spherical_block(o3_lambda, samples=0, properties=0, values=None):
    size = 2 * o3_lambda + 1
    mu = Labels("o3_mu", torch.arange(-o3_lambda, o3_lambda + 1).reshape(-1, 1))
    values = values or f"torch.empty(({samples}, {size}, {properties}))"
    return (
        f'TensorBlock({values}, Labels.range("system", {samples}), [{mu!r}], '
        f'Labels.range("n", {properties}))'
    )


#: By what is planted: options of tensor_maps, the predicate, and what must be printed.
PLANTED = {
    "a block": ({}, lambda x: len(x) > 0, one_key(NO_VALUES)),
    "two blocks": ({}, lambda x: len(x) == 2, two_keys(NO_VALUES, NO_VALUES)),
    "four blocks": (
        {},
        lambda x: len(x) == 4,
        f'TensorMap(Labels.range("key", 4), [{", ".join([NO_VALUES] * 4)}])',
    ),
    "some block has λ = 2 and two samples": (
        {"spherical": True},
        lambda x: any(k["o3_lambda"] == 2 and len(b) == 2 for k, b in x.items()),
        f"TensorMap({SPHERICAL.format('[2, 1]')}, [{spherical_block(2, samples=2)}])",
    ),
    "a pseudoscalar": (
        {"spherical": True},
        lambda x: any((k["o3_lambda"], k["o3_sigma"]) == (0, -1) for k in x.keys),
        f"TensorMap({SPHERICAL.format('[0, -1]')}, [{spherical_block(0)}])",
    ),
    "a value in a block of λ = 4": (
        {"spherical": True},
        lambda x: any(k["o3_lambda"] == 4 and b.values.any() for k, b in x.items()),
        "TensorMap({}, [{}])".format(
            SPHERICAL.format("[4, 1]"),
            spherical_block(4, 1, 1, f"torch.tensor([[[1.0], {', '.join(['[0.0]'] * 8)}]])"),
        ),
    ),
    "a scalar and a vector": (
        {"spherical": True},
        lambda x: {0, 1} <= {k["o3_lambda"] for k in x.keys},
        two_keys(spherical_block(0), spherical_block(1), SPHERICAL.format("[0, 1], [1, 1]")),
    ),
    "a value above 3": ({"bound": 64}, any_value(lambda v: v > 3), one_key(ONE.format(4.0))),
    "a negative value": ({}, any_value(lambda v: v < 0), one_key(ONE.format(-1.0))),
    "a fraction": ({}, any_value(lambda v: v != v.round()), one_key(ONE.format(0.5))),
    "NaN": ({"allow_nan": True}, any_value(torch.isnan), one_key(ONE.format("torch.nan"))),
    "two values in a block": (
        {},
        lambda x: any(int((b.values != 0).sum()) > 1 for b in x),
        'TensorMap(Labels.range("key", 1), [TensorBlock(torch.full((2, 1), 1.0), '
        'Labels.range("system", 2), [], Labels.range("n", 1))])',
    ),
    "values in two blocks": (
        {},
        lambda x: sum(bool(b.values.any()) for b in x) > 1,
        two_keys(ONE.format(1.0), ONE.format(1.0)),
    ),
    "a value in the block of key 1": (
        {},
        lambda x: any(tuple(k) == (1,) and b.values.any() for k, b in x.items()),
        f'TensorMap(Labels("key", torch.tensor([[1]])), [{ONE.format(1.0)}])',
    ),
    "keys that are not sorted": (
        {},
        lambda x: sorted((k := x.keys.values.abs()).tolist()) != k.tolist() == x.keys.values.tolist(),
        two_keys(NO_VALUES, NO_VALUES, 'Labels("key", torch.tensor([[1], [0]]))'),
    ),
    "the largest key": (
        {},
        lambda x: bool((x.keys.values == INT32_MAX).any()),
        f'TensorMap(Labels("key", torch.tensor([[{INT32_MAX}]])), [{NO_VALUES}])',
    ),
    "the smallest label of a sample": (
        {},
        lambda x: any(bool((b.samples.values == INT32_MIN).any()) for b in x),
        one_key(
            f'TensorBlock(torch.empty((1, 0)), Labels("system", torch.tensor([[{INT32_MIN}]])), [], '
            'Labels.range("n", 0))'
        ),
    ),
    "two components": (
        {},
        lambda x: len(x.component_names) == 2,
        one_key(
            'TensorBlock(torch.empty((0, 1, 1, 0)), Labels.range("system", 0), '
            '[Labels.range("xyz", 1), Labels.range("o3_mu", 1)], Labels.range("n", 0))'
        ),
    ),
    "float64": (
        {},
        lambda x: len(x) and x.dtype == torch.float64,
        one_key(NO_VALUES.replace("(0, 0)", "(0, 0), dtype=torch.float64")),
    ),
    "blocks of different numbers of samples": (
        {},
        lambda x: len({len(b) for b in x}) > 1,
        two_keys(NO_VALUES, NO_VALUES.replace("(0, 0)", "(1, 0)").replace('system", 0', 'system", 1')),
    ),
    "a row of a gradient": (
        {"max_gradients": 2},
        any_gradient(len),
        GRADIENT.format(
            NO_VALUES.replace("(0, 0)", "(1, 0)").replace('system", 0', 'system", 1'),
            "torch.empty((1, 0))",
            '.range("sample", 1)',
            0,
        ),
    ),
    "a value of a gradient": (
        {"max_gradients": 2},
        any_gradient(lambda g: g.values.any()),
        GRADIENT.format(ONE.format(0.0), "torch.tensor([[1.0]])", '.range("sample", 1)', 1),
    ),
    "values that lie transposed": (
        {"layouts": layouts()},
        lambda x: any(b.values.mT.is_contiguous() > b.values.is_contiguous() for b in x),
        # no smaller step leads from one of these to the other
        (
            one_key(
                'TensorBlock(torch.zeros((2, 2)).permute(1, 0), Labels.range("system", 2), [], '
                'Labels.range("n", 2))'
            ),
            one_key(
                'TensorBlock(torch.zeros((1, 2, 2)).permute(0, 2, 1), Labels.range("system", 1), '
                '[Labels.range("xyz", 2)], Labels.range("n", 2))'
            ),
        ),
    ),
    "values that require grad": (
        {"requires_grad": st.booleans()},
        lambda x: any(b.values.requires_grad for b in x),
        one_key(NO_VALUES.replace("(0, 0))", "(0, 0)).requires_grad_()")),
    ),
}

#: So many maps are tried at most: with some milliseconds for each it is done within two seconds.
MOST_TRIED = 600


def smallest_of(planted):
    """The smallest maps, of which there may be several."""
    smallest = PLANTED[planted][2]
    return (smallest,) if isinstance(smallest, str) else smallest


def shrunk(planted, seed, clock=lambda: 0.0):
    """The smallest map; how many were tried after the first was found, and how long that took."""
    options, predicate, _ = PLANTED[planted]
    tried, started = 0, clock()

    def counted(x):
        nonlocal tried, started
        found = bool(predicate(x))
        if found and not tried:
            started = clock()
        tried += found or tried > 0
        return found

    how = settings(max_examples=2000, database=None, phases=[Phase.generate, Phase.shrink])
    found = find(tensor_maps(**options), counted, settings=how, random=random.Random(seed))
    return found, tried, clock() - started


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("planted", PLANTED)
def test_planted_predicates_shrink_to_the_smallest_map(planted, seed):
    found, tried, _ = shrunk(planted, seed)
    assert repr(found) in smallest_of(planted)
    assert tried <= MOST_TRIED


@pytest.mark.parametrize("planted", ["two blocks", "some block has λ = 2 and two samples", "float64"])
def test_what_a_test_draws_shrinks_as_its_arguments_do(planted):
    options, predicate, expected = PLANTED[planted]
    maps = {"argument": [], "drawn": []}

    def tried(how, x):
        maps[how].append(x)
        assert not predicate(x)

    @given(tensor_maps(**options))
    def argument(x):
        tried("argument", x)

    @given(st.data())
    def drawn(data):
        tried("drawn", data.draw(tensor_maps(**options)))

    for test in (argument, drawn):
        with pytest.raises(AssertionError):
            seed(0)(settings(max_examples=500, database=None, deadline=None)(test))()
    assert list(map(repr, maps["argument"])) == list(map(repr, maps["drawn"]))
    assert repr(maps["drawn"][-1]) == expected


@pytest.mark.parametrize("planted", PLANTED)
def test_the_smallest_map_is_what_it_prints(planted):
    _, predicate, _ = PLANTED[planted]
    names = {
        "torch": torch,
        "Labels": Labels,
        "TensorBlock": TensorBlock,
        "TensorMap": TensorMap,
        "with_gradients": with_gradients,
    }
    for expected in smallest_of(planted):
        again = eval(expected, names)
        assert predicate(again)
        assert repr(again) == expected
