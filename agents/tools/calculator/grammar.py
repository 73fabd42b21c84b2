"""What the calculator reads: a small grammar, and the tree that it makes. Nothing is computed here.

sum      = product { ("+" | "-") product }
product  = power { ("*" | "/" | "//" | "mod") power }
power    = signed [ ("^" | "**") power ]
atom     = number [ unit-power ] | atom "%" | date | name "(" sum { "," sum } ")" | unit | constant | "(" sum ")"
whole    = sum [ ("in" | "to" | "as") unit-product ]

A number may have its thousands parted by commas, but not within the brackets of a call, where a comma parts arguments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from core.errors import ToolFailed

MAX_CHARACTERS = 400
MAX_DEPTH = 40
MAX_DIGITS = 60

_GROUPED = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)"


def _token(numbers: str) -> re.Pattern[str]:
    return re.compile(
        r"\s*(?:(?P<date>\d{4}-\d{1,2}-\d{1,2})(?![\d.])"
        rf"|(?P<number>{numbers}\d+(?:\.\d+)?(?:[eE][+-]?\d{{1,3}})?|\.\d+)"
        r"|(?P<name>[^\W\d_]+|[€£¥]|°[CF]?)"
        r"|(?P<op>\*\*|//|[-+*/^(),%$×÷·−]))"
    )


_TOKEN, _TOKEN_IN_CALL = _token(f"{_GROUPED}|"), _token("")
_LIKE_THOUSANDS = re.compile(rf"\s*({_GROUPED})")
_JOINING = frozenset(["in", "to", "as", "of", "mod"])
_SAME = {"**": "^", "×": "*", "÷": "/", "·": "*", "−": "-"}


@dataclass(frozen=True, slots=True)
class Number:
    text: str  # without separators


@dataclass(frozen=True, slots=True)
class Day:
    text: str  # ISO 8601


@dataclass(frozen=True, slots=True)
class Name:
    """A unit or a constant."""

    text: str


@dataclass(frozen=True, slots=True)
class Unary:
    op: str  # "-" or "%"
    of: Node


@dataclass(frozen=True, slots=True)
class Binary:
    op: str  # + - * / // ^ mod
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Convert:
    """``of``, said in the unit ``to``."""

    of: Node
    to: Node
    name: str


Node: TypeAlias = Number | Day | Name | Unary | Binary | Call | Convert


def parse(text: str) -> Node:
    """The tree of an expression.

    Raises:
        ToolFailed: it is too long, too deep, or not of this grammar; the message says where.
    """
    if len(text) > MAX_CHARACTERS:
        raise ToolFailed(f"the expression has {len(text)} characters and may have {MAX_CHARACTERS}: split it")
    return _Parser(_tokens(text), text).whole()


@dataclass(slots=True)
class _Bracket:
    """One that is open. ``thousands`` is what in it could be one number or several arguments; ``spaced`` says that a comma in it has a
    blank behind it, as one that parts arguments has."""

    in_call: bool
    thousands: str = ""
    spaced: bool = False

    def check(self) -> None:
        if self.in_call and self.thousands and self.spaced:
            raise ToolFailed(
                f"is {self.thousands} one number or several? Within a function's brackets a comma parts arguments: write "
                f"{self.thousands.replace(',', '')} or {self.thousands.replace(',', ', ')}"
            )


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    brackets = [_Bracket(in_call=False)]
    at = 0
    text = text.rstrip().rstrip("=").rstrip()
    while at < len(text):
        within = brackets[-1]
        m = (_TOKEN_IN_CALL if within.in_call else _TOKEN).match(text, at)
        if m is None or m.lastgroup is None:
            raise ToolFailed(
                f"cannot read {text[at : at + 12].strip()!r}: write numbers, + - * / ^ ( ), units such as km, dates such "
                "as 2024-05-31, and functions such as round(x, 2)"
            )
        kind, value = m.lastgroup, m[m.lastgroup]
        # Not of the groups themselves: "1,200,300" is one such thing.
        behind = text[at - 1 : at] == "," and not text[at].isspace()
        if kind == "number" and not behind and (like := _LIKE_THOUSANDS.match(text, at)):
            within.thousands = within.thousands or like[1]
        if value == "(":
            called = bool(found) and found[-1][0] == "name" and found[-1][1].casefold() not in _JOINING
            brackets.append(_Bracket(in_call=within.in_call or called))
        elif value == ")" and len(brackets) > 1:
            brackets.pop().check()
        elif value == ",":
            within.spaced = within.spaced or text[m.end() : m.end() + 1].isspace()
        found.append((kind, _SAME.get(value, value)))
        at = m.end()
    return found


class _Parser:
    def __init__(self, tokens: Sequence[tuple[str, str]], text: str) -> None:
        self._tokens = tokens
        self._text = text
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        if not self._tokens:
            raise ToolFailed("the expression is empty: write one, such as 12.5 * 3")
        node = self._sum()
        if self._word() in ("in", "to", "as"):
            self._at += 1
            start = self._at
            target = self._product()
            named = " ".join(value for _, value in self._tokens[start : self._at])
            node = Convert(node, target, named.replace(" / ", "/").replace(" ^ ", "^"))
        if self._at < len(self._tokens):
            raise ToolFailed(f"did not expect {self._tokens[self._at][1]!r} there in {self._text.strip()!r}")
        return node

    def _sum(self) -> Node:
        self._deeper()
        node = self._product()
        while self._peek() in ("+", "-"):
            op = self._next()
            node = Binary(op, node, self._product())
        self._depth -= 1
        return node

    def _product(self) -> Node:
        node = self._power()
        while True:
            if self._peek() in ("*", "/", "//"):
                op = self._next()
            elif self._word() == "mod":
                self._at += 1
                op = "mod"
            elif self._word() == "of":  # "15% of 80"
                self._at += 1
                op = "*"
            elif self._kind() == "name" and self._word() not in _JOINING:
                op = "*"  # "3 km", "5 days"
            else:
                return node
            node = Binary(op, node, self._power())

    def _power(self) -> Node:
        self._deeper()
        if self._peek() == "-":
            self._at += 1
            node: Node = Unary("-", self._power())
        elif self._peek() == "+":
            self._at += 1
            node = self._power()
        else:
            node = self._atom()
            while self._peek() == "%":
                self._at += 1
                node = Unary("%", node)
            if self._peek() == "^":
                self._at += 1
                node = Binary("^", node, self._power())
        self._depth -= 1
        return node

    def _atom(self) -> Node:
        kind, value = self._kind(), self._peek()
        if kind == "number":
            self._at += 1
            plain = value.replace(",", "")
            if len(plain) > MAX_DIGITS:
                raise ToolFailed(f"a number has {len(plain)} digits and may have {MAX_DIGITS}")
            if self._kind() == "name" and self._word() not in _JOINING:
                return Binary("*", Number(plain), self._power())  # "2 h" is one thing: 100 km / 2 h
            return Number(plain)
        if kind == "date":
            self._at += 1
            return Day(value)
        if value in ("$", "%"):
            self._at += 1
            return Name(value) if value == "%" else Binary("*", Name("$"), self._power())
        if kind == "name":
            self._at += 1
            return self._call(value) if self._peek() == "(" else Name(value)
        if value == "(":
            self._at += 1
            node = self._sum()
            self._expect(")")
            return node
        raise ToolFailed(
            f"did not expect {value!r} there in {self._text.strip()!r}" if value else "the expression breaks off"
        )

    def _call(self, name: str) -> Node:
        self._expect("(")
        arguments: list[Node] = []
        while self._peek() != ")":
            if arguments:
                self._expect(",")
            arguments.append(self._sum())
        self._expect(")")
        return Call(name, tuple(arguments))

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ToolFailed(f"the expression is nested more than {MAX_DEPTH} deep: split it")

    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _word(self) -> str:
        return self._peek().casefold() if self._kind() == "name" else ""

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _expect(self, op: str) -> None:
        if self._peek() != op:
            found = self._peek()
            raise ToolFailed(f"expected {op!r}" + (f", found {found!r}" if found else ": the expression breaks off"))
        self._at += 1
