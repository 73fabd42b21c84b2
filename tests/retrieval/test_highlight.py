"""The sentence that answers best, as offsets into the stored text."""

from __future__ import annotations

import pytest

from retrieval.highlight import Highlighter, best_by_words
from retrieval.sparse.analyse import Analyser
from tests.support.library import LOCAL, library

TEXT = "Herons are birds. 𝒯he keeper of the light kept eleven geese. The lamp burned oil until 1846. It was cold."


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    with library(tmp_path_factory.mktemp("highlight")) as lib:
        lib.create("c")
        lib.put("c", "a.txt", f"Before. {TEXT}", words_per_chunk=100)
        yield lib


@pytest.mark.parametrize("by", ["words", "tokens"])
def test_it_is_a_sentence_of_the_stored_text(lib, by):
    hits = lib.search("how many geese did the keeper keep", 1)
    (span,) = Highlighter(analyser=Analyser(), encoder=lib.encoder).spans(
        "how many geese did the keeper keep", hits, by
    )
    text = lib.store.get_document(LOCAL, hits[0].chunk.doc_id).text
    assert text[slice(*span)] == "𝒯he keeper of the light kept eleven geese."


def test_it_can_be_left_out(lib):
    hits = lib.search("geese", 1)
    assert Highlighter(analyser=Analyser(), encoder=lib.encoder).spans("geese", hits, "off") == [None]


def test_rare_words_count_most_and_no_word_marks_nothing():
    texts = ["The lamp is old. The lamp is a lamp of 1846.", "The lamp of the lamp. Nothing.", "Nothing of it."]
    spans = best_by_words("lamp 1846", texts, Analyser())
    assert [None if s is None else t[slice(*s)] for t, s in zip(texts, spans, strict=True)] == [
        "The lamp is a lamp of 1846.",
        "The lamp of the lamp.",
        None,
    ]


@pytest.mark.parametrize("text", ["", "   ", "…", "one"])
def test_odd_texts_are_no_failure(text):
    assert best_by_words("lamp", [text], Analyser()) == [None]
    assert best_by_words("", [text], Analyser()) == [None]
