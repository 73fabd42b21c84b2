"""Units: what each is worth in its base unit. Currencies are units of their own, and none is turned into another.

Lengths in metres, masses in kilograms, times in seconds, temperatures as differences in kelvin; the inexact customary
units are the international ones (1 in = 0.0254 m, 1 lb = 0.45359237 kg). A month or a year is a unit of the calendar: it can
be added to a date and not turned into days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

Dimensions = tuple[tuple[str, int], ...]  # (base, exponent), sorted, no zeros


@dataclass(frozen=True, slots=True)
class Unit:
    """``factor`` base units of ``dimensions``."""

    factor: Fraction
    dimensions: Dimensions


def _of(base: str, **factors: str) -> dict[str, Unit]:
    return {name: Unit(Fraction(value), ((base, 1),)) for name, value in factors.items()}


_LENGTH = _of(
    "m", m="1", km="1000", dm="1/10", cm="1/100", mm="1/1000", µm="1/1000000", nm="1/1000000000", mi="1609344/1000",
    mile="1609344/1000", yd="9144/10000", yard="9144/10000", ft="3048/10000", foot="3048/10000", feet="3048/10000",
    inch="254/10000", inches="254/10000", nmi="1852", metre="1", meter="1", kilometre="1000", kilometer="1000",
    centimetre="1/100", centimeter="1/100", millimetre="1/1000", millimeter="1/1000",
)  # fmt: skip
_MASS = _of(
    "kg", kg="1", g="1/1000", mg="1/1000000", t="1000", tonne="1000", lb="45359237/100000000",
    pound="45359237/100000000", oz="28349523125/1000000000000", ounce="28349523125/1000000000000", kilogram="1",
    gram="1/1000", kt="1000000", Mt="1000000000",
)  # fmt: skip
_TIME = _of(
    "s", s="1", sec="1", second="1", ms="1/1000", min="60", minute="60", h="3600", hr="3600", hour="3600", d="86400",
    day="86400", week="604800", fortnight="1209600",
)  # fmt: skip
_CALENDAR = _of("month", month="1", quarter="3", year="12", yr="12", decade="120", century="1200")
_VOLUME = {
    name: Unit(Fraction(value), (("m", 3),))
    for name, value in {
        "l": "1/1000", "L": "1/1000", "litre": "1/1000", "liter": "1/1000", "ml": "1/1000000", "hl": "1/10",
        "gallon": "3785411784/1000000000000",
    }.items()
}  # fmt: skip
_AREA = {
    name: Unit(Fraction(value), (("m", 2),))
    for name, value in {"ha": "10000", "hectare": "10000", "acre": "40468564224/10000000"}.items()
}
_ENERGY = {
    name: Unit(Fraction(value), (("kg", 1), ("m", 2), ("s", -2)))
    for name, value in {"J": "1", "kJ": "1000", "MJ": "1000000", "Wh": "3600", "kWh": "3600000", "MWh": "3600000000",
                        "GWh": "3600000000000", "TWh": "3600000000000000", "cal": "4184/1000", "kcal": "4184"}.items()
}  # fmt: skip
_POWER = {
    name: Unit(Fraction(value), (("kg", 1), ("m", 2), ("s", -3)))
    for name, value in {"W": "1", "kW": "1000", "MW": "1000000", "GW": "1000000000"}.items()
}
_DATA = _of(
    "byte", byte="1", bit="1/8", B="1", kB="1000", KB="1000", MB="1000000", GB="1000000000", TB="1000000000000",
    KiB="1024", MiB="1048576", GiB="1073741824",
)  # fmt: skip
_MONEY = {
    name: Unit(Fraction(1), ((code, 1),))
    for code, names in {
        "USD": ("USD", "$", "dollar"), "EUR": ("EUR", "€", "euro"), "GBP": ("GBP", "£"), "JPY": ("JPY", "¥", "yen"),
        "CHF": ("CHF", "franc"),
    }.items()
    for name in names
}  # fmt: skip
_TEMPERATURE = {
    "K": Unit(Fraction(1), (("K", 1),)),
    "kelvin": Unit(Fraction(1), (("K", 1),)),
}
_SPEED = {
    "kph": Unit(Fraction(1000, 3600), (("m", 1), ("s", -1))),
    "mph": Unit(Fraction(1609344, 3600000), (("m", 1), ("s", -1))),
}
_COUNTS = {
    name: Unit(Fraction(value), ())
    for name, value in {"hundred": "100", "thousand": "1000", "million": "1000000", "billion": "1000000000",
                        "trillion": "1000000000000", "percent": "1/100", "%": "1/100", "dozen": "12"}.items()
}  # fmt: skip

UNITS: Mapping[str, Unit] = {
    **_LENGTH, **_MASS, **_TIME, **_CALENDAR, **_VOLUME, **_AREA, **_ENERGY, **_POWER, **_DATA, **_MONEY,
    **_TEMPERATURE, **_SPEED, **_COUNTS,
}  # fmt: skip
_TAKE_S = frozenset(["lb", "kg", "hr", "yr", "yd", "km", "cm"])  # of two letters; with most an s means seconds: kWs


def unit(name: str) -> Unit | None:
    """The unit of this name, in the singular or the plural; words in any case, symbols as written."""
    candidates = [name, name.casefold()]
    candidates += [c.removesuffix("s") for c in candidates if len(c) > 2]
    candidates += [name.casefold().removesuffix("ies") + "y"]
    for candidate in candidates:
        if candidate in UNITS and (candidate == name or len(candidate) > 2 or (candidate in _TAKE_S and len(name) > 2)):
            return UNITS[candidate]
    return None


def multiplied(a: Dimensions, b: Dimensions, sign: int = 1) -> Dimensions:
    """The dimensions of a product, or with ``sign`` -1 of a quotient."""
    exponents = dict(a)
    for base, exponent in b:
        exponents[base] = exponents.get(base, 0) + sign * exponent
    return tuple(sorted((base, e) for base, e in exponents.items() if e))


def named(dimensions: Dimensions) -> str:
    """Dimensions in words: "m", "kg*m^2/s^2"."""

    def factor(base: str, exponent: int) -> str:
        return base if exponent == 1 else f"{base}^{exponent}"

    above = "*".join(factor(b, e) for b, e in dimensions if e > 0)
    below = "/".join(factor(b, -e) for b, e in dimensions if e < 0)
    return (above or "1") + (f"/{below}" if below else "") if dimensions else ""
