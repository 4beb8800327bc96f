"""The script of `make bench-compare`: its statistics on drawn numbers, and what its children time."""

import itertools
import json
import math
import shutil
import subprocess
import types

import numpy as np
import pytest
import torch

import tmref
from tmref import implementations
from tmref.bench import counts, timing, work

CELLS = [f"cell {i}" for i in range(17)]
SLOW, STILL = CELLS[:3], CELLS[3:]


@pytest.fixture
def script(benchmark_script, monkeypatch, tmp_path):
    """The script, which installs in a folder of its own."""
    module = benchmark_script("compare_commits")
    monkeypatch.setattr(module, "FOLDER", tmp_path / "compare")
    return module


@pytest.fixture
def child(benchmark_script, monkeypatch):
    """What a child runs, in this process; what it changes in tmref.nn is put back."""
    for module in (tmref.nn.Linear, tmref.nn.LayerNorm):
        monkeypatch.setattr(module, "__call__", module.__call__)
    return benchmark_script("measure_commit")


def drawn(script, seed, *, noise, slower=0.0, drift=0.0, children=6, outliers=0.02):
    """The groups that children of so much noise give, some of them outliers; SLOW cells are slower in B,
    and all cells become slower by ``drift`` from the first child to the last."""
    draw = np.random.default_rng(seed)
    turns = script.order(["B"], children)
    groups = {name: {cell: [] for cell in CELLS} for name in ("A", "A'", "B")}
    base = draw.uniform(0.0, 0.5, len(CELLS))
    for i, name in enumerate(turns):
        numbers = base + noise * draw.standard_normal(len(CELLS)) + drift * i / (len(turns) - 1)
        numbers += 0.5 * (draw.random(len(CELLS)) < outliers)
        for cell, number in zip(CELLS, numbers, strict=True):
            planted = math.log1p(slower) if name == "B" and cell in SLOW else 0.0
            groups[name][cell].append(float(number) + planted)
    return [groups[name] for name in ("A", "A'", "B")]


def verdicts(script, groups):
    return {cell: change.verdict for cell, change in script.changes(*groups).items()}


@pytest.mark.parametrize("drift", [0.0, 0.1, -0.1])
@pytest.mark.parametrize("noise", [0.02, 0.05, 0.1, 0.15])
def test_noise_is_not_called_a_change(script, noise, drift):
    alarms = 0
    for seed in range(200):
        alarms += any(verdicts(script, drawn(script, seed, noise=noise, drift=drift)).values())
    assert alarms <= 2


@pytest.mark.parametrize("drift", [0.0, 0.1, -0.1])
@pytest.mark.parametrize(
    ("noise", "children", "slower"), [(0.02, 6, 0.15), (0.05, 6, 0.25), (0.1, 18, 0.25), (0.15, 6, 0.9)]
)
def test_a_slow_down_is_found_in_its_cells(script, noise, children, slower, drift):
    found = others = 0
    for seed in range(100):
        groups = drawn(script, seed, noise=noise, slower=slower, drift=drift, children=children)
        of_cells = verdicts(script, groups)
        found += any(of_cells[cell] == "slower" for cell in SLOW)
        others += any(of_cells[cell] for cell in STILL)
    assert found >= 99
    assert others <= 2


def test_what_became_faster_is_called_so(script):
    found = verdicts(script, drawn(script, 0, noise=0.02, slower=-0.25))
    assert {cell for cell in CELLS if found[cell] == "faster"} == set(SLOW)
    assert not any(found[cell] for cell in STILL)


@pytest.mark.parametrize(("slower", "verdict"), [(0.07, ""), (0.09, "slower"), (-0.09, "faster")])
def test_without_noise_a_change_is_eight_percent(script, slower, verdict):
    found = script.changes(*drawn(script, 0, noise=0.0, slower=slower, outliers=0))
    for cell in SLOW:
        assert found[cell].change == pytest.approx(slower)
        assert found[cell].head / found[cell].base == pytest.approx(1 + slower)
        assert found[cell].threshold == script.LEAST
        assert found[cell].verdict == verdict
    assert all(found[cell].change == pytest.approx(0) for cell in STILL)


