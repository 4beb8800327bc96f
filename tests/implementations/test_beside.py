"""Parameters that are brought beside each other: that it costs no copy, and that nobody can tell."""

import copy
import gc
import io
import multiprocessing
import os
import pickle
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tmref import Labels, TensorMap, block_from_array, nn
from tmref.implementations import batched as implementation
from tmref.implementations.batched import LEAST_BLOCKS, batched, plan
from tmref.implementations.batched.beside import _WHOLES, Beside, bring_together, put_together

N = LEAST_BLOCKS


def keys(n=N):
    return Labels.range("k", n)


def tensor(n=N, features=4, **options):
    return TensorMap(keys(n), [block_from_array(torch.randn(3, features, **options)) for _ in range(n)])


@pytest.fixture
def layer():
    """A layer, and the same batched."""
    torch.manual_seed(0)
    reference = nn.Linear(keys(), 4, 2)
    return reference, batched(reference)


def weights(module):
    return [part.weight for part in module.module_map.module_list]


def lie_together(parameters):
    first, step = parameters[0].data_ptr(), parameters[0].nbytes
    return [p.data_ptr() - first for p in parameters] == [i * step for i in range(len(parameters))]


def are_together(module):
    return lie_together(weights(module))


def assert_like(module, reference, x):
    for block, expected in zip(module(x), reference(x), strict=True):
        torch.testing.assert_close(block.values, expected.values)


def test_parameters_are_brought_together_once_and_no_forward_copies_any(monkeypatch):
    reference = nn.Linear(keys(), 4, 2)
    before = [(p, p.detach().clone(), p.requires_grad, p.is_leaf) for p in reference.parameters()]
    assert not are_together(reference)
    module = batched(reference)
    assert are_together(module)
    monkeypatch.setattr(torch, "stack", None)
    assert_like(module, reference, tensor())
    for parameter, (same, value, *flags) in zip(module.parameters(), before, strict=True):
        assert parameter is same
        assert torch.equal(parameter, value)
        assert flags == [parameter.requires_grad, parameter.is_leaf] == [True, True]


def test_what_is_written_to_parameters_is_seen(layer):
    reference, module = layer
    x = tensor()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        sum(block.values.square().sum() for block in module(x)).backward()
        grads = [p.grad.clone() for p in module.parameters()]
        optimizer.zero_grad()
        sum(block.values.square().sum() for block in reference(x)).backward()
        torch.testing.assert_close(grads, [p.grad for p in reference.parameters()])
        optimizer.step()
        assert are_together(module)
        assert_like(module, reference, x)
    module.load_state_dict(
        {
            k: torch.zeros_like(v) if "weight" in k or "bias" in k else v
            for k, v in module.state_dict().items()
        }
    )
    assert all(block.values.eq(0).all() for block in module(x))
    assert are_together(module)


def moved_to_double(module):
    module.double().float()


def given_other_memory(module):
    weights(module)[3].data = torch.ones_like(weights(module)[3])


def given_in_one(module):
    torch.nn.utils.vector_to_parameters(torch.linspace(0, 1, 20 * N), module.parameters())


def transposed(module):
    for weight in weights(module):
        weight.data = weight.data.T


def assigned(module):
    state = {k: v.clone() for k, v in module.state_dict().items() if isinstance(v, torch.Tensor)}
    module.load_state_dict({**module.state_dict(), **state}, assign=True)


def copied(module):
    return copy.deepcopy(module)


def pickled(module):
    return pickle.loads(pickle.dumps(module))


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (moved_to_double, True),
        (assigned, True),
        (copied, True),
        (pickled, True),
        (given_other_memory, False),
        (given_in_one, False),
        (transposed, False),
    ],
)
def test_parameters_that_have_other_memory_are_brought_together_anew_or_copied(change, again):
    """A forward moves nothing: what is given other memory by hand waits until the module is moved."""
    module = batched(nn.Linear(keys(), 4, 4))
    module(tensor())
    module = change(module) or module
    x = tensor()
    with torch.no_grad():
        expected = [p(b.values) for p, b in zip(module.module_map.module_list, x, strict=True)]
        for _ in range(3):
            for block, y in zip(module(x), expected, strict=True):
                torch.testing.assert_close(block.values, y)
    assert are_together(module) == again or change is transposed
    moved_to_double(module)
    assert are_together(module) == (change is not transposed)


