"""The tables of docs/benchmarks/results.md, made anew by a command."""

import pytest

TEXT = """
Before:

    $ tmref bench batched --rows "a b"
    old
        lines

    $ tmref check reference
    stays

Then

    $ make speed
    old

After.
"""


@pytest.fixture
def tables(benchmark_script, tmp_path, monkeypatch):
    module = benchmark_script("tables")
    monkeypatch.setattr(module, "PAGE", tmp_path / "page.md")
    (tmp_path / "page.md").write_text(TEXT)
    return module


def test_blocks_have_what_is_printed_now(tables):
    asked = []
    printed = tables.outputs(TEXT, [], lambda command: (asked.append(command), "new  \n\n  end\n")[1])
    bench, speed = asked
    assert bench[1:] == ["-m", "tmref", "bench", "batched", "--rows", "a b"]
    assert speed[1].endswith("speed.py")
    found = tables.renewed(TEXT, printed)
    block = "    new\n      end\n"
    assert found == TEXT.replace("    old\n        lines\n", block).replace("    old\n", block)
    assert tables.renewed(found, printed) == found


def test_blocks_are_chosen_by_words(tables):
    printed = tables.outputs(TEXT, ["make"], lambda command: "new\n")
    assert tables.renewed(TEXT, printed) == TEXT.replace("speed\n    old\n", "speed\n    new\n")
    with pytest.raises(
        ValueError, match=r"no block of tmref bench or make speed has all of \['nosuch'\]"
    ):
        tables.outputs(TEXT, ["nosuch"], lambda command: "new\n")


def test_where_a_command_fails_everything_stays(tables, tmp_path, capsys):
    assert tables.main(["bench", "a b"]) == 1  # there is no row of that name
    assert "returned non-zero exit status 2" in capsys.readouterr().err
    assert (tmp_path / "page.md").read_text() == TEXT


def test_what_is_written_meanwhile_stays(tables, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    command = f"echo More. >> {page}; echo new"
    monkeypatch.setitem(tables.COMMANDS, "make speed", ["sh", "-c", command])
    assert tables.main(["make"]) == 0
    assert page.read_text() == TEXT.replace("speed\n    old\n", "speed\n    new\n") + "More.\n"


def test_the_page_has_such_blocks(tables, repository):
    asked = []
    page = (repository / "docs" / "benchmarks" / "results.md").read_text()
    tables.outputs(page, [], lambda command: (asked.append(command[1:]), "")[1])
    assert [command[-1].endswith("speed.py") for command in asked] == [False, True]
