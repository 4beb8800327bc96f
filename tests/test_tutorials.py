"""Scripts as metatensor's tutorials on nn and datasets are: with their imports replaced they print the
same, and one prints the losses of the documentation."""

import math
import re
import textwrap

import pytest
import torch

SCRIPTS = ("equivariant", "modulemap", "custom_module")
#: Those on datasets, and how many lines of them are imports of metatensor's.
OF_DATASETS = {"datasets": 2, "indexed_datasets": 1}

#: The losses that metatensor's documentation prints for the tutorial "Convenience nn modules", that is
#: examples/learn/3-nn-modules-basic.py of its repository (https://docs.metatensor.org, BSD-3-Clause), at
#: every hundredth epoch: of one layer and of two in plain torch, of one and of two by metatensor-learn.
LOSSES = (
    (
        *(154.65348388744997, 38.054702446604324, 15.78208526134593, 8.832599443098466),
        *(5.785132286612015, 4.024997543785835, 2.853829558976215, 2.041404671831072),
        *(1.4712668157705777, 1.0669854246909265, 0.7762888847168385),
    ),
    (
        *(124.86745059607944, 0.0033502901826742383, 1.3219911454824964e-07, 3.237401278978944e-12),
        *(1.2661473760530034e-16, 1.6327396230735035e-21, 7.231597104245314e-26),
        *(3.1175780326180713e-30, 9.021808175894339e-31, 1.3391743219708977e-30),
        1.3798114437974684e-30,
    ),
    (
        *(162.54238216562683, 37.13420486842371, 14.928916323825199, 7.814822220244354),
        *(4.9465831283493635, 3.4951382254338874, 2.592461940544501, 1.962076742407893),
        *(1.4971224460199135, 1.1434925338675401, 0.8695465460715763),
    ),
    (
        *(129.38070042737664, 0.002842084062553065, 7.457968365452231e-08, 2.8078539783534333e-12),
        *(7.27929598306562e-17, 1.2412278242779927e-21, 5.968650993176766e-26),
        *(4.33389908899583e-30, 1.5688173937147708e-30, 1.5122191274740909e-30),
        1.827108673381404e-30,
    ),
)

IMPORTS = re.compile(r"^(import|from) metatensor\.torch\b(\.learn\b)?(\.data\b)?", flags=re.MULTILINE)

NUMBER = re.compile(r"[-+]?\d+\.\d*(?:[eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+")


@pytest.fixture
def script(repository):
    def read(name):
        return (repository / "tests" / "data" / "tutorials" / f"{name}.py").read_text(encoding="utf-8")

    return read


def on_tmref(code, imports=3):
    """The code with all of its imports replaced."""
    code, count = IMPORTS.subn(lambda found: f"{found[1]} tmref{'.datasets' * bool(found[3])}", code)
    assert count == imports
    assert not re.search(r"(import|from)\s+metatensor", code)
    return code


def first_difference(found, expected):
    """Where two outputs differ: the numbers with a point by more than 1e-9 relative, all else at all."""
    lines, others = found.splitlines(), expected.splitlines()
    for line, other in zip(lines, others, strict=False):
        if NUMBER.split(line) != NUMBER.split(other):
            return f"{line!r} is not {other!r}"
        for x, y in zip(NUMBER.findall(line), NUMBER.findall(other), strict=True):
            if not abs(float(x) - float(y)) <= 1e-9 * abs(float(y)):
                return f"{x} is not {y} in {other!r}"
    return None if len(lines) == len(others) else f"{len(lines)} lines are not {len(others)}"


@pytest.fixture
def printed(written, tmp_path, monkeypatch, capsys):
    """What a script prints that is run in a folder where a spherical expansion lies."""

    def run(code, expansion=None):
        expansion = expansion or written("spherical-expansion")
        (tmp_path / "spherical-expansion.mts").write_bytes(expansion.read_bytes())
        monkeypatch.chdir(tmp_path)
        dtype = torch.get_default_dtype()
        try:
            exec(compile(code, "script", "exec"), {"__name__": "__main__"})
        finally:
            torch.set_default_dtype(dtype)
        return capsys.readouterr().out

    return run


@pytest.mark.usefixtures("mts")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_on_tmref_prints_what_it_prints_on_metatensor(name, script, printed):
    theirs, ours = printed(script(name)), printed(on_tmref(script(name)))
    assert len(theirs.splitlines()) > 90
    assert first_difference(ours, theirs) is None


@pytest.mark.usefixtures("mts")
@pytest.mark.parametrize("name", OF_DATASETS)
def test_so_do_those_on_datasets(name, script, printed):
    code = script(name)
    theirs, ours = printed(code), printed(on_tmref(code, OF_DATASETS[name]))
    assert len(theirs.splitlines()) > 25
    assert first_difference(ours, theirs) is None


@pytest.mark.usefixtures("mts")
def test_so_it_does_on_the_features_of_a_real_molecule(script, printed, shared):
    real = shared("data/spherical-expansion.mts")
    code = script("equivariant")
    assert first_difference(printed(on_tmref(code), real), printed(code, real)) is None