@pytest.mark.parametrize("heads", [["B"], ["B", "C", "D"]])
@pytest.mark.parametrize("children", [2, 6])
def test_a_steady_drift_cancels(script, heads, children):
    groups = {name: [] for name in ["A", "A'", *heads]}
    for i, name in enumerate(script.order(heads, children)):
        groups[name].append(0.1 * i)
    assert {len(numbers) for numbers in groups.values()} == {children}
    for head in heads:
        found = script.changes({"": groups["A"]}, {"": groups["A'"]}, {"": groups[head]})
        assert found[""].change == pytest.approx(0)


def test_more_noise_is_a_larger_threshold_and_more_children_a_smaller_one(script):
    def threshold(noise, children):
        groups = drawn(script, 0, noise=noise, children=children, outliers=0)
        (found,) = {change.threshold for change in script.changes(*groups).values()}
        return math.log1p(found)

    # four deviations, as the docstring has it
    for noise, children in ((0.1, 6), (0.2, 6), (0.2, 24)):
        sigma = 1.25 * noise * math.sqrt(1 / children + 1 / (2 * children))
        assert threshold(noise, children) == pytest.approx(4.1 * sigma, rel=0.15)


@pytest.mark.parametrize(
    ("by_time", "both", "verdict"),
    [
        (0.0, None, ("", "")),
        (0.0, (1000, 1000), ("", "")),
        (0.0, (1000, 1029), ("", "")),
        (0.0, (1000, 1031), ("slower", "instructions")),
        (0.0, (1000, 965), ("faster", "instructions")),
        (0.09, (1000, 1000), ("", "")),
        (0.16, (1000, 1000), ("", "")),
        (0.17, (1000, 1000), ("slower", "times")),
        (-0.17, (1000, 1000), ("faster", "times")),
        (0.09, (1000, 1050), ("slower", "times, instructions")),
        (0.09, None, ("slower", "times")),
        # work that takes more instructions in less time is what it is for a user
        (-0.09, (1000, 1050), ("faster", "times")),
        (0.09, (1000, 950), ("slower", "times")),
    ],
)
def test_instructions_say_so_where_times_do_not_and_bear_them_out(script, by_time, both, verdict):
    change = script.Change(1.0, 1.0 + by_time, by_time, 0.08, both)
    assert change.witnesses == verdict
    assert change.verdict == verdict[0]


FORWARD_1, FORWARD_10 = "linear, forward, n = 1", "linear, forward, n = 10"


@pytest.fixture
def fake(script, monkeypatch):
    """Children that find what the test says: ratios and operators of the head and of its batched, those
    of the base being 1, three and one; None for a cell that isn't there, by side. Where instructions
    are given, they are those of each child of the head, those of the base being 1000."""

    def set_up(ratio, operators=3, batched=1, missing=("", ""), instructions=()):
        asked, left = [], list(instructions)

        def measured(of_commit, cells, planted, count, seed=None):
            asked.append((of_commit, planted, count))
            head = of_commit == "head" or planted
            names = [script.label(cell) for cell in cells]
            if seed is not None:
                seeds.append(seed)
                found = {"instructions": {"reference": left.pop(0) if head else 1000}}
                return {name: None if (of_commit, name) == missing else found for name in names}
            found = {
                "log_ratio": math.log(ratio if head else 1.0),
                "planted": bool(planted and planted[1]),
            }
            if count:
                of_both = (
                    {"reference": operators, "batched": batched}
                    if head
                    else {"reference": 3, "batched": 1}
                )
                found["operators"] = {n: {"aten.addmm.default": more} for n, more in of_both.items()}
            return {name: None if (of_commit, name) == missing else found for name in names}

        seeds = []
        why = "" if instructions else "valgrind is not here"
        monkeypatch.setattr(script, "no_valgrind", lambda: why)
        monkeypatch.setattr(script, "commit", lambda name: name.lower())
        monkeypatch.setattr(script, "measured", measured)
        return asked

    return set_up


