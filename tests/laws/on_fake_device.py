"""Laws on another device than the CPU; test_devices.py runs these tests in a process of their own."""

import fake_device
import pytest
import torch
from hypothesis import strategies as st

import tmref
from tmref import TensorBlock, TensorMap
from tmref.bench import counts
from tmref.bench.work import Cell, made_map, subjects
from tmref.catalog import DATA, ROWS, Call
from tmref.implementations import CPU
from tmref.implementations.reference import Reference
from tmref.laws import LAWS, check_module
from tmref.laws.checks import cases
from tmref.laws.edits import map_values, require_grad
from tmref.laws.law import data_law, law
from tmref.laws.runner import check, smoke
from tmref.laws.smoke import NAME
from tmref.laws.twin import differentiate, quiet
from tmref.strategies import like, tensor_blocks
from tmref.verdicts import ERROR, FAIL, PASS

ROW = {row.name: row for row in (*DATA, *ROWS)}
LAW = {law.name: law for law in LAWS}
#: Where lazy parameters go, torch forgets that they are lazy: it does so for this device alone.
LAZY = {"lazy_modules_are_made_by_the_first_forward", "lazy_modules_are_made_by_what_is_loaded"}
#: A law of every kind: calls, derivatives, gradients, states, data, modules of plain torch.
FEW = (
    ("values_are_those_of_plain_torch", "sequential_equivariant"),
    ("derivatives_are_those_of_plain_torch", "linear"),
    ("explicit_gradients_stay", "module_map_mlp"),
    ("a_state_dict_gives_the_same_function", "layer_norm"),
    ("labels_survive_being_copied_and_saved", "labels"),
    ("gradients_that_are_added_come_back", "tensor_block"),
    ("keys_to_samples_puts_blocks_below_each_other", "tensor_map"),
    ("one_forward_is_one_forward_of_every_module", "any_module_map"),
    ("blocks_that_can_not_be_are_refused", "tensor_block"),
    ("modules_that_can_not_work_are_refused", "linear"),
    ("writing_to_the_output_leaves_the_input", "invariant_relu"),
    ("whatever_is_done_plain_torch_does_the_same", "linear"),
    ("options_of_layers_are_those_of_torch", "linear"),
)


def tried(implementation, of_law, row, examples=10):
    of_law = LAW[of_law] if isinstance(of_law, str) else of_law
    return check(of_law, ROW[row], implementation.on(fake_device.NAME), examples=examples)


@pytest.mark.parametrize(
    "of_law",
    # some are about modules of one's own alone
    [law for law in LAWS if law.name not in LAZY and any(map(law.applies_to, (*ROWS, *DATA)))],
    ids=lambda law: law.name,
)
def test_the_reference_satisfies_every_law(of_law):
    row = next(row for row in (*ROWS[::-1], *DATA) if of_law.applies_to(row))
    verdict = check(of_law, row, Reference().on(fake_device.NAME), examples=3)
    assert verdict.verdict == PASS or not verdict.offered, verdict.message


def test_what_is_encoded_comes_back_decoded():
    verdict = smoke(Reference().on(fake_device.NAME))
    assert (verdict.verdict, verdict.examples) == (PASS, 40)


def test_cases_are_on_the_device():
    found = {case.implementation for case in cases(Reference(), device=fake_device.NAME)}
    assert {implementation.device for implementation in found} == {fake_device.DEVICE}
    assert len(found) == 1


# --- what the implementation is given


class Spy(Reference):
    """Notes on which devices it is given what."""

    def __init__(self):
        self.seen = set()

    def labels(self, labels):
        self.seen.add(("labels", labels.device))
        return super().labels(labels)

    def encode_block(self, block):
        self.seen.add(("values", block.values.device))
        self.seen |= {("labels", axis.device) for axis in (block.samples, block.properties)}
        return super().encode_block(block)

    def encode(self, tensor):
        self.seen.add(("keys", tensor.keys.device))
        for block in tensor:
            self.encode_block(block)
        return super().encode(tensor)

    def to_theirs(self, value):
        found = super().to_theirs(value)
        if isinstance(found, torch.Tensor):
            self.seen.add(("tensors", found.device))
        if isinstance(found, torch.nn.Module):
            self.seen |= {("parameters", p.device) for p in found.parameters()}
        return found


