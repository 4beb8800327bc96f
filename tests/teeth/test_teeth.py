"""The mutation harness: its operators, its sample, its copies, and that it notices what is planted."""

import ast
import io
import json
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch
from rich.console import Console
from teeth import children, command, copies, operators, results, sample, trials

import tmref
from tmref.catalog import row
from tmref.implementations import load
from tmref.implementations.reference import implementation as reference
from tmref.laws import LAWS
from tmref.laws.checks import Case

LAW = {law.name: law for law in LAWS}


def after(source, operator):
    """What the operator makes of the source: the statements that it changes, on one line each."""
    return [change.after for change in operators.changes(source) if change.operator == operator]


@pytest.mark.parametrize(
    ("operator", "source", "expected"),
    [
        ("comparison replaced", "x = a == b", ["x = a != b"]),
        ("comparison replaced", "x = a < b <= c", ["x = a >= b <= c", "x = a < b > c"]),
        ("comparison replaced", "x = a is not b", ["x = a is b"]),
        ("comparison replaced", "x = a not in b", ["x = a in b"]),
        ("boundary moved", "x = a < b", ["x = a <= b"]),
        ("boundary moved", "x = a >= b", ["x = a > b"]),
        ("boundary moved", "x = a == b", []),
        ("arithmetic replaced", "x = a + b", ["x = a - b"]),
        ("arithmetic replaced", "x = a * -b", ["x = a / -b", "x = a * b"]),
        ("arithmetic replaced", "x /= a", ["x *= a"]),
        ("constant changed", "x = True, 1, 1e-5, 'a'", 4),
        ("constant changed", "x = 1e-5", ["x = 0.0001"]),
        ("constant changed", "x = 'a'", ["x = 'a_'"]),
        ("constant changed", "x = None", []),
        ("default changed", "def f(a=None, *, b=True): 0", 2),
        ("default changed", "def f(a=None): 0", ["def f(a=False):"]),
        ("default changed", "f = lambda a=1: a", ["f = lambda a=2: a"]),
        ("boolean replaced", "x = a and b", ["x = a or b", "x = b", "x = a"]),
        ("boolean replaced", "x = not a", ["x = a"]),
        ("condition forced", "if a:\n  b()\nelse:\n  c()", ["if True:", "if False:"]),
        ("condition forced", "x = a if b else c", ["x = a", "x = c"]),
        ("condition forced", "x = [a for a in b if a]", 2),
        ("condition forced", "while a:\n  b()", ["while False:"]),
        ("statement dropped", "f(x)", ["pass"]),
        ("statement dropped", "x += 1", ["pass"]),
        ("statement dropped", "x = 1", []),
        ("statement dropped", "self.x = 1", ["pass"]),
        ("statement dropped", "def f(x):\n  x = 1\n  y = 2\n  return x", ["pass"]),
        ("statement dropped", "def f(x):\n  if x:\n    return 1\n  return 2", ["pass"]),
        ("statement dropped", "def f(x):\n  raise ValueError(x)", ["pass"]),
        ("argument dropped", "f(a, b, c=d)", ["f(a, c=d)", "f(a, b)"]),
        ("argument dropped", "f(a)", []),
        ("argument dropped", "torch.nn.ReLU(a)", ["torch.nn.ReLU()"]),
        ("argument dropped", "isinstance(a, b)", []),
        ("argument dropped", "getattr(a, b, c)", ["getattr(a, b)"]),
        ("return replaced", "def f(self, a, b):\n  return b", ["return a"]),
        ("return replaced", "def f(self):\n  return self.a", ["return None"]),
        ("copy dropped", "x = copy.deepcopy(a)", ["x = a"]),
        ("copy dropped", "x = a.clone()", ["x = a"]),
        ("copy dropped", "x = list(a)", ["x = a"]),
        ("copy dropped", "x = a.copy(b, c)", []),
        ("axis changed", "x = a.sum(dim=0)", ["x = a.sum(dim=1)"]),
        ("axis changed", "x = a.sum(axis=-1)", ["x = a.sum(axis=0)"]),
        ("axis changed", "x = a.sum(dim=axes)", []),
    ],
)
def test_an_operator_changes_this(operator, source, expected):
    found = after(source, operator)
    assert (len(found) if isinstance(expected, int) else found) == expected


def test_every_operator_is_tested():
    (mark,) = test_an_operator_changes_this.pytestmark
    assert {operator for operator, *_ in mark.args[1]} == set(operators.OPERATORS)


