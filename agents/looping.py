"""Notices a model that says or does the same thing over and over, as small ones do under greedy decoding."""

from __future__ import annotations

REPEATS = 3  # identical actions in a row with the identical outcome, after which a loop is going in circles
_TIMES = 5
_MIN_PERIOD, _MAX_PERIOD = 8, 120  # characters


def is_looping(text: str) -> bool:
    """Whether ``text`` ends in the same piece of 8 to 120 characters five times over."""
    for period in range(_MIN_PERIOD, min(_MAX_PERIOD, len(text) // _TIMES) + 1):
        # Equal to itself one period back, for all but the first of the repeats.
        if text[-period * (_TIMES - 1) :] == text[-period * _TIMES : -period]:
            return any(c.isalpha() for c in text[-period:])
    return False


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
