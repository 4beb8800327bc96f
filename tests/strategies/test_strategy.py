import inspect
import re

import pytest
import torch
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

import tmref
import tmref.strategies as ts
from tmref import Labels, TensorBlock, TensorMap, catalog
from tmref.strategies.values import ValueOptions

A_BLOCK = TensorBlock(torch.zeros(2, 2), Labels.range("s", 2), [], Labels.range("p", 2))
A_MAP = TensorMap(Labels.range("k", 1), [A_BLOCK])
#: What arguments of these names are to be.
NEEDED = {"block": A_BLOCK, "tensor": A_MAP, "row": catalog.row("tanh")}
STRATEGIES = {
    name: getattr(ts, name)
    for name in ts.__all__
    if inspect.isfunction(getattr(ts, name))
    and name not in ("as_code", "make_strategies_namespace", "unit_bound")
}
each = pytest.mark.parametrize("name", STRATEGIES)


def arguments(name):
    """Those that the strategy must have."""
    parameters = inspect.signature(STRATEGIES[name]).parameters.values()
    return [NEEDED[p.name] for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]


def made(name, **options):
    return STRATEGIES[name](*arguments(name), **options)


def options_of(name):
    parameters = inspect.signature(STRATEGIES[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}


# --- how they print


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (ts.tensor_maps(), "tensor_maps()"),
        (ts.tensor_maps(max_blocks=2), "tensor_maps(max_blocks=2)"),
        (ts.tensor_maps(spherical=True, wide=True), "tensor_maps(spherical=True, wide=True)"),
        (ts.labels(names=st.just(["a"])), "labels(names=just(['a']))"),
        (
            ts.tensor_maps(keys=ts.spherical_keys(max_size=2), dtypes=st.just(torch.float64)),
            "tensor_maps(keys=spherical_keys(max_size=2), dtypes=just(torch.float64))",
        ),
        (
            ts.tensor_blocks(samples=ts.samples(values=ts.label_values(min_value=0))),
            "tensor_blocks(samples=samples(values=label_values(min_value=0)))",
        ),
        (
            ts.dimension_names(alphabet=["a", "b"], max_size=1),
            "dimension_names(alphabet=['a', 'b'], max_size=1)",
        ),
        (ts.array_values(bound=8, layouts=ts.layouts()), "array_values(bound=8, layouts=layouts())"),
        (ts.dtypes(allow_half=True), "dtypes(allow_half=True)"),
        (ts.dyadic_numbers(bound=3), "dyadic_numbers(bound=3)"),
        (ts.rotations(inversions=False), "rotations(inversions=False)"),
        (ts.like(A_MAP), f"like({A_MAP!r})"),
        (ts.like(tensor=A_MAP, bound=2), f"like(tensor={A_MAP!r}, bound=2)"),
        (ts.gradients(A_BLOCK, max_rows=1), f"gradients({A_BLOCK!r}, max_rows=1)"),
        (ts.sub_maps(A_MAP, min_blocks=1), f"sub_maps({A_MAP!r}, min_blocks=1)"),
        (ts.recipes(catalog.row("tanh"), A_MAP), f"recipes(row('tanh'), {A_MAP!r})"),
    ],
    ids=lambda x: x[:50] if isinstance(x, str) else "",
)
def test_strategies_print_as_the_call_that_made_them(strategy, expected):
    assert repr(strategy) == expected


def test_options_that_have_their_defaults_are_left_out():
    for name in STRATEGIES:
        assert repr(made(name, **options_of(name))) == repr(made(name))
    # None is what says that nothing is asked for
    assert repr(ts.tensor_maps(max_blocks=4, keys=None, one_width=False)) == "tensor_maps()"
    assert repr(ts.tensor_maps(max_blocks=3)) != "tensor_maps()"