@pytest.mark.parametrize(
    "source",
    [
        '"""Some text."""',
        "def f():\n  'one'",
        "def f(a: 1) -> 2: pass",
        "x: 'int'",
        "class C:\n  x: Literal[1]",
        "def __repr__(self):\n  return 1 + 1",
        "def extra_repr(self):\n  return f'{1 + 1}'",
        "if TYPE_CHECKING:\n  f()",
        "import a, b",
        "@f(1, x=2)\ndef g(): pass",
        "x = 'it must be one'",
        "x = f'{a + 1} and one'",
    ],
)
def test_what_changes_no_result_is_left_alone(source):
    assert list(operators.changes(source)) == []


@pytest.mark.parametrize(
    "source",
    [
        "raise ValueError(f'{a + 1} is{b}')",
        "def f(a):\n  if a:\n    raise ValueError(_words(a))\ndef _words(a):\n  return str(a + 1)",
        "def f(a):\n  what = a + 1 if a else 2\n  if a:\n    raise ValueError(what)",
        "assert a, f(1 + 1)",
        "def f(a, name):\n  if a:\n    raise ValueError(name)\nf(a, 'b')\nf(a, name='c')",
        "def f(a, name):\n  if a:\n    raise ValueError(name)\n  f(a, name + 'b')",
    ],
)
def test_what_errors_say_is_left_alone(source):
    changes = {(change.operator, change.after) for change in operators.changes(source)}
    changes = {(name, text) for name, text in changes if name != "argument dropped"}
    assert changes <= {
        ("statement dropped", "pass"),
        ("condition forced", "if True:"),
        ("condition forced", "if False:"),
    }


def test_a_word_that_is_said_and_used_is_changed():
    source = "def f(a):\n  what = a + 1\n  if what:\n    raise ValueError(what)"
    assert after(source, "arithmetic replaced") == ["what = a - 1"]


def test_a_change_leaves_the_rest_of_the_source_as_it_is():
    source = "def f(a):\n    b = a + 1\n    return b * 2\n"
    for change in operators.changes(source):
        tree = operators.replaced(ast.parse(source), change.path, change.replacement)
        lines = ast.unparse(ast.fix_missing_locations(tree)).splitlines()
        assert sum(a != b for a, b in zip(lines, source.splitlines(), strict=True)) == 1


def test_instrumented_code_says_which_statements_were_reached():
    source = 'def f(a):\n    """Text."""\n    if a:\n        return 1\n    return 2\n'
    seen = []
    names = {"__reached__": seen.append}
    exec(operators.instrumented(source, "source", 100), names)
    assert (names["f"](True), names["f"].__doc__, seen) == (1, "Text.", [101, 102, 104])
    assert [type(s).__name__ for s in operators.statements(ast.parse(source))] == [
        "FunctionDef",
        "Expr",
        "If",
        "Return",
        "Return",
    ]
    (change,) = [c for c in operators.changes(source) if c.before == "return 2" and "3" in c.after]
    assert (change.line, change.reached) == (5, 3)


@pytest.fixture(scope="session")
def drawn():
    """The sample of the reference."""
    return sample.draw("tmref")


def test_the_sample_is_the_same_whenever_it_is_drawn(drawn):
    again = sample.draw("tmref")
    assert [m.id for m in again.mutants] == [m.id for m in drawn.mutants]
    assert len({m.id for m in drawn.mutants}) == len(drawn.mutants) >= 200


def test_the_sample_has_enough_of_every_file(drawn):
    files = {path.name for path in copies.files("tmref").values()} - {"__init__.py"}
    assert set(drawn.all_of) == files
    for file in files:
        number = sum(mutant.file == file for mutant in drawn.mutants)
        assert number == sample.PER_FILE or drawn.all_of[file] < sample.PER_FILE + 10


def test_another_seed_draws_others(drawn):
    other = sample.draw("tmref", seed=1)
    assert {m.id for m in other.mutants} != {m.id for m in drawn.mutants}


def test_ids_stay_where_something_else_is_edited(tmp_path):
    source = "def f(a):\n    return a + 1\n"
    edited = "def g(b):\n    return b\n\n\n" + source

    def ids(text):
        return {m.id for m in sample.of_source(text, "nn.a", tmp_path / "a.py")}

    assert ids(source) < ids(edited)
    assert ids(source) == {m.id for m in sample.of_source(source, "nn.a", tmp_path / "other" / "a.py")}


def test_mutants_that_do_the_same_are_tried_once(tmp_path):
    source = "def f(a):\n    return a if a else a\n"
    found = sample.of_source(source, "nn.a", tmp_path / "a.py")
    picked = sample.pick(found, source)
    assert len(found) > len(picked) > 0
    assert len({operators.meaning(m.code()) for m in picked}) == len(picked)


