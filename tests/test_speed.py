"""The script of `make speed`: that it measures what it says, on a grid of one small cell."""

import functools

import pytest
import torch


@pytest.fixture
def speed(benchmark_script, monkeypatch):
    """The script, with few rounds; torch's number of threads is put back."""
    module = benchmark_script("speed")
    few = functools.partial(module.rounds, most=3, least=3, timing=1e-5)
    monkeypatch.setattr(module, "rounds", few)
    threads = torch.get_num_threads()
    yield module
    torch.set_num_threads(threads)


def test_the_grid_is_that_of_the_page_of_results(speed):
    grid = list(speed.sizes("Linear, forward", quick=False))
    assert len(set(grid)) == 5 * 4 * 2 * 2
    assert {size.blocks for size in speed.sizes("LayerNorm, forward", quick=False)} == {16, 64, 256}
    assert 1 < len(list(speed.sizes("Linear, forward", quick=True))) < len(grid)


@pytest.mark.parametrize("mode", ["forward", "inference", "forward + backward"])
@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("components", [(), (5,)])
def test_all_subjects_do_the_same_work(speed, kind, mode, components, monkeypatch):
    size, kind = speed.Size(2, 3, (4, 2), components), speed.KINDS[kind]
    made = speed.made_recipe(kind, size)
    plain = [speed.plain_module(twin) for twin in made.twins]
    width = 2 if any(layer.resizes for layer in kind.layers) else 4
    for module in plain:
        assert module(torch.ones(3, *components, 4)).shape == (3, *components, width)
    for name in speed.NAMES:
        module = speed.load(name).build(made)
        shapes = [
            sorted(tuple(p.shape) for p in m.parameters()) for m in (module, torch.nn.ModuleList(plain))
        ]
        assert shapes[0] == shapes[1]
    asked = []
    monkeypatch.setattr(speed, "in_mode", lambda *given: asked.append(given))
    work = speed.layers(kind, mode, size, list(speed.NAMES))
    assert list(work) == [speed.TORCH, speed.AGAIN, *speed.NAMES]
    expected, *others = [values(call(*inputs)) for _, call, inputs, values, _ in asked]
    assert len(others) == 1 + len(speed.NAMES)
    for values in others:
        torch.testing.assert_close(values, expected)
    assert {given[0] for given in asked} == {mode}
    monkeypatch.undo()
    for do in speed.layers(kind, mode, size, list(speed.NAMES)).values():
        do()


@pytest.mark.parametrize(
    ("line", "parameters"),
    [
        ("training, an epoch", 128 * 64 + 64 + 64 + 1),
        ("spherical expansion, an epoch", 18 * (4 * 4 + 4) + 9 * (4 + 1)),
    ],
)
def test_the_model_that_is_trained_is_the_same_for_all(line, parameters, speed, monkeypatch):
    found = []

    def loss_of_ones(model, loss, x):
        for parameter in model.parameters():
            torch.nn.init.ones_(parameter)
        torch.manual_seed(0)
        found.append((loss(model(x)).item(), sum(p.numel() for p in model.parameters())))

    monkeypatch.setattr(speed, "_epochs", loss_of_ones)
    (size,) = speed.sizes(line, quick=True)
    speed.LINES[line][0](size, list(speed.NAMES))
    assert len(found) == 2 + len(speed.NAMES)
    assert {count for _, count in found} == {parameters}
    assert [loss for loss, _ in found] == pytest.approx([found[0][0]] * len(found))


def test_training_makes_the_loss_smaller(speed):
    torch.manual_seed(0)
    model, x = torch.nn.Linear(3, 1), torch.randn(5, 3)
    before = model(x).square().sum().item()
    speed._epochs(model, lambda y: y.square().sum(), x)()
    assert model(x).square().sum().item() < before


def test_lines_of_labels_and_what_goes_by_them(speed):
    lines = [line for line in speed.LINES if line.startswith(("labels", "keys_to", "sum"))]
    assert len(lines) == 2 + len(speed.LABELS)
    for line in lines:
        sizes = list(speed.sizes(line, quick=False))
        assert sizes[:1] == list(speed.sizes(line, quick=True))[:1]
        for limit in speed.LINES[line][1]:
            assert any(map(limit.cells, sizes))
        work = speed.LINES[line][0](speed.Size(12, 10, (4, 4), ()), list(speed.NAMES))
        assert {speed.TORCH, speed.AGAIN, "reference", "metatensor-torch"} <= set(work)
        for do in work.values():
            do()


@pytest.mark.parametrize("name", ["reference", "metatensor-torch"])
def test_labels_are_found_in_part(speed, name):
    labels = speed.load(name).Labels
    values = torch.tensor([[0, 0, 0], [0, 1, 0], [1, 0, 0], [2, 0, 5]])
    done = {what: make(labels, values[:3], values[1:])() for what, make in speed.LABELS.items()}
    assert done["construction"].values.tolist() == values[:3].tolist()
    assert done["construction and a position"] == 1
    found = {what: positions.tolist() for what, positions in done.items() if what.startswith("select")}
    assert list(found.values()) == [[0, 1], [0, 1, 2], [0, 1, 2], [0, 1, 2]]
    assert [mapping.tolist() for mapping in done["union"][1:]] == [[0, 1, 2], [1, 2, 3]]
    assert [mapping.tolist() for mapping in done["intersection"][1:]] == [[-1, 0, 1], [0, 1, -1]]


def test_a_ratio_is_that_of_the_time_of_the_work(speed, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(speed.time, "process_time", lambda: clock[0])

    def busy(seconds):
        def work():
            clock[0] += seconds

        return work

    work = {speed.TORCH: busy(2.0), speed.AGAIN: busy(2.0), "reference": busy(8.0)}
    found = speed.ratios({**work, "metatensor-torch": busy(16.0)})
    assert found == {
        speed.AGAIN: [1.0] * 3,
        "reference": [4.0] * 3,
        "metatensor-torch": [8.0] * 3,
        speed.PEER: [2.0] * 3,
    }


def test_the_table_says_which_limits_are_missed(speed):
    small, large = speed.Size(1, 1, (32, 32), ()), speed.Size(16, 1, (32, 32), ())

    def cell(ours, peer):
        return {"reference": ours, speed.AGAIN: 1.0, speed.PEER: peer}

    table = speed.summary({"Linear, forward": {small: cell(1.5, 3.0), large: cell(1.05, 6.0)}})
    rows = dict(zip(table.columns[1]._cells, table.columns[3]._cells, strict=True))
    assert rows["reference / torch, one block"] == "1.50 !"
    assert rows["reference / torch, 2 blocks or more"] == "1.05"
    assert rows[f"{speed.PEER}, n = 1, 10"] == "4.50"


def test_limits_of_batched_are_for_many_equal_blocks(speed):
    goals = [limit for limit in speed.LINES["Linear, forward"][1] if limit.of == "batched"]
    assert [limit.most for limit in goals] == [0.25, 0.50]
    of = {n: speed.Size(16, n, (32, 32), ()) for n in (1, 10, 100)}
    assert [[goal.cells(size) for size in of.values()] for goal in goals] == [
        [True, True, False],
        [False, False, True],
    ]
    others = [speed.Size(4, 1, (32, 32), ()), speed.Size(16, 1, (32, 32), (5,))]
    assert not any(goal.cells(size) for goal in goals for size in others)


def test_unknown_lines_are_refused(speed, capsys):
    with pytest.raises(SystemExit):
        speed.main(["nonsense"])
    assert (
        "no line has all of ['nonsense'] in its name; there are Linear, forward"
        in capsys.readouterr().err
    )
