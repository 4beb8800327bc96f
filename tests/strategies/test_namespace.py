import copy
import re

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

import tmref
from tmref import Labels, TensorBlock, TensorMap, catalog, equal, strategies
from tmref.implementations import UnknownImplementation, load
from tmref.implementations.reference import Reference
from tmref.strategies import make_strategies_namespace

pytestmark = pytest.mark.filterwarnings(
    "ignore:The inner type of a container is lost:UserWarning",  # metatensor and empty lists
)

NAMES = ("reference", "metatensor-learn", "metatensor-torch")
by_name = pytest.mark.parametrize("name", NAMES)


def ours(thing, implementation):
    """The data of anything that a strategy draws, as text."""
    if isinstance(thing, (list, tuple)):
        return [ours(item, implementation) for item in thing]
    if isinstance(thing, torch.Tensor):
        return (str(thing.dtype), str(thing.tolist()), thing.requires_grad, thing.stride())
    if hasattr(thing, "block_by_id"):
        return repr(implementation.decode(thing))
    if hasattr(thing, "samples") and hasattr(thing, "properties"):
        return repr(implementation.decode_block(thing))
    if hasattr(thing, "position") and hasattr(thing, "names"):
        return repr(implementation.decode_labels(thing))
    return repr(thing)


#: What is drawn, of a namespace.
DRAWN = {
    "maps": lambda ns: ns.tensor_maps(),
    "maps with gradients": lambda ns: ns.tensor_maps(max_gradients=2),
    "spherical maps": lambda ns: ns.tensor_maps(spherical=True, max_gradients=1),
    "maps of other values": lambda ns: ns.tensor_maps(
        dtypes=ns.dtypes(), layouts=ns.layouts(), requires_grad=st.booleans(), allow_infinity=True
    ),
    "maps of their keys": lambda ns: ns.tensor_maps(keys=ns.keys(min_size=1)),
    "maps of our keys": lambda ns: ns.tensor_maps(keys=strategies.keys()),
    "spherical maps of their keys": lambda ns: ns.tensor_maps(keys=ns.spherical_keys(), spherical=True),
    "maps of one of their keys": lambda ns: ns.keys(min_size=1).flatmap(
        lambda keys: ns.tensor_maps(keys=st.just(keys))
    ),
    "blocks": lambda ns: ns.tensor_blocks(max_gradients=2),
    "blocks of their labels": lambda ns: ns.tensor_blocks(
        samples=ns.samples(), components=ns.components(), properties=ns.labels(max_size=2)
    ),
    "labels": lambda ns: ns.labels(),
    "labels of a range": lambda ns: ns.labels(values=ns.label_values(max_value=5)),
    "keys": lambda ns: ns.keys(),
    "spherical keys": lambda ns: ns.spherical_keys(max_lambda=3),
    "samples": lambda ns: ns.samples(),
    "components": lambda ns: ns.components(),
    "spherical components": lambda ns: ns.spherical_components(),
    "properties": lambda ns: ns.properties(),
    "names": lambda ns: ns.dimension_names(),
    "gradients": lambda ns: ns.tensor_blocks().flatmap(ns.gradients),
    "gradients by keyword": lambda ns: ns.tensor_blocks().flatmap(lambda b: ns.gradients(block=b)),
    "like": lambda ns: ns.tensor_maps(max_gradients=1).flatmap(ns.like),
    "like by keyword": lambda ns: ns.tensor_maps().flatmap(lambda x: ns.like(tensor=x)),
    "parts": lambda ns: ns.tensor_maps().flatmap(ns.sub_maps),
    "permutations": lambda ns: ns.tensor_maps().flatmap(ns.permutations),
    "rotations": lambda ns: ns.rotations(),
    "values": lambda ns: ns.array_values(layouts=ns.layouts()),
    "numbers": lambda ns: ns.dyadic_numbers(bound=5),
    "recipes": lambda ns: ns.tensor_maps().flatmap(
        lambda x: ns.recipes(catalog.row("linear"), x, shuffled_layers=True)
    ),
}
SMALL = "spherical components"  #: of which there are five
everything = pytest.mark.parametrize("draws", DRAWN.values(), ids=DRAWN)


def drawn_by(namespace, implementation, draws, count, drawn):
    """What is drawn of a namespace, as text."""
    return [ours(thing, implementation) for thing in drawn(draws(namespace), count)]


