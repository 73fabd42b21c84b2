"""What holds for the chunks of any text: offsets slice back, nothing lost, nothing invented, budgets kept."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.errors import InvalidRequest
from core.types import Document, PageSpan
from ingest.chunk import chunker, chunker_version
from ingest.chunk.atoms import joins
from ingest.chunk.choose import cut
from ingest.parse import Heading
from tests.support.hash_encoder import HashEncoder
from tests.support.tokenizers import ToyTokenizer

TOKENIZER = ToyTokenizer()
ENCODER = HashEncoder(8)
KINDS = ["fixed", "sentence", "semantic", "parent-child"]

# Any text: astral planes, marks, controls, no lone surrogates (the parsers let none through).
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)
# Texts that look like documents, with the traps mixed in.
pieces = st.sampled_from(
    ["word", "Sentence one.", "Another, longer sentence with 12.5 % of something!", "\n", "\n\n", " ", "\t", "x" * 150, "日本語の文章です。",
     "ภาษาไทยไม่มีช่องว่าง", "e\u0301" * 40, "👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "حَبيبي", "| a | b |\n| --- | --- |\n| 1 | 2 |", "\u200b" * 30, "a-b_c/d",
     "# Heading", "…", "\U00020000\U00020001", " " * 1200]
)  # fmt: skip
documents = st.lists(pieces, max_size=40).map("".join) | st.lists(pieces, max_size=40).map(" ".join) | anything
sizes = st.tuples(st.integers(4, 60), st.integers(0, 59)).filter(lambda s: s[1] < s[0])
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def document_of(text: str, pages: tuple[PageSpan, ...] = ()) -> Document:
    return Document(
        doc_id="d1", collection="c", uri="u", title="t", mime_type="text/plain", sha256="0" * 64, text=text, pages=pages
    )


def chunk(kind, text, max_tokens=20, overlap=5, headings=()):
    return cut(kind, document_of(text), headings, TOKENIZER, max_tokens, overlap, ENCODER.encode_documents).chunks


@pytest.mark.parametrize("kind", KINDS)
@given(text=documents, size=sizes)
@example(text="x" * 20_000, size=(20, 5))
@example(text="漢字" * 1500, size=(20, 5))
@example(text="a" + " " * 5000 + "b", size=(20, 5))
@example(text="\u0301" * 500, size=(4, 1))
@example(text="!" * 300, size=(4, 3))
@SETTINGS
def test_every_chunk_is_its_slice_of_the_text(kind, text, size):
    for c in chunk(kind, text, *size):
        assert c.text == text[c.start : c.end]
        assert c.text == c.text.strip() != ""


@pytest.mark.parametrize("kind", KINDS)
@given(text=documents, size=sizes)
@example(text="x" * 20_000, size=(20, 5))
@example(text="\u200b" * 500, size=(4, 1))
@SETTINGS
def test_nothing_but_white_space_is_lost(kind, text, size):
    covered = bytearray(len(text))
    for c in chunk(kind, text, *size):
        covered[c.start : c.end] = b"\x01" * (c.end - c.start)
    assert [text[i] for i in range(len(text)) if not covered[i] and not text[i].isspace()] == []


@pytest.mark.parametrize("kind", KINDS)
@given(text=documents, size=sizes)
@example(text="x" * 20_000, size=(20, 5))
@example(text="漢字" * 1500, size=(20, 5))
@example(text="!" * 300, size=(4, 3))
@SETTINGS
def test_the_budget_is_kept_by_the_tokenizers_own_count(kind, text, size):
    max_tokens, _ = size
    for c in chunk(kind, text, *size):
        assert c.n_tokens == TOKENIZER.count([c.text])[0]
        assert c.n_tokens <= max_tokens or len(c.text) == 1
        assert len(c.text) <= 16 * max_tokens + 1000 * max_tokens  # gaps of white space within are bounded as well


@pytest.mark.parametrize("kind", KINDS)
@given(text=documents, size=sizes)
@example(text="Sentence one.word| a | b |\n| --- | --- |\n| 1 | 2 |", size=(19, 17))
@SETTINGS
def test_chunks_go_forward_and_none_lies_within_another(kind, text, size):
    chunks = chunk(kind, text, *size)
    for a, b in pairwise(chunks):
        assert a.start < b.start
        assert a.end < b.end
    assert len({c.chunk_id for c in chunks}) == len(chunks)


@pytest.mark.parametrize("kind", KINDS)
@given(text=documents, size=sizes)
@SETTINGS
def test_the_overlap_is_bounded(kind, text, size):
    _, overlap = size
    for a, b in pairwise(chunk(kind, text, *size)):
        if b.start < a.end:
            assert TOKENIZER.count([text[b.start : a.end]])[0] <= overlap


@given(text=documents, size=sizes)
@example(text="x" * 20_000, size=(20, 5))
@example(text="漢字" * 1500, size=(20, 5))
@example(text="a" + " " * 5000 + "b", size=(20, 5))
@example(text="\u0301" * 500, size=(4, 1))
@SETTINGS
def test_every_child_lies_in_the_parent_that_it_names_and_together_they_are_the_parent(text, size):
    children, parents = cut("parent-child", document_of(text), [], TOKENIZER, *size)
    by_id = {p.chunk_id: p for p in parents}
    assert len(by_id) == len(parents)
    ends: dict[str, list[int]] = {}
    for c in children:
        parent = by_id[c.parent_id]
        assert parent.start <= c.start < c.end <= parent.end
        ends.setdefault(c.parent_id, [c.start]).append(c.end)
    for p in parents:
        assert (p.text, p.parent_id) == (text[p.start : p.end], None)
        assert p.n_tokens <= size[0] or len(p.text) == 1
        assert (ends[p.chunk_id][0], ends[p.chunk_id][-1]) == (p.start, p.end)
    assert all(a.end <= b.start for a, b in pairwise(parents))


@given(text=documents, size=sizes)
@SETTINGS
def test_no_cut_parts_a_letter_from_its_marks(text, size):
    for c in chunk("fixed", text, *size):
        for edge in (c.start, c.end):
            if 0 < edge < len(text) and not text[edge].isspace() and not text[edge - 1].isspace():
                assert not joins(text, edge)


@given(words=st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12), min_size=1, max_size=200))
@SETTINGS
def test_fixed_chunks_never_cut_a_word(words):
    text = " ".join(words)
    for c in chunk("fixed", text):
        assert c.start == 0 or text[c.start - 1] == " "
        assert c.end == len(text) or text[c.end] == " "


def test_sentences_stay_whole_while_they_fit():
    # Each sentence costs 5 words of one piece and a full stop: 6. Three fit 20, with an overlap of one: 6 ≤ 7 < 12.
    text = " ".join(f"Here are five w{i} done." for i in range(7))
    texts = [c.text for c in chunk("sentence", text, 20, 7)]
    assert texts[0] == "Here are five w0 done. Here are five w1 done. Here are five w2 done."
    assert texts[1].startswith("Here are five w2 done. Here are five w3 done.")


def test_a_chunk_begins_at_a_heading_and_knows_its_path():
    body = "some words that say a thing or two about it "
    text = f"Intro\n\n{body}\n\nPart A\n\n{body}\n\nDetail\n\n{body}"
    headings = [
        Heading(1, "Intro", 0),
        Heading(1, "Part A", text.index("Part A")),
        Heading(2, "Detail", text.index("Detail")),
    ]
    chunks = chunk("fixed", text, 30, 8, headings)
    assert [(c.text.split("\n")[0], c.heading_path) for c in chunks] == [
        ("Intro", ("Intro",)),
        ("Part A", ("Part A",)),
        ("Detail", ("Part A", "Detail")),
    ]


def test_a_chunk_has_the_page_of_its_first_character():
    text = "aaa bbb\n\nccc ddd"
    pages = (PageSpan(number=1, start=0, end=7), PageSpan(number=2, start=9, end=16))
    chunks = chunker("fixed")(document_of(text, pages), [], TOKENIZER, 2, 0)
    assert [(c.text, c.page) for c in chunks] == [("aaa bbb", 1), ("ccc ddd", 2)]


TABLE = "| year | sales |\n| --- | --- |\n| 2022 | 12 |\n| 2023 | 14 |"  # 6 + 9 + 5 + 5 tokens, as years are one piece
CODE = "```\nfor i in range(3):\n    print(i)\n```"


@pytest.mark.parametrize("kind", KINDS)
@given(
    before=st.lists(st.sampled_from(["Foxes hunt mice. ", "Oaks grow. ", "Rain\n\n"]), max_size=30).map("".join),
    block=st.sampled_from([TABLE, CODE]),
    after=st.lists(st.sampled_from(["Foxes hunt mice. ", "Oaks grow. "]), max_size=30).map("".join),
)
@SETTINGS
def test_a_table_or_code_block_that_fits_is_read_whole(kind, before, block, after):
    assert TOKENIZER.count([block])[0] <= 40
    made = cut(kind, document_of(f"{before}\n\n{block}\n\n{after}"), [], TOKENIZER, 40, 8, ENCODER.encode_documents)
    assert any(block in c.text for c in made.parents or made.chunks)


def test_an_early_paragraph_end_is_preferred_near_the_budget():
    # 8 words, a paragraph end, 8 words: a budget of 10 is 80 % full at the paragraph's end.
    text = "a b c d e f g h\n\ni j k l m n o p"
    assert [c.text for c in chunk("fixed", text, 10, 0)] == ["a b c d e f g h", "i j k l m n o p"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_overlap_as_large_as_the_chunk_is_refused(kind):
    with pytest.raises(InvalidRequest, match="choose 0 to 9"):
        chunk(kind, "some text", 10, 10)


@pytest.mark.parametrize("kind", KINDS)
def test_chunk_ids_follow_from_content(kind):
    text = "Some words to cut. And some more of them, to be sure. " * 5
    assert [c.chunk_id for c in chunk(kind, text)] == [c.chunk_id for c in chunk(kind, text)]


def test_the_version_names_what_decides_the_chunks():
    assert chunker_version("fixed", 200, 40) != chunker_version("sentence", 200, 40)
    assert chunker_version("fixed", 200, 40) != chunker_version("fixed", 200, 20)
    assert chunker_version("semantic", 200, 40) != chunker_version("semantic", 200, 40, semantic_percentile=30)
    assert len({chunker_version(kind, 200, 40) for kind in KINDS}) == len(KINDS)
