"""Numbers of a sheet as a person sees them there, as far as that is cheap: decimals, thousands, percent, currency.

Formats that scale, spell out fractions or exponents, or choose by condition show the plain number instead: what is
shown must never say something else than the cell. Format codes: ECMA-376 part 1, 18.8.31.
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache

_QUOTED = re.compile(r'"([^"]*)"|\\(.)')
_SPACING = re.compile(r"_.|\*.")
_BRACKET = re.compile(r"\[\$([^\]-]*)[^\]]*\]|\[[^\]]*\]")
_DIGITS = re.compile(r"^([#0?,]*[#0?])(?:\.([0#?]+))?$")
_CURRENCY = "$€£¥₹₽₩"
_MAX_DECIMALS = 15


class Number(str):
    """The text of a cell that holds a number: so that a header can be told from a body."""

    __slots__ = ()


@lru_cache(maxsize=512)
def _understood(code: str) -> tuple[int, bool, bool, str] | None:
    """(decimals, thousands, percent, currency) of a format's first section, or None if it is not that simple."""
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
    return len(match_digits.group(2) or ""), "," in match_digits.group(1), percent, currency


def shown_number(value: float, code: str = "") -> Number:
    """``value`` under the number format ``code`` ("" is General).

    >>> shown_number(0.1234, "0.0%"), shown_number(1234.5, "#,##0.00"), shown_number(12.0)
    ('12.3%', '1,234.50', '12')
    """
    found = _understood(code) if code else None
    if found is None:
        return Number(plain_number(value))
    decimals, thousands, percent, currency = found
    if percent:
        value *= 100
    if not -1e21 < value < 1e21:  # also NaN
        return Number(plain_number(value))
    optional = code.split(";", 1)[0].rstrip("%").endswith("#") and decimals
    text = f"{abs(value):{',' if thousands else ''}.{min(decimals, _MAX_DECIMALS)}f}"
    if optional:
        text = text.rstrip("0").rstrip(".")
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
