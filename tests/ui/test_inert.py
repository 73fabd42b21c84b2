"""Untrusted text stays text: whatever a document or a model says, no tag, link, image or entity of it survives."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ui.inert import Checked, answer_html, inert_html, inert_markdown, inert_text, passage_html

OUR_TAGS = {
    *("div", "p", "ul", "ol", "li", "strong", "em", "s", "blockquote", "table", "thead", "tbody", "tr", "th", "td"),
    *("pre", "code", "br", "hr", "button", "span", "mark"),
}
OUR_ATTRIBUTES = {"class", "type", "tabindex", "title", "aria-label", "aria-hidden", "role", "start", "data-ob-cite"}

URL = "http://127.0.0.1:9/canary"
PAYLOADS = [
    f"![x]({URL})",
    f"![x][r]\n\n[r]: {URL}",
    f"[click]({URL})",
    f"[click]({URL} 'title')",
    f"<{URL}>",
    URL,
    "www.example.com/canary",
    "someone@example.com",
    f"<img src={URL}>",
    f"<img src=x onerror=fetch('{URL}')>",
    f"<svg><image href='{URL}'/></svg>",
    f"<svg/onload=fetch('{URL}')>",
    f"<style>@import '{URL}';</style>",
    f"<link rel=stylesheet href={URL}>",
    f"<script src={URL}></script>",
    f"<iframe src={URL}></iframe>",
    f"<video poster={URL}>",
    f"<object data={URL}>",
    f"<p style='background:url({URL})'>",
    f"<math href={URL}>x</math>",
    "<a href=javascript:alert(1)>x</a>",
    "[x](javascript:alert(1))",
    f"&lt;img src={URL}&gt;",
    f"&#60;img src={URL}&#62;",
    f"\\<img src={URL}>",
    f"`<img src={URL}>`",
    f"```html\n<img src={URL}>\n```",
    f"~~~\n</code></pre><img src={URL}>\n~~~",
    f"    <img src={URL}>",
    f"| a |\n|---|\n| <img src={URL}> |",
    f"# <img src={URL}>",
    f"> <img src={URL}>",
    f"- <img src={URL}>",
    f"1. ![x]({URL})",
    f"**![x]({URL})**",
    f"[![x]({URL})]({URL})",
    f"\" onmouseover=\"fetch('{URL}')",
    f"'><img src={URL}>",
    f"<!-- <img src={URL}> -->",
    f"<![CDATA[<img src={URL}>]]>",
    f"<?php <img src={URL}> ?>",
    f"$$\\href{{{URL}}}{{x}}$$",
    f":material/home: :red[x] :smile: ![]({URL})",
    '<button class="ob-chip" data-ob-cite="other:1">1</button>',
    "\ue0000\ue001 \ue0007\ue001 [1]",
    "\u202egnp.exe\u202c \x00 \x1b[31m",
]


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl!r}")

    unknown_decl = handle_pi = handle_decl


def read(markup: str) -> Reader:
    reader = Reader()
    reader.feed(markup)
    reader.close()
    for tag, attributes in reader.found:
        assert tag in OUR_TAGS
        assert set(attributes) <= OUR_ATTRIBUTES
    return reader


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("markdown", [True, False])
def test_a_hostile_answer_holds_only_our_tags(payload: str, markdown: bool) -> None:
    sentence = Checked(start=0, end=len(payload), verdict="unsupported", reason=payload, markers=(1,))
    reader = read(answer_html(payload, scope="r1", markdown=markdown, titles={1: payload}, sentences=[sentence]))
    chips = [a["data-ob-cite"] for tag, a in reader.found if "data-ob-cite" in a]
    assert set(chips) == {"r1:1"}  # one of ours, none of theirs


@given(st.text(max_size=400), st.booleans())
def test_no_text_can_make_a_tag_of_its_own(text: str, markdown: bool) -> None:
    read(answer_html(text, scope="r1", markdown=markdown, titles={1: text}, sentences=[]))


@given(st.text(max_size=300), st.integers(-5, 400), st.integers(-5, 400))
def test_a_passage_shows_the_text_and_marks_the_range(text: str, start: int, end: int) -> None:
    reader = read(passage_html(text, start, end, around=10_000))
    assert reader.text == inert_text(reader.text)
    assert [tag for tag, _ in reader.found] == ["div", "mark"]


def test_the_mark_is_the_passage_itself() -> None:
    text = "alpha beta <gamma> delta"
    marked = re.search("<mark>(.*)</mark>", passage_html(text, 11, 18))
    assert marked and html.unescape(marked[1]) == text[11:18] == "<gamma>"


def test_long_surroundings_are_cut_at_words() -> None:
    text = "one two three FOUR five six seven"
    # 8 code points on either side reach into "two" and "six": "wo three " and " five si".
    reader = read(passage_html(text, 14, 18, around=8))
    assert reader.text == "… three FOUR five …"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_label_holds_no_live_markup(payload: str) -> None:
    label = inert_markdown(payload)
    assert "\n" not in label
    # Each character that Markdown reads stands behind a backslash of ours.
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_\[\]<>!$:&]", label.replace("\\\\", ""))
    # What Streamlit links or turns into icons and emoji after unescaping is broken by a word joiner.
    assert not re.search(r"(?i)https?:/|www\.|:\w|@\w", re.sub(r"\\(.)", r"\1", label))


@given(st.text(max_size=200))
def test_a_label_still_says_what_the_text_says(text: str) -> None:
    shown = re.sub(r"\\(.)", r"\1", inert_markdown(text)).replace("\u2060", "")
    assert shown == " ".join(inert_text(text).split()).replace("\u2060", "")


def test_characters_that_reorder_text_are_made_visible() -> None:
    assert inert_text("invoice\u202egpj.exe") == "invoice\ufffdgpj.exe"
    assert inert_html("a\x00b") == "a\ufffdb"
    assert inert_text("a\r\nb\rc\td") == "a\nb\nc\td"


def test_markdown_of_an_answer_is_drawn() -> None:
    text = "**Sales** rose:\n\n- by `4 %`\n- in [Europe](http://evil)\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    shown = answer_html(text, scope="r1", markdown=True)
    assert "<strong>Sales</strong>" in shown
    assert "<li>by <code>4 %</code></li>" in shown
    assert "<td>1</td>" in shown
    assert "[Europe](http://evil)" in shown  # as it stands: no link


def test_a_quote_is_shown_as_it_stands() -> None:
    assert "<p>* 4 of **5** # see_note_1</p>" in answer_html("* 4 of **5** # see_note_1", scope="r", markdown=False)


def test_chips_and_verdicts_come_where_the_sentence_ends() -> None:
    text = "Sales rose [1]. **Costs fell.** Nobody knows why."
    sentences = [
        Checked(start=0, end=15, verdict="supported", markers=(1,)),
        Checked(start=16, end=31, verdict="contradicted", reason="they rose", markers=(2,)),
        Checked(start=32, end=49, verdict="not_a_claim"),
    ]
    shown = answer_html(text, scope="r7", markdown=True, titles={1: "A, page 3", 2: "B"}, sentences=sentences)
    reader = read(shown)
    # The first chip where the text says [1], the second at the end of a sentence that cites without saying so.
    assert [a["data-ob-cite"] for t, a in reader.found if t == "button"] == ["r7:1", "r7:2"]
    assert reader.text == "Sales rose 1.✓ Costs fell.2✕ Nobody knows why."
    assert "<strong>Costs fell." in shown  # the mark does not keep the emphasis from closing
    assert any(a.get("aria-label") == "contradicted by what it cites: they rose" for _, a in reader.found)


def test_a_marker_behind_the_full_stop_belongs_to_the_sentence() -> None:
    text = "Sales rose. [1] Costs fell.[2]"
    sentences = [
        Checked(start=0, end=11, verdict="supported", markers=(1,)),
        Checked(start=16, end=27, verdict="partial", markers=(2,)),
    ]
    reader = read(answer_html(text, scope="r", markdown=False, titles={1: "A", 2: "B"}, sentences=sentences))
    assert reader.text == "Sales rose. 1✓ Costs fell.2◐"  # one chip each, and the verdict behind it


def test_brackets_that_cite_nothing_stay_text() -> None:
    reader = read(answer_html("In [2019] and [3] and [1, 9].", scope="r", markdown=True, titles={1: "A"}))
    assert reader.text == "In [2019] and [3] and [1, 9]."


def test_the_caret_ends_the_last_line() -> None:
    assert answer_html("half an ans", scope="r", markdown=True, streaming=True).endswith("</span></p></div>")
