"""Sentences that are the passage's but for what matters."""

from __future__ import annotations

import pytest

from agents.verify import RuleVerifier, TrainedVerifier
from core.protocols import Encoder

CHANGED = [
    ("The owner may sue the tenant.", "The tenant may sue the owner.", "contradicted"),
    ("A dog bit a man in Lindau.", "A man bit a dog in Lindau.", "contradicted"),
    ("Anna Keller sold the orchard to Ben Varga.", "Ben Varga sold the orchard to Anna Keller.", "contradicted"),
    ("The owner may repair the roof.", "The owner must repair the roof.", "partial"),
    ("Some apples are sold in Lindau.", "All apples are sold in Lindau.", "partial"),
    ("The tree allegedly fell on the house of the mayor.", "The tree fell on the house of the mayor.", "partial"),
    ("The bridge over the lake collapsed.", "The bridge over the lake did not collapse.", "contradicted"),
    ("The keeper never left the tower on the island.", "The keeper left the tower on the island.", "contradicted"),
    (
        "The orchard near Lindau was planted by Maria Keller.",
        "The orchard near Lindau was planted by Tom Varga.",
        "contradicted",
    ),
]
SAME = [
    ("Maria Keller met Tom Varga in Lindau.", "Tom Varga met Maria Keller in Lindau."),
    ("Apples, pears and plums grow in the orchard.", "Plums, apples and pears grow in the orchard."),
    ("Maria Keller planted the orchard.", "The orchard was planted by Maria Keller."),
    ("The price usually rises in the spring of each year.", "The price usually rises in the spring."),
]  # fmt: skip


@pytest.mark.parametrize(("passage", "claim", "label"), CHANGED)
def test_what_was_changed_is_seen(passage: str, claim: str, label: str) -> None:
    assert RuleVerifier().check(claim, [passage]).label == label


@pytest.mark.parametrize(("passage", "claim"), SAME)
def test_what_says_the_same_stays_supported(passage: str, claim: str) -> None:
    assert RuleVerifier().check(claim, [passage]).label == "supported"


@pytest.mark.parametrize(
    ("claim", "supported"),
    [
        ("The old orchard near the lake was sold by Maria Keller in 1987.", False),
        ("The old orchard near the lake was burned by Maria Keller in 1987.", False),
        ("The old orchard near the lake was seeded by Maria Keller in 1987.", True),
    ],
)
def test_another_word_in_a_words_place_must_mean_the_same(encoder: Encoder, claim: str, supported: bool) -> None:
    passage = "The old orchard near the lake was planted by Maria Keller in 1987."
    verdict = TrainedVerifier(encoder).check(claim, [passage])
    assert (verdict.label == "supported") is supported
    if not supported:
        assert "where the passage has “planted”" in verdict.reason
