"""The page of verdicts, as it is written: what a browser makes of it is in test_browser.py."""

import re
from html.parser import HTMLParser

import pytest

from tmref.catalog import DATA, ROWS
from tmref.laws import LAWS
from tmref.reports.html import page
from tmref.verdicts import Verdict

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onfocus=alert(1) autofocus x="',
    "' onmouseover='alert(1)",
    "--></style><style>*{display:none}",
    "</pre></details></section></main>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp;amp; &#x3c;",
    "a\u2028b\u2029c\u202ed\ufeff",
    "\ud800\x00\x1b[31m",
    "]]><!--",
    "law/x/y?z=%2F#%00",
)


class Read(HTMLParser):
    """What a page consists of: elements with the names of their attributes, their values, and text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.ids, self.links, self._inside = [], [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._inside = tag
        self.elements.append((tag, *(name for name, _ in attributes)))
        given = dict(attributes)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def test_it_is_one_file_that_names_no_other(mixed):
    text = page([mixed], ["a.jsonl"])
    read = Read(text)
    assert {link[0] for link in read.links} == {"#"}
    assert not re.search(r"\b(src|srcset|action|data)=|url\(|@import|https?:", text)
    assert {tag for tag, *_ in read.elements} & {"link", "img", "iframe", "object", "base"} == set()
    assert text.count("<script>") == text.count("<style>") == 1
    assert "default-src 'none'" in text


def test_every_link_leads_somewhere_and_every_place_is_one(mixed, results, verdict):
    names = [*HOSTILE, "tanh", "Tanh", "a b"]
    laws = dict.fromkeys(names, "a family")
    others = [verdict(row, "fail", law=law, of=f"o {law}") for law in names for row in names]
    known = [verdict(row, "fail", of="", version="", known="x: y") for row in names]
    again = results(*others, *known, laws=laws, rows=names)
    read = Read(page([mixed, mixed, again], ["a.jsonl", "a.jsonl", "b.jsonl"]))
    assert len(read.ids) == len({*read.ids}) > len(names) ** 2
    assert {link[1:] for link in read.links} - {*read.ids} == set()
    assert not any(re.search(r"\s", found) for found in read.ids)


def of_texts(text, results, verdict):
    """A page on which whatever can be said is the text."""
    said = dict.fromkeys(("counterexample", "reproducer", "warning", "mended"), text)
    said["message"] = f"more than a line\n{text}"
    found = results(
        verdict(text, "fail", law=text, of=text, version=text, **said),
        verdict(text + "2", "error", law=text, of=text, version=text, known=text, **said),
        verdict(text + "3", "untested", law=text, of=text, version=text, offered=False, **said),
        laws={text: text},
        rows=[text],
        selection=text,
        device=text,
        processor=text,
        versions={text: text, "tmref": text},
        seed=text,
        footer=None,
    )
    found.header["settings"][text] = text
    return Read(page([found], [text]))


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_said_is_text(text, results, verdict):
    plain, hostile = (of_texts(one, results, verdict) for one in ("plain", text))
    assert hostile.elements == plain.elements
    assert len(plain.elements) > 100
    shown = " ".join(
        verdict(text, "pass").row.split()
    )  # as verdicts have it: without what can't be seen
    assert hostile.words.count(shown) >= plain.words.count("plain") - 9 > 20


def test_no_text_becomes_an_attribute_that_is_obeyed(results, verdict):
    allowed = "aria-label aria-labelledby autocomplete charset class colspan content data-family data-of"
    allowed += " for hidden href http-equiv id lang name open placeholder role scope tabindex type value"
    for text in HOSTILE:
        found = {name for _, *names in of_texts(text, results, verdict).elements for name in names}
        assert found <= {*allowed.split()}


def test_the_top_says_what_is_missing_and_what_is_unexpected(mixed, results, verdict):
    cut = results(verdict("tanh", "pass", of="third"), footer=None)
    words = Read(page([mixed, cut], ["a.jsonl", "b.jsonl"])).words
    top, _, table = words.partition(" Laws Only ")
    assert "Incomplete: b.jsonl: the run was cut short, there are verdicts missing" in top
    assert "third 1: 6 verdicts are not there that others have" in top
    assert "mine 1 3 2 1 1 10" in top
    assert "fail Keys survive in order on tanh of mine 1 it is 1, expected 2" in top
    assert "error Keys survive in order on relu of mine 1 crashed (SIGSEGV)" in top
    assert "theirs 2, tanh: memory grows, by Keys survive in order" in top
    assert "a kind 1 1 0" in top
    assert "theirs 2: an old kind, mended in 2, by Keys survive in order" in top
    assert "Every verdict that is there is as expected" not in top
    assert "Every verdict that is there is as expected" in Read(page([cut], ["b.jsonl"])).words
    assert "Keys survive in order 1 fail 1 error 1 pass 3 pass 1 pass" in table


def test_causes_beyond_some_are_counted(results, verdict):
    found = [verdict("tanh", "error", message=str(i), law=f"law_{i}") for i in range(50)]
    top, *_ = Read(page([results(*found)], ["a.jsonl"])).words.partition(" Laws Only ")
    assert "Law 39 on tanh" in top
    assert "Law 40" not in top
    assert "… and 10 more, in the table below" in top


def test_a_law_says_what_it_demands_and_what_breaks_it(mixed):
    words = Read(page([mixed], ["a.jsonl"])).words
    of_law = words.partition("keys_survive_in_order , of the family metadata ")[2]
    assert of_law.startswith("The output has the keys of the input, in their order. [doc] ModuleMap")
    assert (
        "It is a demand of metatensor's documentation , about modules of the trait keeps_keys." in words
    )
    assert "Script that shows it # mine 1 import torch x = torch.tensor([[1.0]])" in of_law
    assert "Counterexample x = 1" in of_law
    assert "Known failure , relu: mended in 2: an old kind: of two blocks [doc]" in of_law
    assert "linear pass 7 pass 5 tanh fail pass 5 relu error pass 5" in of_law
    assert "Source of the law, tmref/laws/modules/metadata.py" in of_law
    assert "def keys_survive_in_order(f: ModuleSession" in of_law
    assert "What it demands isn't known to tmref 0.1.0, which made this page." in words
    assert "not offered no relu ( relu )" in re.sub(r"([()])", r" \1 ", words).replace("  ", " ")


def test_code_is_what_it_was(mixed):
    (shown,) = {*re.findall(r"<pre class=\"code\">\n(# mine.*?)</pre>", page([mixed], ["a"]), re.S)}
    found = Read(f"<pre>{shown}</pre>")
    assert "".join(found.text) == mixed.verdicts[1].reproducer


def test_four_implementations_take_less_than_2_megabytes(results):
    tried = [(law, row) for law in LAWS for row in (*DATA, *ROWS) if law.applies_to(row)]
    line = 'x = TensorMap(Labels(["o3_lambda"], np.array([[0]])), [TensorBlock(values)])\n'
    said = {"message": "m" * 100, "reproducer": line * 12, "counterexample": line * 6}
    said["known"] = f"a kind: {'k' * 170}"
    found = []
    for of in ("reference", "batched", "metatensor-learn", "metatensor-torch"):
        for number, (law, row) in enumerate(tried):
            fails = of.startswith("metatensor") and number % 11 == 0
            kind, more = ("fail", said) if fails else ("pass", {})
            found.append(Verdict(law.name, row.name, of, "0.1.0", kind, examples=5, **more))
    assert len(found) > 7_500
    assert sum(v.known is not None for v in found) > 350
    laws = {law.name: law.family for law in LAWS}
    rows = [row.name for row in (*DATA, *ROWS)]
    size = len(page([results(*found, laws=laws, rows=rows)], ["all.jsonl"]).encode())
    assert 1_000_000 < size < 2_000_000
