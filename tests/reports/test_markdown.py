"""Verdicts as Markdown: what GitHub makes of it, and that it takes it."""

import html
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tmref.reports.changes import changes
from tmref.reports.markdown import LONGEST, markdown

HOSTILE = (
    "</details></summary><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "**bold** _it_ __init__ `code` ~~gone~~",
    "[link](https://example.com) ![image](x.png) <https://example.com>",
    "a | b | c \\| d",
    "# heading\n\n- item\n\n---\n",
    "```\n\n~~~~\n</pre>\n````\n",
    "\n\n</details>\n\n# out\n",
    "@everyone #1 GH-1 org/name#2 :tada: www.example.com",
    "&lt;b&gt; &amp; $x$ \\(y\\)",
    "`` ` ```` `",
    "- item",
    "+ item",
    "1. item",
    "12) item",
    "---",
    "===",
    "a\u2028b\u202ec\x00\ud800",
)


HTML = MarkdownIt("commonmark", {"html": True}).enable("table")


def tokens(text):
    """What Markdown makes of a text: its blocks and what is in them, flat."""
    for token in HTML.parse(text):
        yield token
        yield from token.children or ()


def structure(text):
    """All that is markup: kinds of tokens, and HTML."""
    found = []
    for token in tokens(text):
        if token.type not in ("text", "text_special", "fence", "code_inline", "softbreak", "inline"):
            tags = token.content if token.type.startswith("html") else ""
            found.append((token.type, re.sub(r"(?<=<summary>).*(?=</summary>)", tags_alone, tags)))
    return found


def tags_alone(found):
    """The tags of a line of HTML, without what is between them."""
    return re.sub(r"(^|>)[^<>]*(<|$)", r"\1\2", found[0])


def of_text(text, results, verdict):
    """A report in which whatever can be said is the text."""
    said = {"message": text, "counterexample": text, "known": None}
    report = results(
        verdict(text, "fail", text, of=text, version=text, reproducer=text, **said),
        verdict("x", "error", text + "2", of=text, version=text, **said),
        verdict(text, "error", text + "3", of=text, version=text, known=text, message=text),
        selection=text,
        versions={"tmref": text, f"package {text}": text},
        device=text,
        footer=None,
    )
    old = results(
        verdict(text, "pass", text, of=text, version="old"),
        verdict(text, "pass", text + "4", of=text, version="old"),
        verdict("x", "pass", of=text + "5", version=text),
        versions={f"package {text}": "old"},
    )
    return markdown([report], [text], [changes(old, report)])


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_said_is_text(text, results, verdict):
    plain = of_text("plain", results, verdict)
    hostile = of_text(text, results, verdict)
    assert structure(hostile) == structure(plain)
    assert len(structure(plain)) > 60
    fences = [token.content for token in tokens(hostile) if token.type == "fence"]
    shown = verdict("x", "fail", message=text).message.rstrip("\n") + "\n"
    assert fences == [shown] * 3
    text_alone = re.sub(r"<pre>.*?</pre>|<[^>]*>", "", HTML.render(hostile), flags=re.S)
    outside = " ".join(html.unescape(text_alone).split())
    assert outside.count(" ".join(shown.split())) > 10


MARKS = st.text(st.sampled_from("`*_[]()<>!#&|~$@:/.-+=1)x \n\\\"'{}"), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=MARKS.filter(str.strip))
def test_no_marks_are_markup(text, results, verdict):
    plain = of_text("plain", results, verdict)
    assert structure(of_text(text, results, verdict)) == structure(plain)


def test_nobody_is_mentioned_and_nothing_is_linked(results, verdict):
    text = of_text("@everyone #1 :tada: www.example.com https://example.com", results, verdict)
    outside = re.sub(r"```.*?```", "", text, flags=re.S)
    assert not re.search(r"@|#1|:tada:|www\.|://", outside, re.I)
    assert "&#64;everyone &#35;1" in outside


def test_what_is_unexpected_comes_with_its_script(mixed):
    text = markdown([mixed], ["a.jsonl"])
    title, *rest = text.splitlines()
    assert title == "## tmref: 3 unexpected"
    assert "| <code>mine 1</code> | 2 | 1 | 1 | 3 | 10 |" in rest
    assert "| <code>theirs 2</code> | 3 | 1 | 0 | 0 | 15 |" in rest
    first = "fail: <code>keys_survive_in_order</code> on <code>tanh</code> of <code>mine 1</code>"
    assert f"<details><summary>{first}</summary>" in rest
    assert f"\n\n```python\n{mixed.verdicts[1].reproducer}```\n\n</details>\n" in text
    assert (
        "The output has the keys of the input, in their order. &#91;doc&#93; ModuleMap applies" in text
    )
    assert "```text\ncrashed (SIGSEGV)\n```" in text
    assert "| a kind | 1 | 1 |" in rest
    assert text.count("<details>") == text.count("\n</details>\n") == 6