def test_the_exit_status_says_whether_something_got_worse(script, fake, capsys, tmp_path):
    for *head, status in (
        (1.0, 3, 1, 0),
        (0.5, 2, 1, 0),
        (1.3, 3, 1, 1),
        (1.0, 4, 1, 1),
        (1.0, 3, 16, 1),
    ):
        fake(*head)
        assert script.main(["base", "--only", "linear", "n = 1"]) == status
    asked = fake(1.3, 4)
    file = tmp_path / "numbers.json"
    words = ["base", "--only", "linear, forward, n = 1", "--children", "2", "--json", str(file)]
    assert script.main(words) == 1
    assert [of_commit for of_commit, _, _ in asked] == ["base", "head", "base", "base", "head", "base"]
    assert [count for _, _, count in asked] == [True, True, True, False, False, False]
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    words = "linear, forward, n = 10 1.00 1.30 +30.0% 8.0% slower (times)"
    assert words.split() in lines
    assert "no instructions are counted: valgrind is not here" in out
    assert "operators of reference, linear, forward, n = 10: +1 aten.addmm.default" in out
    assert "3 of 3 cells slower; more operators in 3, of the reference or of batched" in out
    numbers = json.loads(file.read_text())
    assert numbers["base"] == "base"
    assert numbers["head"] == "head"
    assert numbers["cells"][FORWARD_1]["verdict"] == "slower"
    assert numbers["operators"][f"reference, {FORWARD_1}"] == {"aten.addmm.default": 1}
    assert numbers["children"]["B"][FORWARD_1] == [pytest.approx(math.log(1.3))] * 2


def test_a_cell_has_the_least_count_of_its_children(script, fake, capsys):
    only = ["base", "--only", "linear, forward, n = 100", "--children", "2"]
    # it is counted once more where it changed
    for counted, status in (([1050, 1090], 1), ([1050, 1000], 0), ([1010], 0)):
        fake(1.0, instructions=counted)
        assert script.main(only) == status
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("linear")]
    assert lines[0].split()[-4:] == ["1,000", "+5.0%", "slower", "(instructions)"]
    assert [line.split()[-1] for line in lines[1:]] == ["+0.0%", "+1.0%"]
    # those that count are left out when asked for, and can't be had where there is no valgrind
    fake(1.0, instructions=[1050])
    assert script.main([*only, "--counting", "0"]) == 0
    assert "no instructions are counted: --counting 0" in capsys.readouterr().out
    fake(1.0)
    with pytest.raises(SystemExit) as refused:
        script.main([*only, "--counting", "1"])
    assert refused.value.code == 2
    assert "valgrind is not here; --counting 0 leaves them out" in capsys.readouterr().err


@pytest.mark.parametrize(("side", "status"), [("base", 0), ("head", 2)])
def test_cells_that_a_commit_does_not_have_are_named(script, fake, side, status, capsys, monkeypatch):
    """A head that lacks what there was isn't as fast."""
    fake(1.0, missing=(side, FORWARD_1))
    assert script.main(["base", "--only", "linear, forward, n = 1"]) == status
    out = capsys.readouterr().out
    assert f"the {side} has no {FORWARD_1}\n" in out
    assert "0 of 2 cells slower" in out
    monkeypatch.setattr(script, "CELLS", [("linear", script.FORWARD, 1)])
    with pytest.raises(SystemExit) as refused:
        script.main(["base"])
    assert refused.value.code == 2
    assert "no cell is there on both sides" in capsys.readouterr().err


def test_trials_count_what_is_found_and_false_alarms(script, fake, capsys):
    asked = fake(1.3, instructions=[1050] * 99)
    only = ["--only", "layer_norm", "n = 10", "--children", "2"]
    words = ["base", "--planted", "25", "50", "--row", "layer_norm", "--trials", "3"]
    assert script.main([*words, *only]) == 0
    out = capsys.readouterr().out
    assert (
        "25 % in layer_norm, forward: 1 of 1 cells slower (instructions +5.0% to +5.0%); forward + "
        "backward: 1 of 1 cells slower (instructions +5.0% to +5.0%); others: 0 of 0"
    ) in out
    assert "25 %, 3 times: found in forward 3, found in forward + backward 3, false alarms 0" in out
    assert "50 %, 3 times: found in forward 3, found in forward + backward 3, false alarms 0" in out
    assert {tuple(planted) for _, planted, _ in asked if planted} == {
        ("layer_norm", 25.0, 10),
        ("layer_norm", 50.0, 10),
    }


