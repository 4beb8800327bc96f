"""The script that says how far apart the numbers of each benchmark are."""

import json

import pytest


@pytest.fixture
def script(benchmark_script):
    return benchmark_script("noise")


@pytest.fixture
def result(tmp_path):
    """result("first", {"modules.time": [1.0, None]}) writes a file as asv does."""

    def write(name, numbers, **changed):
        text = {
            "commit_hash": "a" * 40,
            "date": 0,
            "python": "3.11",
            "env_name": "environment",
            "env_vars": {},
            "requirements": {},
            "params": {"machine": "here"},
            "result_columns": ["result", "params"],
            "results": {key: [of, [[str(i) for i in range(len(of))]]] for key, of in numbers.items()},
            "version": 2,
            **changed,
        }
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(text))
        return str(path)

    return write


def test_differences_are_shares_of_the_smallest_number(script, result, capsys):
    numbers = {"time": [1.0, 2.0, 4.0], "operators": [7, 0, 0]}
    again = {"time": [1.1, 2.0, 3.2], "operators": [7, 0, 1]}
    assert script.main([result("first", numbers), result("second", again)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| benchmark | cells | median | largest |",
        "| --- | ---: | ---: | ---: |",
        "| operators | 3 | 0.0% | inf% |",
        "| time | 3 | 10.0% | 25.0% |",
    ]


def test_what_was_skipped_or_is_not_in_all_results_is_left_out(script, result, capsys):
    first = result("first", {"time": [1.0, None, float("nan")], "skipped": [None], "removed": [1.0]})
    second = result("second", {"time": [1.0, 1.0, 1.0], "skipped": [None]})
    assert script.main([first, second]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["| time | 1 | 0.0% | 0.0% |"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"commit_hash": "b" * 40}, "give results of one commit, one machine and one environment"),
        (
            {"params": {"machine": "there"}},
            "give results of one commit, one machine and one environment",
        ),
        ({"version": 77}, "no result of asv"),
        (None, "give at least two results"),
    ],
)
def test_what_can_not_be_compared_is_refused(script, result, change, words, capsys):
    given = [result("first", {"time": [1.0]})]
    if change is not None:
        given.append(result("second", {"time": [1.0]}, **change))
    with pytest.raises(SystemExit) as refused:
        script.main(given)
    assert refused.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())
