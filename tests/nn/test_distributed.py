"""Modules in DistributedDataParallel: two processes, each with half of the samples."""

import inspect
import os
import subprocess
import sys

import pytest
import torch

from tmref import Labels, TensorBlock, TensorMap
from tmref.nn import LayerNorm, Linear, ModuleMap, Sequential, Tanh

KEYS = Labels(["k"], torch.tensor([[0], [1]]))
STEPS = 3

#: What each process runs, after the definitions of loss_of and Values.
CODE = """
import datetime, sys
import torch
import torch.distributed as dist

rank, folder, options = int(sys.argv[1]), sys.argv[2], eval(sys.argv[3])
torch.set_num_threads(1)
dist.init_process_group(
    "gloo",
    init_method=f"file://{folder}/init",
    rank=rank,
    world_size=2,
    timeout=datetime.timedelta(seconds=60),
)
torch.manual_seed(rank)
module, x = torch.load(f"{folder}/module.pt", weights_only=False), torch.load(f"{folder}/{rank}.pt")
if "find_unused_parameters" in options:
    module = Values(module)
# the parameters of the first process are those of all
if rank:
    with torch.no_grad():
        [p.normal_() for p in module.parameters()]
        [b.fill_(9) for b in module.buffers() if b.is_floating_point()]
ddp = torch.nn.parallel.DistributedDataParallel(module, **options)
optimizer = torch.optim.SGD(ddp.parameters(), lr=0.1)
outs = []
for _ in range(3):
    optimizer.zero_grad()
    out = ddp(x)
    loss_of(out).backward()
    gradients = {name: p.grad.clone() for name, p in module.named_parameters()}
    optimizer.step()
    outs.append(out)
torch.save((outs[-1], gradients, module.state_dict()), f"{folder}/{rank}.out")
dist.destroy_process_group()
"""


def loss_of(x):
    """A mean, so that the mean of that of halves is that of the whole."""
    values = [v if isinstance(v, torch.Tensor) else v.values for v in x]
    return sum(v.pow(2).mean() for v in values)


class Values(torch.nn.Module):
    """What a module returns as a list of tensors.

    For find_unused_parameters DDP looks for tensors in what the forward returns: in lists, tuples,
    dictionaries and dataclasses, but not in pytrees.
    """

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return [block.values for block in self.module(x)]


def _map(samples):
    """Samples of one and the same data set."""
    blocks = []
    for seed in range(len(KEYS)):
        values = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        labels = Labels("system", torch.tensor(samples).reshape(-1, 1))
        blocks.append(TensorBlock(values[samples], labels, [], Labels.range("n", 4)))
    return TensorMap(KEYS, blocks)


def _with_batch_norm():
    modules = [torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4)) for _ in KEYS]
    return ModuleMap(KEYS, modules, [Labels.range("p", 4)] * 2).double()


def _sequential():
    layers = Linear(KEYS, 4, 5), Tanh(KEYS), LayerNorm(KEYS, 5), Linear(KEYS, 5, 2)
    return Sequential(KEYS, *layers).double()


@pytest.fixture
def in_two_processes(tmp_path, repository):
    """What two processes make of a module and halves of a map: outputs, gradients, state dicts."""

    code = "\n".join(["import torch", inspect.getsource(loss_of), inspect.getsource(Values), CODE])

    def run(module, halves, options):
        torch.save(module, tmp_path / "module.pt")
        for rank, half in enumerate(halves):
            torch.save(half, tmp_path / f"{rank}.pt")
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(rank), str(tmp_path), repr(options)],
                cwd=repository,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
            )
            for rank in range(2)
        ]
        try:
            errors = [process.communicate(timeout=120)[1] for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)
        return [torch.load(tmp_path / f"{rank}.out", weights_only=False) for rank in range(2)]

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"static_graph": True}],
    ids=["default", "static_graph"],
)
def test_gradients_are_those_of_the_whole_batch(options, in_two_processes):
    torch.manual_seed(0)
    module = _sequential()
    halves = [_map([0, 1, 2, 3]), _map([4, 5, 6, 7])]
    found = in_two_processes(module, halves, options)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(STEPS):
        optimizer.zero_grad()
        whole = module(_map(list(range(8))))
        loss_of(whole).backward()
        optimizer.step()
    for rank, (out, gradients, state) in enumerate(found):
        assert type(out) is TensorMap
        for block, half, all_of_it in zip(out, halves[rank], whole, strict=True):
            assert block.samples == half.samples
            rows = slice(4 * rank, 4 * rank + 4)
            torch.testing.assert_close(block.values, all_of_it.values[rows], rtol=1e-10, atol=1e-12)
        for name, p in module.named_parameters():
            torch.testing.assert_close(gradients[name], p.grad, rtol=1e-10, atol=1e-12)
            torch.testing.assert_close(state[name], p.detach(), rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_buffers_are_those_of_the_first_process(in_two_processes):
    torch.manual_seed(0)
    module = _with_batch_norm()
    halves = [_map([0, 1, 2, 3]), _map([4, 5, 6, 7])]
    (_, first, state), (_, second, other) = in_two_processes(module, halves, {})
    assert all(torch.equal(first[name], second[name]) for name in first)
    # before every forward those of the first are sent; then each sees its own half
    twin = _with_batch_norm()
    twin.load_state_dict(module.state_dict())
    for name, p in twin.named_parameters():
        assert torch.equal(state[name], other[name])
        assert not torch.equal(state[name], p)
    name = "module_list.1.1.running_mean"
    assert abs(float(other[name].mean())) < 1, "it was 9 before the first forward"
    assert int(state["module_list.0.1.num_batches_tracked"]) == STEPS
    twin.load_state_dict(other)
    assert twin.in_keys == KEYS
    assert twin.out_properties == [Labels.range("p", 4)] * 2


@pytest.mark.slow
def test_a_module_that_one_process_does_not_use(in_two_processes):
    torch.manual_seed(0)
    module = Linear(KEYS, 4, 2, dtype=torch.float64)
    whole = _map([0, 1, 2, 3])
    some = TensorMap(Labels("k", torch.tensor([[1]])), [_map([4, 5, 6, 7])[1].copy()])
    found = in_two_processes(module, [whole, some], {"find_unused_parameters": True})
    (out, gradients, _), (other, others, _) = found
    assert (len(out), len(other)) == (2, 1)
    assert all(torch.equal(gradients[name], others[name]) for name in gradients)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(STEPS):
        optimizer.zero_grad()
        ((loss_of(module(whole)) + loss_of(module(some))) / 2).backward()
        optimizer.step()
    for name, p in module.named_parameters():
        torch.testing.assert_close(gradients[f"module.{name}"], p.grad, rtol=1e-10, atol=1e-12)
