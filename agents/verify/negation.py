"""A claim and the sentence it rests on must point the same way: no "not" more or less, no "rose" for "fell".

Known are English negations and a short list of opposites. Double negation and what a negation reaches are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from agents.lexical import stem
from agents.verify.findings import Finding
from core.text import words

_NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "nobody",
        "nothing",
        "neither",
        "nor",
        "without",
        "cannot",
        "hardly",
        "barely",
        "scarcely",
        "unable",
        "failed",
        "fails",
        "lack",
        "lacks",
        "lacked",
        "refused",
        "denies",
        "denied",
        "nicht",
        "kein",
        "keine",
        "keinen",
        "keiner",
        "nie",
        "niemals",
        "ohne",
        "nunca",
        "sin",
        "ningún",
        "ninguna",
    ]
)
_OPPOSITES = tuple(
    (frozenset(stem(w) for w in a.split()), frozenset(stem(w) for w in b.split()))
    for a, b in (
        ("increase increased increasing rise rose risen rising grow grew grown growth gain gained climb climbed up",
         "decrease decreased decreasing fall fell fallen falling shrink shrank decline declined drop dropped down"),
        ("more higher larger greater bigger", "less fewer lower smaller"),
        ("before earlier", "after later"),
        ("above over exceed exceeded", "below under"),
        ("most maximum highest largest biggest", "least minimum lowest smallest"),
        ("win won victory", "lose lost defeat"),
        ("begin began start started open opened", "end ended stop stopped finish finished close closed"),
        ("north northern", "south southern"), ("east eastern", "west western"), ("left", "right"),
        ("always", "never"), ("first", "last"), ("true", "false"), ("legal", "illegal"), ("possible", "impossible"),
        ("accept accepted approve approved", "reject rejected deny denied"), ("profit", "loss"), ("male", "female"),
        ("include includes included", "exclude excludes excluded"), ("allow allowed", "forbid forbidden prohibit prohibited"),
        ("positive", "negative"), ("buy bought", "sell sold"), ("old older oldest", "young younger youngest new"),
    )
)  # fmt: skip


def is_negated(text: str) -> bool:
    return any(w in _NEGATIONS or w.endswith("n't") for w in words(text))


def check_direction(claim: str, likely: str) -> Iterator[Finding]:
    """Findings of conflict between the claim and the sentence of the evidence that speaks of the same."""
    if not likely:
        return
    if is_negated(claim) != is_negated(likely):
        who = "the claim" if is_negated(claim) else "the passage"
        yield Finding(rule="negation", outcome="conflict", item="not", detail=f"only {who} says “not”")
    mine, theirs = {stem(w) for w in words(claim)}, {stem(w) for w in words(likely)}
    for one, other in _OPPOSITES:
        for a, b in ((one, other), (other, one)):
            if mine & a and theirs & b and not mine & b and not theirs & a:
                said, given = min(mine & a), min(theirs & b)
                yield Finding(
                    rule="direction",
                    outcome="conflict",
                    item=said,
                    detail=f"the claim has “{said}” where the passage has “{given}”",
                )