def test_a_long_statement_is_cut_around_the_change():
    before = f"x = [{', '.join(map(str, range(100)))}]"
    after = before.replace(" 50,", " 51,", 1)
    assert sample.shown(before, after).count("...") == 4
    assert "50, 51" in sample.shown(before, after).partition("->")[0]
    assert sample.shown("a", "b") == "a  ->  b"


def test_a_copy_has_an_nn_of_its_own_and_everything_else_in_common():
    with copies.loaded("tmref", "a_copy", copies.codes_of("tmref")) as nn:
        assert nn.Linear is not tmref.nn.Linear
        assert nn.Linear.__module__ == "a_copy.nn.linear"
        assert sys.modules["a_copy.nn.module_map"].TensorMap is tmref.TensorMap
        assert set(nn.__all__) == set(tmref.nn.__all__)
        assert tmref.nn.Linear.__module__ == "tmref.nn.linear"
        changed = copies.with_nn(reference, nn)
    assert (changed.nn, changed.name, changed.known) == (nn, reference.name, reference.known)
    assert reference.nn is tmref.nn
    assert "a_copy" not in sys.modules


def test_a_copy_may_be_of_changed_code():
    source = copies.files("tmref")["nn.activations"].read_text(encoding="utf-8")
    code = compile(source.replace("torch.nn.Tanh()", "torch.nn.Sigmoid()"), "changed", "exec")
    codes = {**copies.codes_of("tmref"), "nn.activations": code}
    with copies.loaded("tmref", "a_copy", codes) as nn:
        module = nn.Tanh(tmref.Labels.single())
        assert isinstance(module.module_map.module_list[0], torch.nn.Sigmoid)


def test_one_process_may_have_copies_of_both_packages():
    path, modules = list(sys.meta_path), set(sys.modules)
    try:
        for name, package in copies.PACKAGES.items():
            bench = trials.Bench(load(name), package, [])
            for copied in (bench.unchanged, bench.instrumented):
                source = copied.nn.Linear.__init__.__code__.co_filename
                assert Path(source).parent == copies.files(package)["nn"].parent, name
    finally:
        sys.meta_path[:] = path
        for module in set(sys.modules) - modules:
            if module.startswith("teeth_"):
                del sys.modules[module]


# What hangs is ended soon; the laws are two that take few milliseconds, and differentiate nothing:
# torch doesn't in a child of a process that has.
CASES = [
    Case(reference, LAW[name], row(of), 20)
    for name in ("values_are_those_of_plain_torch", "keys_survive_in_order")
    for of in ("tanh", "linear")
]


@pytest.fixture(scope="module")
def bench():
    """The reference on few cases."""
    yield trials.Bench(reference, "tmref", CASES)
    for name in [name for name in sys.modules if name.partition(".")[0].startswith("teeth_")]:
        del sys.modules[name]
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, copies._Finder)]


@pytest.fixture(scope="module")
def baseline(bench):
    """The trials of the unchanged source."""
    found = list(bench.baseline(list(bench.cases), 2))
    assert [differs for _, differs in found if differs] == []
    return [command._trial(line) for line, _ in found]


@pytest.fixture
def planted():
    """A mutant that has ``new`` in place of ``old`` in the file of a module."""

    def build(module, old, new):
        path = copies.files("tmref")[module]
        source = path.read_text(encoding="utf-8")
        assert old in source
        name = f"{old} -> {new}"
        return sample.Mutant(
            name,
            module,
            path.name,
            1,
            "planted",
            name,
            None,
            lambda: compile(source.replace(old, new), str(path), "exec", dont_inherit=True),
        )

    return build


def test_an_unchanged_copy_passes(baseline):
    assert [(trial.name, trial.verdict) for trial in baseline] == [
        (f"{case.law.name} ({case.row.name})", ["pass", False]) for case in CASES
    ]
    assert all(trial.reached for trial in baseline)


