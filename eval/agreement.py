"""How far a judge agrees with people who judged the same things: Cohen's κ with an interval, and what it means in a sentence.

Where κ would say nothing there is none, and it is said why. Knows labels, not what was judged.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from core.wording import plural
from eval.metrics.kappa import cohens_kappa
from eval.statistics import wilson_interval

LEAST = 10  # labels from which κ is worth a number: of fewer, one label more or less moves it by a third and more
# Landis and Koch 1977, from which κ on. The words are custom and no measurement, so the interval stands beside them.
_WORDS = ((0.81, "almost perfectly"), (0.61, "substantially"), (0.41, "moderately"), (0.21, "to a fair degree"))
_GOOD = 0.61  # from which "substantially" begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Of ``n`` labels beside which there is a verdict. ``kappa`` and its interval (95 %) are None together; ``text`` then says why."""

    n: int
    kappa: float | None
    ci_low: float | None
    ci_high: float | None
    text: str


def agreement(pairs: Sequence[tuple[Hashable, Hashable]]) -> Agreement:
    """Args: pairs: (what the judge says, what a person says) of one thing each."""
    n = len(pairs)
    if n < LEAST:
        have = (
            f"{plural(n, 'pair has', 'pairs have')} a vote of people and a verdict"
            if n
            else "no pair has a vote of people yet"
        )
        return _none(n, f"There is no κ: {have}, and it takes {LEAST}.")
    if len({label for _, label in pairs}) < 2:
        return _none(
            n, f"There is no κ: people said the same of all {n:,}, so agreement by habit cannot be told from judgement."
        )
    kappa = cohens_kappa(pairs)
    if kappa is None or len({verdict for verdict, _ in pairs}) < 2:
        return _none(
            n,
            f"There is no κ: the model said the same of all {n:,}, so agreement by habit cannot be told from judgement.",
        )
    low, high = _interval(pairs)
    return Agreement(n=n, kappa=kappa, ci_low=low, ci_high=high, text=_text(low))


def _none(n: int, why: str) -> Agreement:
    return Agreement(n=n, kappa=None, ci_low=None, ci_high=None, text=why)


def _interval(pairs: Sequence[tuple[Hashable, Hashable]]) -> tuple[float, float]:
    """The ends of Wilson's interval of p_o, the share that agrees, put into κ = (p_o − p_e) / (1 − p_e), with p_e as these labels
    give it.

    It has a width also where all agree, as a bootstrap of the pairs has not; by simulation it covers where that does not (decision 0288).
    """
    names = {name for pair in pairs for name in pair}
    n = len(pairs)
    observed = sum(x == y for x, y in pairs) / n
    expected = sum(sum(x == c for x, _ in pairs) * sum(y == c for _, y in pairs) for c in names) / n**2
    low, high = ((end - expected) / (1 - expected) for end in wilson_interval(observed, n))
    return max(-1.0, low), min(1.0, high)


def _text(low: float) -> str:
    """What holds at the interval's lower end: with ten votes the estimate itself may be off by a half."""
    if low <= 0:
        return "These votes do not show that it agrees with people more than chance would: do not go by it alone."
    word = next((word for least, word in _WORDS if low >= least), "slightly")
    trust = (
        "its verdicts may stand beside people's"
        if low >= _GOOD
        else "take its verdicts as a hint, not in people's place; more votes may show more"
    )
    better = "" if word == _WORDS[0][1] else " or better"
    return f"Beyond what chance would give it agrees with people {word}{better}: {trust}."
