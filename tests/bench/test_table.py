"""The table and the plots of `tmref bench`."""

import pytest
import torch

from tmref.__main__ import BAD, GOOD, UNUSABLE, main
from tmref.bench import table
from tmref.bench.table import Measured
from tmref.bench.work import AGAIN, TORCH, Cell


@pytest.fixture(autouse=True)
def _threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def measured(blocks, samples):
    times = {TORCH: [1e-3] * 3, AGAIN: [1e-3] * 3, "reference": [2e-3] * 3, "batched": [5e-4] * 3}
    return Measured(Cell("linear", blocks, samples), times)


def test_ratios_and_throughput_are_those_of_the_times(capsys):
    table.show([measured(16, 10)], ["reference", "batched"])
    lines = capsys.readouterr().out.splitlines()
    first, second = (" ".join(line.split()) for line in lines[2:4])
    assert first == "linear, forward 16 10 reference 2.00 (2.00–2.00) 8.0 k 80 k 1.00 (1.00–1.00)"
    assert second == "batched 0.50 (0.50–0.50) 0.25 (0.25–0.25) 32 k 320 k"


def test_the_reference_is_timed_where_it_is_not_named():
    (found,) = table.measure([Cell("tanh", 1, 1)], ["batched"])
    assert list(found.times) == [TORCH, AGAIN, "batched", "reference"]
    assert found.ratio("batched", "reference") is not None


def test_what_can_not_be_timed_is_a_dash_with_the_reason(monkeypatch, capsys, tmp_path):
    from tmref.implementations.batched import Batched

    def build(self, recipe):
        raise ValueError("not today\nnor tomorrow")

    monkeypatch.setattr(Batched, "build", build)
    few = ["--rows", "tanh", "--blocks", "1", "--samples", "1", "--passes", "inference"]
    path = tmp_path / "plot.png"
    assert main(["bench", "reference", "batched", *few, "--plot", str(path)]) == BAD
    _, _, reference, batched, why = capsys.readouterr().out.splitlines()
    assert " ".join(reference.split()).startswith("tanh, inference 1 1 reference")
    assert batched.split() == ["batched", "-", "-", "-", "-"]
    assert why == "- batched, tanh, inference, 1 block × 1 sample: ValueError: not today"
    assert path.exists()


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.5, "0.5"), (9.96, "10"), (999, "999"), (999.6, "1.0 k"), (12345, "12 k"), (7.8e6, "7.8 M")],
)
def test_numbers_are_short(number, text):
    assert table._short(number) == text


def test_plots_have_a_panel_over_blocks_and_one_over_samples(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    saved = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, path, **kwargs: (drawn.append(self), saved(self, path, **kwargs))
    )
    path = tmp_path / "plot.png"
    cells = [measured(n, m) for n in (1, 16) for m in (1, 100)]
    table.plot(cells, ["reference", "batched"], path)
    assert path.read_bytes().startswith(b"\x89PNG")
    (figure,) = drawn
    left, right = figure.axes
    assert (left.get_xlabel(), right.get_xlabel()) == ("blocks", "samples")
    assert [line.get_label() for line in left.lines] == [TORCH, "reference", "batched"]
    assert list(left.lines[1].get_xdata()) == [1, 16]
    assert list(left.lines[1].get_ydata()) == [2000.0, 125.0]
    assert list(right.lines[1].get_ydata()) == [125.0, 125.0]


def test_the_command_shows_the_table_and_draws(tmp_path, capsys):
    path = tmp_path / "plot.png"
    few = ["--rows", "tanh", "--blocks", "1", "--samples", "1", "--passes", "inference"]
    assert main(["bench", "batched", *few, "--plot", str(path)]) == GOOD
    assert "tanh, inference" in capsys.readouterr().out
    assert path.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch"], "tmref bench: there is no implementation 'nosuch'"),
        (["reference", "--rows", "nosuch"], "tmref bench: there is no row 'nosuch'"),
        (["reference", "--blocks", "0"], "tmref bench: blocks must be at least 1, got 0"),
        (["reference", "--passes", "back"], "tmref bench: there is no mode 'back'"),
        (["reference", "--device", "nosuch"], "tmref bench: --device: the device 'nosuch'"),
    ],
)
def test_what_can_not_be_timed_is_refused_with_the_remedy(arguments, words, capsys):
    assert main(["bench", *arguments]) == UNUSABLE
    assert words in capsys.readouterr().err


def test_without_matplotlib_nothing_is_measured_in_vain(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert main(["bench", "reference", "--plot", "x.png"]) == UNUSABLE
    assert "pip install 'tmref[bench]'" in capsys.readouterr().err