@pytest.fixture
def called():
    """The devices of the parameters of all modules that are called, and of what these are given, by
    whether it is a module on maps or one of plain torch."""
    found = set()

    def note(module, given):
        name = "torch" if type(module).__module__.startswith("torch.nn") else "maps"
        found.update((name, p.device) for p in module.parameters())
        found.update((name, x.device) for x in given if isinstance(x, TensorMap))

    with torch.nn.modules.module.register_module_forward_pre_hook(note):
        yield found


@pytest.mark.parametrize(("of_law", "row"), FEW)
def test_everything_that_is_given_is_there(of_law, row, called):
    spy = Spy().on(fake_device.NAME)
    assert check(LAW[of_law], ROW[row], spy, examples=10).verdict == PASS
    assert {device for _, device in spy.seen | called} == {fake_device.DEVICE}
    assert spy.seen


def test_all_kinds_of_data_and_modules_are_given():
    spies = [Spy().on(fake_device.NAME) for _ in FEW]
    for (of_law, row), spy in zip(FEW, spies, strict=True):
        check(LAW[of_law], ROW[row], spy, examples=10)
    seen = set().union(*(spy.seen for spy in spies))
    assert {kind for kind, _ in seen} == {"labels", "keys", "values", "tensors", "parameters"}


def test_plain_torch_computes_there_too(monkeypatch):
    seen = []
    forward = torch.nn.Tanh.forward

    def noted(self, x):
        seen.append(x.device)
        return forward(self, x)

    monkeypatch.setattr(torch.nn.Tanh, "forward", noted)
    # one of them is the twin's: the tanh of the reference is a function
    for of_law in ("only_what_is_selected_is_invariant", "values_are_those_of_plain_torch"):
        assert tried(Reference(), of_law, "invariant_tanh").verdict == PASS
    assert set(seen) == {fake_device.DEVICE}


def test_drawing_does_not_depend_on_the_device():
    drawn = {}
    for implementation in (Reference(), Reference().on(fake_device.NAME)):

        @law("linear", examples=20)
        def remembers(f, x, draw):
            """[ours]"""
            assert x.device == f.recipe.in_keys.device == CPU
            drawn.setdefault(f.device, []).append(repr((x, f.recipe, draw(like(x), label="y"))))
            return x, x

        check(remembers, ROW["linear"], implementation, examples=20)
    here, there = drawn.values()
    assert here == there
    assert len(here) == 20


# --- defects


def around(change):
    """The reference whose output goes through ``change``."""

    class Changed(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, x):
            return change(self.module(x))

    class Planted(Reference):
        name = "planted"

        def make(self, call):
            made = super().make(call)
            return Changed(made) if isinstance(made, tmref.nn.Linear) else made

    return Planted()


def remade(axis):
    """A change that makes one axis of every block on the CPU."""

    def change(y):
        blocks = []
        for b in y:
            axes = {"samples": b.samples, "properties": b.properties}
            axes[axis] = axes[axis].to("cpu")
            made = TensorBlock._unchecked(
                b.values, axes["samples"], tuple(b.components), axes["properties"]
            )
            blocks.append(made)
        return TensorMap._unchecked(y.keys, blocks)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (remade("samples"), "ValueError: values are on fake_device:0 but samples on cpu"),
        (remade("properties"), "ValueError: values are on fake_device:0 but properties on cpu"),
        (
            lambda y: TensorMap._unchecked(y.keys.to("cpu"), list(y)),
            "ValueError: keys are on cpu but the blocks on fake_device:0",
        ),
        (lambda y: y.to("cpu"), "ValueError: the output is on cpu, the input on fake_device:0"),
    ],
    ids=["samples", "properties", "keys", "everything"],
)
def test_an_output_with_parts_on_the_cpu_is_noticed(change, words):
    assert (
        check(LAW["keys_survive_in_order"], ROW["linear"], around(change), examples=10).verdict == PASS
    )
    verdict = tried(around(change), "keys_survive_in_order", "linear")
    assert verdict.verdict == ERROR
    assert words in verdict.message


