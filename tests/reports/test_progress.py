"""The bar that is drawn where pytest has its dots."""

import os
import pty
import subprocess
import sys

import pytest

SELECTED = ("-k", "relu and keys_survive and not invariant and not sequential", "--quick")


def on_a_terminal(*arguments):
    """What the command prints on standard output, and what on a terminal that standard error is."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-W", "ignore", "-m", "tmref", "check", "reference", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, check=False)
    os.close(theirs)
    drawn = b""
    try:
        while read := os.read(ours, 4096):
            drawn += read
    except OSError:  # the other end is closed, and everything was read
        pass
    os.close(ours)
    assert done.returncode == 0, done.stdout
    return done.stdout, drawn.decode()


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_terminal_has_a_bar_that_counts_the_verdicts(workers):
    printed, drawn = on_a_terminal(*SELECTED, workers)
    assert "0/1" in drawn
    assert "1/1" in drawn
    assert "verdicts" in drawn
    assert "bringing up nodes" not in printed + drawn
    assert printed.strip().startswith("pass")
