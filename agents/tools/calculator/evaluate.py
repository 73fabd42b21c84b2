"""Works out the tree of an expression. Each operation checks how large its result would be before it is done."""

from __future__ import annotations

import calendar
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction

from agents.tools.calculator.grammar import Binary, Call, Convert, Day, Name, Node, Number, Unary, parse
from agents.tools.calculator.units import Dimensions, multiplied, named, unit
from core.errors import ToolFailed

MAX_BITS = 2_048  # of a numerator or denominator: some 600 digits
MAX_EXPONENT = 12  # of a unit
_SHOWN_DIGITS = 15
_DAY_S = 86_400
_MAX_DAYS = 3_660_000


@dataclass(frozen=True, slots=True)
class Quantity:
    """``value`` base units of ``dimensions``."""

    value: Fraction
    dimensions: Dimensions = ()


Value = Quantity | date

_CONSTANTS: Mapping[str, Fraction] = {"pi": Fraction(math.pi), "e": Fraction(math.e)}


def calculate(expression: str) -> str:
    """The result of ``expression``, as a person would write it.

    Raises:
        ToolFailed: it is not of the grammar, mixes what cannot be mixed, or would be too large.
    """
    return show(evaluate(parse(expression)))


def evaluate(node: Node) -> Value | str:
    """The value of a tree; a string where a unit was asked for by name."""
    match node:
        case Number(text=text):
            return Quantity(_bounded(_number(text)))
        case Day(text=text):
            return _date(text)
        case Name(text=text):
            return _name(text)
        case Unary(op="%", of=of):
            return Quantity(_bounded(_plain(evaluate(of), "%") / 100))
        case Unary(of=of):
            value = _quantity(evaluate(of))
            return Quantity(-value.value, value.dimensions)
        case Binary(op=op, left=left, right=right):
            return _binary(op, evaluate(left), evaluate(right))
        case Call(name=name, arguments=arguments):
            return _call(name, [evaluate(a) for a in arguments])
        case Convert(of=of, to=to, name=name):
            return _convert(evaluate(of), evaluate(to), name)


def show(value: Value | str) -> str:
    """A value in words."""
    match value:
        case str():
            return value
        case date():
            return value.isoformat()
        case Quantity(value=number, dimensions=dimensions):
            if dimensions == (("s", 1),) and abs(number) >= _DAY_S and number % _DAY_S == 0:
                return f"{decimal(number / _DAY_S)} days"
            return f"{decimal(number)} {named(dimensions)}".strip()


def decimal(value: Fraction) -> str:
    """Exact where that takes no more than 15 significant digits, else rounded to them, half to even, with "≈"."""
    if value == 0:
        return "0"
    sign, size = ("-", -value) if value < 0 else ("", value)
    # floor(log10(size)), from the lengths of the numbers and then put right.
    exponent = len(str(size.numerator)) - len(str(size.denominator))
    exponent -= size < Fraction(10) ** exponent
    digits = round(size * Fraction(10) ** (_SHOWN_DIGITS - 1 - exponent))
    if digits >= 10**_SHOWN_DIGITS:
        exponent, digits = exponent + 1, digits // 10
    exact = Fraction(digits) * Fraction(10) ** (exponent - _SHOWN_DIGITS + 1) == size
    if value.denominator == 1 and exponent < 30:
        return str(value)
    text = str(digits).rstrip("0")
    if -7 <= exponent < _SHOWN_DIGITS:
        if exponent < 0:
            text = "0." + "0" * (-exponent - 1) + text
        elif len(text) > exponent + 1:
            text = f"{text[: exponent + 1]}.{text[exponent + 1 :]}"
        else:
            text = text.ljust(exponent + 1, "0")
    else:
        text = f"{text[0]}.{text[1:] or '0'}e{exponent}"
    return f"{'' if exact else '≈ '}{sign}{text}"


# ------------------------------------------------------------ operations


def _binary(op: str, left: Value | str, right: Value | str) -> Value:
    if isinstance(left, date) or isinstance(right, date):
        return _with_date(op, left, right)
    a, b = _quantity(left), _quantity(right)
    match op:
        case "+" | "-":
            _same_kind(a, b, op)
            return Quantity(_bounded(a.value + b.value if op == "+" else a.value - b.value), a.dimensions)
        case "*":
            return Quantity(_bounded(a.value * b.value), _checked(multiplied(a.dimensions, b.dimensions)))
        case "/":
            return Quantity(
                _bounded(a.value / _not_zero(b.value)), _checked(multiplied(a.dimensions, b.dimensions, -1))
            )
        case "//" | "mod":
            _same_kind(a, b, op)
            whole = a.value // _not_zero(b.value)
            return Quantity(Fraction(whole)) if op == "//" else Quantity(a.value - whole * b.value, a.dimensions)
        case _:
            return _power(a, _plain(b, "^"))


