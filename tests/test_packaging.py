"""What is built is what users get: the wheel and its extras, each in an environment of its own."""

import subprocess
import sys
import zipfile

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("packaging")]

MAP = "from tmref import Labels, TensorMap, block_from_array; import torch; "
MAP += "x = TensorMap(Labels.range('key', 1), [block_from_array(torch.ones(2, 2))]); "
#: For each extra what is run in an empty folder, and what it prints.
TRIED = {
    "": (
        ["python", "-c", f"{MAP}from tmref import nn; print(nn.Tanh(x.keys)(x)[0].values.shape)"],
        "[2, 2]",
    ),
    "[check]": (["tmref", "check", "reference", "-k", "tanh and survive", "--quick"], "reference 0.1.0"),
    "[check,metatensor]": (
        ["tmref", "check", "all", "-k", "-tanh- and keys_survive", "--quick"],
        "metatensor-torch",
    ),
    "[bench]": (
        ["tmref", "bench", "reference", "--rows", "tanh", "--blocks", "1", "--samples", "1"],
        "tanh, forward",
    ),
    "[cluster]": (
        ["python", "-c", "import distributed, redis, tmref.cluster.session; print('there')"],
        "there",
    ),
}


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_the_packages_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"tmref"}
    assert "tmref/strategies/__init__.py" in names
    assert "tmref/py.typed" in names
    assert {f"tmref/reports/html/page.{kind}" for kind in ("html", "css", "js")} <= {*names}


@pytest.mark.parametrize("extra", TRIED)
def test_an_extra_alone_has_what_its_command_needs(extra, built, repository, tmp_path):
    (wheel,) = built.glob("*.whl")
    run([sys.executable, "-m", "venv", tmp_path / "environment"])
    programs = tmp_path / "environment" / "bin"
    constraints = ["--constraint", repository / "constraints.txt"]
    run([programs / "pip", "install", "--quiet", *constraints, f"tmref{extra} @ {wheel.as_uri()}"])
    (command, *arguments), printed = TRIED[extra]
    (tmp_path / "empty").mkdir()
    assert printed in run([programs / command, *arguments], cwd=tmp_path / "empty")
