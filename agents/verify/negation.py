"""A claim and the sentence it rests on must point the same way: no "not" more or less, no "rose" for "fell".

Known are English negations and a short list of opposites. Double negation and what a negation reaches are not.
"""

from __future__ import annotations

from collections.abc import Iterator

from agents.lexical import stem
from agents.verify.findings import Finding
from core.lexical import STOP_WORDS
from core.text import words

NEGATIONS = frozenset(
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
        "keinem",
        "keines",
        "weder",
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


# "Not only …" denies nothing.
_NOT_DENYING = frozenset(["only", "just", "merely", "simply", "necessarily", "least", "sure", "certain", "surprised"])
_BETWEEN = frozenset(["yet", "ever", "even", "really", "also", "always", "been", "still", "actually", "any"])
_REACH = 4  # words behind a negation that it is taken to deny


def denied(text: str) -> set[str]:
    """Stems of the nearest content word behind each negation in ``text``; an opening "No, …" denies nothing here."""
    said = words(text)
    found: set[str] = set()
    for i, word in enumerate(said):
        if not (word in NEGATIONS or word.endswith("n't")) or (i == 0 and word in ("no", "not", "never")):
            continue
        behind = said[i + 1 : i + 1 + _REACH]
        if behind and behind[0] not in _NOT_DENYING:
            nearest = [w for w in behind if w not in STOP_WORDS and w not in _BETWEEN]
            found |= {stem(w) for w in nearest[:1]}
    return found


def check_direction(claim: str, likely: str, denies: str) -> Iterator[Finding]:
    """Findings of conflict between the claim and the sentence of the evidence that speaks of the same.

    Args:
        likely: that sentence, for opposites; empty if none speaks of the same.
        denies: the same for negations, which need less in common.
    """
    mine, theirs = {stem(w) for w in words(claim)}, {stem(w) for w in words(denies)}
    by_claim, by_passage = denied(claim), denied(denies)
    for who, one_sided in (("claim", (by_claim & theirs) - by_passage), ("passage", (by_passage & mine) - by_claim)):
        if one_sided and not (by_claim and by_passage):
            what = ", ".join(sorted(one_sided)[:2])
            yield Finding(
                rule="negation", outcome="conflict", item="not", detail=f"only the {who} says “not” of “{what}”"
            )
    theirs = {stem(w) for w in words(likely)}
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