class Stays(Reference):
    """Linear modules whose parameters can't be moved."""

    name = "stays"

    def make(self, call):
        made = super().make(call)
        if isinstance(made, torch.nn.Module):
            made._apply = lambda function, recurse=True: made
        return made


def test_parameters_that_do_not_move_are_noticed():
    assert check(LAW["keys_survive_in_order"], ROW["linear"], Stays(), examples=10).verdict == PASS
    assert tried(Stays(), "keys_survive_in_order", "linear").verdict == ERROR


class Misplaced(Reference):
    """Loses the device of what it decodes."""

    name = "misplaced"

    def decode(self, tensor):
        return tensor.to("cpu")


def test_an_adapter_that_loses_the_device_fails_the_smoke_law(without_shrinking):
    verdict = smoke(Misplaced().on(fake_device.NAME))
    assert (verdict.row, verdict.law, verdict.verdict) == ("-", NAME, FAIL)
    assert "are on cpu, expected on fake_device:0" in verdict.message
    assert '.to("fake_device:0")' in verdict.counterexample


# --- what the host waits for


@pytest.fixture
def waits(monkeypatch):
    """waits(work): how often it reads something of the device."""

    def of(work):
        read = []
        monkeypatch.setattr(
            fake_device.FakeTensor,
            "tolist",
            lambda self: read.append(self) or self.inside.tolist(),
        )
        found = counts.waits(work).total()
        return found + len(read)

    return of


@pytest.mark.parametrize("name", ["reference", "batched"])
@pytest.mark.parametrize("row", [row.name for row in ROWS if "pure" in row.traits])
def test_labels_are_looked_up_without_waiting_for_the_device(row, name, waits):
    # 16 of each shape, which are run as one
    assert waits(subjects(Cell(row, 64, 3, features=4), [name], fake_device.NAME)[name]) == 0


def test_what_waits_is_noticed(waits):
    x = made_map(Cell("linear", 2, 3), fake_device.NAME)
    assert waits(lambda: x.keys.position(x.keys[0])) == 0
    for waiting in (
        lambda: x.keys.position(x.keys.values[0]),
        lambda: [block.samples.values.to("cpu") for block in x],
        lambda: x.block(0).values[0, 0].item(),
        lambda: torch.ones(3).to(fake_device.NAME),
        lambda: x.block(0).values.copy_(torch.ones(32)),
    ):
        assert waits(waiting) > 0
    for going_on in (
        lambda: torch.ones(3).to(fake_device.NAME, non_blocking=True),
        lambda: x.block(0).values.copy_(torch.ones(32), non_blocking=True),
        lambda: x.block(0).values.copy_(x.block(1).values),
    ):
        assert waits(going_on) == 0


# --- modules of one's own


def test_a_module_of_ones_own():
    def mine(x):
        assert x.device == fake_device.DEVICE
        return tmref.nn.Linear(x.keys, [len(b.properties) for b in x], 2, dtype=x.dtype)

    def twin(key, block):
        return torch.nn.Linear(len(block.properties), 2, dtype=block.dtype)

    traits = ["linear", "pure", "keeps_keys", "keeps_samples"]
    options = {"twin": twin, "effort": 0.01, "device": fake_device.NAME}
    verdicts = check_module(mine, traits=traits, **options)
    assert PASS in {v.verdict for v in verdicts}


def test_a_module_of_ones_own_that_comes_back_to_the_cpu():
    class Back(torch.nn.Module):
        def forward(self, x):
            return x.to("cpu")

    options = {"effort": 0.01, "device": fake_device.NAME, "maps": {"min_blocks": 1, "max_blocks": 1}}
    options["traits"] = ["keeps_keys"]
    with pytest.raises(AssertionError, match="the output is on cpu, the input on fake_device:0"):
        check_module(lambda x: Back(), **options)


