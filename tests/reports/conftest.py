"""Reports that the tests of what is made of them share."""

import pytest

from tmref.verdicts import Results, Verdict, header

LAWS = {
    "keys_survive_in_order": "metadata",
    "samples_survive": "metadata",
    "a_law_of_old": "former",
}
MENDED = "mended in 2: an old kind: of two blocks [doc]"
WRONG = "it is 1, expected 2"
ROWS = ["linear", "tanh", "relu"]
SCRIPT = '# mine 1\nimport torch\n\nx = torch.tensor([[1.0]])\nassert x < 0, "as it is"\n'


@pytest.fixture
def results():
    """results(verdict, ...): a report of these, complete unless ``footer`` is None."""

    def build(*verdicts, footer=True, laws=LAWS, rows=ROWS, selection="", **more):
        implementations = {v.implementation: v.version for v in verdicts}
        settings = {"effort": 1, "selection": selection, "timeout": 30, "memory": 8}
        head = header(implementations, laws, rows, 0, settings)["header"]
        return Results({**head, **more}, list(verdicts), {"pass": 0} if footer else None)

    return build


@pytest.fixture
def verdict():
    """verdict("tanh", "fail", law=..., of=..., ...)"""

    def build(row, kind, law="keys_survive_in_order", of="mine", version="1", **more):
        return Verdict(law, row, of, version, kind, **more)

    return build


@pytest.fixture
def mixed(results, verdict):
    """A report of two implementations with a verdict of every status."""
    reason = "a kind: of one block [doc]"
    return results(
        verdict("linear", "pass", examples=7),
        verdict(
            "tanh", "fail", message="it is 1, expected 2", reproducer=SCRIPT, counterexample="x = 1"
        ),
        verdict("relu", "error", message="crashed (SIGSEGV)"),
        verdict("linear", "fail", law="samples_survive", known=reason, message="m", reproducer=SCRIPT),
        verdict("tanh", "untested", law="samples_survive", message="nothing was compared"),
        verdict("relu", "untested", law="samples_survive", message="no relu", offered=False),
        verdict("linear", "pass", law="a_law_of_old", examples=3),
        verdict("linear", "pass", of="theirs", version="2", examples=5),
        verdict("tanh", "pass", of="theirs", version="2", examples=5, warning="memory grows"),
        verdict("relu", "pass", of="theirs", version="2", examples=5, mended=MENDED),
        verdict("linear", "fail", "samples_survive", "theirs", "2", known=reason, message="m"),
    )
