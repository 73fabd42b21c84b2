"""What a question takes for granted, and a passage that says otherwise: "Why was it planted in 1992?", when it was 1987.

By rule alone: years, dates and numbers that stand in the question as given, and names (``agents.misnamed``). A question
that asks whether something is so takes nothing for granted. What is said in other words than the passage's is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agents.evidence import evidence_text
from agents.irregular import base
from agents.lexical import sentence_terms, terms
from agents.misnamed import in_place_of, named_in, stands_in, without_possessive
from agents.verify.coverage import cover
from agents.verify.dates import check_dates, dates
from agents.verify.findings import Finding
from agents.verify.names import check_names
from agents.verify.numbers import check_numbers, quantities
from core.lexical import STOP_WORDS
from core.text import Span
from core.types import Hit

_ASKING = re.compile(
    r"^\W*(?:(?:and|but|so|then|in|at|by|for|from|of|on|to|with)\s+)?"
    r"(?:who|whom|whose|what|which|when|where|why|how)\b(?:\s+(?:many|much|long|far|often|old|big|large|high|come))?"
    r"(?:\s+(?:did|does|do|was|were|is|are|has|have|had|will|would|can|could|should))?\s*",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"\b(?:when|while|after|before|since|that|which|where|although|because)\s+(?P<clause>.+)$", re.IGNORECASE
)
# "Which political party is", "what drama": what is asked for is not taken for granted.
_WANTED = re.compile(
    r"^\W*(?:(?:in|at|by|for|from|of|on|to|with)\s+)?(?:what|which)\s+(?:[\w’'-]+\s+){1,4}?"
    r"(?:did|does|do|was|were|is|are|has|have|had)\s+",
    re.IGNORECASE,
)
# "Super Bowl 50", "the 80s"; in "is the tower of Alby 72 metres high" something is counted.
_PART_OF_A_NAME = rf"\b[A-Z]\w+\s+{{0}}(?=\W*$|\W+(?:{'|'.join(sorted(STOP_WORDS))})\b)|\b{{0}}s\b"
# "€140 in Germany and €180 in all other countries" says something of Tokyo, too.
_OF_ALL_OTHERS = re.compile(
    r"\b(?:(?:all|any|every|in|for|to|from) (?:the )?others?|others|otherwise|elsewhere|(?:any|every)where else|rest of)\b",
    re.IGNORECASE,
)
# "In any other year it was 19%." does of 2020; that others were built of wood says nothing of when one was opened.
_OF_OTHER_TIMES = re.compile(r"\b(?:all|any|every|in) (?:the )?other\b|\botherwise\b", re.IGNORECASE)
_SHARED = 0.75  # of the premise's terms, dates and numbers apart, that one sentence must have to speak of the same
_LEAST_TERMS = 2  # … so many of them, at least
# Of the premise's terms without the name, that the sentence must have which has another in its place: the place asks for
# something, too. At a half no more was named wrongly on the train files, and fewer of the names were the right ones.
_SHARED_BESIDE_NAME = 2 / 3
_SPEAKS = 0.5  # of them, that a passage must have which may say what the question says


@dataclass(frozen=True, slots=True, kw_only=True)
class FalsePremise:
    """``detail`` says what the passage has in its place."""

    hit: Hit
    item: str  # as the question has it
    detail: str

    def note(self) -> str:
        page = f", page {self.hit.chunk.page}" if self.hit.chunk.page is not None else ""
        title = " ".join(self.hit.title.split())
        return f"The question takes “{self.item}” for granted, but {self.detail} (“{title}”{page})."


def presupposed(question: str) -> str:
    """The question without what asks: what it takes for granted. Empty where it only asks whether something is so."""
    asked = question.strip()
    match = _ASKING.match(asked)
    return asked[match.end() :].rstrip(" ?？؟") if match else ""


def false_premise(question: str, hits: Sequence[Hit]) -> FalsePremise | None:
    """What the best passage that speaks of the same says otherwise, if no passage says it as the question does."""
    whole = presupposed(question)
    # "Who was mayor when the bridge was opened in 1992?" takes two things for granted.
    clauses = [m.group("clause") for m in _CLAUSE.finditer(whole)]
    for premise in (whole, *clauses):
        if any(c.isdigit() for c in premise) and (found := _denied(premise, hits)) is not None:
            return found
    return _misnamed(question, whole, hits)


def _misnamed(question: str, whole: str, hits: Sequence[Hit]) -> FalsePremise | None:
    """A name of the question in whose place a passage that speaks of the same has another, if none has it as the question."""
    asked = named_in(question)
    wanted = _WANTED.match(question)
    premise = question[wanted.end() :] if wanted and not named_in(wanted.group()) else whole
    read = [(hit, evidence_text(hit)) for hit in hits]
    doubtful = [
        (name, premise.replace(name.name, " ", 1)) for name in asked if name.name in premise and len(name.name) > 1
    ]
    doubtful = [
        (name, bare)
        for name, bare in doubtful
        if not any(
            (stands_in(name.name, evidence) and _speaks(bare, evidence))
            or any(_leaves_room(evidence, at) for at in _sentences_on(bare, evidence))
            for _, evidence in read
        )
    ]
    # Passage by passage: where two names are in doubt, the passage that was found first decides.
    for hit, evidence in read:
        for name, bare in doubtful:
            for start, end in _sentences_on(bare, evidence):
                sentence = evidence[start:end]
                if any(f.outcome != "match" for f in _findings(bare, evidence, sentence)):
                    continue
                if (rival := in_place_of(name, named_in(sentence, evidence), question)) is not None:
                    item = without_possessive(name.name)
                    detail = f"the passage says {without_possessive(rival.name)}, not {item}"
                    return FalsePremise(hit=hit, item=item, detail=detail)
    return None


def _speaks(bare: str, evidence: str) -> bool:
    """Whether a passage that has a name may say of it what the question does: it has the other names and half of the words."""
    return cover(bare, evidence).terms >= _SPEAKS and all(f.outcome == "match" for f in check_names(bare, evidence))


def _sentences_on(bare: str, evidence: str) -> Iterator[Span]:
    """Where the sentences of ``evidence`` stand that speak of what is left of a premise without its name, in order."""
    wanted = {base(t) for t in terms(bare)}
    if len(wanted) < _LEAST_TERMS:
        return
    for span, said in sentence_terms(evidence):
        if len(wanted & {base(t) for t in said}) >= _SHARED_BESIDE_NAME * len(wanted):
            yield span


def _leaves_room(evidence: str, at: Span, rule: re.Pattern[str] = _OF_ALL_OTHERS) -> bool:
    """Whether the sentence at ``at``, or the one behind it, says something of all others than those that it names, as ``rule`` finds it."""
    _, end = at
    behind = next((b for (a, b), _ in sentence_terms(evidence) if a >= end), end)
    return rule.search(evidence, at[0], behind) is not None


def _denied(premise: str, hits: Sequence[Hit]) -> FalsePremise | None:
    given = [(d.start, d.end) for d in dates(premise)]
    counted = [(q.start, q.start + len(q.text)) for q in quantities(premise)]
    bare = _without(premise, [*given, *(c for c in counted if not any(a <= c[0] < b for a, b in given))])
    found: FalsePremise | None = None
    for hit in hits:
        evidence = evidence_text(hit)
        said = cover(bare, evidence)
        if said.sentence < _SHARED or said.n_terms < _LEAST_TERMS:
            continue
        findings = _findings(premise, evidence, said.likely)
        if all(f.outcome == "match" for f in findings):
            return None
        if found is None and (conflict := _conflict(findings)) is not None:
            at = evidence.find(said.likely)
            rule = _OF_OTHER_TIMES if conflict.rule == "date" else _OF_ALL_OTHERS
            if _leaves_room(evidence, (at, at + len(said.likely)), rule):
                return None
            found = FalsePremise(hit=hit, item=conflict.item, detail=conflict.detail)
    return found


def _findings(premise: str, evidence: str, likely: str) -> list[Finding]:
    numbers = check_numbers(premise, evidence, [(d.start, d.end) for d in dates(premise)], likely)
    return [
        *check_dates(premise, evidence, likely),
        *(f for f in numbers if not re.search(_PART_OF_A_NAME.format(re.escape(f.item)), premise)),
        *check_names(premise, evidence),
    ]


def _without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + " " + text[end:]
    return text


def _conflict(findings: Sequence[Finding]) -> Finding | None:
    """The one thing that differs; nothing where a name is missing, or date and number both differ: that is another event."""
    if any(f.outcome == "missing" for f in findings):
        return None
    conflicts = [f for f in findings if f.outcome == "conflict"]
    return conflicts[0] if len(conflicts) == 1 else None
