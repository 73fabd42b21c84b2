"""Notices a model that has begun to say the same thing over and over, as small ones do under greedy decoding."""

from __future__ import annotations

_TIMES = 5
_MIN_PERIOD, _MAX_PERIOD = 8, 120  # characters


def is_looping(text: str) -> bool:
    """Whether ``text`` ends in the same piece of 8 to 120 characters five times over."""
    for period in range(_MIN_PERIOD, min(_MAX_PERIOD, len(text) // _TIMES) + 1):
        # Equal to itself one period back, for all but the first of the repeats.
        if text[-period * (_TIMES - 1) :] == text[-period * _TIMES : -period]:
            return any(c.isalpha() for c in text[-period:])
    return False
