"""Laws on other devices than the CPU: one that every machine has, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tmref import Labels, TensorBlock, TensorMap
from tmref.implementations import UnusableDevice, load, usable_device
from tmref.laws import check_implementation, check_module
from tmref.laws.checks import cases

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize("chosen", ["not every_law", "every_law"])
def test_laws_on_a_device_of_its_own(chosen):
    """It can't be made and unmade again: other tests must not meet it."""
    command = [sys.executable, "-m", "pytest", HERE / "on_fake_device.py", "-n0", "-q", "-k", chosen]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert found.returncode == 0, found.stdout


CHECK = """
import sys
import fake_device
from tmref.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_the_command_says_on_which_device(tmp_path):
    path = tmp_path / "report.jsonl"
    arguments = ["check", "reference", "--quick", "--device", "fake_device", "--report", path, "-n0"]
    command = [sys.executable, "-W", "ignore", "-c", CHECK, *arguments, "-k", "linear and keys_survive"]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert found.returncode == 0, found.stderr
    assert '"device": "fake_device:0"' in path.read_text()
    (counts,) = [line for line in found.stdout.splitlines() if line.startswith("reference 0.1.0")]
    assert counts.startswith("reference 0.1.0 on fake_device:0")


def test_on_the_cpu_nothing_moves():
    reference = load("reference")
    assert reference.on("cpu") is reference
    assert {case.implementation for case in cases(reference, device="cpu")} == {reference}
    x = TensorMap(
        Labels.range("key", 1),
        [TensorBlock(torch.ones(2, 1), Labels.range("s", 2), [], Labels.range("n", 1))],
    )
    module = torch.nn.Linear(1, 1)
    for given in (x, x.block(0), x.keys, x.block(0).values, module):
        assert reference.moved(given) is given


@pytest.mark.parametrize("name", ["reference", "metatensor-learn", "metatensor-torch"])
def test_what_is_encoded_is_on_the_device(name, monkeypatch):
    """On meta there are no numbers: all the rest there is."""
    monkeypatch.setattr("tmref.implementations.usable_device", torch.device)
    implementation = load(name).on("meta")
    x = TensorMap(
        Labels.range("key", 1),
        [TensorBlock(torch.ones(2, 1), Labels.range("s", 2), [], Labels.range("n", 1))],
    )
    theirs = implementation.to_theirs(x)
    block = theirs.block(0)
    parts = [theirs.keys, block.samples, block.properties, block]
    assert {part.values.device.type for part in parts if part is not theirs.keys} == {"meta"}
    assert {str(part.device) for part in parts} == {"meta"}
    assert implementation.array(torch.zeros(1, 1, device="meta")).device.type == "meta"


@pytest.mark.parametrize("device", ["nonsense", "", "meta", "cuda:99"])
def test_an_unusable_device_is_named_with_the_reason_and_the_remedy(device):
    with pytest.raises(UnusableDevice) as error:
        usable_device(device)
    text = str(error.value)
    assert text.startswith(f"the device {device!r} can't be used (")
    assert "; give one that can, here cpu" in text
    assert text.endswith(", or install a torch that has it")
    assert "\n" not in text


def test_laws_from_python_refuse_unusable_devices():
    with pytest.raises(UnusableDevice, match="'nonsense'"):
        check_implementation("reference", device="nonsense")
    with pytest.raises(UnusableDevice, match="'nonsense'"):
        check_module(torch.nn.Identity, device="nonsense")