@pytest.mark.parametrize(
    ("change", "how", "by"),
    [
        (
            ("nn.activations", "torch.nn.Tanh()", "torch.nn.Sigmoid()"),
            "broken law",
            ["values_are_those_of_plain_torch", "tanh"],
        ),
        (("nn.activations", "torch.nn.Tanh()", "torch.nn.Tan()"), "exception on valid input", None),
        (("nn.activations", '"""y = tanh(x)', '"""y = tan(x)'), "survived", None),
        (("nn.activations", "import copy", "import copied_not"), "import failure", None),
        (
            ("nn.activations", "super().__init__(torch.nn.Tanh(),", "os.abort()\n        ("),
            "exception on valid input",
            None,
        ),
        (
            (
                "nn.activations",
                "super().__init__(torch.nn.Tanh(),",
                "__import__('os').abort()\n        (",
            ),
            "crash",
            None,
        ),
        (
            ("nn.activations", "super().__init__(torch.nn.Tanh(),", "raise SystemExit\n        ("),
            "exception on valid input",
            None,
        ),
        (
            ("nn.activations", "super().__init__(torch.nn.Tanh(),", "while True: pass\n        ("),
            "time-out",
            None,
        ),
    ],
    ids=["broken", "exception", "equivalent", "import", "name", "crash", "exit", "hang"],
)
def test_what_is_planted_is_noticed(change, how, by, bench, baseline, planted, monkeypatch):
    monkeypatch.setattr(trials, "SECONDS", 1 if how == "time-out" else 60)
    monkeypatch.setattr(trials, "TIMES", 1)
    *first, found = bench.run([planted(*change)], baseline, frozenset(), 1)
    assert [line["how"] for line in first] == [trials.LEFT] * (2 if how == "survived" else 0)
    assert found["how"] == how, found
    assert found["by"] == by or by is None
    assert found["file"] == "activations.py"


def test_only_cases_that_reach_a_change_are_tried(bench, baseline, drawn):
    (mutant, *_) = [m for m in drawn.mutants if m.diff.startswith("super().__init__(torch.nn.Tanh(), i")]
    for stage in trials.STAGES:
        plan = bench.plan(mutant, baseline, trials.Counter(), stage)
        assert {trial.row for trial, _ in plan} == {"tanh"}
        assert {share for _, share in plan} == {stage.share}


@pytest.mark.parametrize("stage", trials.STAGES, ids=str)
def test_what_noticed_mutants_of_the_file_comes_first(stage, bench, baseline, planted):
    mutant = planted("nn.activations", "torch.nn.Tanh()", "torch.nn.Tan()")
    last = max(baseline, key=lambda trial: trial.seconds)
    kills = trials.Counter({("activations.py", last.law, last.row): 1})
    assert bench.plan(mutant, baseline, kills, stage)[0][0] is last


def test_a_child_is_limited():
    started = time.perf_counter()

    def hang(say):
        say("begun")
        children.limit(0.1)
        time.sleep(60)

    def fail(say):
        raise ValueError("so")

    done = {d.key: d for d in children.in_children([("hang", hang), ("fail", fail)], 2)}
    assert done["hang"].said == ["begun"]
    assert done["hang"].signal == children.signal.SIGALRM
    assert "ValueError: so" in done["fail"].said[0]["failed"]
    assert time.perf_counter() - started < 30


def line(identity, how, **others):
    """A line of results."""
    return {
        "id": identity,
        "file": "a.py",
        "line": 1,
        "operator": "o",
        "diff": "d",
        "how": how,
        **others,
    }


def opened(path, header, **options):
    """The results in a file, which nobody else may write for a while."""
    return closing(results.Results(path, header, **options))


def test_results_are_resumed(tmp_path):
    path = tmp_path / "build" / "a.jsonl"
    with opened(path, {"laws": "1"}) as first:
        first.add("trial", {"law": "l"})
        first.add("mutant", line("1", "survived"))
        first.add("mutant", line("2", "broken law"))
    path.write_text(path.read_text(encoding="utf-8") + '{"mutant": {"id"', encoding="utf-8")
    with opened(path, {"laws": "1"}) as second:
        assert (second.trials, set(second.mutants)) == ([{"law": "l"}], {"1", "2"})
        second.add("mutant", line("3", "survived"))
    with opened(path, {"laws": "1"}) as third:
        assert set(third.mutants) == {"1", "2", "3"}


def test_other_laws_make_all_results_invalid_or_those_that_were_not_noticed(tmp_path):
    path = tmp_path / "a.jsonl"
    with opened(path, {"laws": "1"}) as first:
        first.add("trial", {"law": "l"})
        first.add("mutant", line("1", "survived"))
        first.add("mutant", line("2", "broken law"))
    with opened(path, {"laws": "2"}, keep=True) as kept:
        assert (kept.trials, set(kept.mutants)) == ([], {"2"})
    with opened(path, {"laws": "3"}) as new:
        assert new.mutants == {}


def test_two_processes_do_not_write_one_file(tmp_path):
    with (
        opened(tmp_path / "a.jsonl", {}),
        pytest.raises(SystemExit, match="is being written by another process"),
    ):
        results.Results(tmp_path / "a.jsonl", {})


