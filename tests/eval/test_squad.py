"""SQuAD's definitions on ordinary and adversarial strings, against the official script's rules written out again."""

from __future__ import annotations

import collections
import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics.squad import best_over_golds, contains, exact_match, f1, normalize


def test_f1_counts_words_as_a_multiset() -> None:
    assert f1("new york new york", "new york") == pytest.approx(2 * (2 / 4) * (2 / 2) / (2 / 4 + 2 / 2))
    assert f1("new york", "new york new york") == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("prediction", "gold", "em", "expected_f1"),
    [
        ("The Beatles!", "beatles", 1, 1),
        ("U.S.", "US", 1, 1),
        ("a-b", "ab", 1, 1),  # punctuation is removed, not replaced
        ("a", "the", 1, 1),  # nothing is left of either
        ("", "", 1, 1),
        ("", "cat", 0, 0),
        ("the", "cat", 0, 0),
        ("“cat”", "cat", 0, 0),  # only ASCII punctuation goes, as in the script
        ("theatre another", "atre other", 0, 0),  # articles go as words only
        ("cat  \t\n dog", "cat dog", 1, 1),
        ("cat", "cat dog", 0, 2 * 1 * (1 / 2) / (1 + 1 / 2)),
        ("CAFÉ", "café", 1, 1),
        ("İstanbul", "istanbul", 0, 0),
        ("an a the an", "the", 1, 1),
        ("a_the_b", "a the b", 0, 0),  # "_" is punctuation: "atheb"
    ],
)
def test_exact_match_and_f1_of(prediction: str, gold: str, em: float, expected_f1: float) -> None:
    assert exact_match(prediction, gold) == em
    assert f1(prediction, gold) == pytest.approx(expected_f1)


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [
        ("The answer is Paris.", "Paris", 1),
        ("There were sixteen of them.", "six", 0),
        ("In 2019 it began.", "19", 0),
        ("Six-time Grammy winner", "Six", 1),
        ("sechs-malige Siegerin", "sechs", 1),
        ("It scored 1,308 points", "308", 0),
        ("It scored 1,308 points", "1308", 1),
        ("the U.S. dollar", "US", 1),
        ("$3.5 million in all", "3.5 million", 1),
        ("六次格莱美奖得主", "六", 1),
        ("丢了308分", "308", 1),
        ("丢了1308分", "308", 0),
        ("उसने गाया।", "गाया", 1),
        ("New York, and York", "new york", 1),
        ("york new", "new york", 0),
        ("", "Paris", 0),
        ("anything", "", 0),
        ("anything", "the", 0),
        ("the", "the", 1),
        ("“Paris”", "Paris", 1),
    ],
)
def test_contains_finds_whole_words_only(prediction: str, gold: str, expected: float) -> None:
    assert contains(prediction, gold) == expected


def test_the_best_gold_answer_counts() -> None:
    assert best_over_golds(f1, "new york city", ["boston", "new york"]) == pytest.approx(2 * (2 / 3) / (2 / 3 + 1))
    assert best_over_golds(f1, "new york city", []) == 0


def reference_normalize(text: str) -> str:
    """Step by step and character by character, the other way around from the code under test."""
    kept = "".join(ch for ch in text.lower() if ch not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", kept).split())


def reference_f1(prediction: str, gold: str) -> float:
    p, g = reference_normalize(prediction).split(), reference_normalize(gold).split()
    same = sum((collections.Counter(p) & collections.Counter(g)).values())
    if len(p) == 0 or len(g) == 0:
        return float(p == g)
    return 0.0 if same == 0 else 2 * same / (len(p) + len(g))


words = st.lists(
    st.sampled_from(["a", "the", "an", "New", "york", "U.S.", "'s", "ÉTÉ", "1,000", "-", "the_", "\u00a0", "文"])
)


@settings(max_examples=300, deadline=None)
@given(words.map(" ".join) | st.text(), words.map(" ".join) | st.text())
def test_any_two_strings_score_as_the_rules_say(prediction: str, gold: str) -> None:
    assert normalize(prediction) == reference_normalize(prediction)
    assert f1(prediction, gold) == pytest.approx(reference_f1(prediction, gold), abs=1e-12)
    assert f1(prediction, gold) == pytest.approx(f1(gold, prediction), abs=1e-12)
    if exact_match(prediction, gold):
        assert f1(prediction, gold) == 1
    assert contains(prediction, prediction) == 1
