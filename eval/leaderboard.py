"""A leaderboard: configurations by their mean on the same questions, and which of them the data tell from the best.

Knows neither retrievers nor strategies: a configuration is a label, a value per question, and seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from eval.compare import LOWER_IS_BETTER
from eval.statistics import bootstrap_means, holm, percentile_interval, randomization_test

ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """``values``: question → value of one metric. ``seconds``: mean per question."""

    label: str
    values: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """``index`` is of the contender as it was given. ``p_holm`` compares it with the first, corrected for all of these
    comparisons (None for the first itself); ``tied``: the data do not tell it from the first. ``on_front``: no other
    is both better and as fast, or as good and faster."""

    index: int
    label: str
    n: int
    mean: float
    ci_low: float | None
    ci_high: float | None
    seconds: float
    p_holm: float | None
    tied: bool
    on_front: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def leaderboard(contenders: Sequence[Contender], metric: str, *, seed: int = 0) -> list[Place]:
    """The contenders over the questions that all of them have, best first; equal means in the order given.

    The first was chosen on the same questions, so its mean flatters it a little; that is why others are called tied.
    """
    if not contenders:
        return []
    common = [q for q in contenders[0].values if all(q in c.values for c in contenders)]
    if not common:
        return []
    values = np.array([[c.values[q] for q in common] for c in contenders])  # (n_contenders, n)
    means = values.mean(axis=1)
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    order = sorted(range(len(contenders)), key=lambda i: (-sign * means[i], i))
    first = order[0]
    ps = [randomization_test((values[i] - values[first]).tolist(), n_flips=20_000, seed=seed).p for i in order[1:]]
    corrected: dict[int, float] = dict(zip(order[1:], holm(ps), strict=True))
    front = pareto_front([c.seconds for c in contenders], [float(sign * m) for m in means])
    places = []
    for i in order:
        low = high = None
        if len(common) > 1:
            low, high = percentile_interval(bootstrap_means(values[i], n_resamples=2_000, seed=seed), len(common))
        places.append(
            Place(
                index=i,
                label=contenders[i].label,
                n=len(common),
                mean=float(means[i]),
                ci_low=low,
                ci_high=high,
                seconds=contenders[i].seconds,
                p_holm=corrected.get(i),
                tied=corrected.get(i, 1.0) >= ALPHA,
                on_front=i in front,
            )
        )
    return places


def pareto_front(seconds: Sequence[float], quality: Sequence[float]) -> set[int]:
    """Indices that no other beats: none has at least the quality in at most the seconds, and more or less of one."""
    n = len(seconds)

    def beaten(i: int, j: int) -> bool:
        no_worse = quality[j] >= quality[i] and seconds[j] <= seconds[i]
        return no_worse and (quality[j] > quality[i] or seconds[j] < seconds[i])

    return {i for i in range(n) if not any(beaten(i, j) for j in range(n) if j != i)}