def tied(module):
    weights(module)[1].data = weights(module)[0].data
    return weights(module)[0]


def twice(module):
    module.module_map.module_list[1].weight = weights(module)[0]


def held_by_numpy(module):
    return weights(module)[2].detach().numpy()


def held_by_a_view(module):
    return weights(module)[2].data


def in_a_graph(module):
    return module.module_map.module_list[0](torch.ones(1, 4, requires_grad=True))


def made_of_numpy(module):
    array = np.ones((2, 4), "f")
    module.module_map.module_list[2].weight = torch.nn.Parameter(torch.from_numpy(array))
    return array


def held_as_a_storage(module):
    return weights(module)[2].untyped_storage()


def shared_with_other_processes(module):
    module.share_memory()


@pytest.mark.parametrize(
    "hold",
    [
        *(tied, twice, held_by_numpy, held_by_a_view, in_a_graph, made_of_numpy, held_as_a_storage),
        shared_with_other_processes,
    ],
)
def test_memory_that_others_have_a_hold_of_stays_where_it_is(hold):
    reference = nn.Linear(keys(), 4, 2)
    held = hold(reference)
    before = [weight.data_ptr() for weight in weights(reference)]
    module = batched(reference)
    assert_like(module, reference, tensor())
    assert [weight.data_ptr() for weight in weights(module)] == before
    if hold in (held_by_numpy, held_by_a_view, made_of_numpy, held_as_a_storage):
        held.fill(7) if hold in (held_by_numpy, made_of_numpy) else held.fill_(0)
        changed = weights(module)[2]
        assert changed.eq(0).all() or changed.eq(7).all()
        assert_like(module, reference, tensor())
    if hold in (held_by_a_view, in_a_graph, held_as_a_storage):
        del held
        assert are_together(batched(reference))


def test_parameters_that_are_shared_are_where_the_last_module_wants_them(layer):
    reference, module = layer
    before = [weight.data_ptr() for weight in weights(module)]
    other = batched(reference)
    assert [weight.data_ptr() for weight in weights(other)] == before
    list_of_some = module.module_map.module_list[N // 2 :]
    half = nn.ModuleMap(Labels.range("k", N // 2), list_of_some)
    bring_together([part.weight for part in half.module_list])
    assert lie_together([part.weight for part in half.module_list])
    assert [weight.data_ptr() for weight in weights(module)] == before
    bring_together(weights(module)[::-1])
    assert lie_together(weights(module)[::-1])
    assert_like(module, reference, tensor())


def test_memory_is_given_back_with_the_last_parameter():
    module = batched(nn.Linear(keys(), 4, 2))
    module(tensor())
    whole = weakref.ref(_WHOLES[weights(module)[0]][0])
    left = weights(module)[3]
    del module
    gc.collect()
    assert whole() is not None
    del left
    assert whole() is None


def test_a_module_that_is_moved_gives_back_the_memory_that_it_had():
    module = batched(nn.Linear(keys(2 * N), 4, 2))
    x = tensor(2 * N)
    for n in (N, N + 1, 2 * N):  # of each it is remembered how it is run as one
        part = TensorMap(keys(n), [block_from_array(x.block(i).values) for i in range(n)])
        module(part)
        module(part)
    whole = weakref.ref(_WHOLES[weights(module)[0]][0])
    module.double()
    assert whole() is None
    assert are_together(module)


def test_pickles_and_copies_have_no_memory_but_their_own(layer):
    reference, module = layer
    size = len(pickle.dumps(module))
    module(tensor())
    assert are_together(module)
    assert len(pickle.dumps(module)) < 1.1 * size
    for copied in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert_like(copied, reference, tensor())
        with torch.no_grad():
            weights(copied)[0].zero_()
        assert not weights(module)[0].eq(0).all()
    assert_like(module, reference, tensor())


def test_a_parameter_is_saved_without_the_others(layer):
    def size(value):
        torch.save(value, file := io.BytesIO())
        return len(file.getvalue())

    reference, module = layer
    module(tensor())
    apart = copy.deepcopy(reference)
    assert size(weights(module)[1]) == size(weights(apart)[1])
    assert size(module.state_dict()) == size(apart.state_dict())


@pytest.mark.parametrize("make", [nn.Linear, nn.LayerNorm])
@pytest.mark.parametrize("run", [lambda module: module, batched], ids=["loop", "batched"])
def test_a_backward_after_parameters_have_changed_is_refused_as_the_loop_refuses_it(make, run):
    module = run(make(keys(), 4, *([4] if make is nn.Linear else [])))
    for x_requires_grad in (False, True):
        y = module(tensor(requires_grad=x_requires_grad))
        with torch.no_grad():
            weights(module)[3].mul_(2)
        total = sum(block.values.sum() for block in y)
        if not x_requires_grad:
            total.backward()
            continue
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            total.backward()


def test_graphs_may_be_used_twice_and_gradients_have_gradients(layer):
    reference, module = layer
    module.double()
    reference.double()
    x = tensor(dtype=torch.float64, requires_grad=True)
    found = []
    for made in (reference, module, module):
        y = sum(block.values.sin().sum() for block in made(x))
        first = torch.autograd.grad(y, list(made.parameters()), create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), list(made.parameters()))
        found.append((*first, *second))
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], found[2])


