"""Text to terms."""

from __future__ import annotations

import time
import tracemalloc

import pytest
import snowballstemmer
from hypothesis import given
from hypothesis import strategies as st

from retrieval.sparse.analyse import ENGLISH_STOP_WORDS, MAX_TERM_CHARS, Analyser, compiled_stemmer

ANALYSER = Analyser()


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The quick brown foxes", ["quick", "brown", "fox"]),
        ("Company's risks, and theirs", ["compani", "risk", "their"]),
        ("CVE-2026-27628", ["cve", "2026", "27628", "cve-2026-27628"]),
        ("c3535", ["c3535"]),
        ("§ 4.2", ["4.2"]),
        ("$1,234,567.89", ["1234567", "89", "1234567.89"]),
        ("well-known and/or 10-15", ["well", "known", "10", "15"]),
        (
            "snake_case std::vector a@b.org",
            ["snake", "case", "std", "vector", "org", "snake_case", "std::vector", "a@b.org"],
        ),
        ("C++ or C#, but C", ["c++", "c#"]),
        ("Übergröße café", ["ubergross", "cafe"]),
        ("10² ﬁnal", ["10", "final"]),
        ("東京に行く", ["東京", "京に", "に行", "行く", "東", "京", "行"]),
        ("에너지를 집", ["에너", "너지", "지를", "집"]),  # a particle stands on its word
        ("AI를 韓國어", ["ai", "를", "韓國", "韓", "國", "어"]),  # no pair of two scripts
        ("字", ["字"]),
        ("GPT模型v2x", ["gpt", "模型", "模", "型", "v2x"]),
        ("हिन्दी", ["हिन्दी"]),
        ("the and of", []),
        ("", []),
    ],
)
def test_terms_of(text: str, terms: list[str]) -> None:
    assert ANALYSER.terms(text) == terms


def test_the_compiled_stemmer_agrees_with_snowball() -> None:
    words = [
        "running",
        "generalizations",
        "approved",
        "mergers",
        "happily",
        "nationality",
        "relational",
        "conditional",
        "hopping",
        "filings",
        "sensible",
        "electricity",
        "communism",
        "activate",
        "dying",
        "news",
        "inning",
        "proceed",
        "skies",
        "controlling",
        "possibly",
        "quarterly",
        "liabilities",
    ]
    ours, theirs = compiled_stemmer("english"), snowballstemmer.stemmer("english")
    assert {w: ours(w) for w in words} == {w: theirs.stemWord(w) for w in words}


@given(st.text(max_size=200))
def test_any_text_gives_terms_that_can_be_stored_between_spaces(text: str) -> None:
    terms = ANALYSER.terms(text)
    assert all(term and len(term) <= MAX_TERM_CHARS and not set(term) & set(" \t\n\x0b\x0c\r") for term in terms)
    assert not ENGLISH_STOP_WORDS & {t for t in terms if t.isalpha() and t == text}
    assert ANALYSER.terms(text) == terms


@given(st.lists(st.sampled_from(["Alpha", "CVE-2026-1", "naïve", "x1", "日本語", "the", "running"]), max_size=8))
def test_case_does_not_matter(words: list[str]) -> None:
    text = " ".join(words)
    assert ANALYSER.terms(text.upper()) == ANALYSER.terms(text.lower()) == ANALYSER.terms(text)


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "a-" * 100_000, "_" * 200_000, "1,234" * 40_000, "é'" * 100_000, "-." * 100_000]
)
def test_no_text_takes_longer_than_its_length_warrants(text: str) -> None:
    started = time.process_time()
    ANALYSER.terms(text)
    assert time.process_time() - started < 2.0


def test_numbers_and_hashes_without_end_leave_nothing_in_memory() -> None:
    analyser = Analyser()
    texts = [" ".join(f"{n * 7919 + m:016x}" for m in range(50)) for n in range(400)]
    analyser.terms("ab12 warm")
    tracemalloc.start()
    for text in texts:
        assert len(analyser.terms(text)) >= 50
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 200_000, "20,000 of them, at a hundred bytes each, would be 2 MB"