def test_imports_are_replaced():
    code = (
        "import metatensor.torch as mts\nfrom metatensor.torch import Labels\n"
        "from metatensor.torch.learn.nn import Linear\n"
    )
    assert on_tmref(code) == (
        "import tmref as mts\nfrom tmref import Labels\nfrom tmref.nn import Linear\n"
    )
    assert on_tmref("from metatensor.torch.learn import nn", 1) == "from tmref import nn"
    of_data = "from metatensor.torch.learn.data import Dataset"
    assert on_tmref(of_data, 1) == "from tmref.datasets import Dataset"


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        ("epoch 10, loss 0.25\nkey=1\n", None),
        ("epoch 10, loss 0.2500000001\nkey=1\n", None),
        (
            "epoch 10, loss 0.250000001\nkey=1\n",
            "0.250000001 is not 0.25 in 'epoch 10, loss 0.25'",
        ),
        ("epoch 10, loss nan\nkey=1\n", "'epoch 10, loss nan' is not 'epoch 10, loss 0.25'"),
        ("epoch 11, loss 0.25\nkey=1\n", "'epoch 11, loss 0.25' is not 'epoch 10, loss 0.25'"),
        ("epoch 10, loss 0.25\nkey=1.0\n", "'key=1.0' is not 'key=1'"),
        ("epoch 10, loss 0.25\nkey=1 \n", "'key=1 ' is not 'key=1'"),
        ("epoch 10, loss 0.25\n", "1 lines are not 2"),
        ("epoch 10, loss 0.25\nkey=1\n\n", "3 lines are not 2"),
        ("", "0 lines are not 2"),
    ],
)
def test_what_is_a_difference(found, difference):
    assert first_difference(found, "epoch 10, loss 0.25\nkey=1\n") == difference


# --- the losses of the documentation


def losses_of(text):
    """The losses in what is printed, at the epochs 0, 100, ...: a tuple for each training."""
    pairs = re.findall(r"epoch:? (\d+), loss: (\S+)", text)
    found = []
    for epoch, loss in pairs:
        if epoch == "0":
            found.append([])
        assert int(epoch) == 100 * len(found[-1]), f"no epoch {100 * len(found[-1])} before {epoch}"
        found[-1].append(float(loss))
    return tuple(map(tuple, found))


def other_loss(found, expected=LOSSES):
    """Where losses are others, in words: 1e-9 relative, and 1e-14 for their square root, as another
    processor may round residuals; or where nothing but rounding is left, which is below 1e-20, where
    they are not as small as that."""
    assert [len(losses) for losses in found] == [len(losses) for losses in expected]
    for i, (losses, wanted) in enumerate(zip(found, expected, strict=True)):
        for j, (loss, known) in enumerate(zip(losses, wanted, strict=True)):
            apart = 1e-9 * known + 2e-14 * math.sqrt(known)
            if not (loss < 1e-19 if known <= 1e-20 else abs(loss - known) <= apart):
                return f"training {i}, epoch {100 * j}: {loss} is not {known}"
    return None


def code_of(rst):
    """The code of all ``code-block:: Python`` of a page, one after the other."""
    blocks = re.findall(r"^\.\. code-block:: Python\n((?:[ \t]+.*\n|\n)+)", rst, flags=re.MULTILINE)
    return "\n".join(map(textwrap.dedent, blocks))


def test_the_losses_on_tmref_are_those_of_the_documentation(script, run_python):
    assert sum(map(len, LOSSES)) == 44
    done = run_python(on_tmref(script("basic")))
    assert done.returncode == 0, done.stderr
    assert other_loss(losses_of(done.stdout)) is None


@pytest.mark.usefixtures("mts")
def test_so_they_are_on_metatensor(script, printed):
    assert other_loss(losses_of(printed(script("basic")))) is None


@pytest.mark.slow
def test_so_they_are_by_the_code_of_the_page_itself(shared, run_python):
    page = shared("seeds/nn-modules-basic.rst.txt").read_text(encoding="utf-8")
    assert losses_of(page) == LOSSES
    assert page.count(".. code-block:: Python") == 5
    code = code_of(page)
    assert code.count("training_loop(") == 5  # one definition, four runs
    done = run_python(on_tmref(code))
    assert done.returncode == 0, done.stderr
    assert "metadata check passed!" in done.stdout
    assert other_loss(losses_of(done.stdout)) is None


@pytest.mark.parametrize("training", range(4))
@pytest.mark.parametrize("epoch", [0, 1, 4, 10])
def test_a_changed_loss_is_noticed(training, epoch):
    def with_loss(loss):
        losses = [list(of_training) for of_training in LOSSES]
        losses[training][epoch] = loss
        return losses

    known = LOSSES[training][epoch]
    small = known <= 1e-20
    assert other_loss(with_loss(5e-20 if small else known * (1 + 5e-10))) is None
    for changed in (
        2e-19 if small else known + 2e-9 * known + 4e-14 * known**0.5,
        1.0 + known,
        math.nan,
    ):
        words = f"training {training}, epoch {100 * epoch}: {changed} is not {known}"
        assert other_loss(with_loss(changed)) == words


def test_missing_losses_are_noticed():
    text = "epoch 0, loss: 1.0\nepoch: 100, loss: 0.5\nepoch 0, loss: 3e-7\n"
    assert losses_of(text) == ((1.0, 0.5), (3e-7,))
    with pytest.raises(AssertionError, match="no epoch 200 before 300"):
        losses_of(text.replace("epoch 0, loss: 3e-7", "epoch 300, loss: 3e-7"))
    for found in (LOSSES[:3], [*LOSSES[:3], LOSSES[3][:-1]], ()):
        with pytest.raises(AssertionError):
            other_loss(found)
