"""Regular expressions as automata that are fed a character at a time, so that one can tell whether a text may still become a match.

Python's ``re`` answers only for whole texts. What is read here is what ``SamplingParams.regex`` promises: literals, escapes, classes,
groups, ``|?+*`` and counted repetitions. Single characters are left to ``re``; the construction is Glushkov's: each character of the
expression is a position, and a state is the set of positions that may come next. Knows no tokens: ``lm.vocabulary`` does.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from core.errors import InvalidRequest

State = frozenset[int]  # positions that may match the next character; ``_END``: the text may end here
_END = -1
_MOST_POSITIONS = 20_000
_KEPT_STEPS = 50_000  # of (state, character), some 10 MB
_COUNT = re.compile(r"\{(\d+)(?:(,)(\d*))?\}")


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the expression: whether it may be empty, and the positions it may begin and end with."""

    empty: bool
    first: frozenset[int]
    last: frozenset[int]


_NOTHING = _Part(True, frozenset(), frozenset())


class Form:
    """The automaton of one expression.

    Raises:
        InvalidRequest: it has something else, such as a look-ahead or a reference to a group.
    """

    def __init__(self, regex: str) -> None:
        self.regex = regex
        self._at = 0
        self._atoms: list[re.Pattern[str]] = []
        self._follow: list[set[int]] = []
        self._steps: dict[tuple[State, str], State] = {}
        whole = self._choice()
        if self._at < len(regex):
            raise self._unreadable("a closing bracket too many")
        for position in whole.last:
            self._follow[position].add(_END)
        self.start: State = whole.first | ({_END} if whole.empty else frozenset())

    def step(self, state: State, text: str) -> State:
        """The state after ``text``; empty where no match can begin so."""
        for char in text:
            key = (state, char)
            found = self._steps.get(key)
            if found is None:
                found = frozenset(
                    q for p in state if p != _END and self._atoms[p].fullmatch(char) for q in self._follow[p]
                )
                if len(self._steps) >= _KEPT_STEPS:
                    self._steps.clear()
                self._steps[key] = found
            state = found
            if not state:
                break
        return state

    def may_follow(self, state: State, characters: str) -> bool:
        """Whether the next character may be one of these."""
        return any(self._atoms[p].search(characters) for p in state if p != _END)

    @staticmethod
    def may_end(state: State) -> bool:
        return _END in state

    @staticmethod
    def must_end(state: State) -> bool:
        """Whether nothing may follow any more."""
        return state <= {_END}

    # ------------------------------------------------------------ reading the expression

    def _choice(self) -> _Part:
        found = self._sequence()
        while self._peek() == "|":
            self._at += 1
            other = self._sequence()
            found = _Part(found.empty or other.empty, found.first | other.first, found.last | other.last)
        return found

    def _sequence(self) -> _Part:
        found = _NOTHING
        while self._peek() not in ("", "|", ")"):
            found = self._then(found, self._repeated())
        return found

    def _then(self, a: _Part, b: _Part) -> _Part:
        for position in a.last:
            self._follow[position] |= b.first
        return _Part(
            a.empty and b.empty,
            a.first | (b.first if a.empty else frozenset()),
            b.last | (a.last if b.empty else frozenset()),
        )

    def _repeated(self) -> _Part:
        began = self._at
        part = self._single()
        while (sign := self._peek()) and sign in "?+*{":
            ended = self._at
            counted = _COUNT.match(self.regex, self._at)
            if sign == "{" and counted is None:
                raise self._unreadable("a bracket { that counts nothing")
            self._at = counted.end() if counted else self._at + 1
            if self._peek() in ("?", "+"):
                raise self._unreadable("a lazy or possessive repetition")
            if counted:
                part = self._counted(part, began, ended, counted)
                continue
            if sign in "+*":
                part = self._looped(part)
            part = _Part(part.empty or sign in "?*", part.first, part.last)
        return part

    def _looped(self, part: _Part) -> _Part:
        for position in part.last:
            self._follow[position] |= part.first
        return part

    def _counted(self, part: _Part, began: int, ended: int, counted: re.Match[str]) -> _Part:
        """``part`` so many times: it is read anew for each, so that each has positions of its own."""
        least = int(counted[1])
        most = least if counted[2] is None else int(counted[3]) if counted[3] else None
        if most is not None and most < least:
            raise self._unreadable(f"a repetition of {least} to {most} times")
        after = self._at
        copies = [part]
        for _ in range(1, max(1, most or least)):
            self._at = began
            copies.append(self._again(ended))
        self._at = after
        if most == 0:
            return _NOTHING
        if most is None:
            copies[-1] = self._looped(copies[-1])
        needed = copies[:least]
        found = functools.reduce(self._then, needed, _NOTHING)
        extra = copies[least:]
        tail = _NOTHING
        for copy in reversed(extra):  # each only after the one before it
            inner = self._then(copy, tail)
            tail = _Part(True, inner.first, inner.last)
        return self._then(found, tail)

    def _again(self, ended: int) -> _Part:
        """What stands from here to ``ended``, once more."""
        part = self._single()
        if self._at != ended:
            raise self._unreadable("a repetition of a repetition: put the inner one in brackets")
        return part

    def _single(self) -> _Part:
        char = self._peek()
        if char == "(":
            self._at += 1
            if self._peek() == "?":
                if self.regex[self._at : self._at + 2] != "?:":
                    raise self._unreadable("a group that is more than brackets")
                self._at += 2
            part = self._choice()
            if self._peek() != ")":
                raise self._unreadable("a bracket that is not closed")
            self._at += 1
            return part
        if char in "?+*{^$":
            raise self._unreadable(f"{char!r} in that place")
        return self._atom(self._source())

    def _source(self) -> str:
        """The text of one character of the expression: itself, an escape, or a class."""
        began, char = self._at, self._peek()
        self._at += 1
        if char == "\\":
            if self._peek() in "AbBZ123456789":
                raise self._unreadable("an escape that is no character")
            self._at += {"x": 3, "u": 5, "U": 9}.get(self._peek(), 1)
        elif char == "[":
            self._at += self._peek() == "^"
            self._at += self._peek() == "]"
            while self._peek() not in ("]", ""):
                self._at += 2 if self._peek() == "\\" else 1
            self._at += 1
        return self.regex[began : self._at]

    def _atom(self, source: str) -> _Part:
        if len(self._atoms) >= _MOST_POSITIONS:
            raise self._unreadable(f"more than {_MOST_POSITIONS} characters, with repetitions counted out")
        self._atoms.append(re.compile(source))
        self._follow.append(set())
        only = frozenset({len(self._atoms) - 1})
        return _Part(False, only, only)

    def _peek(self) -> str:
        return self.regex[self._at : self._at + 1]

    def _unreadable(self, what: str) -> InvalidRequest:
        return InvalidRequest(
            f"regex {self.regex!r} has {what} (character {self._at}): a form has literals, escapes, classes, groups, | ? + * and"
            " counted repetitions",
            code="bad-sampling",
        )


@functools.lru_cache(maxsize=16)
def compiled(regex: str) -> Form:
    """``Form(regex)``, kept, with the steps that it has learned."""
    return Form(regex)