def test_the_fingerprint_changes_with_the_sources(repository, tmp_path):
    (tmp_path / "a.py").write_text("1")
    before = results.fingerprint(repository, [tmp_path / "a.py"], {"effort": 1})
    (tmp_path / "a.py").write_text("2")
    after = results.fingerprint(repository, [tmp_path / "a.py"], {"effort": 1})
    assert {key for key in before if before[key] != after[key]} == {"sources"}
    assert before["laws"] != before["teeth"]


MUTANTS = [
    line("1", "broken law"),
    line("2", "exception on valid input"),
    line("3", "time-out"),
    line("4", "import failure"),
    line("5", "survived"),
    line("6", "survived"),
    line("7", "survived"),
]


def test_the_summary_counts_and_lists():
    judged = {
        "5": {"verdict": "equivalent", "reason": "the same"},
        "6": {"verdict": "missed", "input": "nn.Linear(1)"},
        "1": {"verdict": "missed", "input": "x"},
        "8": {"verdict": "equivalent", "reason": "why not"},
    }
    found = results.Summary(MUTANTS, judged, {str(i) for i in range(1, 8)})
    assert found.rate == 3 / 5
    assert [m["id"] for m in found.unjudged] == ["7"]
    assert (found.gone, found.noticed_now, found.good) == (["8"], ["1"], False)
    console = Console(file=io.StringIO(), width=200)
    found.print(console, "reference", {"a.py": 12})
    text = console.file.getvalue()
    assert "60.0% of the mutants are noticed; 1 unjudged" in text
    assert "nn.Linear(1)" in text
    assert "judged, but gone: 8 equivalent" in text


def test_all_is_well_where_enough_is_noticed_and_the_rest_judged():
    mutants = [*(line(str(i), "broken law") for i in range(19)), line("19", "survived")]
    unjudged = results.Summary(mutants, {}, set())
    assert (unjudged.rate, unjudged.good) == (0.95, False)
    judged = {"19": {"verdict": "missed", "input": "x"}}
    assert results.Summary(mutants, judged, set()).good
    assert not results.Summary(mutants[1:], judged, set()).good


@pytest.mark.parametrize(
    ("entry", "good"),
    [
        ({"verdict": "equivalent", "reason": "r"}, True),
        ({"verdict": "missed", "input": "i"}, True),
        ({"verdict": "equivalent"}, False),
        ({"verdict": "missed", "reason": "r"}, False),
        ({"verdict": "fine", "reason": "r"}, False),
    ],
)
def test_a_judgement_needs_its_reason_or_its_input(entry, good, tmp_path):
    path = tmp_path / "judged.json"
    path.write_text(json.dumps({"reference": {"1": entry}}), encoding="utf-8")
    assert results.judgements("metatensor-learn", path) == {}
    if good:
        assert results.judgements("reference", path) == {"1": entry}
    else:
        with pytest.raises(ValueError, match="must be equivalent with a reason or missed with an input"):
            results.judgements("reference", path)


def test_what_is_judged_is_well_written():
    for name in copies.PACKAGES:
        results.judgements(name)


@pytest.fixture
def one_thread():
    """The command sets the number of torch's threads: afterwards it is what it was."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_the_command_lists_the_sample(capsys, drawn, one_thread):
    assert command.main(["reference", "--only", "covariant", "--sample"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [text.split()[0] for text in printed] == [
        m.id for m in drawn.mutants if m.file == "covariant.py"
    ]


def test_without_names_the_command_is_about_all(capsys, one_thread):
    listed = []
    for names in (list(copies.PACKAGES), []):
        assert command.main([*names, "--only", "layer_norm", "--sample"]) == 0
        listed.append(capsys.readouterr().out.splitlines())
    assert listed[0] == listed[1]
    assert len(listed[0]) > sample.PER_FILE


def test_the_command_refuses_unknown_names(capsys, one_thread):
    with pytest.raises(SystemExit):
        command.main(["nobody"])
    assert "'nobody' is none of reference, metatensor-learn" in capsys.readouterr().err


def test_the_command_runs_and_resumes(tmp_path, monkeypatch, capsys, one_thread):
    monkeypatch.setattr(command, "REPOSITORY", tmp_path)
    monkeypatch.setattr(command, "cases", lambda implementation, effort: CASES[:1])
    monkeypatch.setattr(results, "JUDGED", tmp_path / "judged.json")
    arguments = ["reference", "--only", "covariant", "--per-file", "2", "--workers", "2"]
    assert command.main(arguments) == 1
    first = capsys.readouterr().out
    assert "[2/2]" in first
    assert "0.0% of the mutants are noticed; 2 unjudged" in first  # no case reaches them
    assert command.main(arguments) == 1
    second = capsys.readouterr().out
    assert "[1/" not in second
    assert second.splitlines()[-1] == first.splitlines()[-1]