def drawn_for(implementation, draws, count, drawn):
    namespace = make_strategies_namespace(implementation)
    return drawn_by(namespace, implementation, draws, count, drawn)


# --- the same everywhere


@everything
def test_the_same_choices_give_the_same_data_everywhere(draws, drawn):
    expected = drawn_by(strategies, load("reference"), draws, 15, drawn)
    assert len(set(map(str, expected))) >= 5
    for name in NAMES:
        assert drawn_for(load(name), draws, 15, drawn) == expected


@pytest.mark.parametrize("what", ["maps with gradients", "maps of their keys", "blocks of their labels"])
def test_after_many_draws_the_choices_are_the_same_still(what, drawn):
    expected = drawn_by(strategies, load("reference"), DRAWN[what], 40, drawn)
    for name in NAMES:
        assert drawn_for(load(name), DRAWN[what], 40, drawn) == expected


class WithoutGradients(Reference):
    def encode(self, tensor):
        return tmref.remove_gradients(tensor)


class Shuffled(Reference):
    """The entries of labels in the opposite order."""

    def encode_block(self, block):
        samples, properties = map(self.labels, (block.samples, block.properties))
        return TensorBlock(block.values, samples, block.components, properties)

    def labels(self, labels):
        return Labels(labels.names, labels.values.flip(0))

    def encode(self, tensor):
        return TensorMap(tensor.keys, [self.encode_block(block) for block in tensor])


class WithoutComponentNames(Reference):
    def encode_block(self, block):
        components = [Labels(f"c_{i}", c.values) for i, c in enumerate(block.components)]
        return TensorBlock(block.values, block.samples, components, block.properties)


@pytest.mark.parametrize(
    ("mutant", "what"),
    [
        (WithoutGradients(), "maps with gradients"),
        (WithoutGradients(), "spherical maps"),
        (Shuffled(), "maps"),
        (Shuffled(), "keys"),
        (Shuffled(), "blocks"),
        (Shuffled(), "components"),
        (WithoutComponentNames(), "blocks of their labels"),
    ],
)
def test_a_defect_of_an_implementation_would_be_noticed(mutant, what, drawn):
    expected = drawn_for(Reference(), DRAWN[what], 15, drawn)
    assert drawn_for(mutant, DRAWN[what], 15, drawn) != expected


# --- whose they are


def is_of(name, thing):
    """Whether it is an object of the implementation's own."""
    if name == "metatensor-torch":
        return isinstance(thing, torch.ScriptObject)
    return type(thing) in (load(name).Labels, load(name).TensorBlock, load(name).TensorMap)


THEIRS = ["maps", "spherical maps", "maps of our keys", "blocks", "labels", "keys", "samples"]
THEIRS += ["spherical keys", "properties", "gradients", "like", "parts"]


@by_name
@pytest.mark.parametrize("what", THEIRS)
def test_objects_are_theirs(name, what, drawn):
    for thing in drawn(DRAWN[what](make_strategies_namespace(name)), 8):
        assert is_of(name, thing)
        assert name == "reference" or not isinstance(thing, (Labels, TensorBlock, TensorMap))


@by_name
def test_lists_are_of_their_objects(name, drawn):
    namespace = make_strategies_namespace(name)
    components = [axis for axes in drawn(namespace.components(), 20) for axis in axes]
    assert components
    assert all(is_of(name, axis) for axis in components)


@pytest.mark.parametrize("name", NAMES[1:])
def test_objects_of_one_implementation_are_none_of_the_others(name, drawn):
    for thing in drawn(make_strategies_namespace(name).tensor_maps(), 3):
        assert [is_of(other, thing) for other in NAMES] == [other == name for other in NAMES]


def test_an_implementation_is_given_by_itself_too(drawn):
    namespace = make_strategies_namespace(load("metatensor-torch"))
    assert all(is_of("metatensor-torch", x) for x in drawn(namespace.tensor_maps(), 3))


# --- what acts on maps


@by_name
def test_actions_take_and_return_their_maps(name, drawn):
    implementation, namespace = load(name), make_strategies_namespace(name)

    @st.composite
    def acted_upon(draw, of, **options):
        x = draw(namespace.tensor_maps(max_gradients=1, **options))
        action = draw(of(x))
        return x, action, action(x)

    permuted = acted_upon(namespace.permutations)
    rotated = acted_upon(lambda x: namespace.rotations(), spherical=True)
    for x, action, y in [*drawn(permuted, 15), *drawn(rotated, 15)]:
        assert is_of(name, y)
        expected = action.action(implementation.decode(x))
        assert equal(implementation.decode(y), expected)


