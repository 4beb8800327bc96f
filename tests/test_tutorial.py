"""metatensor's tutorial on nn modules, with its three imports replaced, has the same losses on tmref."""

import re
import textwrap

import pytest

REPLACED = {
    "import metatensor.torch as mts": "import tmref as mts",
    "from metatensor.torch import Labels, TensorMap": "from tmref import Labels, TensorMap",
    "from metatensor.torch.learn.nn import Linear, ReLU, Sequential": (
        "from tmref.nn import Linear, ReLU, Sequential"
    ),
}

TITLES = ["[Linear]", "[Linear, ReLU, Linear]"] * 2

LOSS = re.compile(r"epoch: (\d+), loss: (\S+)")


@pytest.fixture(scope="module")
def tutorial(repository):
    return (repository / "tests" / "data" / "nn-modules-basic.rst.txt").read_text(encoding="utf-8")


def code_of(rst):
    """The code of all ``code-block:: Python`` of a page, one after the other."""
    blocks = re.findall(r"^\.\. code-block:: Python\n((?:[ \t]+.*\n|\n)+)", rst, flags=re.MULTILINE)
    return "\n".join(textwrap.dedent(block) for block in blocks)


def on_tmref(code):
    """The code with the imports replaced, and how many lines that were."""
    lines = code.splitlines()
    found = sum(line in REPLACED for line in lines)
    return "\n".join(REPLACED.get(line, line) for line in lines), found


def tables_of(text):
    """The tables of losses in what is printed: the title, and the loss of each epoch."""
    tables = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("with NN = "):
            tables.append((line.removeprefix("with NN = "), {}))
        elif match := LOSS.fullmatch(line):
            tables[-1][1][int(match[1])] = float(match[2])
    return tables


def first_difference(computed, printed):
    """Where two lists of tables differ, in words, or None: 1e-9 relative, and none below 1e-20.

    Below, where nothing but rounding is left, the computed loss has to be as small as that.
    """
    if [(title, list(losses)) for title, losses in computed] != [(t, list(ls)) for t, ls in printed]:
        return "other tables"
    for (title, found), (_, expected) in zip(computed, printed, strict=True):
        for epoch, loss in expected.items():
            small = loss <= 1e-20
            if not (found[epoch] < 1e-19 if small else abs(found[epoch] - loss) <= 1e-9 * loss):
                return f"{title}, epoch {epoch}: {found[epoch]} is not {loss}"
    return None


def test_the_tutorial_on_tmref(tutorial, run_python):
    code, replaced = on_tmref(code_of(tutorial))
    assert replaced == 3
    assert not re.search(r"(import|from)\s+metatensor", code)
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert "metadata check passed!" in done.stdout
    assert first_difference(tables_of(done.stdout), tables_of(tutorial)) is None


def test_the_losses_of_the_page_are_read(tutorial):
    tables = tables_of(tutorial)
    assert [title for title, _ in tables] == TITLES
    assert [list(losses) for _, losses in tables] == [list(range(0, 1001, 100))] * 4
    assert tables[0][1][0] == 154.65348388744997
    assert tables[2][1][1000] == 0.8695465460715763
    assert tables[3][1][1000] == 1.827108673381404e-30
    assert sum(len(losses) for _, losses in tables) == 44


def test_all_code_of_the_page_is_read(tutorial):
    code = code_of(tutorial)
    compile(code, "tutorial", "exec")
    assert tutorial.count(".. code-block:: Python") == 5
    assert code.count("training_loop(") == 5  # one definition, four runs
    assert code.rstrip().splitlines()[-1].startswith("training_loop(mlp_mts")


@pytest.mark.parametrize("table", range(4))
@pytest.mark.parametrize("epoch", [0, 100, 400, 1000])
def test_a_changed_loss_is_a_difference(table, epoch, tutorial):
    tables = tables_of(tutorial)
    assert first_difference(tables_of(tutorial), tables) is None
    loss = tables[table][1][epoch]
    small = loss <= 1e-20
    tables_with = tables_of(tutorial)
    tables_with[table][1][epoch] = 5e-20 if small else loss * (1 + 5e-10)
    assert first_difference(tables_with, tables) is None
    for changed in (2e-19 if small else loss * (1 + 2e-9), 1.0 + loss, float("nan")):
        tables_with[table][1][epoch] = changed
        assert first_difference(tables_with, tables) == (
            f"{TITLES[table]}, epoch {epoch}: {changed} is not {loss}"
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda tables: tables.pop(),
        lambda tables: tables[1][1].pop(300),
        lambda tables: tables[1][1].update({1100: 1e-30}),
        lambda tables: tables.reverse(),
    ],
)
def test_missing_losses_are_a_difference(change, tutorial):
    tables = tables_of(tutorial)
    change(tables)
    assert first_difference(tables, tables_of(tutorial)) == "other tables"
    assert first_difference([], tables_of(tutorial)) == "other tables"
