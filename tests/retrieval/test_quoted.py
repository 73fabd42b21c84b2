"""What a query asks for beside its terms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.types import StagePart
from retrieval.sparse.quoted import MAX_PHRASES, Asked, phrases_of, read_query
from tests.support.library import library


@pytest.mark.parametrize(
    ("query", "phrases"),
    [
        ('"net sales"', [("net", "sales")]),
        ('what does "Net Sales" mean?', [("net", "sales")]),
        ('("net sales"), "Vitamin D".', [("net", "sales"), ("vitamin", "d")]),
        ("“net sales” „Umsatz netto“ «ventes nettes»", [("net", "sales"), ("umsatz", "netto"), ("ventes", "nettes")]),
        ('"东京"', [("东", "京")]),
        ('"net sales" "NET SALES"', [("net", "sales")]),
    ],
)
def test_quoted_phrases(query, phrases):
    assert list(phrases_of(query)) == phrases


@pytest.mark.parametrize(
    "query", ['risk AND "loss', 'a 5" screen and a 7" one', '""', '"()"', '" "', "it's 'so'", '"a\nb"']
)
def test_signs_that_quote_nothing_are_text(query):
    assert phrases_of(query) == ()


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("CVE-2026-27628", Asked(whole=(("cve", "2026", "27628"),), literal=("cve-2026-27628",))),
        ("§ 4.2", Asked(whole=(("4", "2"),), literal=("4.2",))),
        ("src/core/errors.py", Asked(whole=(("src", "core", "errors", "py"),), literal=("src/core/errors.py",))),
        ('"net sales" (“C++”)', Asked(required=(("net", "sales"), ("c",)))),
        ('what is "net sales"?', Asked(preferred=(("net", "sales"),))),
        ("ISO/IEC", Asked(whole=(("iso", "iec"),))),
        ("c++", Asked(literal=("c++",))),
        ("c3535", Asked(whole=(("c3535",),))),
        ("TX9007 A380", Asked(whole=(("tx9007",), ("a380",)))),
        ("2019 2020", Asked()),
        ("what did net sales do in Q3 2023?", Asked()),
        ("error CVE-2026-27628", Asked()),  # more than identifiers
        ("net sales", Asked()),
        ("", Asked()),
    ],
)
def test_queries_of_nothing_but_identifiers(query, asked):
    assert read_query(query) == asked


def test_each_identifier_is_worth_the_same_be_it_a_compound_or_not():
    wishes = dict(read_query("c3535 CVE-2026-27628 R&D").wishes)
    # The compound is worth 1 once more as a term.
    assert wishes == {("c3535",): 2.0, ("cve", "2026", "27628"): 1.0, ("r", "d"): 2.0}


@given(st.text(max_size=200))
def test_any_query_can_be_read_always_with_the_same_result(query):
    asked = read_query(query)
    assert read_query(query) == asked
    assert len(asked.required + asked.preferred) <= MAX_PHRASES
    assert all(
        word and not word.isspace() for phrase in (*asked.required, *asked.preferred, *asked.whole) for word in phrase
    )


def test_hybrid_search_finds_a_quoted_phrase_alone_and_an_identifier_first(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        lib.put_many(
            "a",
            {f"f{i}": f"sales of net and rope in year {i} by CVE 2026 and 27628 CVE" for i in range(30)}
            | {"it": "then the net sales rose", "id": "fixed is CVE-2026-27628 and more of it besides"},
            words_per_chunk=20,
        )
        assert [h.title for h in lib.search('"net sales"', 10)] == ["it"]
        assert len(lib.search("net sales", 10)) == 10
        assert lib.search('"rope sales"', 10) == []
        (best, *others) = lib.search("CVE-2026-27628", 10)
        assert best.title == "id"
        assert best.parts["bm25"] == StagePart(rank=1, score=best.parts["bm25"].score)
        assert others
        # Vectors alone know nothing of words next to each other.
        assert len(lib.search('"net sales"', 10, retriever="dense")) == 10
