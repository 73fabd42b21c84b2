"""Numbers of a sheet as a person sees them there, as far as that is cheap: decimals, thousands, percent, currency.

Formats that scale, spell out fractions or exponents, or choose by condition show the plain number instead: what is
shown must never say something else than the cell. Format codes: ECMA-376 part 1, 18.8.31.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache

_QUOTED = re.compile(r'"([^"]*)"|\\(.)')
_SPACING = re.compile(r"_.|\*.")
_BRACKET = re.compile(r"\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]")
_DIGITS = re.compile(r"^([#0?,]*[#0?])(?:\.([0#?]+))?$")
_CURRENCY = "$€£¥₹₽₩"
_MAX_DECIMALS = 15
_CONTEXT = Context(prec=50)


class Number(str):
    """The text of a cell that holds a number: so that a header can be told from a body."""

    __slots__ = ()


@lru_cache(maxsize=512)
def _understood(code: str) -> tuple[int, int, bool, bool, str] | None:
    """(least digits, decimals, thousands, percent, currency) of a format's first section; None if it is not that simple."""
    if len(code) > 200:
        return None
    currency = ""
    section = code.split(";", 1)[0]
    if any(c.isalpha() for c in _BRACKET.sub("", _QUOTED.sub("", section))):
        return None  # General, dates, exponents
    for match in _BRACKET.finditer(section):
        currency = currency or (match.group(1) or "").strip()
        if match.group().startswith(("[<", "[>", "[=")):
            return None
    for match in _QUOTED.finditer(section):
        literal = (match.group(1) or match.group(2) or "").strip()
        if literal in _CURRENCY and literal:
            currency = currency or literal
        elif literal and literal not in "()-+":
            return None  # words or units belong to the number: show it plain rather than without them
    plain = _SPACING.sub("", _BRACKET.sub("", _QUOTED.sub("", section)))
    for c in plain:
        if c in _CURRENCY:
            currency = currency or c
    percent = plain.count("%") == 1
    plain = re.sub(rf"[{_CURRENCY}%()\s+-]", "", plain)
    match_digits = _DIGITS.match(plain)
    if match_digits is None:
        return None
    whole = match_digits.group(1)
    return whole.count("0"), len(match_digits.group(2) or ""), "," in whole, percent, currency


def shown_number(value: float, code: str = "") -> Number:
    """``value`` under the number format ``code`` ("" is General).

    >>> shown_number(0.1234, "0.0%"), shown_number(1234.5, "#,##0.00"), shown_number(12.0)
    ('12.3%', '1,234.50', '12')
    >>> shown_number(501, "00000"), shown_number(2.5, "0"), shown_number(0.285, "0%")
    ('00501', '3', '29%')
    """
    found = _understood(code) if code else None
    if found is None:
        return Number(plain_number(value))
    least, decimals, thousands, percent, currency = found
    most = 1e19 if percent else 1e21
    if not -most < value < most:  # also NaN
        return Number(plain_number(value))
    optional = code.split(";", 1)[0].rstrip("%").endswith("#") and decimals
    # As the value is written, and halves away from zero: 2.5 is shown as 3, where binary fractions would give 2.
    exact = abs(Decimal(repr(value))).scaleb(2 if percent else 0)
    rounded = exact.quantize(Decimal(1).scaleb(-min(decimals, _MAX_DECIMALS)), ROUND_HALF_UP, _CONTEXT)
    text = f"{rounded:{',' if thousands else ''}f}"
    if optional:
        text = text.rstrip("0").rstrip(".")
    missing = least - len(text.partition(".")[0].replace(",", ""))
    if missing > 0 and not thousands:
        text = "0" * missing + text
    negative = value < 0 and any(c in "123456789" for c in text)
    return Number(("-" if negative else "") + currency + text + ("%" if percent else ""))


def plain_number(value: float) -> str:
    """Fifteen significant digits, as spreadsheets keep, and no ".0"."""
    if isinstance(value, int):
        return str(value) if -(10**20) < value < 10**20 else f"{value:.15g}"
    text = f"{value:.15g}"
    return text.removesuffix(".0")


def shown_date(value: datetime | date | time | timedelta) -> str:
    """ISO 8601; midnight of a day is the day."""
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
        return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if isinstance(value, datetime):
        value = (
            value.replace(microsecond=0)
            if value.microsecond < 500_000
            else (value.replace(microsecond=0) + timedelta(seconds=1))
        )
        if value.time() == time():
            return value.date().isoformat()
        return value.isoformat(" ", "seconds" if value.second else "minutes")
    return value.isoformat()
