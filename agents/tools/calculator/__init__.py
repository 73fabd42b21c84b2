"""A calculator that is safe by its grammar: numbers, units, dates and a handful of functions, and nothing else exists.

    2 * (3 + 4.5)        (12500 - 9800) / 9800 in %        3 km + 200 m in miles
    2022-03-01 - 2021-12-25        2021-12-25 + 90 days        max(3, 7) ^ 2

Arithmetic is exact on fractions; roots and logarithms are floating. Every size is bounded before it is computed.
"""

from agents.tools.calculator.evaluate import calculate

__all__ = ["calculate"]
