"""The adapters of metatrain, featomic-torch and metatomic-torch, in an environment of their own."""

import re
import subprocess

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_is_known_of_other_libraries_is_all_that_is_wrong_with_them(repository):
    command = ["make", "check-others", "ARGS=--quick"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"^ *(\w+) [\d.]+(?: +(\d+)){5}$", done.stdout, re.MULTILINE))
    assert set(counts) == {"metatrain", "featomic", "metatomic"}