# --- scripts: laws that no module satisfies


@law("linear", maps={"min_samples": 1, "min_properties": 1})
def outputs_are_one_more(f, x, draw):
    """[ours]"""
    y = f(x)
    return y, map_values(lambda values: values + 1, y)


@law("linear", maps={"min_samples": 1, "min_properties": 1}, recipes={"shuffled_layers": True})
def derivatives_are_one_more(f, x, draw):
    """[ours]"""
    x = require_grad(x)
    y = f(x)
    expected = differentiate(f.twin(x), x, f.twin.parameters(), [block.values for block in y])
    found = f.derivatives(x, y)
    return found, {name: value + 1 for name, value in expected.items()}


@law(maps={"max_gradients": 1, "min_samples": 1, "min_properties": 1})
def gradients_are_refused(f, x, draw):
    """[ours]"""
    if not any(block.has_any_gradient() for block in x):
        return None
    return f.run("[block.gradients_list() for block in x.blocks()]", x=x), []


@data_law("tensor_block", tensor_blocks(max_gradients=1))
def blocks_and_tensors_have_no_values(f, x, draw):
    """[ours]"""
    both = f.run("[block.values, *tensors]", block=x, tensors=[x.values])
    return both, [x.values, torch.full_like(x.values, 7)]


@data_law("any_module_map", maps={"min_blocks": 1, "min_samples": 1, "min_properties": 1})
def modules_of_plain_torch_give_zeros(f, x, draw):
    """[ours]"""
    calls = [Call("torch.nn.Linear", (len(b.properties), 1), {"dtype": x.dtype}) for b in x]
    f.run("module = nn.ModuleMap(keys, modules)", keys=x.keys, modules=calls)
    y = f.run("y = module(x)", x=x)
    return y, map_values(lambda values: values + 1, y)


@data_law("labels", st.just(tmref.Labels(["a", "b"], torch.tensor([[1, 2], [5, 4]]))))
def labels_are_empty(f, x, draw):
    """[ours]"""
    return f.run("y = Labels(x.names, x.values)", x=x), tmref.Labels.empty(x.names)


@law("sized")
def modules_made_on_meta_are_there(f, x, draw):
    """[ours]"""
    call = f.written.call.with_initial_parameters()
    on_meta = Call(call.name, call.args, {**call.kwargs, "device": "meta"})
    return f.run("[str(p.device) for p in made.parameters()]", made=on_meta), []


SCRIPTS = (
    (outputs_are_one_more, "linear", 'module.to("fake_device:0")'),
    (outputs_are_one_more, "sequential_mlp", 'layer_0.to("fake_device:0")'),
    (outputs_are_one_more, "module_map_linear", 'layer_0.to("fake_device:0")'),
    (derivatives_are_one_more, "linear", '.to("fake_device:0")])'),
    (gradients_are_refused, "relu", "x = TensorMap("),
    (blocks_and_tensors_have_no_values, "tensor_block", "block = "),
    (modules_of_plain_torch_give_zeros, "any_module_map", "torch.nn.Linear("),
    (labels_are_empty, "labels", '[[1, 2], [5, 4]])).to("fake_device:0")'),
    (modules_made_on_meta_are_there, "linear", "device='meta')"),
)


@pytest.mark.parametrize(
    ("of_law", "row", "part"), SCRIPTS, ids=lambda value: getattr(value, "name", value)
)
def test_a_script_shows_the_moves_and_runs_as_printed(of_law, row, part):
    verdict = tried(Reference(), of_law, row, examples=50)
    assert verdict.verdict == FAIL, verdict.message
    assert part in verdict.reproducer
    assert '.to("fake_device:0")' in verdict.reproducer
    compiled = compile(verdict.reproducer, "<script>", "exec")
    with quiet(), pytest.raises(AssertionError) as error:
        exec(compiled, {})
    assert "device" not in str(error.value)
