"""What laws assume: of maps, of modules, of implementations. Where it doesn't hold, they say nothing."""

import threading
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

import tmref
from tmref import Labels, TensorBlock, TensorMap, nn
from tmref.implementations import Implementation, Known
from tmref.implementations.reference import Reference
from tmref.implementations.reference import implementation as reference
from tmref.laws import LAWS, check_module, own
from tmref.laws.checks import cases
from tmref.laws.law import data_law, law
from tmref.laws.outcomes import Nothing
from tmref.laws.premises import Inputs, inputs, promised
from tmref.laws.runner import check
from tmref.verdicts import ERROR, FAIL, PASS, UNTESTED

KEPT = ["keeps_keys", "keeps_samples", "keeps_components"]
EVERY = [*KEPT, "pure", "per_block", "per_sample", "pointwise", "label_free", "deterministic"]
FIXED = st.just(Labels(["a"], torch.tensor([[0], [5]])))


def of_blocks(change, x, **parts):
    """The map with ``change`` of the values of every block, and no gradients."""
    return TensorMap(
        x.keys, [TensorBlock(change(b.values), b.samples, b.components, b.properties) for b in x]
    )


class Module(torch.nn.Module):
    """A module of one's own: ``change`` of the values, and explicit gradients are refused."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, x):
        if any(block.has_any_gradient() for block in x):
            raise ValueError("no explicit gradients, please")
        return of_blocks(self.change, x)


@pytest.fixture
def verdicts(monkeypatch):
    """The verdicts on a module by law, of the laws that are named, or of all."""

    def judged(build, *names, raises=False, **options):
        chosen = [law for law in LAWS if not names or law.name in names]
        monkeypatch.setattr(own, "LAWS", chosen)
        return {v.law: v for v in check_module(build, on_fail=None, **options)}

    return judged


# --- maps


@pytest.mark.parametrize(
    ("taken", "needed", "words"),
    [
        ({"max_blocks": 1}, {"min_blocks": 2}, "about at least 2 blocks, and at most 1 are taken"),
        ({"min_blocks": 1}, {"max_blocks": 0}, "about maps without blocks, and at least 1 are taken"),
        ({"max_samples": 1}, {"min_samples": 2}, "about at least 2 samples, and at most 1 are taken"),
        ({"max_gradients": 0}, {"max_gradients": 2}, "about at least 1 gradients, and at most 0"),
        ({"bound": 8}, {"wide": True}, "about maps that are wide, and such are not taken"),
        ({"bound": 8}, {"allow_nan": True}, "about maps that are nan, and such are not taken"),
        ({"allow_infinity": False}, {"allow_infinity": True}, "are infinity, and such are not taken"),
        ({"spherical": False}, {"spherical": True}, "are spherical, and such are not taken"),
        (
            {"dtypes": (torch.float32, torch.float64)},
            {"dtypes": (torch.float16,)},
            "about dtypes of torch.float16, and torch.float32, torch.float64 are taken",
        ),
        (
            {"spherical": True, "max_lambda": 0},
            {"min_blocks": 9, "max_blocks": 9},
            "no map can be drawn",
        ),
    ],
    ids=str,
)
def test_where_nothing_is_left_it_says_why(taken, needed, words, rows):
    both = Inputs.taken(taken) & Inputs.needed(needed)
    row = SimpleNamespace(maps=taken, inputs=None)
    assert words in inputs(row, needed).empty
    assert not both.empty or both.empty == inputs(row, needed).empty
    assert not inputs(SimpleNamespace(maps={}, inputs=None), needed).empty


@settings(max_examples=30, deadline=None, database=None)
@given(st.data())
def test_what_is_drawn_is_what_both_allow(data):
    taken = {"min_samples": 2, "max_blocks": 3, "bound": 8, "max_gradients": 1}
    needed = {"min_blocks": 2, "max_samples": 3, "max_gradients": 2, "dtypes": (torch.float64,)}
    x = data.draw((Inputs.taken(taken) & Inputs.needed(needed)).maps())
    assert 2 <= len(x) <= 3
    assert x.dtype == torch.float64
    for block in x:
        assert 2 <= len(block) <= 3
        assert len(block.gradients_list()) == 1
        assert not (block.values.abs() > 1).any()
    assert Inputs.taken(taken).why_not(x) is Inputs.needed(needed).why_not(x) is None


@settings(max_examples=20, deadline=None, database=None)
@given(st.data())
def test_strategies_are_narrowed_too(data):
    half = {"dtypes": st.sampled_from((torch.float16, torch.float64))}
    both = Inputs.taken({**half, "keys": FIXED}) & Inputs.needed(
        {"dtypes": (torch.float16, torch.bfloat16)}
    )
    x = data.draw(both.maps())
    assert (x.dtype, x.keys.values.tolist()) == (torch.float16, [[0], [5]])


def test_more_than_by_default_may_be_asked_for():
    assert not Inputs.taken({"min_blocks": 7}).maps().is_empty
    with pytest.raises(InvalidArgument, match="bound=0"):
        check_module(lambda x: Module(torch.neg), maps={"bound": 0})
    with pytest.raises(TypeError, match="no option 'blocks'"):
        check_module(lambda x: Module(torch.neg), maps={"blocks": 1})


def test_what_is_not_taken_is_said(block):
    x = TensorMap(Labels.range("key", 2), [block(2, 3), block(1, 3)])
    assert Inputs.taken({"max_blocks": 1}).why_not(x) == "of 2 blocks"
    assert Inputs.taken({"min_samples": 2}).why_not(x) == "of 1 samples"
    assert Inputs.taken({"dtypes": (torch.float32,)}).why_not(x) == "of torch.float64"
    assert Inputs.taken({"bound": 8}).why_not(of_blocks(lambda v: v + 99, x)) == "of numbers above 1.0"
    assert Inputs.taken({"max_properties": 0}).why_not(x) == "of 3 properties"
    empty = TensorMap(Labels.empty("key"), [])
    assert Inputs.taken({"min_blocks": 1}).why_not(empty) == "without blocks"
    opaque = Inputs.taken({"keys": FIXED, "sample_names": st.just(("system",))})
    assert opaque.why_not(x) is opaque.why_not(x, drawn=x) is None
    renamed = TensorMap(Labels("other", x.keys.values), list(x))
    assert opaque.why_not(renamed, drawn=x) == "with other keys"
    reversed_keys = TensorMap(Labels("key", x.keys.values.flip(0)), list(x)[::-1])
    assert opaque.why_not(reversed_keys, drawn=x) is None


def test_what_rows_promise(rows, block):
    half = of_blocks(torch.Tensor.half, TensorMap(Labels.range("key", 1), [block(2, 3)]))
    no_samples = TensorMap(Labels.range("key", 1), [block(0, 3)])
    own = SimpleNamespace(layers=(), maps={})
    asked = SimpleNamespace(layers=(), maps={"min_samples": 0, "dtypes": st.just(torch.float16)})
    for x, words in ((half, "of torch.float16"), (no_samples, "without samples")):
        assert promised(rows["linear"]).why_not(x) is promised(asked).why_not(x) is None
        assert promised(own).why_not(x) == words


@pytest.mark.parametrize(
    "maps",
    [
        *({"max_blocks": 0}, {"max_blocks": 1}, {"bound": 8}, {"max_gradients": 1}, {"keys": FIXED}),
        {"min_samples": 2, "max_samples": 2},
        {"dtypes": st.just(torch.float64), "min_blocks": 5, "min_properties": 1},
    ],
    ids=str,
)
def test_options_narrow_what_a_module_is_given(maps):
    taken = Inputs.taken(maps)
    drawn = []

    class Watched(nn.ModuleMap):
        def forward(self, x):
            drawn.append(taken.why_not(x))
            return super().forward(x)

    traits = [*EVERY, "keyed", "seeded"]
    if maps.get("max_blocks") == 0:
        traits = ["keeps_keys"]
    elif maps.get("max_blocks") == 1:
        traits.remove("per_block")  # there is nothing to test it on
    found = check_module(
        lambda x: Watched(x.keys, [torch.nn.Sigmoid() for _ in x]),
        twin=lambda key, block: torch.nn.Sigmoid(),
        traits=traits,
        maps=maps,
        effort=0.01,
    )
    assert drawn
    assert set(drawn) == {None}
    assert {v.verdict for v in found} == {PASS, UNTESTED}


# --- what is promised


def test_what_nobody_promised_may_be_refused_and_is_said(verdicts):
    def half(x):
        assert x.dtype in (torch.float32, torch.float64), "no half precision"
        return Module(torch.neg)

    name = "values_of_half_precision_are_those_of_plain_torch"
    options = {"twin": lambda key, block: Negated()}
    verdict = verdicts(half, name, **options)[name]
    assert (verdict.verdict, verdict.offered) == (UNTESTED, False)
    assert verdict.message.startswith("maps ")
    assert "are refused: the module can't be made: AssertionError: no half" in verdict.message
    promising = {"dtypes": st.sampled_from((torch.float16, torch.float32))}
    (refused,) = verdicts(half, name, maps=promising, **options).values()
    assert (refused.law, refused.verdict) == ("it_can_be_made_and_called", ERROR)
    assert refused.message.startswith("the module can't be made: AssertionError: no half precision")


class Negated(torch.nn.Module):
    def forward(self, values):
        return -values


def test_empty_maps_may_be_refused_unless_they_are_promised(verdicts):
    def full(values):
        if not len(values):
            raise ValueError("nothing to do")
        return -values

    name = "keys_survive_in_order"
    verdict = verdicts(lambda x: Module(full), name, traits=["keeps_keys"])[name]
    words = "maps without samples are refused: the module can't be called: ValueError: nothing to do"
    assert (verdict.verdict, verdict.message) == (PASS, words)
    promised = {"traits": ["keeps_keys"], "maps": {"min_samples": 0}}
    (refused,) = verdicts(lambda x: Module(full), name, **promised).values()
    assert (refused.law, refused.verdict) == ("it_can_be_made_and_called", ERROR)


def test_what_a_law_makes_of_its_input_may_be_refused_where_nobody_promised_it(verdicts):
    def full(values):
        if not len(values):
            raise ValueError("nothing to do")
        return -values

    name = "samples_do_not_influence_each_other"  # it leaves samples out, at times all of them
    maps = {"min_blocks": 1, "max_blocks": 1}
    verdict = verdicts(lambda x: Module(full), name, traits=EVERY, maps=maps)[name]
    assert verdict.verdict == PASS
    assert verdict.message.startswith("maps without samples are refused")
    maps["min_samples"] = 0
    (refused,) = verdicts(lambda x: Module(full), name, traits=EVERY, maps=maps).values()
    assert (refused.law, refused.verdict) == ("it_can_be_made_and_called", ERROR)


def test_wrong_numbers_are_failures_promised_or_not(verdicts):
    def wrong(values):
        return -values if values.dtype in (torch.float32, torch.float64) else values

    name = "values_of_half_precision_are_those_of_plain_torch"
    found = verdicts(lambda x: Module(wrong), name, twin=lambda key, block: Negated())
    assert found[name].verdict == FAIL


# --- modules


def test_a_stateless_module_keeps_what_it_promises():
    found = check_module(lambda x: Module(torch.neg), traits=[*EVERY, "linear"], effort=0.02)
    assert {v.verdict for v in found} == {PASS, UNTESTED}
    messages = {v.law: v.message for v in found}
    assert messages["strict_loading_names_the_entry_that_is_missing"].startswith(
        "the module has no state"
    )


def test_no_law_that_compares_two_calls_asks_for_less_than_deterministic():
    """Noise is all that it promises: two calls never agree."""
    traits = [*KEPT, "pure"]
    found = check_module(lambda x: Module(lambda v: v + torch.rand_like(v)), traits=traits, effort=0.05)
    assert {v.verdict for v in found} == {PASS, UNTESTED}
    declared = {"keeps_properties", "per_block", "per_sample", "pointwise", "label_free", "linear"}
    others = [law for law in LAWS if law.traits & declared and "deterministic" not in law.traits]
    noisy = {*KEPT, *declared, "pure"}
    unguarded = [law.name for law in others if law.traits <= noisy and not law.needs]
    assert unguarded == ["properties_survive"]  # of one call


def test_a_twin_that_is_random_is_none_to_compare_with(verdicts):
    name = "values_are_those_of_plain_torch"
    verdict = verdicts(
        lambda x: nn.ModuleMap(x.keys, [torch.nn.Dropout() for _ in x]),
        name,
        twin=lambda key, block: torch.nn.Dropout(),
    )[name]
    assert (verdict.verdict, verdict.message) == (
        UNTESTED,
        "the twin gives other values at every call",
    )


def test_a_module_that_returns_a_dictionary_breaks_no_law():
    class ByKey(torch.nn.Module):
        def forward(self, x):
            return {str(key.values.tolist()): block.values.sum() for key, block in x.items()}

    found = check_module(lambda x: ByKey(), traits=["deterministic", "pure"], effort=0.02)
    assert {v.verdict for v in found} == {PASS, UNTESTED}


def test_a_dictionary_that_changes_is_noticed(verdicts):
    class Counting(torch.nn.Module):
        count = 0

        def forward(self, x):
            self.count += 1
            return {"count": torch.tensor(self.count)}

    name = "the_same_input_gives_the_same_output"
    assert verdicts(lambda x: Counting(), name, traits=["deterministic"])[name].verdict == FAIL


def test_a_module_may_print_in_words_of_its_own(verdicts):
    class Named(Module):
        def __repr__(self):
            return "a module of mine"

    class Unprintable(Module):
        def __repr__(self):
            return None

    name = "a_module_can_be_printed"
    verdict = verdicts(lambda x: Named(torch.neg), name)[name]
    assert (verdict.status, verdict.message) == ("not offered", "it prints in words of its own")
    assert verdicts(lambda x: Unprintable(torch.neg), name)[name].verdict == ERROR


class Layer(torch.nn.Module):
    """A linear layer of one weight, which refuses explicit gradients."""

    def __init__(self, x, change=lambda values: values):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones((), dtype=x.dtype))
        self.change = change

    def forward(self, x):
        if any(block.has_any_gradient() for block in x):
            raise ValueError("no explicit gradients, please")
        return of_blocks(lambda values: self.change(values * self.weight), x)


def test_what_autograd_refuses_may_be_refused(verdicts):
    class Overwrites(Layer):
        def forward(self, x):
            y = super().forward(x)
            for block in x:
                block.values.mul_(0)
            return y

    name = "zero_grad_leaves_no_derivatives"
    for build, expected in ((Layer, PASS), (Overwrites, UNTESTED)):
        assert verdicts(build, name, traits=["keeps_keys"], effort=0.1)[name].verdict == expected


def test_entries_of_a_state_dict_may_have_other_names(verdicts):
    class Renamed(Layer):
        def __init__(self, x):
            super().__init__(x)
            self._register_state_dict_hook(lambda m, state, *_: {"w": state.pop("weight"), **state})
            self.register_load_state_dict_pre_hook(
                lambda m, state, *_: state.update({"weight": state.pop("w")} if "w" in state else {})
            )

    class Prefixed(Layer):
        def state_dict(self, *args, **kwargs):
            return {"p." + name: value for name, value in super().state_dict().items()}

        def load_state_dict(self, state, strict=True):
            return super().load_state_dict({n[2:]: v for n, v in state.items()}, strict)

    names = [
        "a_state_dict_has_the_parameters_and_buffers",
        "strict_loading_names_the_entry_that_is_missing",
    ]
    for build in (Renamed, Prefixed):
        for verdict in verdicts(build, *names, effort=0.1).values():
            assert (verdict.verdict, verdict.expected) == (UNTESTED, True)
            assert verdict.message == "it saves its state in a way of its own"
    for verdict in verdicts(Layer, *names, effort=0.1).values():
        assert verdict.verdict == PASS


def test_what_is_raised_in_a_thread_is_said(verdicts):
    class InOneThread(Module):
        def forward(self, x):
            if threading.current_thread() is not threading.main_thread():
                raise RuntimeError("not in this thread")
            return super().forward(x)

    name = "the_same_in_several_threads"
    traits = ["deterministic", "pure"]
    verdict = verdicts(lambda x: InOneThread(torch.neg), name, traits=traits, effort=0.1)[name]
    assert verdict.verdict == ERROR
    assert verdict.message.endswith("can't be done: RuntimeError: not in this thread")


def test_the_identity_keeps_its_properties():
    found = check_module(
        lambda x: torch.nn.Identity(),
        twin=lambda key, block: torch.nn.Identity(),
        traits=[*EVERY, "linear", "keeps_properties"],
        effort=0.02,
    )
    assert {v.verdict for v in found} == {PASS, UNTESTED}


@pytest.mark.parametrize(
    "name",
    [
        "names_of_samples_components_and_properties_mean_nothing",
        "integers_of_samples_components_and_properties_mean_nothing",
    ],
)
def test_a_module_that_reads_labels_is_noticed_where_it_promises_not_to(name, verdicts):
    class Reads(torch.nn.Module):
        def forward(self, x):
            named = [sum(map(ord, "".join(b.samples.names))) + b.samples.values.sum() for b in x]
            scaled = (b.values * n for b, n in zip(x, named, strict=True))
            return of_blocks(lambda _: next(scaled), x)

    traits = [*KEPT, "deterministic"]
    assert name not in verdicts(lambda x: Reads(), name, traits=traits)
    assert verdicts(lambda x: Reads(), name, traits=[*traits, "label_free"])[name].verdict == FAIL


class Doubled(torch.nn.Module):
    """Twice the values and their gradients; it reads the names of samples."""

    def __init__(self, factor=2):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        assert all(block.samples.names[0] == "system" for block in x)
        blocks = []
        for b in x:
            blocks.append(TensorBlock(2 * b.values, b.samples, b.components, b.properties))
            for name, g in b.gradients():
                pushed = TensorBlock(self.factor * g.values, g.samples, g.components, g.properties)
                blocks[-1].add_gradient(name, pushed)
        return TensorMap(x.keys, blocks)


@pytest.mark.parametrize(("factor", "verdict"), [(2, PASS), (3, FAIL)])
def test_the_chain_rule_is_tried_on_the_samples_that_there_are(factor, verdict, verdicts):
    name = "explicit_gradients_are_refused_or_right_by_the_chain_rule"
    options = {"traits": EVERY, "maps": {"sample_names": st.just(("system", "atom"))}}
    assert verdicts(lambda x: Doubled(factor), name, **options)[name].verdict == verdict


@pytest.mark.parametrize("refuses", [True, False])
def test_another_order_may_be_refused_but_not_be_wrong(refuses, verdicts):
    class Ordered(torch.nn.Module):
        def __init__(self, keys):
            super().__init__()
            self.keys = keys

        def forward(self, x):
            if refuses and x.keys != self.keys:
                raise ValueError("another order")
            numbers = iter(range(1, 9))
            return of_blocks(lambda values: next(numbers) * values, x)

    name = "blocks_and_samples_have_no_order"
    verdict = verdicts(lambda x: Ordered(x.keys), name, traits=EVERY)[name]
    assert verdict.verdict == (PASS if refuses else FAIL)


def test_what_torch_leaves_out_of_a_state_dict_is_not_missed():
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one = torch.nn.Parameter(torch.ones(()))
            self.other = self.one
            self.register_buffer("scratch", torch.ones(1), persistent=False)
            self.register_buffer("kept", torch.ones(1))

        def forward(self, x):
            if any(block.has_any_gradient() for block in x):
                raise ValueError("no explicit gradients, please")
            return of_blocks(lambda v: v * (self.one * self.scratch * self.kept).to(v.dtype), x)

    found = check_module(lambda x: Tied(), traits=EVERY, effort=0.05)
    assert {v.verdict for v in found} == {PASS, UNTESTED}
    assert {v.law: v.message for v in found}["a_module_comes_back_from_meta"] == (
        "some of its buffers are not part of the state dict"
    )


# --- ways


def test_a_way_that_is_refused_for_a_plain_map_is_not_offered(verdicts):
    class Local(Module):  # a class within a function can't be pickled
        pass

    name = "a_copy_is_the_same_function"
    verdict = verdicts(lambda x: Local(torch.neg), name, traits=["deterministic"])[name]
    assert verdict.verdict == PASS

    class Never(Module):
        def __reduce_ex__(self, protocol):
            raise TypeError("there is one of me")

    verdict = verdicts(lambda x: Never(torch.neg), name, traits=["deterministic"])[name]
    assert (verdict.status, verdict.examples) == ("not offered", 0)
    assert verdict.message == (
        "no way is offered: TypeError: there is one of me (for 'other = copy.deepcopy(module)', of 3)"
    )


@data_law("tensor_map", ways=["y = x.copy()", "y = x.copied()"])
def copies_are_equal(f, x, draw):
    """[doc]"""
    return f.run(draw(st.sampled_from(f.ways), label="way"), x=x), x


class Selective(tmref.TensorMap):
    def copy(self):
        if len(self) > 1:
            raise NotImplementedError("only one block")
        return self


class Copying(Reference):
    TensorMap = Selective

    def encode(self, tensor):
        return Selective(tensor.keys, list(tensor))

    def decode(self, tensor):
        return TensorMap(tensor.keys, list(tensor))


def test_a_way_that_works_for_a_plain_map_works_for_all(rows):
    verdict = check(copies_are_equal, rows["tensor_map"], Copying())
    assert verdict.verdict == ERROR
    assert "'y = x.copy()' can't be done: NotImplementedError: only one block" in verdict.message
    assert check(copies_are_equal, rows["tensor_map"], reference).verdict == PASS


class Never(Copying):
    class TensorMap(Selective):
        def copy(self):
            raise NotImplementedError("never")

    def encode(self, tensor):
        return self.TensorMap(tensor.keys, list(tensor))


def test_data_that_can_be_copied_in_no_way_pass_no_law_of_copies(rows):
    verdict = check(copies_are_equal, rows["tensor_map"], Never())
    assert (verdict.status, verdict.examples) == ("not offered", 0)
    words = "no way is offered: NotImplementedError: never (for 'y = x.copy()', of 2)"
    assert verdict.message == words


class Unscriptable(Reference):
    scripts = True


def test_a_way_that_the_implementation_says_it_has_is_owed(laws, rows, verdicts):
    name = "a_scripted_module_does_what_the_module_does"
    assert check(laws[name], rows["linear"], Unscriptable()).verdict == ERROR
    traits = ["keyed", "deterministic"]  # of a module of one's own nobody says it
    options = {"traits": traits, "maps": {"sample_names": st.just(("system", "atom"))}}
    verdict = verdicts(lambda x: Doubled(), name, implementation=Unscriptable(), **options)[name]
    assert (verdict.status, verdict.message[:19]) == ("not offered", "no way is offered: ")


# --- implementations


class Partial(Implementation):
    name, version = "partial", "1.0"
    Labels, TensorBlock, TensorMap = tmref.Labels, tmref.TensorBlock, tmref.TensorMap
    nn = SimpleNamespace(Linear=nn.Linear, Tanh=nn.Tanh, Sequential=nn.Sequential)


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_what_a_library_has_not_is_not_offered_for_every_law():
    found = [case.check() for case in cases(Partial(), effort=0.01)]
    assert {v.verdict for v in found} == {PASS, UNTESTED}
    assert all(v.expected for v in found)
    complete = {v.row for v in found if v.verdict == PASS}
    assert complete >= {"linear", "linear_no_bias", "tanh", "sequential_tanh", "sequential_linear"}
    others = {v.row: set() for v in found if v.row not in complete}
    for v in found:
        if v.row in others:
            others[v.row].add(v.message)
    assert "not offered: nn has no SiLU" in others["silu"]
    assert others["any_module"] == {"not offered: nn has no Module"}
    assert all(len(messages) < 10 for messages in others.values())


@pytest.mark.parametrize("value", [False, None, 0])
def test_an_ability_is_judged_by_its_value(value, laws, rows):
    subject = Reference()
    subject.takes_gradients = value
    verdict = check(laws["explicit_gradients_go_through"], rows["linear"], subject)
    assert (verdict.status, verdict.message) == (
        "not offered",
        "reference does not offer it: takes_gradients",
    )


# --- counting


def test_an_example_counts_where_something_was_compared(rows):
    @law("linear", examples=40)
    def of_few(f, x, draw):
        """[maths]"""
        return (x, x) if draw(st.integers(0, 3), label="n") == 3 else Nothing("no three")

    verdict = check(of_few, rows["linear"], reference)
    assert verdict.verdict == PASS
    assert 0 < verdict.examples < of_few.examples_on(rows["linear"])
    seldom = check(of_few, rows["linear"], reference, examples=1)
    assert (seldom.verdict, seldom.examples) == (PASS, 1)  # it went on until one did


def test_a_known_failure_is_no_pass_however_few_examples_there_are(rows):
    @law("keyed", examples=50)
    def two_blocks_are_too_many(f, x, draw):
        """[ours]"""
        f(x)
        return Nothing("one block is fine") if len(x) < 2 else (2, 1)

    entry = Known(two_blocks_are_too_many.name, ["tanh"], lambda recipe, x: True, None, "two: why")
    for examples in (1, 50):
        options = {"examples": examples, "inherited": [entry]}
        verdict = check(two_blocks_are_too_many, rows["tanh"], reference, **options)
        assert (verdict.status, verdict.known) == ("known", "two: why")


@pytest.mark.parametrize(("nothing", "expected"), [(None, False), (Nothing("a reason"), True)])
def test_what_compared_nothing_is_no_pass(nothing, expected, rows):
    @law("linear", examples=4)
    def of_nothing(f, x, draw):
        """[maths]"""
        return nothing

    verdict = check(of_nothing, rows["linear"], reference)
    assert (verdict.verdict, verdict.examples, verdict.expected) == (UNTESTED, 0, expected)
    assert verdict.message == ("a reason" if expected else "no example exercised the law")