@by_name
def test_actions_have_what_ours_have(name, minimal):
    namespace = make_strategies_namespace(name)
    rotation = minimal(namespace.rotations(), lambda r: r.inversion)
    assert (rotation.quaternion, rotation.inversion) == ((1, 0, 0, 0), True)
    assert torch.equal(rotation.matrix(), -torch.eye(3, dtype=torch.float64))
    assert repr(rotation) == "Rotation((1, 0, 0, 0), inversion=True)"
    with pytest.raises(AttributeError, match="'Rotation' object has no attribute 'axis'"):
        _ = rotation.axis
    for again in (copy.copy(rotation), copy.deepcopy(rotation)):
        assert again.action == rotation.action


# --- how they print


def counterexample(strategy):
    """What a failing test says of what it was given, and what that was."""
    given_things = []

    @seed(0)
    @settings(max_examples=200, database=None, deadline=None, phases=[Phase.generate])
    @given(thing=strategy)
    def fails(thing):
        given_things.append(thing)
        if len(given_things) > 20:
            raise AssertionError

    with pytest.raises(AssertionError) as caught:
        fails()
    (note,) = caught.value.__notes__
    code = re.fullmatch(r"[A-Z][a-z ]+: fails\(\s*thing=(.*),\s*\)", note, re.DOTALL)[1]
    return code, given_things[-1]


def executed(code, namespace):
    scope = {}
    exec("\n".join(namespace.imports), scope)
    return eval(code, scope)


PRINTED = [what for what in DRAWN if what not in ("recipes", "names", "numbers", SMALL)]


@by_name
@pytest.mark.parametrize("what", PRINTED)
def test_counterexamples_print_as_code_that_rebuilds_them(name, what):
    implementation, namespace = load(name), make_strategies_namespace(name)
    code, thing = counterexample(DRAWN[what](namespace))
    again = executed(code, namespace)
    assert ours(again, implementation) == ours(thing, implementation)
    if what in THEIRS:
        assert is_of(name, again)


@by_name
def test_what_is_composed_of_what_was_drawn_prints_as_code_too(name):
    implementation, namespace = load(name), make_strategies_namespace(name)

    @st.composite
    def with_a_block_twice(draw):
        block = draw(namespace.tensor_blocks(max_gradients=1))
        keys = draw(namespace.keys(min_size=2, max_size=2))
        copies = [implementation.encode_block(implementation.decode_block(block).copy()) for _ in "12"]
        return namespace.as_code(implementation.TensorMap(keys, copies))

    code, thing = counterexample(with_a_block_twice())
    again = executed(code, namespace)
    assert is_of(name, again)
    assert ours(again, implementation) == ours(thing, implementation)


def test_counterexamples_are_code_of_the_implementation():
    codes = {}
    for name in NAMES:
        namespace = make_strategies_namespace(name)
        code, thing = counterexample(namespace.labels(min_size=3))
        codes[name] = code
        assert not code.startswith("tmref.")
        assert thing is not None
    assert codes["reference"] == codes["metatensor-torch"]
    assert codes["metatensor-learn"] == codes["reference"].replace("torch.tensor", "np.array")


@by_name
def test_what_a_counterexample_needs_is_imported(name):
    scope = {}
    exec("\n".join(make_strategies_namespace(name).imports), scope)
    implementation = load(name)
    for what in ("Labels", "TensorBlock", "TensorMap"):
        assert scope[what] is getattr(implementation, what)
    assert scope["torch"] is torch
    assert scope.get("np", np) is np
    assert scope["with_gradients"] is tmref.with_gradients


@by_name
def test_a_namespace_prints_as_the_call_that_makes_it(name):
    namespace = make_strategies_namespace(name)
    assert repr(namespace) == f"make_strategies_namespace({name!r})"
    assert repr(eval(repr(namespace))) == repr(namespace)


@by_name
@pytest.mark.parametrize(
    "code",
    [
        "tensor_maps()",
        "tensor_maps(max_gradients=2, spherical=True)",
        "tensor_maps(keys=keys(min_size=1))",
        "tensor_blocks(samples=samples(max_size=2))",
        "labels(min_size=1)",
        "rotations(inversions=False)",
    ],
)
def test_strategies_of_a_namespace_print_as_the_calls_that_make_them(name, code):
    assert repr(eval(code, vars(make_strategies_namespace(name)))) == code