def test_what_is_found_where_nothing_is_planted_is_false(script, fake, capsys, monkeypatch):
    asked = fake(1.0)
    noise = itertools.cycle([0.0, 0.3, 0.0, 0.0, 0.3, 0.0])  # those of B in the order A B A' A' B A
    quiet = script.measured

    def noisy(*arguments):
        now = next(noise)
        return {
            name: {**found, "log_ratio": found["log_ratio"] + now}
            for name, found in quiet(*arguments).items()
        }

    monkeypatch.setattr(script, "measured", noisy)
    only = ["--only", "layer_norm", "n = 10", "--children", "2"]
    assert script.main(["base", "--planted", "0", "--trials", "2", *only]) == 0
    assert "0 %, 2 times: false alarms 2" in capsys.readouterr().out
    assert {planted for _, planted, _ in asked} == {None}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name the commit to compare with: BASE"),
        (["no-such-commit"], "'no-such-commit' is not a commit of"),
        (["HEAD", "--head", "HEAD:README.md"], "'HEAD:README.md' is not a commit of"),
        (
            ["HEAD", "--only", "nonsense"],
            "no cell has all of ['nonsense'] in its name; there are linear",
        ),
        (["HEAD", "--children", "0"], "--children and --trials must be at least 1"),
        (["HEAD", "--counting", "-1"], "--counting must not be negative"),
        (["--planted", "25", "--head", "HEAD"], "leave out --head"),
        (["HEAD", "--json", "nowhere/at.json"], "--json nowhere/at.json: there is no folder nowhere"),
    ],
)
def test_what_can_not_be_compared_is_refused(script, tiny, arguments, words, capsys):
    with pytest.raises(SystemExit) as refused:
        script.main(arguments)
    assert refused.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())


@pytest.fixture
def git(script, monkeypatch, tmp_path):
    """git in a new repository, which is the script's then."""
    root = tmp_path / "repository"
    root.mkdir()
    monkeypatch.setattr(script, "ROOT", root)

    def run(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True)

    run("init")
    return run


@pytest.fixture
def tiny(script, git):
    """A repository of one commit, with nothing to install."""
    (script.ROOT / "README.md").write_text("nothing")
    git("add", ".")
    git("commit", "-m", "nothing")


def test_of_what_pip_says_its_errors_are_shown(script):
    said = (
        "  error: package directory 'a' does not exist\n  [end of output]\n  note: This is an issue with"
    )
    assert script._why(said) == "error: package directory 'a' does not exist"
    assert script._why("no space left\n") == "no space left"


def test_a_commit_that_can_not_be_installed_is_refused_by_name(script, tiny, capsys):
    with pytest.raises(SystemExit) as refused:
        script.main(["HEAD"])
    assert refused.value.code == 2
    assert f"{script.commit('HEAD')} can't be installed by pip" in capsys.readouterr().err


def test_the_number_of_a_cell_is_the_median_over_rounds(child, monkeypatch):
    times = {work.TORCH: [1.0, 2.0, 1.0], "reference": [2.0, 4.0, 9.0]}
    monkeypatch.setattr(timing, "rounds", lambda of, most: times if set(of) == set(times) else None)
    found = child.measured([["a", "linear", 2, 1, work.FORWARD]], 3, None)
    assert found == {"a": {"log_ratio": pytest.approx(math.log(2.0)), "planted": False}}


def test_a_planted_slow_down_is_a_share_of_the_pass(child, monkeypatch):
    def cost(of):
        for do in of.values():
            do()
        # the pass takes twice as long as a thousand turns, and 5 % longer after busy work
        busy_now = turns.pop() if turns[-1] == child._TURNS else 0
        return (2.0, 1.0) if busy_now else (2.0 * (1.0 + 0.25 + 0.05), 2.0)

    def rounds(of, most, **_):
        if set(of) != {"do", "other"}:
            for do in of.values():
                do()
            return {name: [1.0] for name in of}
        return {name: [seconds] for name, seconds in zip(of, cost(of), strict=True)}

    turns = [0]
    monkeypatch.setattr(timing, "rounds", rounds)
    monkeypatch.setattr(counts, "instructions", lambda of: dict(zip(of, cost(of), strict=True)))
    monkeypatch.setattr(child, "busy", turns.append)
    cells = [
        ["short", "linear", 2, 1, work.FORWARD],
        ["long", "linear", 2, 100, work.FORWARD],
        ["other", "layer_norm", 2, 1, work.FORWARD],
        ["composed", "sequential_mlp", 2, 1, work.FORWARD],
    ]
    found = child.measured(cells, 3, ["linear", 25, 10])
    # first it is measured what that share comes to
    assert turns == [0, 500, 400]
    assert [label for label, cell in found.items() if cell["planted"]] == ["short"]


