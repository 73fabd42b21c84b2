"""Where semantic chunks break, with an encoder whose every similarity can be reckoned by hand."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import InvalidRequest
from core.types import Document
from ingest.chunk import semantic
from ingest.parse import Heading
from tests.support.tokenizers import ToyTokenizer

SUBJECTS = ("cats", "bonds", "rain")


class SubjectEncoder:
    """Counts three words: texts about one subject have the cosine 1, texts about two the cosine 0."""

    def __init__(self):
        self.batches = []

    def __call__(self, texts):
        self.batches.append(list(texts))
        counts = np.array([[t.lower().count(s) + 1e-3 for s in SUBJECTS] for t in texts], np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def chunk(text, max_tokens=60, percentile=20.0, headings=(), embed=None):
    document = Document(
        doc_id="d", collection="c", uri="u", title="t", mime_type="text/plain", sha256="0" * 64, text=text
    )
    made = semantic.chunk(
        document, headings, ToyTokenizer(), max_tokens, 5, embed or SubjectEncoder(), percentile=percentile
    )
    return [c.text for c in made]


def about(subject, n=4):
    # ToyTokenizer cuts words every four letters: "cats" 1, "purr" 1, "here" 1, "." 1 are 4 tokens a sentence.
    return " ".join(f"{subject.capitalize()} purr here." for _ in range(n))


def test_a_chunk_ends_where_the_subject_changes():
    # 11 gaps of which two are changes: at both the cosine is about 0, at the gaps beside them the windows of two
    # sentences mix 1:1, and everywhere else it is 1. The 15th percentile lies above two values of eleven, not three.
    text = f"{about('cats')} {about('bonds')} {about('rain')}"
    assert chunk(text, percentile=15) == [about("cats"), about("bonds"), about("rain")]


def test_one_subject_is_cut_by_the_budget_alone():
    # 12 sentences of 4 tokens: 48 fit 60 together; of 30 of them 15 do each time.
    assert chunk(about("cats", 12)) == [about("cats", 12)]
    assert [len(c.split(".")) - 1 for c in chunk(about("cats", 30))] == [15, 15]


def test_headings_always_break_though_the_subject_goes_on():
    text = f"# One\n\n{about('cats', 5)}\n\n# Two\n\n{about('cats', 5)}"
    headings = [Heading(1, "One", 0), Heading(1, "Two", text.index("# Two"))]
    assert chunk(text, headings=headings) == [text.split("\n\n# Two")[0], "# Two\n\n" + about("cats", 5)]


def test_a_heading_is_not_left_alone():
    text = f"# Cats\n\n## Rain\n\n{about('bonds', 5)}"
    headings = [Heading(1, "Cats", 0), Heading(2, "Rain", text.index("##"))]
    assert chunk(text, headings=headings) == [text]


@pytest.mark.parametrize(("mixed", "with_next"), [("Bonds bonds cats.", True), ("Bonds cats cats.", False)])
def test_a_small_piece_joins_its_more_similar_neighbour(mixed, with_next):
    # A sentence of 7 tokens, less than a quarter of 60. For "Bonds bonds cats.": before it cats,cats stand against
    # 3 bonds and 1 cats, 1/√10 = 0.32; after it 2 cats and 2 bonds against bonds,bonds, 2/√8 = 0.71. Both are breaks.
    cats, bonds = about("cats", 5), about("bonds", 5)
    expected = [cats, f"{mixed} {bonds}"] if with_next else [f"{cats} {mixed}", bonds]
    assert chunk(f"{cats} {mixed} {bonds}", percentile=30) == expected


def test_rows_of_a_table_stay_together():
    rows = "\n".join(f"| {s} | {n} |" for n, s in enumerate(("cats", "bonds", "rain", "cats", "bonds")))
    assert rows in chunk(f"{about('rain', 5)}\n\n{rows}\n\n{about('rain', 5)}", percentile=90)


def test_a_sentence_over_the_budget_is_no_subject_per_word():
    embed = SubjectEncoder()
    chunk("cats " * 300, embed=embed)
    # 300 words of one token in runs of 60: 5 runs, 4 gaps, and windows that hold one run each.
    assert sum(map(len, embed.batches)) == 5


def test_a_long_document_is_encoded_in_blocks_and_each_window_once():
    embed = SubjectEncoder()
    n = 1500
    chunk(" ".join(f"Cats purr {i}." for i in range(n)), embed=embed)
    assert max(map(len, embed.batches)) <= semantic._BLOCK_GAPS + semantic.WINDOW_SENTENCES
    # n windows, and one or two more where a block begins.
    assert n <= sum(map(len, embed.batches)) <= n + 2 * len(embed.batches) * semantic.WINDOW_SENTENCES


def test_the_same_text_is_cut_the_same():
    text = f"{about('cats')} {about('bonds')} {about('rain')}" * 3
    assert chunk(text) == chunk(text)


def test_nothing_and_one_sentence():
    assert chunk("") == []
    assert chunk("Cats purr here.") == ["Cats purr here."]


@pytest.mark.parametrize("percentile", [0.0, 100.0, float("nan")])
def test_a_percentile_that_is_none_is_refused(percentile):
    with pytest.raises(InvalidRequest, match="more than 0 and less than 100"):
        chunk("Cats.", percentile=percentile)


def test_it_asks_for_an_encoder():
    document = Document(doc_id="d", collection="c", uri="u", title="t", mime_type="text/plain", sha256="0", text="a")
    with pytest.raises(InvalidRequest, match="pass embed"):
        semantic.chunk(document, [], ToyTokenizer(), 20, 5)
