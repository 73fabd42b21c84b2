"""Tables and code blocks in chunks: whole if they fit, cut between lines if not, never begun in the middle by overlap. Lists: cut
between items."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.types import Document
from ingest.chunk import chunker
from ingest.chunk.pack import block_spans
from ingest.parse.tables import markdown_table
from tests.support.tokenizers import ToyTokenizer

KINDS = ["fixed", "sentence"]
TABLE = "| name | sum |\n|-|-|\n| one | 1 |\n| two | 2 |"


def chunks(kind, text, max_tokens=40, overlap=8):
    document = Document(
        doc_id="d1", collection="c", uri="u", title="t", mime_type="text/plain", sha256="0" * 64, text=text
    )
    return chunker(kind)(document, (), ToyTokenizer(), max_tokens, overlap)


@pytest.mark.parametrize("kind", KINDS)
@given(before=st.integers(1, 60), after=st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_a_table_that_fits_is_whole_in_one_chunk(kind, before, after):
    text = "word " * before + "\n\n" + TABLE + "\n\n" + "word " * after
    assert sum(TABLE in c.text for c in chunks(kind, text)) == 1
    assert sum("| one |" in c.text for c in chunks(kind, text)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_a_long_table_has_its_header(kind):
    rows = [["name", "sum"], *([f"row {n}", f"{n}"] for n in range(60))]
    for c in chunks(kind, "Some words.\n\n" + markdown_table(rows, segment_tokens=30)):
        if "| row" in c.text:
            assert c.text[: c.text.index("| row")].endswith("| name | sum |\n|-|-|\n")


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_longer_than_a_chunk_is_cut_between_rows(kind):
    rows = "\n".join(f"| row {n} | {n} |" for n in range(40))
    for c in chunks(kind, rows):
        assert c.text.startswith("| row") and c.text.endswith(" |")


@pytest.mark.parametrize("kind", KINDS)
def test_code_stays_whole(kind):
    code = "```python\ndef f(x):\n\n    return x + 1\n```"
    text = "word " * 30 + "\n\n" + code + "\n\n" + "word " * 30
    assert any(code in c.text for c in chunks(kind, text))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mark", ["- ", "* ", "• ", "{n}. ", "({n}) "])
def test_a_list_is_cut_between_items(kind, mark):
    items = [mark.format(n=n) + "word " * 11 + "end." for n in range(1, 12)]
    found = chunks(kind, "\n".join(items), overlap=0)
    assert len(found) > 2
    for c in found:
        assert c.text in "\n".join(items) and c.text.endswith("end.")
        assert c.text.startswith(tuple(items)), "no item is begun in its middle"


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_longer_than_half_a_chunk_fills_it(kind):
    """A chunk that ended before it would be half empty."""
    first, *_ = chunks(kind, "- word word\n- " + "word " * 60, overlap=0)
    assert len(first.text.split()) > 30


def test_blocks_are_tables_of_two_lines_and_closed_fences():
    text = f"| not alone |\n\n{TABLE}\n\n```\n| in | code |\n| in | code |\n```\n~~~\nnever closed"
    assert [text[a:b] for a, b in block_spans(text)] == [TABLE, "```\n| in | code |\n| in | code |\n```"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lead", [".. code-block:: python\n\n", "So it is written::\n\n"])
def test_literal_blocks_of_restructured_text_stay_whole(kind, lead):
    code = "    def f(x):\n\n        return x + 1"
    text = "word " * 30 + "\n\n" + lead + code + "\n\n" + "word " * 30
    assert any(code.strip() in c.text for c in chunks(kind, text))
    assert [text[a:b].removeprefix(lead) for a, b in block_spans(text)] == [code]


def test_a_colon_at_the_end_of_a_line_alone_leads_to_no_block():
    for text in (
        "So::\n\nnot indented\nat all",
        "So::\n    no blank\n    line",
        "As follows:\n\n    a\n    b",
        "So::\n\n    one line",
    ):
        assert block_spans(text) == []