def test_a_planted_slow_down_leaves_what_is_composed_of_the_module(child, monkeypatch):
    monkeypatch.setattr(child, "busy", lambda turns: None)
    child.Planted("linear", 25, 10, {(work.FORWARD, 2, 1)}, 3)
    keys = tmref.Labels.range("key", 2)
    module = tmref.nn.Sequential(keys, tmref.nn.Linear(keys, 3, 3), tmref.nn.Tanh(keys))
    assert type(module.module_map.module_list[0]) is torch.nn.Sequential


def test_instructions_are_those_of_cells_with_the_slow_down(child, monkeypatch):
    slow = []
    monkeypatch.setattr(child, "busy", slow.append)

    def instructions(of):
        for do in of.values():
            do()
        return {name: 100 + len(slow) for name in of}

    monkeypatch.setattr(counts, "instructions", instructions)
    cells = [["a", "linear", 2, 1, work.FORWARD], ["b", "linear", 2, 100, work.FORWARD]]
    names = [work.TORCH, "reference"]
    assert child.instructions(cells, names, None) == {
        "a": {"instructions": {work.TORCH: 100, "reference": 100}},
        "b": {"instructions": {work.TORCH: 100, "reference": 100}},
    }
    assert not slow
    child.instructions(cells, names, ["linear", 25, 10])
    assert slow[-1] != child._TURNS
    assert len(slow) == 3


def test_operators_are_those_of_the_reference_and_of_batched(child, monkeypatch):
    cell = ["a", "linear", 16, 1, work.FORWARD]
    found = child.counted([cell])["a"]
    assert found["reference"]["aten.addmm.default"] == 16
    assert found["batched"]["aten.baddbmm.default"] == 1
    x = torch.ones(1)
    of_two = {work.TORCH: lambda: x + x, "reference": lambda: x * x}
    monkeypatch.setattr(work, "subjects", lambda cell, names: of_two)

    def load(name):
        if name == "batched":
            raise implementations.UnknownImplementation(name)
        return types.SimpleNamespace(name=name)

    monkeypatch.setattr(implementations, "load", load)  # as in a commit that is older than batched
    assert child.counted([cell]) == {"a": {"reference": {"aten.mul.Tensor": 1}}}


def test_a_head_that_lost_an_implementation_is_not_as_fast(script, fake, capsys, tmp_path, monkeypatch):
    """As where it can't be imported any more."""
    fake(1.0)
    measured = script.measured

    def without_batched(of_commit, *arguments):
        found = measured(of_commit, *arguments)
        for cell in found.values():
            cell.get("operators", {}).pop("batched" if of_commit == "head" else "", None)
        return found

    monkeypatch.setattr(script, "measured", without_batched)
    file = tmp_path / "numbers.json"
    assert script.main(["base", "--only", "linear, forward, n = 1", "--json", str(file)]) == 2
    assert "the head has no batched\n" in capsys.readouterr().out
    assert json.loads(file.read_text())["lost"] == ["batched"]
    fake(1.3)
    assert script.main(["base", "--only", "linear, forward, n = 1"]) == 1


def test_operators_of_what_only_one_side_has_are_not_compared(script):
    of_both = {"log_ratio": 0.0, "planted": False}
    base = {"a": {**of_both, "operators": {"reference": {"aten.mm.default": 1}}}}
    operators = {"reference": {"aten.mm.default": 2}, "batched": {"aten.bmm.default": 1}}
    head = {"a": {**of_both, "operators": operators}}
    found = script._comparison([base], [base], [head], {}, {})
    assert found.operators == {"reference, a": {"aten.mm.default": 1}}
    assert found.new == ["batched"]
    assert found.lost == []


