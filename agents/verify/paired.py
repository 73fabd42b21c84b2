"""Amounts belong to their dates: "$12.4 million in 2022 and $10.1 million in 2021" does not say $10.1 million in 2022, nor does
"rose from $10.1 million to $12.4 million" say that it rose from $12.4 million.

Each of the numbers stands in the passage, so that the rule of numbers finds nothing. Read are a date and an amount that share a
clause, lists with "respectively", and "from … to …". A conflict is told only if the sentence gives both: another date to the
claim's amount, and another amount to the claim's date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agents.lexical import sentence_terms
from agents.verify.dates import Date, dates
from agents.verify.findings import Finding
from agents.verify.numbers import Quantity, agrees, quantities

_CUT = re.compile(
    r";|,(?!\d)|\b(?:and|or|but|while|whereas|compared (?:to|with)|versus|vs|against|from|und|oder|aber|während|gegenüber|nach)\b",
    re.IGNORECASE,
)
_RESPECTIVELY = re.compile(r"\b(?:respectively|beziehungsweise)\b", re.IGNORECASE)
# … up to the digits of the first amount, and between the digits of both.
_FROM = re.compile(r"\b(?:from|von)(?:\s+\w+){0,2}\s*(?:US\$|[$€£¥₹])?\s?$", re.IGNORECASE)
_TO = re.compile(r"^[^;]{0,60}?\b(?:to|auf)\b[^\d;]{0,20}$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An amount and the date that it is given for."""

    amount: Quantity
    date: Date


def pairs(sentence: str) -> list[Pair]:
    """The amounts of ``sentence`` that have a date of their own, in order."""
    said = dates(sentence)
    amounts = _amounts(sentence, said)
    if _RESPECTIVELY.search(sentence):
        return [
            Pair(amount=a, date=d)
            for kind in dict.fromkeys(a.kind for a in amounts)
            if len(of_kind := [a for a in amounts if a.kind == kind]) == len(said) > 1
            for a, d in zip(of_kind, said, strict=True)
        ]
    found: list[Pair] = []
    opening: list[Date] = []  # "In 2022, net sales were …"
    for n, (start, end) in enumerate(_clauses(sentence, said)):
        here = [*opening, *(d for d in said if start <= d.start < end)]
        counted = [a for a in amounts if start <= a.start < end]
        opening = here if here and not counted and n == 0 else []
        if len(here) == 1:
            kinds = [a.kind for a in counted]
            found += [Pair(amount=a, date=here[0]) for a in counted if kinds.count(a.kind) == 1]
    return found


def check_paired(claim: str, evidence: str, likely: str) -> Iterator[Finding]:
    """Findings of the rule "number" (conflict) for amounts of the claim that the passage gives for another date, and for a
    change that is told backwards.

    Args:
        likely: the sentence of ``evidence`` that speaks of the same; empty if there is none.
    """
    if not likely:
        return
    theirs = pairs(likely)
    for mine in pairs(claim):
        amounts = [p.amount for p in theirs if _same_time(mine.date, p.date)]
        elsewhere = [p for p in theirs if agrees(mine.amount, p.amount)]
        rivals = [a for a in amounts if a.kind == mine.amount.kind]
        if not rivals or not elsewhere or any(agrees(mine.amount, a) for a in amounts) or _given(mine, evidence):
            continue
        amount, date = mine.amount.text, elsewhere[0].date.text
        said = f"the passage gives {amount} for {date}, not for {mine.date.text}"
        yield Finding(rule="number", outcome="conflict", item=mine.amount.text, detail=said)
    backwards = [(b, a) for a, b in _changes(likely)]
    for a, b in _changes(claim):
        if agrees(a, b):
            continue
        if any(agrees(a, c) and agrees(b, d) for c, d in backwards):
            said = f"the passage says from {b.text} to {a.text}, not from {a.text} to {b.text}"
            yield Finding(rule="number", outcome="conflict", item=a.text, detail=said)


def _given(mine: Pair, evidence: str) -> bool:
    """Whether any sentence has the claim's amount for its date."""
    sentences = (evidence[a:b] for (a, b), _ in sentence_terms(evidence))
    return any(_same_time(mine.date, p.date) and agrees(mine.amount, p.amount) for one in sentences for p in pairs(one))


def _same_time(claimed: Date, given: Date) -> bool:
    return claimed.year is not None and claimed.year == given.year and claimed.may_be(given)


def _amounts(text: str, said: Sequence[Date]) -> list[Quantity]:
    """The numbers in figures that are no part of a date: those with a scale, percent or currency, or, for want of them, all."""
    figures = [
        q
        for q in quantities(text)
        if any(c.isdigit() for c in q.text) and not any(d.start <= q.start < d.end for d in said)
    ]
    return [q for q in figures if not q.plain] or figures


def _clauses(text: str, said: Sequence[Date]) -> list[tuple[int, int]]:
    cuts = [m.span() for m in _CUT.finditer(text) if not any(d.start <= m.start() < d.end for d in said)]
    return list(zip((0, *(b for _, b in cuts)), (*(a for a, _ in cuts), len(text)), strict=True))


def _changes(text: str) -> list[tuple[Quantity, Quantity]]:
    """(a, b) of each "from a to b"."""
    amounts = _amounts(text, dates(text))
    return [
        (a, b)
        for a, b in pairwise(amounts)
        if a.kind == b.kind and _FROM.search(text[: a.start]) and _TO.search(text[a.start : b.start])
    ]
