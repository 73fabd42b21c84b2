"""Notices a model that says or does the same thing over and over, as small ones do under greedy decoding."""

from __future__ import annotations

from collections.abc import Iterator

REPEATS = 3  # identical actions in a row with the identical outcome, after which a loop is going in circles
_SHORTEST, _LONGEST = 8, 2000  # characters of what is repeated
# (from so many characters on, so many times): a phrase may come again for effect, a paragraph never does.
_TIMES = ((120, 2), (40, 3), (_SHORTEST, 5))


def is_looping(text: str) -> bool:
    """Whether ``text`` ends in the same piece over and over: a phrase five times, a sentence (40 characters) three times, a
    paragraph (120) twice."""
    for period in _periods(text):
        times = next(n for least, n in _TIMES if period >= least)
        # Equal to itself one period back, for all but the first of the repeats.
        repeated = len(text) >= times * period and text[-period * (times - 1) :] == text[-period * times : -period]
        if repeated and any(c.isalpha() for c in text[-period:]):
            return True
    return False


def _periods(text: str) -> Iterator[int]:
    """How far back the last few characters stand as well, nearest first."""
    tail, last = text[-_SHORTEST:], len(text) - _SHORTEST
    at = last
    while (at := text.rfind(tail, max(0, last - _LONGEST), at + len(tail) - 1)) >= 0:
        if last - at >= _SHORTEST:
            yield last - at


class Circles:
    """Notices a loop that repeats an action and gets what it got before."""

    def __init__(self) -> None:
        self._before: tuple[str, str] | None = None
        self._same = 0

    def note(self, action: str, outcome: str) -> bool:
        """Takes note of an action; True where it is the third time in a row that it came to the same."""
        this = (" ".join(action.casefold().split()), outcome)
        self._same = self._same + 1 if this == self._before else 1
        self._before = this
        return self.in_circles

    @property
    def in_circles(self) -> bool:
        """Whether the last actions were all the same, and so was what came of them."""
        return self._same >= REPEATS