@pytest.mark.slow
def test_both_commits_are_what_is_timed(script, git, repository, capsys):
    """The base is older than tmref.bench, and the head multiplies once more in every block."""
    root = script.ROOT
    for name in ("tmref", "strategies"):
        shutil.copytree(repository / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, root)
    config, bench = (root / "pyproject.toml").read_text(), root / "tmref" / "bench"
    (root / "pyproject.toml").write_text(config.replace('    "tmref.bench",\n', ""))
    bench.rename(root.parent / "bench")
    git("add", ".")
    git("commit", "-m", "base")
    source = root / "tmref" / "nn" / "module_map.py"
    text = source.read_text()
    assert "[module(block.values) for" in text
    source.write_text(text.replace("[module(block.values) for", "[module(block.values * 1) for"))
    git("commit", "-am", "head")
    shutil.copytree(repository / "tmref" / "bench", bench)
    only = ["--only", "linear, forward, n = 100", "--children", "1", "--counting", "0"]
    assert script.main(["HEAD~1", *only]) == 1
    out = capsys.readouterr().out
    assert "operators of reference, linear, forward, n = 100: +16 aten.mul.Tensor" in out
    assert "more operators in 1, of the reference or of batched" in out
    homes = {script.commit(name) for name in ("HEAD", "HEAD~1")}
    assert {path.name for path in script.FOLDER.iterdir()} == homes


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(bool(counts.no_valgrind()), reason=counts.no_valgrind())
def test_instructions_find_five_percent_and_nothing_in_the_same(script, repository, monkeypatch):
    monkeypatch.setattr(script, "installed", lambda of_commit: repository)
    cells = [("linear", mode, 10) for mode in (script.FORWARD, script.BACKWARD)]
    sides = {"A": None, "B": None, "5 %": ["linear", 5, 10], "10 %": ["linear", 10, 10]}
    found = script.instructions(
        {name: ("HEAD", planted) for name, planted in sides.items()}, cells, itertools.count(), 1
    )

    def verdict(side, cell):
        both = (found["A"][script.label(cell)], found[side][script.label(cell)])
        return script.Change(1.0, 1.0, 0.0, script.LEAST, both).verdict

    forward, backward = cells
    assert verdict("B", forward) == verdict("B", backward) == ""
    assert verdict("5 %", forward) == verdict("10 %", backward) == "slower"


@pytest.mark.slow
def test_another_tmref_than_the_installed_one_is_never_timed(script, tmp_path, monkeypatch):
    """In an empty folder there is none, and the one of this environment must not stand in for it."""
    monkeypatch.setattr(script, "installed", lambda of_commit: tmp_path)
    cells = [cell for cell in script.CELLS if script.label(cell) == FORWARD_1]
    with pytest.raises(script.Unusable, match=r"tmref.* must come from"):
        script.measured("HEAD", cells, None, False)


def test_the_folder_of_tmref_and_that_of_its_benchmarks_are_checked(child, repository, tmp_path):
    home, bench = repository, repository / "tmref" / "bench"
    child.check_origin(home, bench)
    for wrong in ((tmp_path, bench), (home, tmp_path)):
        with pytest.raises(ImportError, match=r"tmref.* must come from .*, but it comes from"):
            child.check_origin(*wrong)


def test_a_child_has_one_thread_and_times_the_rows_that_there_are(
    child, monkeypatch, capsys, repository
):
    threads = torch.get_num_threads()
    monkeypatch.setattr(child, "load_bench", lambda folder: None)

    def measured(cells, rounds, planted):
        return {label: {"log_ratio": torch.get_num_threads()} for label, *_ in cells}

    monkeypatch.setattr(child, "measured", measured)
    bench = str(repository / "tmref" / "bench")
    cells = [["a", "linear", 1, 1, work.FORWARD], ["b", "no_such_row", 1, 1, work.FORWARD]]
    todo = {"home": str(repository), "bench": bench, "cells": cells, "rounds": 1}
    try:
        torch.set_num_threads(2)
        child.main(json.dumps({**todo, "count": False, "planted": None}))
    finally:
        torch.set_num_threads(threads)
    assert json.loads(capsys.readouterr().out) == {"a": {"log_ratio": 1}, "b": None}