@each
def test_the_repr_of_a_strategy_makes_it(name, drawn):
    of_tmref = {name: getattr(tmref, name) for name in tmref.__all__}
    names = {**of_tmref, **STRATEGIES, "torch": torch, "row": catalog.row}
    strategy = made(name)
    again = eval(repr(strategy), names)
    assert repr(again) == repr(strategy)
    assert list(map(repr, drawn(again, 5))) == list(map(repr, drawn(strategy, 5)))


def test_a_failing_test_names_the_strategy(drawn):
    with pytest.raises(InvalidArgument) as caught:
        drawn(ts.labels(values=st.just("a"), min_size=1), 1)
    assert "labels(values=just('a'), min_size=1)" in "\n".join(caught.value.__notes__)


@each
def test_strategies_keep_the_name_and_the_words_of_their_function(name):
    assert STRATEGIES[name].__name__ == name
    assert STRATEGIES[name].__doc__
    assert "draw" not in inspect.signature(STRATEGIES[name]).parameters


# --- how they draw


@each
def test_one_seed_draws_the_same_twice(name, drawn):
    strategy = made(name)
    first = list(map(repr, drawn(strategy, 30)))
    assert first == list(map(repr, drawn(strategy, 30)))
    assert first == list(map(repr, drawn(made(name), 30)))
    assert len(set(first)) > 1


@each
def test_a_strategy_can_be_drawn_from_more_than_once_in_a_test(name):
    pairs = []

    @seed(0)
    @settings(max_examples=30, database=None, deadline=None)
    @given(st.data())
    def check(data):
        strategy = made(name)
        pairs.append((repr(data.draw(strategy)), repr(data.draw(strategy))))

    check()
    assert any(a != b for a, b in pairs)


@each
def test_strategies_combine_with_those_of_hypothesis(name, drawn):
    strategy = made(name).map(lambda x: [x]) | st.tuples(made(name), made(name))
    assert {type(x) for x in drawn(strategy, 15)} == {list, tuple}
    assert {len(x) for x in drawn(st.tuples(made(name), made(name)), 5)} == {2}


def test_every_strategy_has_a_label_of_its_own():
    """Hypothesis copies what it has drawn to other places of the same label."""
    labels = {name: made(name).label for name in STRATEGIES}
    assert len(set(labels.values())) == len(labels)


def test_labels_do_not_depend_on_options():
    assert ts.tensor_maps(max_blocks=1).label == ts.tensor_maps(wide=True).label


# --- what is checked


@pytest.mark.parametrize(
    ("name", "option", "bad", "message"),
    [
        ("tensor_maps", "max_blocks", -1, "must be an int of at least 0"),
        ("tensor_maps", "keys", Labels.range("k", 1), "must be a strategy; for one value: "),
        ("tensor_maps", "dtypes", torch.float64, "must be a strategy; for one value: "),
        ("tensor_blocks", "bound", 0, "must be an int from 1 to 127"),
        ("gradients", "max_rows", True, "must be an int of at least 0"),
        (
            "like",
            "wide",
            1,
            "must be True, False, or two magnitudes, the smaller one first: (1e-3, 1e6)",
        ),
        ("sub_maps", "min_blocks", 2, "must be an int from 0 to 1"),
        ("labels", "max_size", 2.0, "must be an int of at least 0"),
        ("label_values", "min_value", 2**31, "must be a 32-bit integer"),
        ("components", "max_size", 0, "must be an int of at least 1"),
        ("spherical_components", "max_lambda", -1, "must be an int of at least 0"),
        ("dtypes", "allow_half", 1, "must be True or False"),
        ("dyadic_numbers", "bound", 0, "must be an int from 1 to 127"),
        ("array_values", "shapes", (2,), "must be a strategy; for one value: "),
    ],
)
def test_options_are_checked_when_a_strategy_is_made(name, option, bad, message):
    with pytest.raises(InvalidArgument) as caught:
        made(name, **{option: bad})
    assert str(caught.value).startswith(f"{option}={bad!r} {message}")


