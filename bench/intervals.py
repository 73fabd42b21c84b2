"""How often 95 % intervals of a mean difference hold the true one, by simulation, for the candidates considered.

    python -m bench.intervals [--repeats 2000]

Differences are drawn as pairs of retrievers have them ("ndcg": 60 % of questions alike, the rest on a few values),
as hits@k has them ("hits": 90 % alike, else ±1), and skewed ("skewed": exponential).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from eval.report import table
from eval.statistics import Floats, bootstrap_means, percentile_interval

Draw: TypeAlias = Callable[[np.random.Generator, int], Floats]
VALUES = np.array([-1, -0.63, -0.5, -0.37, -0.13, 0.13, 0.37, 0.5, 0.63, 1])
SHARES = np.array([0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.15, 0.1, 0.08, 0.07])
KINDS: tuple[tuple[str, float, Draw], ...] = (
    (
        "ndcg",
        0.4 * float(VALUES @ SHARES),
        lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.choice(VALUES, n, p=SHARES)),
    ),
    ("hits", 0.06, lambda rng, n: rng.choice([-1.0, 0.0, 1.0], n, p=[0.02, 0.9, 0.08])),
    ("skewed", 0.5, lambda rng, n: rng.exponential(size=n) - 0.5),
)
RESAMPLES = 2000


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2000)
    repeats = parser.parse_args(argv).repeats
    rows = []
    for kind, truth, draw in KINDS:
        for n in (10, 20, 50, 200):
            rng = np.random.default_rng(n)
            held = np.zeros(5)
            for i in range(repeats):
                d = draw(rng, n)
                held += [low - 1e-12 <= truth <= high + 1e-12 for low, high in intervals(d, i)]
            rows.append((kind, str(n), *(f"{share:.3f}" for share in held / repeats)))
    print(table(("differences", "n", "percentile", "BCa", "percentile widened", "BCa widened", "Student's t"), rows))


def intervals(d: Floats, seed: int) -> list[tuple[float, float]]:
    """One interval per candidate, in the order of the table."""
    n = len(d)
    means = bootstrap_means(d, n_resamples=RESAMPLES, seed=seed)
    half = float(student.ppf(0.975, n - 1)) * float(d.std(ddof=1)) / math.sqrt(n)
    return [
        percentile_interval(means, n, small_sample=False),
        bca(d, means, float(norm.ppf(0.975))),
        percentile_interval(means, n),
        bca(d, means, math.sqrt(n / (n - 1)) * float(student.ppf(0.975, n - 1))),
        (float(d.mean()) - half, float(d.mean()) + half),
    ]


def bca(d: Floats, means: Floats, width: float) -> tuple[float, float]:
    """Efron's bias-corrected and accelerated interval with ±``width`` in place of the normal quantile."""
    mean = float(d.mean())
    deviations = d - mean
    spread = float((deviations**2).sum())
    if spread < 1e-20:
        return mean, mean
    slack = 1e-12 * float(np.abs(d).max())
    below = float(((means < mean - slack).sum() + (means <= mean + slack).sum()) / (2 * len(means)))
    z0 = float(norm.ppf(min(max(below, 0.5 / len(means)), 1 - 0.5 / len(means))))
    a = float((deviations**3).sum()) / (6 * spread**1.5)
    low, high = np.quantile(means, [norm.cdf(z0 + z / (1 - a * z)) for z in (z0 - width, z0 + width)])
    return float(low), float(high)


if __name__ == "__main__":
    main()
