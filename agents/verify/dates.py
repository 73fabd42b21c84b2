"""Dates of the claim must be dates of the evidence, as exactly as the claim says them.

Read are years, decades, months by English name, and ISO and spelled-out days. "Last year" and other dates that depend
on when a thing was written are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from agents.lexical import KEPT_TEXTS
from agents.verify.findings import Finding
from agents.verify.numbers import quantities
from agents.verify.units import unit_at

MONTH_NAMES = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTHS = {name[:3]: n for n, name in enumerate(MONTH_NAMES, 1)}
_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_YEAR = r"(?P<year>1\d{3}|20\d{2})"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_PATTERNS = tuple(
    re.compile(p, re.IGNORECASE)
    for p in (
        r"\b(?P<year>\d{4})-(?P<number>[01]\d)-(?P<day>[0-3]\d)\b",
        rf"\b{_MONTH}\s+{_DAY}\b\s*,?(?:\s+{_YEAR}\b)?",
        rf"\b{_DAY}\s+(?:of\s+)?{_MONTH}(?![a-z])(?:\s*,?\s*{_YEAR}\b)?",
        rf"\b{_MONTH}\s*,?\s+(?:of\s+)?{_YEAR}\b",
        rf"\b{_YEAR}(?P<decade>s)?\b(?!\s?(?:%|percent|million|billion|thousand|people|men|feet|m\b|km\b))",
    )
)

# "2018–19": the second year has two digits.
_RANGE = re.compile(r"\b(?P<century>1\d|20)(?P<first>\d{2})\s?[-–/]\s?(?P<second>\d{2})\b(?![-–/.,]?\d)")
_OF_TIME = re.compile(
    r"\b(?:in|since|by|during|until|till|from|to|before|after|of|year|fiscal|im|jahr|seit|bis|von|ab)\s*$",
    re.IGNORECASE,
)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_RELATIVE = re.compile(r"\b(?:this|last|next|past|coming) (?:year|month|week|season|spring|summer|fall|autumn|winter)\b|"
                       r"\b(?:today|yesterday|tomorrow)\b", re.IGNORECASE)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Date:
    """As much of a date as was said. ``decade``: ``year`` is the first of ten."""

    year: int | None
    month: int | None
    day: int | None
    decade: bool
    text: str
    start: int
    end: int

    def may_be(self, other: Date) -> bool:
        """Whether nothing that both say differs."""
        return all(
            mine is None or theirs is None or mine == theirs
            for mine, theirs in ((self.year, other.year), (self.month, other.month), (self.day, other.day))
        )

    def follows_from(self, other: Date) -> bool:
        """Whether ``other`` says all that this one says."""
        if self.decade and other.year is not None:
            return self.year is not None and self.year <= other.year < self.year + 10
        if other.decade and not self.decade:
            return False
        return all(
            mine is None or mine == theirs
            for mine, theirs in ((self.year, other.year), (self.month, other.month), (self.day, other.day))
        )


def dates(text: str) -> list[Date]:
    """The dates of ``text`` in order."""
    return list(_dates(text))


@lru_cache(maxsize=2 * KEPT_TEXTS)
def _dates(text: str) -> tuple[Date, ...]:
    found: list[Date] = []
    for pattern in _PATTERNS:
        for m in pattern.finditer(text):
            if any(d.start < m.end() and m.start() < d.end for d in found):
                continue
            groups = m.groupdict()
            month = (
                int(groups["number"]) if groups.get("number") else _MONTHS.get((groups.get("month") or "")[:3].lower())
            )
            year = int(groups["year"]) if groups.get("year") else None
            if (
                year is not None
                and month is None
                and "," in text[m.end() : m.end() + 1]
                and text[m.end() + 1 : m.end() + 4].isdigit()
            ):
                continue  # the head of "1,500,000" cannot match, but "1500,000" can
            if year is not None and month is None and (unit := unit_at(text, m.end())) and len(unit.text) > 1:
                continue  # "1500 kg"; "in 2022 A …" is a year
            found.append(
                Date(
                    year=year,
                    month=month,
                    day=int(groups["day"]) if groups.get("day") else None,
                    decade=bool(groups.get("decade")),
                    text=m.group().strip(" ,"),
                    start=m.start(),
                    end=m.end(),
                )
            )
    for m in _RANGE.finditer(text):
        if int(m["second"]) > int(m["first"]):
            year, start = int(m["century"] + m["second"]), m.start("second")
            found.append(Date(year=year, month=None, day=None, decade=False, text=m.group(), start=start, end=m.end()))
    return tuple(sorted(found, key=lambda d: d.start))


def check_dates(claim: str, evidence: str, likely: str) -> Iterator[Finding]:
    """One finding per date of the claim; ``likely`` as in ``check_numbers``."""
    given = dates(evidence)
    nearby = dates(likely)
    claimed = dates(claim)
    for date in claimed:
        if any(date.follows_from(g) for g in given):
            yield Finding(rule="date", outcome="match", item=date.text, detail=f"{date.text} is in the passage")
            continue
        if date.day is not None and any(g.day is not None and g.year is None and date.may_be(g) for g in given):
            said = f"{date.text} is in the passage, without its year"
            yield Finding(rule="date", outcome="match", item=date.text, detail=said)
            continue
        if _may_count(claim, date) and any(_is_grouped(q.text) and date.year in q.values for q in quantities(evidence)):
            yield Finding(rule="date", outcome="match", item=date.text, detail=f"{date.text} is in the passage")
            continue
        # A time stamp says when a text was written, and "this year" may be any.
        rivals = [g for g in nearby if not any(c.follows_from(g) for c in claimed) and not _ISO.fullmatch(g.text)]
        if rivals and not _RELATIVE.search(likely) and len(rivals) <= 2 and not any(date.may_be(g) for g in nearby):
            says = " and ".join(g.text for g in rivals)
            yield Finding(
                rule="date", outcome="conflict", item=date.text, detail=f"the passage says {says}, not {date.text}"
            )
        else:
            yield Finding(rule="date", outcome="missing", item=date.text, detail=f"{date.text} is not in the passage")


def _may_count(claim: str, date: Date) -> bool:
    """Whether a year may as well be a number of something: "1200 employees", unlike "in 1200"."""
    return date.month is None and not date.decade and not _OF_TIME.search(claim[: date.start])


def _is_grouped(number: str) -> bool:
    return bool(re.search(r"\d[,.\u00a0\u202f' ]\d{3}\b", number))