@each
def test_options_that_do_not_exist_are_refused(name):
    parameters = inspect.signature(STRATEGIES[name]).parameters.values()
    there = [p.name for p in parameters if p.kind != p.VAR_KEYWORD]
    if len(there) < len(parameters):
        there += ValueOptions.__annotations__
    remedy = f"there are {', '.join(there)}" if there else "it takes none"
    words = f"{name} has no option 'no_such_thing'; {remedy}"
    with pytest.raises(InvalidArgument, match=f"^{re.escape(words)}$"):
        made(name, no_such_thing=1)


@pytest.mark.parametrize(
    ("name", "misspelt", "near"),
    [
        ("tensor_maps", "max_block", "max_blocks"),
        ("tensor_maps", "dtype", "dtypes"),
        ("tensor_blocks", "max_gradient", "max_gradients"),
        ("gradients", "max_row", "max_rows"),
        ("like", "bounds", "bound"),
        ("labels", "minsize", "min_size"),
        ("labels_of", "dimension", "dimensions"),
        ("rotations", "inversion", "inversions"),
    ],
)
def test_a_misspelt_option_is_told_the_nearest_name(name, misspelt, near, refused):
    with refused(InvalidArgument, f"{name} has no option {misspelt!r}; did you mean {near!r}?"):
        made(name, **{misspelt: 1})


OF_A_BLOCK = "got TensorBlock; a map of one block is TensorMap(Labels.single(), [block])"


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        *(
            (name, A_BLOCK, f"{name}: tensor must be a TensorMap, {OF_A_BLOCK}")
            for name in ("like", "sub_maps", "permutations")
        ),
        ("like", 3, "like: tensor must be a TensorMap, got int"),
        (
            "gradients",
            A_MAP,
            "gradients: block must be a TensorBlock, got TensorMap; give one of its blocks: "
            "tensor.block(0)",
        ),
        ("gradients", None, "gradients: block must be a TensorBlock, got NoneType"),
    ],
)
def test_what_is_no_map_or_block_is_refused(name, given, words, refused):
    with refused(InvalidArgument, words):
        STRATEGIES[name](given)


@pytest.mark.parametrize("name", ["recipes", "invalid_recipes"])
def test_what_is_no_row_or_map_of_a_recipe_is_refused(name, refused):
    with refused(InvalidArgument, f"recipes: tensor must be a TensorMap, {OF_A_BLOCK}"):
        STRATEGIES[name](catalog.row("tanh"), A_BLOCK)
    words = "recipes: row must be a Row, as catalog.row('tanh') is, got 'tanh'"
    with refused(InvalidArgument, words):
        STRATEGIES[name]("tanh", A_MAP)


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("permutations", "keys"),
        ("permutations", "samples"),
        ("recipes", "shuffled_layers"),
        ("rotations", "inversions"),
        ("systems_and_atoms", "in_order"),
        ("tensor_maps", "one_width"),
        ("tensor_maps", "same_samples"),
        ("tensor_maps", "spherical"),
    ],
)
@pytest.mark.parametrize("bad", [1, None, "no"])
def test_flags_that_are_no_bools_are_refused(name, flag, bad, refused):
    with refused(InvalidArgument, f"{flag}={bad!r} must be True or False"):
        made(name, **{flag: bad})


def test_no_option_is_a_value_or_a_strategy(refused):
    """Each is a bound or a strategy, and what to write instead is said."""
    remedy = "must be a strategy; for one value: hypothesis.strategies.just('meta')"
    with refused(InvalidArgument, f"devices='meta' {remedy}"):
        ts.tensor_maps(devices="meta")
    assert isinstance(ts.tensor_maps(devices=st.just("meta")), st.SearchStrategy)


@each
def test_options_are_given_by_name(name):
    with pytest.raises(TypeError, match="positional argument"):
        STRATEGIES[name](*arguments(name), 1)
