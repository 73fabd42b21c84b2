"""Units behind a number, and what they measure: 5 mm are not 5 cm, 36 months are 3 years, and 5 kg say nothing of 5 bar.

Symbols are told by their letters as written ("MW" is not "mW"), names in English and German. Not read: "in" for inches (a
word), "m" behind a currency (millions), tons (of which there are several).
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """``factor`` times a number in it is the number in the first unit of its ``dimension``."""

    dimension: str
    factor: float
    text: str  # as written


# Of each dimension its units with their factors; those that differ by more than a factor have a dimension of their own.
_SYMBOLS: dict[str, dict[str, float]] = {
    "length": {"m": 1, "nm": 1e-9, "µm": 1e-6, "μm": 1e-6, "mm": 1e-3, "cm": 1e-2, "dm": 0.1, "km": 1e3, "ft": 0.3048, "yd": 0.9144, "mi": 1609.344},
    "mass": {"g": 1, "kg": 1e3, "mg": 1e-3, "µg": 1e-6, "μg": 1e-6, "lb": 453.59237, "lbs": 453.59237, "oz": 28.349523125},
    "volume": {"l": 1, "L": 1, "ml": 1e-3, "mL": 1e-3, "cl": 1e-2},
    "time": {"s": 1, "sec": 1, "ms": 1e-3, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9, "min": 60, "mins": 60, "h": 3600, "hr": 3600, "hrs": 3600, "Std": 3600},
    "months": {"yr": 12, "yrs": 12},
    "power": {"W": 1, "mW": 1e-3, "kW": 1e3, "MW": 1e6, "GW": 1e9},
    "energy": {"Wh": 1, "kWh": 1e3, "MWh": 1e6, "GWh": 1e9, "TWh": 1e12},
    "voltage": {"V": 1, "mV": 1e-3, "kV": 1e3},
    "current": {"A": 1, "mA": 1e-3},
    "charge": {"Ah": 1, "mAh": 1e-3},
    "frequency": {"Hz": 1, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9},
    "rotation": {"rpm": 1},
    "pressure": {"bar": 1e5, "mbar": 1e2, "Pa": 1, "hPa": 1e2, "kPa": 1e3, "MPa": 1e6, "psi": 6894.757},
    "torque": {"Nm": 1},
    "force": {"N": 1, "kN": 1e3},
    "bytes": {"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12},
    "speed": {"km/h": 1, "m/s": 3.6, "mph": 1.609344},
    "celsius": {"°C": 1},
    "fahrenheit": {"°F": 1},
    "morning": {"am": 1, "a.m.": 1},
    "afternoon": {"pm": 1, "p.m.": 1},
}  # fmt: skip
_NAMES: dict[str, dict[str, float]] = {
    "length": {"metre": 1, "meter": 1, "millimetre": 1e-3, "millimeter": 1e-3, "centimetre": 1e-2, "centimeter": 1e-2, "kilometre": 1e3, "kilometer": 1e3,
               "inch": 0.0254, "inches": 0.0254, "foot": 0.3048, "feet": 0.3048, "yard": 0.9144, "mile": 1609.344, "metern": 1, "kilometern": 1e3},
    "mass": {"gram": 1, "gramm": 1, "milligram": 1e-3, "milligramm": 1e-3, "kilogram": 1e3, "kilogramm": 1e3, "tonne": 1e6, "tonnen": 1e6,
             "pound": 453.59237, "ounce": 28.349523125},
    "volume": {"litre": 1, "liter": 1, "millilitre": 1e-3, "milliliter": 1e-3},
    "time": {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800,
             "sekunde": 1, "sekunden": 1, "minuten": 60, "stunde": 3600, "stunden": 3600, "tag": 86400, "tage": 86400, "tagen": 86400,
             "woche": 604800, "wochen": 604800},
    "months": {"month": 1, "year": 12, "monat": 1, "monate": 1, "monaten": 1, "jahr": 12, "jahre": 12, "jahren": 12},
    "power": {"watt": 1, "kilowatt": 1e3, "megawatt": 1e6},
    "voltage": {"volt": 1},
    "energy": {f"{of}watt{between}hour": factor for of, factor in (("", 1), ("kilo", 1e3), ("mega", 1e6), ("giga", 1e9)) for between in ("-", " ", "")}
              | {"wattstunden": 1, "kilowattstunde": 1e3, "kilowattstunden": 1e3, "megawattstunden": 1e6},
    "speed": {"mile per hour": 1.609344, "miles per hour": 1.609344, "kilometre per hour": 1, "kilometer per hour": 1, "kilometres per hour": 1,
              "kilometers per hour": 1, "km per hour": 1, "km pro stunde": 1, "kilometer pro stunde": 1, "stundenkilometer": 1, "stundenkilometern": 1,
              "metres per second": 3.6, "meters per second": 3.6},
    "torque": {"newton metre": 1, "newton meter": 1, "newtonmeter": 1, "newton-metre": 1},
    "pressure": {"pounds per square inch": 6894.757},
    "celsius": {"degrees celsius": 1, "degree celsius": 1, "grad celsius": 1},
    "fahrenheit": {"degrees fahrenheit": 1, "degree fahrenheit": 1, "grad fahrenheit": 1},
}  # fmt: skip
_BY_SYMBOL = {symbol: (dimension, factor) for dimension, of in _SYMBOLS.items() for symbol, factor in of.items()}
_BY_NAME = {
    spelt: (dimension, float(factor))
    for dimension, of in _NAMES.items()
    for name, factor in of.items()
    for spelt in (name, f"{name}s")
}
_UNIT = re.compile(
    r"[\s\u00a0\u202f-]?(?P<unit>(?:degrees?|grad)\s+(?:celsius|fahrenheit)|°\s?[CF]\b|[ap]\.\s?m\.|km/h|m/s|(?:kilo|mega|giga)?watt[\s-]?hours?"
    r"|(?:km|miles?|kilomet(?:re|er)s?)\s(?:per|pro)\s(?:hour|stunde)|met(?:re|er)s\sper\ssecond|pounds\sper\ssquare\sinch|newton[\s-]?met(?:re|er)s?"
    r"|[A-Za-zµμ]+)(?![\w/²³^])", re.IGNORECASE
)  # fmt: skip
# What makes another unit of the one before it: kilograms per day, foot-pounds, N·m. A unit alone would be the wrong one.
_COMPOUND = re.compile(
    r"[\s\u00a0]*(?:per|pro|je|/)\b|[\s\u00a0]*/|[·⋅*]|[\s-](?:hours?|stunden?)\b|-?\s?(?:lbs?|pounds?|foot|feet|ft)\b|(?<=[NWA])\s[mh]\b|[·⋅*]",
    re.IGNORECASE,
)


def unit_at(text: str, end: int) -> Unit | None:
    """The unit that stands behind the number which ends at ``end``; None where there is none that is known."""
    m = _UNIT.match(text, end)
    if m is None:
        return None
    written = m["unit"]
    if _COMPOUND.match(text, m.end()):
        return None
    known = _BY_SYMBOL.get(written.replace(" ", "")) or _BY_NAME.get(" ".join(written.lower().split()))
    return Unit(known[0], known[1], written) if known else None
