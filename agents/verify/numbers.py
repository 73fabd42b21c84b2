"""Numbers of the claim must follow from numbers of the evidence: same kind, same value, or the value rounded.

Read are digit groups ("1,234", "1 234", "1.234.567"), decimals, scale words, percent, currencies and small number
words. A table's "(in millions)" applies to its evidence. Years and days belong to ``dates``. Sums and differences are
not computed: a number that was calculated is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from agents.lexical import KEPT_TEXTS
from agents.verify.findings import Finding

_SCALES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "thousands": 1e3,
    "k": 1e3,
    "million": 1e6,
    "millions": 1e6,
    "mn": 1e6,
    "mm": 1e6,
    "m": 1e6,
    "billion": 1e9,
    "billions": 1e9,
    "bn": 1e9,
    "b": 1e9,
    "trillion": 1e12,
    "trillions": 1e12,
    "tn": 1e12,
}
_CURRENCIES = {
    "$": "$", "us$": "$", "usd": "$", "dollar": "$", "dollars": "$", "€": "€", "eur": "€", "euro": "€", "euros": "€",
    "£": "£", "gbp": "£", "pound": "£", "pounds": "£", "¥": "¥", "yen": "¥", "yuan": "yuan", "₹": "₹", "rupees": "₹",
}  # fmt: skip
_WORDS = {
    w: float(n)
    for n, w in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
} | {
    w: float(10 * n)
    for n, w in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
# Too often a pronoun or an article to be a number by itself.
_WEAK_WORDS = frozenset(["zero", "one"])

_NUMBER = re.compile(
    r"(?P<sign>(?<![\w.)])[-−+])?(?P<currency>US\$|[$€£¥₹])?\s?"
    r"(?P<digits>\d{1,3}(?:[,\u00a0\u202f' ]\d{3})+(?:\.\d+)?(?!\d)|\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|\d+(?:[.,]\d+)?)"
    r"(?P<percent>\s?(?:%|percent\b|per cent\b|percentage points?\b))?"
    r"(?:[\s-]?(?P<scale>hundred|thousands?|millions?|billions?|trillions?|bn|mn|tn|[kKMB](?![\w]))\b)?"
    r"(?:\s?(?P<unit>US\$|[€£¥₹]|[A-Za-zµ°²³]+))?"
)
_NUMBER_WORD = re.compile(
    rf"\b(?P<word>{'|'.join(_WORDS)})(?:-(?P<ones>one|two|three|four|five|six|seven|eight|nine))?\b"
    r"(?:[\s-](?P<scale>hundred|thousand|million|billion|trillion)\b)?(?P<percent>\s(?:percent|per cent)\b)?",
    re.IGNORECASE,
)
_DECLARED = re.compile(r"\b(?:in|amounts in|\$ in|figures in)\s+(thousands|millions|billions)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """``values`` are its readings (one, unless the separator is ambiguous); ``step`` is one unit of its last digit."""

    values: tuple[float, ...]
    step: float
    kind: str  # "%", a currency, or ""
    text: str
    start: int
    plain: bool  # bare digits without scale, sign, percent or currency


def quantities(text: str) -> list[Quantity]:
    """The numbers of ``text`` in order, years included."""
    return list(_quantities(text))


@lru_cache(maxsize=2 * KEPT_TEXTS)
def _quantities(text: str) -> tuple[Quantity, ...]:
    found: list[Quantity] = []
    taken: list[tuple[int, int]] = []
    for m in _NUMBER.finditer(text):
        if m.start("digits") and (text[m.start("digits") - 1].isalpha() or text[m.start("digits") - 1] == "_"):
            continue  # "B2", "x86"
        scale = _SCALES.get((m["scale"] or "").lower(), 1.0)
        unit = (m["unit"] or "").lower()
        kind = "%" if m["percent"] else _CURRENCIES.get((m["currency"] or unit).lower(), "")
        readings = _readings(m["digits"])
        sign = -1.0 if m["sign"] in ("-", "−") else 1.0
        value, decimals = readings[0]
        end = m.end("scale") if m["scale"] else m.end("percent") if m["percent"] else m.end("digits")
        found.append(
            Quantity(
                values=tuple(sign * v * scale for v, _ in readings),
                step=scale * 10.0**-decimals,
                kind=kind,
                text=text[m.start() : end].strip(),
                start=m.start("digits"),
                plain=not (m["scale"] or m["percent"] or kind or m["sign"]) and value == int(value),
            )
        )
        taken.append((m.start(), end))
    for m in _NUMBER_WORD.finditer(text):
        if any(a <= m.start() < b for a, b in taken):
            continue
        if m["word"].lower() in _WEAK_WORDS and not m["scale"] and not m["percent"]:
            continue
        value = _WORDS[m["word"].lower()] + (_WORDS[m["ones"].lower()] if m["ones"] else 0.0)
        scale = _SCALES[m["scale"].lower()] if m["scale"] else 1.0
        kind = "%" if m["percent"] else ""
        found.append(
            Quantity(values=(value * scale,), step=scale, kind=kind, text=m.group(), start=m.start(), plain=False)
        )
    return tuple(sorted(found, key=lambda q: q.start))


def _readings(digits: str) -> list[tuple[float, int]]:
    """(value, decimals) of each way to read the separators; the English one first."""
    grouped = re.sub(r"[,\u00a0\u202f' ](?=\d{3}(?!\d))", "", digits)
    if grouped.count(".") > 1:
        whole, _, rest = grouped.replace(".", "").partition(",")
        return [(float(f"{whole}.{rest or 0}"), len(rest))]
    if "," in grouped:  # "3,5": a decimal comma
        whole, _, rest = grouped.partition(",")
        return [(float(f"{whole}.{rest}"), len(rest))]
    decimals = len(grouped.partition(".")[2])
    readings = [(float(grouped), decimals)]
    if decimals == 3 and re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", grouped):
        readings.append((float(grouped.replace(".", "")), 0))  # "1.234" in German
    if "," in digits and "." not in digits and re.fullmatch(r"[1-9]\d{0,2},\d{3}", digits):
        readings.append((float(digits.replace(",", ".")), 3))
    return readings


def agrees(claimed: Quantity, given: Quantity, scales: Sequence[float] = (1.0,)) -> bool:
    """Whether the claim's number is the evidence's, or its rounding to the digits that the claim shows."""
    if claimed.kind != given.kind and (claimed.kind == "%" or given.kind == "%" or (claimed.kind and given.kind)):
        return False
    for scale in scales:
        for wanted in claimed.values:
            for value in given.values:
                tolerance = 0.5 * claimed.step if given.step * scale < claimed.step else 0.0
                if abs(wanted - value * scale) <= tolerance + 1e-9 * max(1.0, abs(wanted)):
                    return True
    return False


def check_numbers(claim: str, evidence: str, skip: Sequence[tuple[int, int]], likely: str) -> Iterator[Finding]:
    """One finding per number of the claim.

    Args:
        claim: one sentence.
        evidence: all that it cites.
        skip: spans of the claim that another rule has read (dates).
        likely: the part of the evidence that speaks of the same; a number of the same kind there, where the claim's is
            nowhere, is a conflict.
    """
    given = quantities(evidence)
    scales = (1.0, *(_SCALES[m.group(1).lower()] for m in _DECLARED.finditer(evidence)))
    nearby = quantities(likely)
    claimed = [q for q in quantities(claim) if not any(a <= q.start < b for a, b in skip)]
    for quantity in claimed:
        if any(agrees(quantity, g, scales) for g in given):
            yield Finding(
                rule="number", outcome="match", item=quantity.text, detail=f"{quantity.text} is in the passage"
            )
            continue
        rivals = [
            g
            for g in nearby
            if (g.kind == quantity.kind and not g.plain) or (g.plain and quantity.plain and not g.kind)
        ]
        if rivals and len(rivals) <= 3 and not any(agrees(c, r, scales) for c in claimed for r in rivals):
            says = " and ".join(r.text for r in rivals)
            yield Finding(
                rule="number",
                outcome="conflict",
                item=quantity.text,
                detail=f"the passage says {says}, not {quantity.text}",
            )
        else:
            yield Finding(
                rule="number", outcome="missing", item=quantity.text, detail=f"{quantity.text} is not in the passage"
            )
