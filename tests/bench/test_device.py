"""Times and counts on a GPU, one that is made up: a queue beside the host, with a clock of its own."""

import contextlib
import time
import types
import warnings

import pytest
import torch

from tmref.bench import device, table
from tmref.bench.work import AGAIN, BACKWARD, TORCH, Cell, made_map, subjects
from tmref.implementations import load

HOST, DEVICE = 2e-6, 5e-6


class Queue:
    """A device that does what it is asked for one after the other, each kernel DEVICE seconds long; to
    ask for one takes the host HOST seconds, and nothing in a graph that is replayed."""

    def __init__(self):
        self.host = self.done = 0.0
        self.captures, self.mode = None, 0
        self.kernels = []
        self.streams, self.calls_on = ["usual"], []

    def launch(self, name="kernel", seconds=DEVICE):
        self.host += HOST
        self.kernels.append((name, seconds))
        self.calls_on.append(self.streams[-1])
        if self.captures is not None:
            self.captures.append(seconds)
        else:
            self.run(seconds)

    def run(self, seconds):
        self.done = max(self.done, self.host) + seconds

    def wait(self):
        if self.captures is not None:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.host = max(self.host, self.done)
        if self.mode:
            warnings.warn("called a synchronizing CUDA operation", stacklevel=2)

    # --- what torch.cuda has

    cache = 5000

    def device(self, given):
        return contextlib.nullcontext()

    def Stream(self):
        return types.SimpleNamespace(name="another", wait_stream=lambda other: None)

    def current_stream(self):
        return types.SimpleNamespace(name=self.streams[-1], wait_stream=lambda other: None)

    @contextlib.contextmanager
    def stream(self, stream):
        before = list(self.streams)
        self.streams.append(stream.name)
        try:
            yield
        finally:
            self.streams = before

    def get_device_properties(self, of):
        return types.SimpleNamespace(L2_cache_size=self.cache)

    def get_device_name(self, of):
        return "A made-up GPU"

    def synchronize(self):
        self.host = max(self.host, self.done)

    def get_sync_debug_mode(self):
        return self.mode

    def set_sync_debug_mode(self, mode):
        self.mode = {"default": 0, "warn": 1}.get(mode, mode)
        if self.mode:
            warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=2)

    def Event(self, enable_timing):
        queue = self

        class Event:
            def record(self):
                self.at = max(queue.done, queue.host)

            def elapsed_time(self, end):
                return 1e3 * (end.at - self.at)

        return Event()

    def CUDAGraph(self):
        graph = types.SimpleNamespace(seconds=[])
        graph.replay = lambda: self.run(sum(graph.seconds))
        return graph

    @contextlib.contextmanager
    def graph(self, graph):
        """As torch's: it captures on a stream of its own, and does not leave it where that fails."""
        self.streams.append("capturing")
        self.captures = graph.seconds
        try:
            yield
        except RuntimeError as error:
            raise RuntimeError("operation failed due to a previous error during capture") from error
        finally:
            self.captures = None
        self.streams.pop()


@pytest.fixture
def queue(monkeypatch):
    """The made-up device in the place of torch.cuda; the host's clock is its clock."""
    made = Queue()
    monkeypatch.setattr(torch, "cuda", made)
    monkeypatch.setattr(time, "perf_counter", lambda: made.host)

    def event(name, seconds, device):
        of = getattr(torch.autograd.DeviceType, device)
        took = types.SimpleNamespace(elapsed_us=lambda: 1e6 * seconds)
        is_region = name == "a region"
        return types.SimpleNamespace(
            name=name, device_type=of, is_user_annotation=is_region, time_range=took
        )

    @contextlib.contextmanager
    def profile(activities):
        before = len(made.kernels)
        on_host = event("aten::mm", 1.0, "CPU")
        yield types.SimpleNamespace(
            events=lambda: [on_host, *(event(*launched, "CUDA") for launched in made.kernels[before:])]
        )

    monkeypatch.setattr(torch.profiler, "profile", profile)
    return made


def test_the_host_and_the_device_are_timed_apart(queue):
    queue.run(1.0)  # what was asked for before is no part of it
    host, on_device = device.seconds(queue.launch, 100)
    assert host == pytest.approx(HOST)
    assert on_device == pytest.approx(DEVICE, rel=0.01)


def test_a_device_that_waits_for_the_host_does_not_in_a_graph(queue):
    def slow():
        queue.host += 1e-3
        queue.launch()

    host, on_device = device.seconds(slow, 10)
    assert host == pytest.approx(1e-3, rel=0.01)
    assert on_device == pytest.approx(1e-3, rel=0.01)
    assert device.seconds(device.captured(slow, 10))[1] / 10 == pytest.approx(DEVICE)


def test_kernels_are_counted_and_copies_are_not(queue):
    def work():
        for name in ("gemm", "add", "Memcpy HtoD (Pageable -> Device)", "Memset (Device)", "a region"):
            queue.launch(name)

    profile = device.profiled(work)
    assert profile.kernels == 2
    assert profile.busy == pytest.approx(4 * DEVICE)
    with pytest.raises(RuntimeError, match="recorded nothing of the device"):
        device.profiled(lambda: None)


def test_a_device_that_waits_for_the_host_is_not_busy(queue):
    def slow():
        queue.host += 1e-3
        queue.launch()

    assert device.profiled(slow).busy == pytest.approx(DEVICE)


def test_waits_are_counted_and_the_mode_is_put_back(queue):
    assert device.synchronizations(queue.launch) == 0

    def work():
        queue.wait()
        queue.wait()
        warnings.warn("something else", stacklevel=2)

    assert device.synchronizations(work) == 2
    with pytest.raises(ZeroDivisionError):
        device.synchronizations(lambda: 1 / 0)
    assert queue.mode == 0