def test_hooks_and_frozen_parameters_are_those_of_the_parameters(layer):
    _, module = layer
    module(tensor())
    seen = []
    weights(module)[2].register_hook(lambda gradient: seen.append(gradient.shape))
    sum(block.values.sum() for block in module(tensor())).backward()
    assert seen == [(2, 4)]
    module.requires_grad_(False)
    assert not any(block.values.requires_grad for block in module(tensor()))
    module.requires_grad_(True)
    assert all(block.values.requires_grad for block in module(tensor()))


def test_in_inference_mode_parameters_stay_ordinary(layer):
    reference, module = layer
    with torch.inference_mode():
        module(tensor())
    assert are_together(module)
    assert not any(parameter.is_inference() for parameter in module.parameters())
    sum(block.values.sum() for block in module(tensor())).backward()
    assert_like(module, reference, tensor())


@pytest.fixture
def turns():
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_a_parameter_is_moved_by_changing_its_storage_and_nothing_else():
    """Nobody who reads it meanwhile finds two things of which one has changed."""
    reference = nn.Linear(keys(), 4, 2)
    before = [(w.storage_offset(), w.untyped_storage().nbytes()) for w in weights(reference)]
    module = batched(reference)
    assert are_together(module)
    assert [(w.storage_offset(), w.untyped_storage().nbytes()) for w in weights(module)] == before


@pytest.mark.parametrize("make", [batched, lambda module: pickled(batched(module))])
def test_threads_may_call_a_module_for_the_first_time_together(layer, turns, make):
    reference, _ = layer
    x = tensor()
    expected = [block.values.clone() for block in reference(x)]
    for _ in range(20):
        module = make(copy.deepcopy(reference))
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(module, [x] * 8))
        for y in found:
            torch.testing.assert_close([block.values for block in y], expected)
        assert are_together(module)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_process_that_forks_while_a_module_is_prepared_leaves_the_child_free_to_do_so():
    module = pickled(batched(nn.Linear(keys(), 4, 2)))
    context = multiprocessing.get_context("fork")
    held = threading.Event()
    done = threading.Event()

    def hold():
        with implementation._lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = context.Process(target=module, args=(tensor(),))
    child.start()
    child.join(30)
    done.set()
    thread.join()
    found = child.exitcode
    child.kill()
    assert found == 0


def test_under_transforms_parameters_are_copied_where_they_are(layer):
    reference, module = layer
    x = tensor()
    parameters = dict(reference.named_parameters())

    def loss(made):
        def of(given):
            return sum(b.values.sin().sum() for b in torch.func.functional_call(made, given, (x,)))

        return of

    module(x)
    found = [torch.func.grad(loss(made))(parameters) for made in (reference, module)]
    torch.testing.assert_close(*found)

    def value(scale):
        blocks = [block_from_array(scale * block.values) for block in x]
        return module(TensorMap(x.keys, blocks)).block(0).values.sum()

    _, slope = torch.func.jvp(value, (torch.tensor(1.0),), (torch.tensor(1.0),))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(torch.tensor(1.0), torch.tensor(1.0))
        again = torch.autograd.forward_ad.unpack_dual(value(dual)).tangent
    torch.testing.assert_close(slope, again)
    assert slope != 0


