"""What fusing less deep loses, and what it costs: nDCG@10 of the hybrid at several depths.

    python -m bench.fusion_depth [--folder ../shared/data/scifact] [--splits train dev] [--cache ~/.cache/openbook]

``openbook eval`` asks for 1,000 hits, for MAP, and so fuses 1,000 deep whatever the settings say; here each depth is fused as
a search for ten hits would.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.settings import Settings
from eval.datasets import load_beir
from eval.metrics.ranking import evaluate_run, mean_over_queries, parse_metric
from eval.statistics import bootstrap_means, percentile_interval, randomization_test
from retrieval.adhoc import build_adhoc
from retrieval.encoders.openvino import OpenVinoEncoder
from retrieval.fuse import convex, rrf

DEPTHS = (10, 20, 50, 100, 200, 500, 1000)
DEEPEST = DEPTHS[-1]
METRIC = "ndcg@10"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fusion_depth", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, default=Path("../shared/data/scifact"), help="a BEIR folder")
    parser.add_argument("--splits", nargs="+", default=["train", "dev"])
    parser.add_argument("--alpha", type=float, default=0.5)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "openbook-bench", help="of vectors")
    arguments = parser.parse_args(argv)
    print(f"Load average {os.getloadavg()[0]:.1f}.\n")
    print("| split | fusion | depth | nDCG@10 | less than at 1000 | 95 % | p | fusing, ms |")
    print("|---|---|---|---|---|---|---|---|")
    encoder = OpenVinoEncoder(arguments.cache)
    for split in arguments.splits:
        data = load_beir(arguments.folder, split)
        corpus = [(d.doc_id, d.title, d.text) for d in data.corpus]
        adhoc = build_adhoc(Settings(), corpus, encoder, arguments.cache, retriever="hybrid")
        if adhoc.sparse is None or adhoc.dense is None:
            raise RuntimeError("a hybrid has both indexes")
        lists = {}
        vectors = encoder.encode_queries(list(data.queries.values()))
        for (query_id, query), vector in zip(data.queries.items(), vectors, strict=True):
            lists[query_id] = (
                adhoc.sparse.search(query, DEEPEST, adhoc.everything),
                adhoc.dense.search(vector[None], DEEPEST, adhoc.everything)[0],
            )
        for fusion in ("convex", "rrf"):
            found = {}
            for depth in DEPTHS:
                started = time.process_time()
                fused = {
                    q: convex(a, b, arguments.alpha, depth)
                    if fusion == "convex"
                    else rrf({"a": a, "b": b}, depth=depth)
                    for q, (a, b) in lists.items()
                }
                ms = 1e3 * (time.process_time() - started) / len(fused)
                run = {q: {adhoc.chunks[r].doc_id: s for r, s in ranked[:DEEPEST]} for q, ranked in fused.items()}
                found[depth] = evaluate_run(run, data.qrels, [parse_metric(METRIC)]), ms
            for depth, (scores, ms) in found.items():
                deepest = found[DEEPEST][0]
                less = np.array([deepest[q][METRIC] - scores[q][METRIC] for q in scores])
                low, high = percentile_interval(bootstrap_means(less), len(less), small_sample=False)
                p = randomization_test(less.tolist()).p if less.any() else 1.0
                mean = mean_over_queries(scores)[METRIC]
                print(
                    f"| {split} ({len(scores)}) | {fusion} | {depth} | {mean:.4f} | {less.mean():+.4f} "
                    f"| [{low:+.4f}, {high:+.4f}] | {p:.2f} | {ms:.2f} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
