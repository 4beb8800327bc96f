"""The guides for a law and for a planted defect: their examples fit."""

import re

from tmref.catalog import row
from tmref.implementations.reference import implementation as reference
from tmref.laws.modules import metadata
from tmref.laws.runner import check
from tmref.verdicts import FAIL, PASS


def example_of(repository, name):
    text = (repository / "docs" / "contributing" / f"{name}.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    return example


def test_the_law_of_the_guide_finds_the_defect_of_the_guide(repository, mutants):
    names = dict(vars(metadata))
    exec(example_of(repository, "law"), names)
    law = names["every_block_has_as_many_samples_as_before"]
    before = len(mutants.MUTANTS)
    exec(example_of(repository, "mutant"), dict(vars(mutants)))
    planted = mutants.MUTANTS[before:]
    del mutants.MUTANTS[before:]
    assert [one.row for one in planted] == ["linear", "layer_norm"]
    for one in planted:
        options = {"examples": 20, "shrink": False}
        assert check(law, row(one.row), one.implementation, **options).verdict == FAIL
        assert check(law, row(one.row), reference, **options).verdict == PASS