def test_maps_of_fewer_keys_take_a_part_or_a_copy(layer):
    reference = nn.Linear(keys(2 * N), 4, 2)
    module = batched(reference)
    x = tensor(2 * N)
    module(x)
    for chosen in (range(N), range(3, 3 + N), range(0, 2 * N, 2), range(2 * N - 1, -1, -1)):
        part = TensorMap(
            Labels("k", torch.tensor([[i] for i in chosen])),
            [block_from_array(x.block(i).values) for i in chosen],
        )
        for _ in range(2):
            assert_like(module, reference, part)
        found = []
        for made in (reference, module):
            made.zero_grad()
            sum(block.values.square().sum() for block in made(part)).backward()
            found.append([p.grad for p in made.parameters()])
        for one, other in zip(*found, strict=True):
            assert (one is None) == (other is None)
            torch.testing.assert_close(one, other)
        assert are_together(module)


def test_maps_of_keys_that_come_and_go_are_run_as_one_from_the_second_time_on(monkeypatch):
    reference = nn.Linear(keys(3 * N), 4, 2)
    module = batched(reference)
    x = tensor(3 * N)

    def of(start):
        chosen = Labels("k", torch.arange(start, start + N)[:, None])
        return TensorMap(chosen, [block_from_array(x.block(start + i).values) for i in range(N)])

    monkeypatch.setattr(torch, "stack", None)
    made = []
    kinds = plan.Kinds.__init__
    monkeypatch.setattr(plan.Kinds, "__init__", lambda self, *given: made.append(kinds(self, *given)))
    for _ in range(4):
        for start in (0, 1, 2):
            assert_like(module, reference, of(start))
    assert len(made) == 3
    for start in range(2 * N):
        assert_like(module, reference, of(start))
    assert len(made) == 3


def test_what_cannot_be_brought_together_is_left():
    def parameters(*shapes, **options):
        return [torch.nn.Parameter(torch.ones(shape, **options)) for shape in shapes]

    def is_left(parameters):
        before = [None if p is None else p.data_ptr() for p in parameters]
        bring_together(parameters)
        return before == [None if p is None else p.data_ptr() for p in parameters]

    assert not is_left(parameters(3, 3))
    assert is_left(parameters(3, 4))
    assert is_left([*parameters(3), *parameters(3, dtype=torch.float64)])
    assert is_left([*parameters(3), torch.ones(3)])
    assert is_left([*parameters(3), None])
    assert is_left(parameters(3, 3, device="meta"))
    assert is_left([torch.nn.Parameter(torch.ones(3, 2).T) for _ in range(2)])
    with torch.inference_mode():
        inference = parameters(3, 3)
    assert is_left(inference)


@pytest.mark.parametrize("grad", [True, False])
def test_values_that_lie_beside_each_other_are_not_copied_where_autograd_is_off(grad):
    memory = torch.arange(24.0).reshape(6, 4)
    with torch.set_grad_enabled(grad):
        together = put_together(list(memory.split(2)))
        assert torch.equal(together, memory)
        assert (together.data_ptr() == memory.data_ptr()) == (not grad)
        for apart in (
            [memory[:2], memory[4:]],
            [memory[:2].clone(), memory[2:4]],
            [memory[:2, :2], memory[2:4, :2]],
            [memory[2:4], memory[:2]],
            [memory.T[:2], memory.T[2:4]],
        ):
            assert torch.equal(put_together(apart), torch.cat(apart))
            assert put_together(apart).data_ptr() != apart[0].data_ptr()


def test_it_says_what_it_is_for_none_some_and_other_parameters():
    modules = [torch.nn.Linear(2, 2) for _ in range(3)]
    beside = Beside(modules, "bias", lambda bias: bias)
    assert beside(torch.ones(1)).shape == (3, 2)
    with pytest.raises(RuntimeError, match="do not go with"):
        beside(torch.ones(1, dtype=torch.float64))
    modules[0].bias = None
    with pytest.raises(RuntimeError, match="only some"):
        beside(torch.ones(1))
    for module in modules:
        module.bias = None
    assert beside(torch.ones(1)) is None
