"""The smoke law on adapters that are wrong."""

from tmref.implementations.reference import Reference
from tmref.laws import runner
from tmref.verdicts import ERROR


class EncodesOnlyOnce(Reference):
    name = "encodes only once"

    def __init__(self):
        self.raised = False

    def encode(self, tensor):
        if not self.raised:
            self.raised = True
            raise RuntimeError("not now")
        return tensor


def test_an_adapter_that_fails_once_is_an_error():
    verdict = runner.smoke(EncodesOnlyOnce())
    assert (verdict.verdict, verdict.expected) == (ERROR, False)
    assert verdict.message.startswith("the same example gave different verdicts when it was repeated")


def test_an_adapter_that_raises_is_an_error_with_its_words():
    class Raises(Reference):
        name = "raises"

        def decode(self, tensor):
            raise RuntimeError("no such type\nand more words")

    verdict = runner.smoke(Raises())
    assert (verdict.verdict, verdict.message) == (ERROR, "RuntimeError: no such type")
    assert verdict.counterexample.startswith("x = TensorMap(")
