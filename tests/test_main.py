"""The command line: what it prints, and its exit status."""

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tmref.__main__ import main
from tmref.implementations import load
from tmref.laws import LAWS, limits
from tmref.laws.checks import cases
from tmref.laws.limits import MEMORY
from tmref.verdicts import read

#: What the selected law is tried on: its share of a hundred, for seven rows share the code.
EXAMPLES = 3
QUICK = ("-k", "relu and keys_survive and not invariant", "-n0")


def tmref(*arguments, **options):
    command = [sys.executable, "-W", "ignore", "-m", "tmref", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def counts(found):
    """The counts that a check ends with, by implementation: pass, known, not offered, unexpected and
    examples."""
    lines = iter(found.stdout.splitlines())
    titles = ["pass", "known", "not", "offered", "unexpected", "examples"]
    assert any(line.split() == titles for line in lines), found.stdout
    of_each = (line.split() for line in itertools.takewhile(bool, lines))
    return {words[0]: list(map(int, words[-5:])) for words in of_each}


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("check")
    found = tmref("check", "reference", *QUICK, "--report", "folder/report.jsonl", cwd=folder)
    return folder / "folder" / "report.jsonl", found


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("[[]]", r"rows must be what row_of_module\(...\) and row_of_function\(...\) make, got \[\]"),
        ("[Reference]", "rows must be what row_of_module"),
        ("None", "rows must be a list of rows, got None"),
        (
            'row_of_function(lambda x: x, name="same", traits=["per_sample"]),',
            "the trait per_sample of same can't be tested: its laws need other traits, too: keeps_keys, "
            "keeps_samples; leave the trait out, or say what is missing",
        ),
    ],
)
def test_rows_that_can_not_be_tried_are_said_at_once(rows, words, tmp_path, monkeypatch, capsys):
    name = f"with_rows_{tmp_path.name}"  # each is another module
    (tmp_path / f"{name}.py").write_text(
        "from tmref.implementations.reference import Reference\n"
        "from tmref.laws import row_of_function\n"
        f"class WithRows(Reference):\n    rows = {rows}\n"
        "implementation = WithRows()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["check", f"{name}:implementation"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(rf"tmref check: {name}:implementation: {words}", line)


def test_the_defaults_of_the_limits_are_those_of_the_plugin(capsys):
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"may take, and a verdict twenty times (default: {limits.SECONDS:g})" in said
    assert f"of a worker (default: {MEMORY:g})" in said
    assert limits.EXAMPLES_OF_A_VERDICT == 20


def test_a_check_ends_with_the_counts_and_what_shows_more(checked):
    _, found = checked
    said = "tmref check: in the main process (-n 0) a crash ends the check\n"
    assert (found.returncode, found.stderr) == (0, said)
    assert counts(found) == {"reference": [1, 0, 0, 0, EXAMPLES]}
    assert (
        found.stdout.splitlines()[-1] == f"    tmref report {Path('folder', 'report.jsonl')} --verbose"
    )
    assert len(found.stdout.splitlines()) < 10


WHAT_IT_IS_FOR = "--quick tries most laws once, to see whether all is wired up, not to find bugs"


def test_a_quick_check_says_what_it_is_for(checked, capsys):
    found = tmref("check", "reference", *QUICK, "--quick")
    assert counts(found) == {"reference": [1, 0, 0, 0, 1]}
    assert WHAT_IT_IS_FOR in found.stdout.splitlines()
    assert WHAT_IT_IS_FOR not in checked[1].stdout
    with pytest.raises(SystemExit):
        main(["check", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--quick one example of most laws: whether all is wired up, not whether it is right" in said


def test_a_quick_check_has_as_few_examples_as_pages_say():
    few, all_ = (
        [case.examples for case in cases(load("reference"), effort=effort) if case.examples]
        for effort in (0.1, 1)
    )
    assert round(10 * few.count(1) / len(few)) == 9  # nine in ten laws have one example
    assert round(5 * sum(few) / sum(all_)) == 1  # a fifth of all


def test_a_verbose_check_has_the_table(tmp_path):
    found = tmref("check", "reference", *QUICK, "--verbose", cwd=tmp_path)
    lines = found.stdout.splitlines()
    assert any(line.startswith("reference 0.") for line in lines)
    assert any(line.split() == ["a", "relu"] for line in lines)
    assert any(line.split() == ["keys_survive_in_order", ".", str(EXAMPLES)] for line in lines)
    assert counts(found) == {"reference": [1, 0, 0, 0, EXAMPLES]}


@pytest.mark.slow
def test_known_failures_are_a_line_a_kind_and_scripts_only_where_it_is_verbose():
    arguments = ("check", "metatensor-torch", "-k", "labels_that_can_not_be", "-n0", "--quick")
    brief, verbose = tmref(*arguments), tmref(*arguments, "-v")
    line = "   1  integers beyond 32 bits are wrapped"
    assert line in brief.stdout.splitlines()
    assert "import torch" not in brief.stdout
    assert "import torch" in verbose.stdout
    for found in (brief, verbose):
        assert counts(found)["metatensor-torch"][:4] == [0, 1, 0, 0]
        assert found.returncode == 0
    assert brief.stdout.splitlines()[-1] == "    --report FILE, then tmref report FILE --verbose"


def test_a_check_writes_one_line_a_verdict_between_header_and_footer(checked):
    path, _ = checked
    first, *verdicts, last = map(json.loads, path.read_text().splitlines())
    assert first["header"]["seed"] == 0
    assert first["header"]["implementations"] == {"reference": "0.1.0"}
    assert {"python", "torch", "hypothesis", "tmref"} <= set(first["header"]["versions"])
    assert [(v["law"], v["row"], v["verdict"]) for v in verdicts] == [
        ("keys_survive_in_order", "relu", "pass")
    ]
    wanted = {"implementation", "version", "known", "examples", "message", "counterexample"}
    assert wanted | {"reproducer", "seconds"} <= set(verdicts[0])
    assert last["footer"]["pass"] == 1


def test_a_report_is_shown_again(checked, capsys):
    path, found = checked
    assert main(["report", str(path)]) == 0
    assert "keys_survive_in_order" not in (brief := capsys.readouterr().out)
    assert main(["report", str(path), "--verbose"]) == 0
    shown = capsys.readouterr().out
    assert "keys_survive_in_order" in shown
    assert shown.splitlines()[-1] in brief
    *_, last = filter(None, map(str.strip, shown.splitlines()))
    assert last.startswith("reference 0.1.0 ")
    assert last in found.stdout


def test_a_report_without_a_footer_was_cut_short(checked, tmp_path, capsys):
    lines = checked[0].read_text().splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    for end in (-1, 1):
        cut.write_text("".join(lines[:end]))
        assert main(["report", str(cut)]) == 1
        said = capsys.readouterr().out
        assert "the run was cut short" in said
        assert "nothing was selected" not in said
        assert f"\n\nto try what is missing:\n    tmref check --resume {cut}\n" in said


def test_workers_give_the_same_verdicts(checked, tmp_path):
    path = tmp_path / "report.jsonl"
    assert tmref("check", "reference", *QUICK[:2], "-n2", "--report", str(path)).returncode == 0
    both = [
        [(v.law, v.row, v.verdict, v.examples) for v in read(p).verdicts] for p in (path, checked[0])
    ]
    assert both[0] == both[1]


ADAPTER = """
import os
import tmref
from tmref.implementations.reference import Reference

class Wrong(Reference):
    name = "wrong"
    def decode(self, tensor):
        if {crash}:
            os._exit(3)
        return tmref.TensorMap(tensor.keys, [
            tmref.TensorBlock(-b.values, b.samples, b.components, b.properties) for b in tensor])

class Silent(Reference):
    name = "silent"
    def make(self, call):
        module = super().make(call)
        if call.name == "Tanh":
            module.forward = lambda x: x
        return module

wrong, silent = Wrong(), Silent()
"""


def test_a_broken_law_is_shown_with_a_script_and_exit_status_1(tmp_path):
    (tmp_path / "adapter.py").write_text(ADAPTER.format(crash=False))
    found = tmref(
        "check",
        "adapter:silent",
        "-k",
        "tanh and values_are_those and not sequential and not map",
        "-n0",
        cwd=tmp_path,
    )
    assert found.returncode == 1
    assert "fail: values_are_those_of_plain_torch" in found.stdout
    assert "on tanh of silent 0.1.0" in found.stdout.splitlines()
    assert "    module = nn.Tanh(in_keys=Labels.range(" in found.stdout
    assert "torch.testing.assert_close(y.block(0).values, torch.tensor(" in found.stdout
    assert counts(found)["silent"][3] == 1


@pytest.mark.slow
def test_where_the_smoke_law_fails_nothing_else_is_tested(tmp_path):
    (tmp_path / "adapter.py").write_text(ADAPTER.format(crash=False))
    found = tmref(
        "check", "adapter:wrong", "-k", "decoded or (tanh and values_are)", "-n0", cwd=tmp_path
    )
    assert found.returncode == 1
    assert "fail: what_is_encoded_comes_back_decoded" in found.stdout
    assert "the smoke law failed: block(0)" in found.stdout


def test_a_crash_is_an_error_with_its_own_verdict(tmp_path):
    (tmp_path / "adapter.py").write_text(ADAPTER.format(crash=True))
    found = tmref("check", "adapter:wrong", "-k", "decoded", "-n1", cwd=tmp_path)
    assert found.returncode == 1
    assert "error: what_is_encoded_comes_back_decoded" in found.stdout
    assert "it ended the process, with status" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "nosuch"], "There are reference, batched, metatensor-learn, metatensor-torch"),
        (["check"], "the following arguments are required: NAME"),
        (["check", "no_such_module:x"], "the module no_such_module can't be imported"),
        (["check", "tmref:nosuch"], "the module tmref has no 'nosuch'"),
        (["check", "tmref:Labels"], "is no implementation: it has no"),
        (
            ["check", "reference", "--device", "nonsense"],
            "--device: the device 'nonsense' can't be used (",
        ),
        (["check", "reference", "--device=cuda:99"], "give one that can, here cpu"),
        (["check", "reference", "--timeout=0"], "--timeout must be a number of seconds above 0, got 0"),
        (["check", "reference", "--timeout=nan"], "must be a number of seconds above 0, got nan"),
        (["check", "reference", "--memory=-1"], "--memory must be a number of GiB above 0, got -1"),
        (["check", "reference", "-n=-1"], "-n must be a number of workers, auto or logical, got '-1'"),
        (["check", "reference", "-n", "x"], "-n must be a number of workers, auto or logical, got 'x'"),
        (["check", "reference", "-k", "("], "-k must be names of rows and laws, joined by and, or, not"),
        (["check", "reference", "-k", "and and"], "got 'and and': expected not OR left parenthesis"),
        (["list"], "the following arguments are required: WHAT"),
        (["report", "nosuch.jsonl"], "No such file"),
        (["list", "nosuch"], "invalid choice: 'nosuch'"),
        (["list", "laws", "--more"], "unrecognized arguments: --more"),
        ([], "the following arguments are required: COMMAND"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_unusable_arguments_are_named_and_exit_with_2(arguments, words, capsys):
    try:
        status = main(arguments)
    except SystemExit as left:
        status = left.code
    said = capsys.readouterr().err
    assert status == 2
    assert words in said
    assert len(said.splitlines()) == 1 or said.startswith("usage: tmref")


def test_options_that_pytest_does_not_know_are_unusable_arguments():
    found = tmref("check", "reference", "--nosuchoption")
    assert found.returncode == 2
    assert "tmref check: error: unrecognized arguments: --nosuchoption" in found.stderr
    assert "pytest.main()" not in found.stderr


def test_what_a_stream_has_no_letters_for_is_written_as_escapes():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    found = tmref("list", "laws", env=environment)
    assert (found.returncode, found.stderr) == (0, "")
    assert re.search(r"\\u[0-9a-f]{4}", found.stdout)


def test_a_command_whose_output_is_closed_ends_as_others():
    command = f"{shlex.quote(sys.executable)} -W ignore -m tmref list implementations >&-"
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["list", "laws"], ["report", "report.jsonl"]])
def test_what_can_not_be_printed_is_said_in_a_line(arguments, checked):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-W", "ignore", "-m", "tmref", *arguments]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, cwd=checked[0].parent
        )
    assert done.returncode == 2
    assert done.stderr == "tmref: [Errno 28] No space left on device\n"


