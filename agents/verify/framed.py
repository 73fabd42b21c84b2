"""A claim that stands in the passage as part of a sentence which takes it back: "there can be no assurance that we will be
profitable" does not say that we will be profitable, nor does "employees except managers receive the bonus" of managers.

Known are denials, doubts and accusations in front of a clause, "nor" and "except" directly before it, and "only", "unless"
and "except" directly behind it. A condition in front ("If the fuse blows, …") is not told: whoever answers a question has
it in the question. English, with some German.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import SequenceMatcher

from agents.lexical import stem
from agents.verify.findings import Finding
from core.text import fold, word_spans

_ALONG = 0.8  # share of the claim's words that stand in the sentence, in its order
_MOST_WORDS = 120  # of either; longer ones are not sentences
_SHOWN = 60  # characters of what takes the claim back

_NOT = (
    r"(?:no|not(?!\s+(?:only|just|merely)\b)|never|cannot|hardly|neither|nor|little|without|\w+n't|"
    r"nicht(?!\s+nur\b)|kein\w*)"
)
# What is denied of a clause; "did not know that" and "is not surprised that" take it for granted instead.
_SURE = (
    r"(?:assurances?|assur\w+|guarantee\w*|certain\w*|sure|evidence|proof|prov\w+|indications?|indicat\w+|signs?|reasons?|true|"
    r"correct|right|case|clear|likely|probable|expect\w*|believ\w+|think\w*|thought|anticipat\w+|means?|meant|imply|implies|"
    r"show\w*|shown|f[io]nd|found|conclud\w+|follow\w*|suggest\w*|establish\w*|demonstrat\w+|claim\w*|beweis\w*|glaub\w*|wahr)"
)
_DOUBT = (
    r"(?:den(?:y|ies|ied|ying)|doubt\w*|myth|misconception|rumou?rs?|rumou?red|alleg\w+|refut\w+|hypothesi\w+|pretend\w*|"
    r"wrongly|falsely|incorrectly|mistakenly|bestr[ie]\w+|bezweifel\w+|angeblich)"
)
# Stand beside "that", or say something of a noun instead ("unknown values mean that …").
_NOT_SO = r"(?:unlikely|doubtful|false|untrue|wrong|incorrect|unclear|uncertain|unknown|unproven)"
# From there to the clause, which "that" opens, or nothing: some words, or an aside between commas.
_THAT = r"\s+(?:that|dass)\b,?"
_UP_TO = rf"(?:(?:\s+(?!(?:so|means?|is|are|was|were)\b)[\w-]+){{0,4}}?{_THAT}|,[^,.;:]{{1,40}},{_THAT}|\s+(?:the|a|an|any)\s+\w+)?"
_END = r"[\s\"'(]*$"
_DENIED = re.compile(rf"\b{_NOT}\b(?:[\s,]+[\w-]+){{0,3}}?[\s,]+{_SURE}\b{_UP_TO}{_END}")
_DOUBTED = re.compile(
    rf"(?<!\bno )(?<!\bnot )(?<!\bnever )(?<!n't )(?<!\bcannot )\b(?:{_DOUBT}\b{_UP_TO}|{_NOT_SO}{_THAT}){_END}"
)
# A doubt that is denied affirms, and so does what bears a hypothesis out.
_AFFIRMED = re.compile(
    rf"(?:\b(?:no|not|little|hardly|cannot|without|nobody|never|beyond|nicht|kein\w*|niemand|\w+n't)\b(?:\s+[\w']+){{0,4}}?\s+"
    r"(?:doubt\w*|den(?:y|ies|ied|ying)|unclear|questions?|disput\w+|zweifel\w*|bezweifel\w+|bestr[ie]\w+)"
    r"|\b(?:confirm|support|prove|verif|corroborat|bestätig)\w*(?:\s+\w+){0,2}?\s+hypothes[ie]\w*)"
    rf"\b{_UP_TO}{_END}"
)
_OPEN = re.compile(r"\b(?:whether|ob)\W*$")
_BEFORE = re.compile(
    r"\b(?:nor|neither|not|never|except(?: for)?|excluding|unlike|nicht|ausser)\s+(?:(?:the|a|an|any|all|our|its)\s+)?$"
)
# "In millions, except per share data" is the heading of a table, and takes nothing back.
_BEHIND = re.compile(r"^\W*(?:only|unless|except(?!(?: for)? (?:per[- ]share|share|where|as)\b)|ausser)\b")
_WITHIN = re.compile(r"^\W*(?:except|excluding|unless|ausser)\b")


def taken_back(before: str, behind: str) -> str:
    """What in the rest of its sentence keeps a clause from being said; empty if nothing does.

    Args:
        before: the sentence up to the clause.
        behind: the sentence from the clause's end on.
    """
    said = fold(before) + " " if before.strip() else ""
    for pattern in () if _AFFIRMED.search(said) else (_DENIED, _DOUBTED, _OPEN, _BEFORE):
        if m := pattern.search(said):
            return m.group().strip(" ,")[-_SHOWN:]
    m = _BEHIND.search(fold(behind))
    return m.group().strip(" ,(") if m else ""


def check_framed(claim: str, likely: str) -> Iterator[Finding]:
    """A finding of the rule "qualifier" (missing) where the claim is a clause of ``likely`` that its sentence takes back.

    Args:
        likely: the sentence of the evidence that speaks of the same; empty if there is none.
    """
    mine, theirs = word_spans(claim), word_spans(likely)
    if not mine or not theirs or max(len(mine), len(theirs)) > _MOST_WORDS:
        return
    said, given = ([stem(fold(text[a:b])) for a, b in spans] for text, spans in ((claim, mine), (likely, theirs)))
    matcher = SequenceMatcher(None, given, said, autojunk=False)
    blocks = [b for b in matcher.get_matching_blocks() if b.size]
    if sum(b.size for b in blocks) < _ALONG * len(mine):
        return
    first, last = blocks[0], blocks[-1]
    # What the claim says in front of or behind the clause itself may well be the same in other words.
    before = likely[: theirs[first.a][0]] if first.b == 0 else ""
    behind = likely[theirs[last.a + last.size - 1][1] :] if last.b + last.size == len(mine) else ""
    words = taken_back(before, behind)
    for op, i, j, _, _ in matcher.get_opcodes():
        if not words and op == "delete" and i and (m := _WITHIN.search(fold(likely[theirs[i][0] : theirs[j - 1][1]]))):
            words = m.group().strip(" ,(")
    if words:
        detail = f"the passage says it with “{words}”"
        yield Finding(rule="qualifier", outcome="missing", item=words, detail=detail)
