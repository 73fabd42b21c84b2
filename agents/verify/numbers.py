"""Numbers of the claim must follow from numbers of the evidence: same kind, unit and value, or the value rounded.

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
from agents.verify.units import Unit, unit_at

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
    # What was raised at the number: the mark of a footnote, or an exponent ("10^6"). Of itself it is no number.
    r"(?P<raised>\s?\^[-−–+]?\w{1,4})?"
    r"(?P<percent>\s?(?:%|percent\b|per cent\b|percentage points?\b|Prozent\b))?"
    # "Form 10-K" is no ten thousand: a letter behind a hyphen is no scale.
    r"(?:(?:[\s-]?(?P<word>hundred|thousands?|millions?|billions?|trillions?|bn|mn|tn)|\s?(?P<letter>[kKMB](?![\w-])))\b)?"
    r"(?:\s?(?P<unit>US\$|[€£¥₹]|[A-Za-zµ°²³]+))?"
)
_POWER_OF_TEN = re.compile(r"10\^([-−]?\d{1,2})")
_NUMBER_WORD = re.compile(
    rf"\b(?P<word>{'|'.join(_WORDS)})(?:-(?P<ones>one|two|three|four|five|six|seven|eight|nine))?\b"
    r"(?:[\s-](?P<scale>hundred|thousand|million|billion|trillion)\b)?(?P<percent>\s(?:percent|per cent)\b)?",
    re.IGNORECASE,
)
# What stands directly before a number and makes it a bound; the longer wording first, for "not exceeding" holds "exceeding".
_TO_NUMBER = r"(?:\s+(?:a|an|the|of|about|total))*\s*(?:US\$|[$€£¥₹])?\s?[-−]?$"
_MOST = re.compile(
    r"(?:\b(?:at most|up to|maximum|max\.?|less than|fewer than|lower than|smaller than|shorter than|under|below|"
    r"höchstens|maximal|weniger als|bis zu|unter)|[<≤])" + _TO_NUMBER,
    re.IGNORECASE,
)
_LEAST = re.compile(
    r"(?:\b(?:at least|minimum|min\.?|more than|greater than|higher than|larger than|longer than|over|above|"
    r"exceed(?:s|ed|ing)?|mindestens|mehr als|über)|[>≥])" + _TO_NUMBER,
    re.IGNORECASE,
)
# What turns a bound into its opposite where it stands before it, with one word between at most ("must not fall below").
_DENIAL = re.compile(
    r"(?:\b(?:no|not|never|cannot|without|neither|nor|nicht|keine?[mnrs]?|niemals|nie)|n['’]t)\b(?P<between>[^.;:!?]*)$",
    re.IGNORECASE,
)
# "Over 4 years" may say for how long, and "under 2 hours" is a bound.
_DURING = re.compile(r"(?:over|über)\s+(?:a|an|the|of|about|total|\s)*$", re.IGNORECASE)
_BOUND_CHARACTERS = 48  # looked at before a number
_DECLARED = re.compile(r"\b(?:in|amounts in|\$ in|figures in)\s+(thousands|millions|billions)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """``values`` are its readings (one, unless the separator is ambiguous); ``step`` is one unit of its last digit."""

    values: tuple[float, ...]
    step: float
    kind: str  # "%", a currency, or ""
    text: str
    start: int  # of its first digit
    end: int  # behind its unit, or the word for its currency
    plain: bool  # bare digits without scale, sign, percent or currency
    unit: Unit | None = None
    bound: str = ""  # "least" or "most", where it is said to be one

    def shown(self) -> str:
        """With what may be all that differs from another: its bound and unit."""
        least_or_most = f"at {self.bound} " if self.bound else ""
        return f"{least_or_most}{self.text}" + (f" {self.unit.text}" if self.unit else "")


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
        named = m["word"] or m["letter"] or ""
        if m["currency"] and not named and m["unit"] == "m":  # "£5m" are millions, "5m" metres
            named = "m"
        scale = _SCALES.get(named.lower(), 1.0)
        unit = (m["unit"] or "").lower()
        kind = "%" if m["percent"] else _CURRENCIES.get((m["currency"] or unit).lower(), "")
        power = _POWER_OF_TEN.fullmatch(f"{m['digits']}{m['raised'] or ''}") if not kind else None
        exponent = int(power[1].replace("−", "-")) if power else 0
        readings = [(10.0**exponent, max(0, -exponent))] if power else _readings(m["digits"], kind)
        sign = -1.0 if m["sign"] in ("-", "−") else 1.0
        value, decimals = readings[0]
        end = (
            m.end("word" if m["word"] else "letter")
            if named
            else m.end("percent")
            if m["percent"]
            else m.end("raised" if m["raised"] else "digits")
        )
        written = text[m.start() : end].strip()
        measured = unit_at(text, end) if not (m["currency"] or m["percent"]) else None
        named_kind = bool(kind) and not (m["currency"] or m["percent"])  # "30 euros"
        found.append(
            Quantity(
                values=tuple(sign * v * scale for v, _ in readings),
                step=scale * 10.0**-decimals,
                kind=kind,
                text=written if power or not m["raised"] else written.replace(m["raised"], "", 1),
                start=m.start("digits"),
                end=m.end("unit") if named_kind else _behind(text, end, measured),
                plain=not (named or m["percent"] or kind or m["sign"]) and value == int(value),
                unit=measured,
                bound=_bound(text, m.start("digits"), end),
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
        measured = unit_at(text, m.end()) if not kind else None
        found.append(
            Quantity(
                values=(value * scale,),
                step=scale,
                kind=kind,
                text=m.group(),
                start=m.start(),
                end=_behind(text, m.end(), measured),
                plain=False,
                unit=measured,
                bound=_bound(text, m.start(), m.end()),
            )
        )
    return tuple(sorted(found, key=lambda q: q.start))


def _behind(text: str, end: int, unit: Unit | None) -> int:
    """The end of the ``unit`` that stands behind the number which ends at ``end``."""
    return text.index(unit.text, end) + len(unit.text) if unit else end


def _bound(text: str, start: int, end: int) -> str:
    """ "most" or "least" of the number in ``text[start:end]``; empty where none is said, or where it is not plain which."""
    before = text[max(0, start - _BOUND_CHARACTERS) : start]
    found = [("most", m) for m in [_MOST.search(before)] if m] + [("least", m) for m in [_LEAST.search(before)] if m]
    if not found:
        return ""
    which, m = found[0]
    if _DURING.search(before) and (unit := unit_at(text, end)) is not None and unit.dimension in ("time", "months"):
        return ""
    denied = _DENIAL.search(before[: m.start()])
    if denied is None:
        return which
    between = denied["between"].split()
    if len(between) > 1 or "," in denied["between"]:
        return ""  # what is denied may be something else
    return "least" if which == "most" else "most"


def _readings(digits: str, kind: str) -> list[tuple[float, int]]:
    """(value, decimals) of each way to read the separators; the English one first, but for "5.000", which only a rate has as
    a decimal ("5.000% notes")."""
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
        german = (float(grouped.replace(".", "")), 0)  # "1.234"
        readings = [german, *readings] if grouped.endswith(".000") and kind != "%" else [*readings, german]
    if "," in digits and "." not in digits and re.fullmatch(r"[1-9]\d{0,2},\d{3}", digits):
        readings.append((float(digits.replace(",", ".")), 3))
    return readings


def agrees(claimed: Quantity, given: Quantity, scales: Sequence[float] = (1.0,)) -> bool:
    """Whether the claim's number is the evidence's, or its rounding to the digits that the claim shows.

    Units count where both have one, in which of two of a kind it was said does not: 1.5 kg are 1,500 g. An amount of money
    is no measure: €30 are not 30 months.
    """
    if claimed.kind != given.kind and (claimed.kind == "%" or given.kind == "%" or (claimed.kind and given.kind)):
        return False
    if _money_beside_measure(claimed, given) or _money_beside_measure(given, claimed):
        return False
    ratio = 1.0
    if claimed.unit is not None and given.unit is not None:
        if claimed.unit.dimension != given.unit.dimension:
            return False
        ratio = given.unit.factor / claimed.unit.factor
    # The other reading of a separator counts between the same digits alone: "10,000" is not 10.000, and so not "Note 10".
    same_digits = _digits(claimed.text) == _digits(given.text)
    for scale in scales:
        for wanted in claimed.values if same_digits else claimed.values[:1]:
            for value in given.values if same_digits else given.values[:1]:
                tolerance = 0.5 * claimed.step if given.step * scale * ratio < claimed.step else 0.0
                if abs(wanted - value * scale * ratio) <= tolerance + 1e-9 * max(1.0, abs(wanted)):
                    return True
    return False


def _money_beside_measure(one: Quantity, other: Quantity) -> bool:
    """€30 beside 30 months. "5 pounds" may be either."""
    return bool(one.kind) and one.unit is None and other.unit is not None and not other.kind


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())


def bounds_differ(claimed: Quantity, given: Quantity) -> bool:
    """Whether one is said to be the least and the other the most: "at least 3 bar" is not "at most 3 bar"."""
    return bool(claimed.bound and given.bound) and claimed.bound != given.bound


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
        same = [g for g in given if agrees(quantity, g, scales)]
        turned = [g for g in nearby if agrees(quantity, g, scales) and bounds_differ(quantity, g)]
        if turned and all(bounds_differ(quantity, g) for g in same):
            said = f"the passage says {turned[0].shown()}, not {quantity.shown()}"
            yield Finding(rule="number", outcome="conflict", item=quantity.text, detail=said)
            continue
        if same:
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
            alike = any(r.text == quantity.text for r in rivals)  # but for its unit
            # Of "3 servers" and "90 days" it is the days that stand where the claim has days.
            named = [
                r for r in rivals if quantity.unit and r.unit and r.unit.dimension == quantity.unit.dimension
            ] or rivals
            says = " and ".join(r.shown() if alike else r.text for r in named)
            yield Finding(
                rule="number",
                outcome="conflict",
                item=quantity.text,
                detail=f"the passage says {says}, not {quantity.shown() if alike else quantity.text}",
            )
        else:
            yield Finding(
                rule="number", outcome="missing", item=quantity.text, detail=f"{quantity.text} is not in the passage"
            )