def test_where_nothing_is_selected_nothing_passed():
    found = tmref("check", "reference", "-k", "nothing_is_called_this", "-n0")
    assert found.returncode == 1
    assert "nothing was selected: no law was tried" in found.stdout.splitlines()


WITHOUT = """
import sys
sys.modules.update({module}=None)
from tmref.__main__ import main
sys.exit(main({arguments}))
"""


def run_without(module, *arguments):
    code = WITHOUT.format(module=module, arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_peer_that_is_not_installed_is_reported_with_the_command_that_installs_it():
    found = run_without("metatensor", "check", "metatensor-torch")
    assert found.returncode == 2
    assert "metatensor-torch is not installed" in found.stderr
    assert "pip install 'tmref[metatensor]'" in found.stderr


def test_all_are_those_that_are_installed_and_the_others_are_reported():
    found = run_without("metatensor", "check", "all", *QUICK)
    assert found.returncode == 0
    assert found.stderr.count("is not installed") == 2
    assert counts(found)["reference"][0] == 1


@pytest.mark.parametrize("module", ["pytest", "jinja2"])
def test_without_what_it_needs_the_remedy_is_named(module):
    found = run_without(module, "check", "reference")
    assert found.returncode == 2
    assert "pip install 'tmref[check]'" in found.stderr


def test_lists(capsys):
    assert main(["list", "laws"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    shown = shown.replace("\\", "")
    demands = {law.name: law.demand.replace("\\", "") for law in LAWS}
    assert all(f"`{name}`, of " in shown and demand in shown for name, demand in demands.items())
    assert main(["list", "rows"]) == 0
    assert "| `sequential_mlp` | Sequential | Linear, ReLU, Linear |" in capsys.readouterr().out
    assert main(["list", "implementations"]) == 0
    assert "reference 0.1.0" in capsys.readouterr().out


#: A plugin of pytest that leaves out every test, by whatever way it comes in.
OF_OTHERS = """
def pytest_collection_modifyitems(items):
    items.clear()
"""
#: What is left out by it, in a run of pytest that is anybody's.
PLAIN = ["-m", "pytest", "-p", "tmref.plugin", "--pyargs", "tmref.laws", *QUICK[:2]]


def by_configuration(folder):
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --nosuchoption\n")


def by_conftest(folder):
    (folder / "conftest.py").write_text(OF_OTHERS)


def by_options(folder):
    return {"PYTEST_ADDOPTS": "--nosuchoption"}


def by_variable(folder):
    (folder / "of_others.py").write_text(OF_OTHERS)
    return {"PYTEST_PLUGINS": "of_others", "PYTHONPATH": str(folder)}


def by_installation(folder):
    (folder / "of_others.py").write_text(OF_OTHERS)
    described = folder / "of_others-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: of-others\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[pytest11]\nof_others = of_others\n")
    return {"PYTHONPATH": str(folder)}


def by_profile(folder):
    """One example, always the same one: by an import that any process does."""
    (folder / "sitecustomize.py").write_text(
        "from hypothesis import settings\n"
        "settings.register_profile('theirs', max_examples=1, derandomize=True, phases=())\n"
        "settings.load_profile('theirs')\n"
    )
    return {"PYTHONPATH": str(folder)}


WAYS = (by_conftest, by_options, by_configuration, by_variable, by_installation, by_profile)


def is_as_if_alone(folder, environment, workers):
    found = tmref("check", "reference", *QUICK[:2], workers, cwd=folder, env=environment)
    assert found.returncode == 0, found.stdout + found.stderr
    return counts(found) == {"reference": [1, 0, 0, 0, EXAMPLES]}


@pytest.mark.slow
@pytest.mark.parametrize("come_in", WAYS)
def test_a_check_depends_on_nothing_of_others(come_in, tmp_path):
    environment = {**os.environ, **(come_in(tmp_path) or {})}
    if come_in is not by_profile:
        command = [sys.executable, *PLAIN, "-n0"]
        plain = subprocess.run(command, env=environment, capture_output=True, cwd=tmp_path, check=False)
        assert plain.returncode != 0, "it would not come in"
    assert is_as_if_alone(tmp_path, environment, "-n0")


@pytest.mark.slow
def test_nor_do_its_workers(tmp_path):
    environment = dict(os.environ)
    for i, come_in in enumerate(WAYS):
        folder = tmp_path / str(i) if come_in not in (by_configuration, by_conftest) else tmp_path
        folder.mkdir(exist_ok=True)
        given = come_in(folder) or {}
        path = filter(None, [environment.get("PYTHONPATH"), given.pop("PYTHONPATH", None)])
        environment.update(given, PYTHONPATH=os.pathsep.join(path))
    assert is_as_if_alone(tmp_path, environment, "-n1")


@pytest.mark.slow
def test_the_plugin_fails_where_a_law_is_broken_and_tries_what_failed_before_first(tmp_path, wrong_tanh):
    (tmp_path / "adapter.py").write_text(wrong_tanh)
    law = "values_are_those_of_plain_torch"
    command = [sys.executable, "-m", "pytest", "-p", "tmref.plugin", "--pyargs", "tmref.laws"]
    command += ["--tmref-impl", "adapter:mine", "-W", "ignore", "-k", f"mine-tanh-{law}"]
    command += ["--tmref-database", "kept"]
    tried = []
    for report in ("first.jsonl", "second.jsonl"):
        found = subprocess.run(
            [*command, "--tmref-report", report],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        assert found.returncode == pytest.ExitCode.TESTS_FAILED
        assert f"{law}" in found.stdout
        (verdict,) = read(tmp_path / report).verdicts
        assert verdict.verdict == "fail"
        tried.append(verdict.examples)
    assert tried[0] > tried[1] == 1


@pytest.mark.slow
def test_the_plugin_takes_the_effort_asked_for(tmp_path):
    command = [sys.executable, "-m", "pytest", "-p", "tmref.plugin", "--pyargs", "tmref.laws"]
    command += ["-W", "ignore", *QUICK[:2], "--tmref-report", "report.jsonl", "--tmref-effort", "0.1"]
    subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert read(tmp_path / "report.jsonl").verdicts[0].examples < EXAMPLES


@pytest.mark.slow
def test_the_plugin_works_in_anybodys_pytest(tmp_path):
    command = [sys.executable, "-m", "pytest", "-p", "tmref.plugin", "--pyargs", "tmref.laws"]
    command += ["--tmref-impl", "metatensor-torch", "-rx", "-W", "ignore"]
    command += ["-k", "relu and blocks and not invariant"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert "1 xfailed" in found.stdout
    assert "activations and layer norms raise an IndexError for no blocks" in found.stdout


def test_the_plugin_refuses_a_device_that_is_not_there(tmp_path):
    command = [sys.executable, "-m", "pytest", "-p", "tmref.plugin", "--pyargs", "tmref.laws"]
    command += ["--tmref-device", "nonsense", "-k", "decoded"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert found.returncode not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    assert "the device 'nonsense' can't be used" in found.stdout + found.stderr


@pytest.mark.slow
def test_an_adapter_that_goes_to_another_folder_does_not_take_the_report_with_it(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "adapter.py").write_text(
        f"import os\nos.chdir({str(there)!r})\n" + ADAPTER.format(crash=False)
    )
    found = tmref("check", "adapter:silent", *QUICK, "--report", "report.jsonl", cwd=here)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines()[-1] == "    tmref report report.jsonl --verbose"
    assert len(read(here / "report.jsonl").verdicts) == 1
    assert list(there.iterdir()) == []


@pytest.mark.slow
def test_the_installed_command_finds_an_adapter_in_the_folder_it_is_called_in(tmp_path):
    (tmp_path / "adapter.py").write_text(ADAPTER.format(crash=False))
    command = [Path(sys.executable).with_name("tmref"), "check", "adapter:silent", *QUICK]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert counts(found)["silent"][0] == 1