def _power(base: Quantity, exponent: Fraction) -> Quantity:
    if exponent.denominator == 1 and abs(exponent) <= MAX_BITS:
        n = int(exponent)
        bits = max(base.value.numerator.bit_length(), base.value.denominator.bit_length())
        if bits > 1 and abs(n) * bits > 2 * MAX_BITS:
            raise ToolFailed("the power is too large to work out here")
        if base.dimensions and abs(n) > MAX_EXPONENT:
            raise ToolFailed(f"a unit may be raised to {MAX_EXPONENT} at most")
        if n < 0:
            _not_zero(base.value)
        dimensions = tuple((b, e * n) for b, e in base.dimensions if n)
        return Quantity(_bounded(base.value**n), _checked(dimensions))
    if base.dimensions:
        raise ToolFailed("a unit can only be raised to a whole number")
    if base.value < 0:
        raise ToolFailed("a root of a negative number is not a real number")
    return Quantity(_float(lambda: math.pow(float(base.value), float(exponent))))


def _with_date(op: str, left: Value | str, right: Value | str) -> Value:
    if isinstance(left, date) and isinstance(right, date):
        if op != "-":
            raise ToolFailed("two dates can only be subtracted")
        return Quantity(Fraction((left - right).days * _DAY_S), (("s", 1),))
    if isinstance(left, date) and op in ("+", "-"):
        span = _quantity(right)
        return _moved(left, span if op == "+" else Quantity(-span.value, span.dimensions))
    if isinstance(right, date) and op == "+":
        return _moved(right, _quantity(left))
    raise ToolFailed("a date can only be subtracted from a date, or moved by days, weeks, months or years")


def _moved(day: date, span: Quantity) -> date:
    if span.dimensions == (("month", 1),) and span.value.denominator == 1 and abs(span.value) <= 120_000:
        months = day.year * 12 + day.month - 1 + int(span.value)
        year, month = divmod(months, 12)
        if not date.min.year <= year <= date.max.year:
            raise ToolFailed("that date is outside the years 1 to 9999")
        last = calendar.monthrange(year, month + 1)[1]
        return date(year, month + 1, min(day.day, last))
    days = span.value / _DAY_S if span.dimensions == (("s", 1),) else span.value
    if span.dimensions not in ((), (("s", 1),)) or days.denominator != 1 or abs(days) > _MAX_DAYS:
        raise ToolFailed("a date is moved by a whole number of days, weeks, months or years")
    try:
        return day + timedelta(days=int(days))
    except OverflowError as e:
        raise ToolFailed("that date is outside the years 1 to 9999") from e


def _convert(value: Value | str, to: Value | str, name: str) -> str:
    if isinstance(value, date):
        raise ToolFailed("a date has no unit")
    of, target = _quantity(value), _quantity(to)
    _same_kind(of, target, "in")
    return f"{decimal(_bounded(of.value / _not_zero(target.value)))} {name}".replace(" %", "%")


# ------------------------------------------------------------ functions


def _call(name: str, values: Sequence[Value | str]) -> Value:
    lowered = name.casefold()
    if lowered in ("year", "month", "day", "weekday"):
        if len(values) != 1 or not isinstance(values[0], date):
            raise ToolFailed(f"{lowered} takes one date")
        day = values[0]
        part = {"year": day.year, "month": day.month, "day": day.day, "weekday": day.isoweekday()}[lowered]
        return Quantity(Fraction(part))
    numbers = [_quantity(v) for v in values]
    if lowered in ("min", "max", "sum", "mean", "avg", "median") and numbers:
        for other in numbers[1:]:
            _same_kind(numbers[0], other, lowered)
        return Quantity(_of_many(lowered, [n.value for n in numbers]), numbers[0].dimensions)
    if lowered == "abs" and len(numbers) == 1:
        return Quantity(abs(numbers[0].value), numbers[0].dimensions)
    if lowered in ("round", "floor", "ceil") and 1 <= len(numbers) <= 2:
        places = _whole(numbers[1], 30) if len(numbers) == 2 else 0
        scale = Fraction(10) ** places
        whole = _rounded(lowered, numbers[0].value * scale)
        return Quantity(_bounded(whole / scale), numbers[0].dimensions)
    if lowered in ("factorial",) and len(numbers) == 1:
        return Quantity(Fraction(math.factorial(_whole(numbers[0], 170, least=0))))
    if lowered == "sqrt" and len(numbers) == 1:
        return _root(numbers[0])
    one = _FLOATING.get(lowered)
    if one is None or len(numbers) not in one[1]:
        known = ", ".join(FUNCTIONS)
        raise ToolFailed(f"there is no function {name}({', '.join('x' * len(values))}): there are {known}")
    return Quantity(_float(lambda: one[0](*(float(_plain(n, lowered)) for n in numbers))))