def test_known_failures_that_are_mended_are_told(mixed):
    text = markdown([mixed], ["a.jsonl"])
    assert "- <code>theirs 2</code>: an old kind, mended in 2, 1\n" in text
    mixed.verdicts[9].mended = None
    assert "mended" not in markdown([mixed], ["a.jsonl"])


def test_those_alike_are_named_once(results, verdict):
    rows = [verdict(row, "fail", message="m", reproducer="x()") for row in ("tanh", "relu", "linear")]
    text = markdown([results(*rows)], ["a"])
    assert text.count("x()") == 1
    assert "on <code>linear</code> of <code>mine 1</code>, and 2 more</summary>" in text
    assert "Alike, as far as can be seen: keys_survive_in_order on tanh, relu\n" in text


def test_what_changed_since_the_baseline_is_told_by_kinds(mixed, results, verdict):
    old = results(
        verdict("linear", "pass", version="0.9", examples=70),
        verdict("tanh", "pass", version="0.9"),
        verdict("relu", "fail", version="0.9"),
        verdict("linear", "fail", law="a_law_of_old", version="0.9", message="m"),
        verdict("linear", "pass", law="samples_survive", version="0.9"),
        verdict("gone", "pass", version="0.9"),
        verdict("tanh", "pass", of="third"),
        footer=None,
    )
    text = markdown([mixed], ["a.jsonl"], [changes(old, mixed)])
    lines = text.splitlines()
    told = next(line for line in lines if line.startswith("Since the baseline"))
    assert told == "Since the baseline, <code>mine 0.9 → 1</code>: 2 broken, 1 broken otherwise, " + (
        "1 known now, 1 mended, 1 new, 1 gone, 1 the same."
    )
    assert "<details><summary><b>2 broken, of <code>mine</code></b></summary>" in lines
    assert "- <code>keys_survive_in_order</code>, pass → fail: tanh" in lines
    assert "- <code>a_law_of_old</code>, fail → pass: linear" in lines
    assert "- <code>keys_survive_in_order</code>: 70 → 7" in lines
    assert "third 1 is in the baseline alone" in lines
    assert "the run of the baseline was cut short: there are verdicts missing" in lines
    same = markdown([mixed], ["a"], [changes(mixed, mixed)])
    assert "Since the baseline, <code>mine 1</code>: 7 the same." in same
    assert same.count("<details>") == markdown([mixed], ["a"]).count("<details>")


def test_the_title_says_whether_all_is_there_and_as_expected(results, verdict):
    whole, cut = (results(verdict("tanh", "pass"), footer=footer) for footer in (True, None))
    assert markdown([whole], ["a"]).startswith("## tmref: as expected\n\n| | pass |")
    assert markdown([cut], ["a"]).startswith(
        "## tmref: verdicts are missing\n\n**Incomplete:** a: the run was cut short"
    )
    assert markdown([results()], ["a"]).startswith("## tmref: verdicts are missing\n")
    both = markdown([results(verdict("tanh", "fail"), footer=None)], ["a"])
    assert both.startswith("## tmref: 1 unexpected, and verdicts are missing\n")


@pytest.mark.parametrize("letter", ["a", "é", "🧨", "*"])
def test_it_is_never_longer_than_github_takes(letter, results, verdict):
    script = f"{letter * 70}\n" * 140
    found = [verdict("tanh", "fail", f"law_{i}", reproducer=script, message=f"{i}") for i in range(60)]
    found += [verdict("relu", "error", of=letter * 900 + str(i), known=f"{i}: x") for i in range(300)]
    old = results(*(verdict(row, "pass", f"law_{i}") for i in range(300) for row in ("gone", "tanh")))
    text = markdown([results(*found)], ["a"], [changes(old, results(*found))])
    gone = text.partition("gone, of <code>mine</code>")[2].partition("</details>")[0]
    assert gone.count("\n- <code>law_") == 50
    assert "\n- and 250 more\n" in gone
    assert LONGEST / 3 < len(text.encode()) <= LONGEST == 65_536
    left_out = int(
        re.search(r"^Left out here: (\d+) more causes, which `tmref report` shows", text, re.M)[1]
    )
    assert left_out + text.count("<summary>fail") == 60
    assert text.count("<details>") == text.count("\n</details>\n")
    assert "Left out here: 281 more implementations." in text


def test_kinds_of_changes_that_are_left_out_are_counted(results, verdict):
    names = [f"of_{letter * 100}_{i}" for i, letter in enumerate("abcdefghij")]
    laws = [f"law_{'l' * 90}_{i}" for i in range(50)]
    old, new = (
        results(*(verdict(row * 100, kind, law, of) for of in names for law in laws for row in "xyz"))
        for kind in ("pass", "fail")
    )
    text = markdown([new], ["a"], [changes(old, new)])
    told = text.count("broken, of <code>of_")
    left_out = re.search(r"^Left out here: (\d+) more kinds of changes, which `tmref diff`", text, re.M)
    assert 0 < told < 10
    assert int(left_out[1]) >= 10 - told
