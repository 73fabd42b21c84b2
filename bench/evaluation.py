"""How fast runs are scored and compared, beside pytrec_eval and scipy on the same data in the same process.

python -m bench.evaluation [--queries 200] [--depth 1000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pytrec_eval
from scipy import stats

from eval.metrics.ranking import evaluate_run, parse_metric
from eval.report import table
from eval.retrieval import STANDARD_METRICS
from eval.statistics import Floats, bootstrap_means, percentile_interval, randomization_test

T = TypeVar("T")
THEIRS = {"ndcg_cut.10", "recip_rank", "recall.10,100", "map", "success.4"}
PAIRS = (("ndcg@10", "ndcg_cut_10"), ("recall@100", "recall_100"), ("map", "map"), ("hits@4", "success_4"))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--depth", type=int, default=1000)
    options = parser.parse_args(argv)
    n, depth = options.queries, options.depth
    rng = np.random.default_rng(0)
    run = {f"q{q}": {f"d{d}": float(s) for d, s in enumerate(rng.normal(size=depth).round(3))} for q in range(n)}
    qrels = {
        f"q{q}": {f"d{d}": int(rng.integers(0, 3)) for d in rng.choice(2 * depth, 20, replace=False)} for q in range(n)
    }

    metrics = [parse_metric(name) for name in STANDARD_METRICS]
    ours, our_s = timed(lambda: evaluate_run(run, qrels, metrics))
    theirs, their_s = timed(lambda: pytrec_eval.RelevanceEvaluator(qrels, THEIRS).evaluate(run))
    worst = max(abs(ours[q][a] - theirs[q][b]) for q in qrels for a, b in PAIRS)

    d = np.where(rng.random(n) < 0.6, 0.0, rng.normal(0.02, 0.3, n))
    flips, resamples = 10_000, 10_000
    test, our_test_s = timed(lambda: randomization_test(d.tolist(), n_flips=flips))
    peer, peer_test_s = timed(
        lambda: stats.permutation_test(
            (d,), mean_of, permutation_type="samples", n_resamples=flips, vectorized=True, batch=1000, rng=0
        )
    )
    interval, our_boot_s = timed(
        lambda: percentile_interval(bootstrap_means(d, n_resamples=resamples), n, small_sample=False)
    )
    boot, peer_boot_s = timed(
        lambda: stats.bootstrap((d,), np.mean, n_resamples=resamples, method="percentile", batch=1000, rng=0)
    )

    rows = [
        (f"score {n} × {depth}, 6 metrics", our_s, "pytrec_eval", their_s, f"largest difference {worst:.1e}"),
        (f"{flips:,} sign flips of {n}", our_test_s, "scipy", peer_test_s, f"p {test.p:.4f} and {peer.pvalue:.4f}"),
        (
            f"{resamples:,} resamples of {n}",
            our_boot_s,
            "scipy",
            peer_boot_s,
            f"[{interval[0]:.4f}, {interval[1]:.4f}] and [{boot.confidence_interval.low:.4f}, {boot.confidence_interval.high:.4f}]",
        ),
    ]
    print(
        table(
            ("work", "ours ms", "peer", "peer ms", "peer ÷ ours", "results"),
            [(w, f"{a * 1000:.1f}", p, f"{b * 1000:.1f}", f"{b / a:.2f}", note) for w, a, p, b, note in rows],
            left=(0, 2, 5),
        )
    )


def mean_of(x: Floats, axis: int) -> Any:
    return np.mean(x, axis=axis)


def timed(work: Callable[[], T], repeats: int = 5) -> tuple[T, float]:
    """The result, and the seconds of the fastest of ``repeats`` runs: other work on the machine only ever slows."""
    fastest = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        found = work()
        fastest = min(fastest, time.perf_counter() - started)
    return found, fastest


if __name__ == "__main__":
    main()