_FLOATING: Mapping[str, tuple[Callable[..., float], tuple[int, ...]]] = {
    "log": (lambda x, *base: math.log(x, *base) if base else math.log10(x), (1, 2)),
    "ln": (math.log, (1,)),
    "exp": (math.exp, (1,)),
    "sin": (math.sin, (1,)),
    "cos": (math.cos, (1,)),
    "tan": (math.tan, (1,)),
}
FUNCTIONS = (
    "abs", "avg", "ceil", "cos", "day", "exp", "factorial", "floor", "ln", "log", "max", "mean", "median", "min",
    "month", "round", "sin", "sqrt", "sum", "tan", "weekday", "year",
)  # fmt: skip


def _of_many(name: str, values: list[Fraction]) -> Fraction:
    match name:
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "sum":
            return _bounded(sum(values, Fraction(0)))
        case "median":
            ordered, n = sorted(values), len(values)
            return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
        case _:
            return _bounded(sum(values, Fraction(0)) / len(values))


def _root(of: Quantity) -> Quantity:
    if of.value < 0:
        raise ToolFailed("a root of a negative number is not a real number")
    if any(e % 2 for _, e in of.dimensions):
        raise ToolFailed(f"there is no square root of the unit {named(of.dimensions)}")
    dimensions = tuple((b, e // 2) for b, e in of.dimensions)
    above, below = math.isqrt(of.value.numerator), math.isqrt(of.value.denominator)
    exact = Fraction(above, below) if below else Fraction(0)
    if exact * exact == of.value:
        return Quantity(exact, dimensions)
    return Quantity(_float(lambda: math.sqrt(float(of.value))), dimensions)


def _rounded(how: str, value: Fraction) -> int:
    """``round`` takes halves away from zero, as people do."""
    match how:
        case "floor":
            return math.floor(value)
        case "ceil":
            return math.ceil(value)
        case _:
            size = math.floor(abs(value) + Fraction(1, 2))
            return -size if value < 0 else size


# ------------------------------------------------------------ checks


def _number(text: str) -> Fraction:
    return Fraction(text)


def _date(text: str) -> date:
    year, month, day = map(int, text.split("-"))
    try:
        return date(year, month, day)
    except ValueError as e:
        raise ToolFailed(f"{text} is not a date: {e}") from e


def _name(text: str) -> Value:
    if text.casefold() in _CONSTANTS:
        return Quantity(_CONSTANTS[text.casefold()])
    if text.casefold() == "today":
        raise ToolFailed("the calculator does not know what day it is: write the date, such as 2024-05-31")
    found = unit(text)
    if found is None:
        raise ToolFailed(f"{text!r} is neither a unit nor a function that is known: write it without")
    return Quantity(found.factor, found.dimensions)


def _quantity(value: Value | str) -> Quantity:
    if isinstance(value, Quantity):
        return value
    raise ToolFailed("a date cannot be used as a number: subtract two dates, or take year(date)")


def _plain(value: Value | str, what: str) -> Fraction:
    number = _quantity(value)
    if number.dimensions:
        raise ToolFailed(f"{what} takes a number without a unit, not one in {named(number.dimensions)}")
    return number.value


def _whole(number: Quantity, most: int, least: int | None = None) -> int:
    value = _plain(number, "this place")
    low = -most if least is None else least
    if value.denominator != 1 or not low <= value <= most:
        raise ToolFailed(f"expected a whole number from {low} to {most} there")
    return int(value)


def _same_kind(a: Quantity, b: Quantity, op: str) -> None:
    if a.dimensions != b.dimensions:
        kinds = " and ".join(named(q.dimensions) or "a plain number" for q in (a, b))
        raise ToolFailed(f"{op!r} cannot join {kinds}: give both the same kind of unit")


def _not_zero(value: Fraction) -> Fraction:
    if value == 0:
        raise ToolFailed("division by zero")
    return value


def _checked(dimensions: Dimensions) -> Dimensions:
    if any(abs(e) > MAX_EXPONENT for _, e in dimensions):
        raise ToolFailed(f"a unit may be raised to {MAX_EXPONENT} at most")
    return tuple((b, e) for b, e in dimensions if e)


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise ToolFailed("the number is too large or too fine to work with here")
    return value


def _float(work: Callable[[], float]) -> Fraction:
    try:
        result = work()
    except (ValueError, OverflowError, ZeroDivisionError) as e:
        raise ToolFailed(f"that has no value that can be written as a number ({e})") from e
    if not math.isfinite(result):
        raise ToolFailed("that has no finite value")
    return _bounded(Fraction(result).limit_denominator(10**18) if abs(result) > 1e-6 else Fraction(result))