def test_what_can_not_be_captured_raises_and_the_stream_is_left(queue):
    def work():
        queue.launch()
        queue.wait()

    with pytest.raises(RuntimeError, match="previous error during capture"):
        device.captured(work, 2)
    assert (queue.captures, queue.streams) == (None, ["usual"])


def test_before_it_is_captured_work_runs_on_another_stream(queue):
    device.captured(queue.launch, 2)
    assert queue.calls_on == ["another"] * device.WARM_UP + ["capturing"] * 2
    assert queue.streams == ["usual"]


@pytest.fixture
def made_up(queue, monkeypatch):
    """Subjects that launch a kernel for every block, but for one that waits; another waits, too, where
    torch doesn't say so."""

    def work(cell, names, on, *, copies=1):
        def launch():
            for _ in range(cell.blocks):
                queue.launch()

        def waits():
            queue.launch()
            queue.wait()

        def hides():
            queue.launch()
            if queue.captures is not None:
                queue.wait()

        return {TORCH: launch, AGAIN: launch, "reference": launch, "waits": waits, "hides": hides}

    monkeypatch.setattr(device, "subjects", work)
    # all of them have the rows of the catalog
    monkeypatch.setattr("tmref.bench.table.load", lambda name: load("reference"))


def test_what_waits_is_not_captured(made_up, queue, monkeypatch):
    captured, in_graphs = device.captured, []

    def noted(do, calls):
        in_graphs.append(calls)
        return captured(do, calls)

    monkeypatch.setattr(device, "captured", noted)
    found = device.measure_on_device(Cell("linear", 4, 2), ["reference", "waits", "hides"], "cuda")
    host, on_device = pytest.approx(4 * HOST), pytest.approx(4 * DEVICE, rel=0.02)
    assert found["reference"] == device.OnDevice(host, on_device, pytest.approx(4 * DEVICE), 0)
    waits = found["waits"]
    assert (waits.graph, waits.waits, waits.no_graph) == (None, 1, "the host waits in it")
    assert waits.host == pytest.approx(HOST + DEVICE, rel=0.01)
    hides = found["hides"]
    assert (hides.graph, hides.waits) == (None, 0)
    assert hides.no_graph == "RuntimeError: operation not permitted when stream is capturing"
    # a millisecond of the host, and all copies
    assert in_graphs == [125, 125, 125, 500]
    queue.cache = 10**9
    in_graphs.clear()
    device.measure_on_device(Cell("linear", 2000, 2), ["reference"], "cuda")
    assert in_graphs[0] == device.MOST_COPIES


def test_a_backward_is_not_captured(made_up):
    found = device.measure_on_device(Cell("linear", 4, 2, BACKWARD), ["reference"], "cuda")
    assert (found["reference"].graph, found["reference"].no_graph) == (None, "")


def test_the_table_has_them(made_up, monkeypatch, capsys):
    cell = Cell("linear", 4, 2)
    names = ["reference", "waits"]
    done = []

    def rounds(work, device):
        done.append("rounds")
        return dict.fromkeys(work, [1e-3] * 3)

    def profiles(cell, names, on):
        done.append("profiles")
        if len(done) == 4:
            raise RuntimeError("nobody may profile here\nbut root")
        return device.profiles(cell, (TORCH, AGAIN, *names), on)

    monkeypatch.setattr(
        table, "working", lambda cell, names, on: (dict.fromkeys((TORCH, AGAIN, *names)), {})
    )
    monkeypatch.setattr(table, "rounds", rounds)
    monkeypatch.setattr(table, "profiles", profiles)
    measured = table.measure([cell, cell], names, "cuda")
    assert done == ["rounds", "rounds", "profiles", "profiles"]
    table.show(measured, names, "cuda")
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "A made-up GPU" in lines[0]
    assert "linear, forward 4 2 plain torch 8 20 20 20 4 0" in lines
    assert "plain torch again 8 20 20 20 4 0" in lines
    assert "reference 8 20 20 20 4 0" in lines
    assert "waits 7 7 - 5 1 1" in lines
    assert "waits 7 7 - - - 1" in lines
    assert "- graph of waits, linear, forward, 4 blocks × 2 samples: the host waits in it" in lines
    why = "RuntimeError: nobody may profile here"
    assert lines[-1] == f"- kernels, linear, forward, 4 blocks × 2 samples: {why}"


@pytest.mark.parametrize(("samples", "copies"), [(1, 20), (10, 2), (1000, 1)])
def test_copies_have_twice_the_size_of_the_cache(queue, samples, copies):
    cell = Cell("linear", 4, samples)
    assert sum(block.values.nbytes for block in made_map(cell)) == 512 * samples
    assert device.copies_beyond_cache(cell, "cuda") == copies
    assert device.copies_beyond_cache(Cell("linear", 1, 1, features=1), "cuda") == device.MOST_COPIES


@pytest.mark.parametrize("name", [TORCH, "reference", "metatensor-torch"])
def test_inputs_are_copies_by_turns(name):
    work = subjects(Cell("tanh", 2, 3), [] if name == TORCH else [name], copies=3)[name]
    given = []

    class Spy(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func is torch.tanh:
                given.append(args[0].data_ptr())
            return func(*args, **(kwargs or {}))

    with Spy():
        for _ in range(6):
            work()
    turns = [tuple(given[i : i + 2]) for i in range(0, len(given), 2)]
    assert len(turns) == 6
    assert len(set(turns)) == 3
    assert turns[:3] == turns[3:]
