"""Bradley–Terry strengths from blind votes, with bootstrap intervals (Bradley & Terry 1952; Hunter 2004).

P(i beats j) = s_i / (s_i + s_j). Strengths are given as the chance to beat an average opponent, which can be read without a
scale. Knows nothing of what was voted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest

LEAST = 10  # questions
_STEPS = 500
_PRIOR = 0.5  # a win and a loss of this weight against everybody, so that one who never lost stays finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """``outcome``: 1 where ``a`` was preferred, 0 where ``b`` was, 0.5 for a tie."""

    a: int
    b: int
    outcome: float
    question: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """``chance``: to be preferred to an opponent of average strength, with its 95 % interval; None below ``LEAST``
    questions, of which a bootstrap says nothing."""

    index: int
    chance: float
    ci_low: float | None
    ci_high: float | None
    n_votes: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def strengths(votes: Sequence[Vote], n: int, *, n_resamples: int = 1_000, seed: int = 0) -> list[Strength]:
    """Of ``n`` contenders, strongest first.

    Args:
        n_resamples: of the bootstrap, which draws questions, since votes on one question are not independent.

    Raises:
        InvalidRequest: fewer than two contenders, or a vote on one that there is not.
    """
    if n < 2 or any(not (0 <= v.a < n and 0 <= v.b < n) or v.a == v.b for v in votes):
        raise InvalidRequest(f"votes are between two different ones of {n} contenders, counted from 0", code="usage")
    groups: dict[str, list[Vote]] = {}
    for i, vote in enumerate(votes):
        groups.setdefault(vote.question or f"vote {i}", []).append(vote)
    wins_of = [_wins(group, n) for group in groups.values()]  # each (n, n)
    chance = _chances(sum(wins_of, np.zeros((n, n))))
    drawn = np.empty((n_resamples, n))
    rng = np.random.default_rng(seed)
    stacked = np.array(wins_of) if wins_of else np.zeros((1, n, n))
    for r in range(n_resamples):
        drawn[r] = _chances(stacked[rng.integers(0, len(stacked), len(stacked))].sum(axis=0))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0) if votes else (np.zeros(n), np.ones(n))
    counts = [sum(i in (v.a, v.b) for v in votes) for i in range(n)]
    order = sorted(range(n), key=lambda i: (-chance[i], i))
    enough = len(groups) >= LEAST
    return [
        Strength(
            index=i,
            chance=float(chance[i]),
            ci_low=float(low[i]) if enough else None,
            ci_high=float(high[i]) if enough else None,
            n_votes=counts[i],
        )
        for i in order
    ]


def _wins(votes: Sequence[Vote], n: int) -> NDArray[np.float64]:
    wins = np.zeros((n, n))
    for vote in votes:
        wins[vote.a, vote.b] += vote.outcome
        wins[vote.b, vote.a] += 1 - vote.outcome
    return wins


def _chances(wins: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) by Hunter's MM steps: s_i = W_i / Σ_j n_ij / (s_i + s_j), with a geometric mean of 1."""
    n = len(wins)
    wins = wins + _PRIOR * (1 - np.eye(n))
    games = wins + wins.T  # (n, n)
    s = np.ones(n)
    for _ in range(_STEPS):
        new = wins.sum(axis=1) / (games / (s[:, None] + s[None, :])).sum(axis=1)
        new /= np.exp(np.log(new).mean())
        done = np.abs(new - s).max() < 1e-9
        s = new
        if done:
            break
    return np.asarray(s / (s + 1))