def test_like_prints_what_it_is_like(minimal):
    namespace = make_strategies_namespace("reference")
    x = minimal(namespace.tensor_maps(), lambda x: len(x) == 1)
    assert repr(namespace.like(x)) == f"like({x!r})"


# --- names, options, errors


def test_a_namespace_has_all_strategies_and_nothing_else():
    namespace = vars(make_strategies_namespace("metatensor-torch"))
    public = {name for name in namespace if not name.startswith("_")}
    assert public == {*strategies.__all__, "imports"} - {"make_strategies_namespace"}
    for name in ("unit_bound", "Invalid"):
        assert namespace[name] is getattr(strategies, name)


def test_strategies_of_a_namespace_are_documented():
    namespace = make_strategies_namespace("metatensor-torch")
    for name in set(strategies.__all__) & set(vars(namespace)):
        assert getattr(namespace, name).__doc__ == getattr(strategies, name).__doc__


@by_name
def test_options_are_checked_as_ever(name, refused):
    namespace = make_strategies_namespace(name)
    with refused(InvalidArgument, "min_blocks=5 must be at most max_blocks=4"):
        namespace.tensor_maps(min_blocks=5)
    with refused(
        InvalidArgument, "keys=3 must be a strategy; for one value: hypothesis.strategies.just(3)"
    ):
        namespace.tensor_maps(keys=3)
    with refused(InvalidArgument, "tensor_maps has no option 'max_block'; did you mean 'max_blocks'?"):
        namespace.tensor_maps(max_block=3)


@by_name
@pytest.mark.parametrize("option", ["keys", "samples", "properties", "components"])
def test_options_that_give_no_labels_are_refused(name, option, drawn):
    namespace = make_strategies_namespace(name)
    lists = "lists of " if option == "components" else ""
    entry = drawn(namespace.labels(min_size=1), 1)[0][0]
    for bad in (3, "a", None, entry):
        words = f"{option} must give {lists}{name}'s Labels, got a {type(bad).__name__}: {bad!r}"
        with pytest.raises(InvalidArgument, match=rf"^{re.escape(words)}(\n|$)"):
            drawn(namespace.tensor_maps(**{option: st.just(bad)}), 20)
    if option != "keys":
        words = f"{option} must give {lists}{name}'s Labels, got a int: 3"
        with pytest.raises(InvalidArgument, match=rf"^{re.escape(words)}(\n|$)"):
            drawn(namespace.tensor_blocks(**{option: st.just([3])}), 20)


@by_name
def test_components_that_are_no_list_are_refused(name, drawn):
    namespace = make_strategies_namespace(name)
    labels = drawn(namespace.labels(min_size=1), 1)[0]
    words = "components must give lists of tmref's Labels, got Labels"
    for strategy in (namespace.tensor_maps, namespace.tensor_blocks):
        with pytest.raises(InvalidArgument, match=f"^{words}"):
            drawn(strategy(components=st.just(labels)), 20)


@by_name
def test_maps_and_blocks_in_each_others_place_are_refused(name, drawn):
    namespace = make_strategies_namespace(name)
    tensor, block = (
        drawn(namespace.tensor_maps(min_blocks=1), 1)[0],
        drawn(namespace.tensor_blocks(), 1)[0],
    )
    for take in (namespace.like, namespace.sub_maps, namespace.permutations):
        with pytest.raises(InvalidArgument, match="tensor must be a TensorMap, got TensorBlock"):
            take(block)
    with pytest.raises(InvalidArgument, match="block must be a TensorBlock, got TensorMap"):
        namespace.gradients(tensor)


@pytest.mark.parametrize("name", ["metatensor", "tmref.nowhere:implementation", "os:path", ""])
def test_unknown_names_are_refused(name):
    with pytest.raises(UnknownImplementation, match=re.escape(repr(name))):
        make_strategies_namespace(name)


@pytest.mark.parametrize("what", ["maps of their keys", "blocks of their labels", "like", "recipes"])
def test_hardly_a_draw_is_discarded(what, discarded):
    draws, namespace = DRAWN[what], make_strategies_namespace("metatensor-torch")
    assert discarded(lambda draw: draw(draws(namespace)), 100) <= 0.01
