"""Would more than three numbers tell better when ``extract`` should not answer? Tried on train, reported on dev.

    python -m bench.fit_abstention --data ../shared/data

Each set of features is fitted by logistic regression, ten folds by paragraph, on clapnq train over all its passages; the
set with the least area under the risk–coverage curve out of fold is the one that would be taken, and is then reported on
dev beside what is shipped. Nothing is chosen on dev, and nothing shipped is changed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from agents.calibration import ExtractFit, load_extract_calibration
from agents.candidates import affordable, candidates, regions
from agents.scoring import SENTENCE_FEATURES, Reading
from bench.fit_extract import ROOT, CachingEncoder
from bench.fitting import Array, Flags, auroc, fit_logistic, fold_of
from core.protocols import Encoder
from core.settings import Settings
from core.types import Hit, Principal, Where
from eval.datasets import load_qa
from eval.selective import aurc
from retrieval.adhoc import build_adhoc

K, FOLDS, L2 = 8, 10, 1e-2
_AT = {name: i for i, name in enumerate(SENTENCE_FEATURES)}

# What is shipped; then retrieval strength, answer support, agreement.
SHIPPED = ("score", "passage_max_sim", "passage_cosine")
SETS: dict[str, tuple[str, ...]] = {
    "shipped": SHIPPED,
    "+ strength": (*SHIPPED, "dense", "bm25"),
    "+ margins": (*SHIPPED, "passage_margin", "score_margin"),
    "+ support": (*SHIPPED, "coverage", "passage_coverage", "max_sim_weakest"),
    "+ agreement": (*SHIPPED, "same_first", "first_is_best"),
    "all": (
        *SHIPPED, "dense", "bm25", "passage_margin", "score_margin", "coverage", "passage_coverage", "max_sim_weakest",
        "same_first", "first_is_best",
    ),
}  # fmt: skip


def read(
    path: Path, encoder: Encoder, cache: Path, calibration: ExtractFit
) -> tuple[list[dict[str, float]], Flags, list[str]]:
    """Per question its named features, whether it can be answered, and its group."""
    samples = load_qa(path).samples
    ids = {c: f"p{i}" for i, c in enumerate(dict.fromkeys(c for s in samples for c in s.contexts))}
    retriever = build_adhoc(Settings(), [(i, *c) for c, i in ids.items()], encoder, cache)
    rows = []
    for sample in samples:
        hits = retriever.search(sample.question, K, Where(principal=Principal(user_id="bench")))
        rows.append(features(sample.question, hits, encoder, calibration))
    truth = np.array([s.answerable for s in samples])
    return rows, truth, [min(ids[c] for c in s.contexts) for s in samples]


def features(question: str, hits: Sequence[Hit], encoder: Encoder, calibration: ExtractFit) -> dict[str, float]:
    ranked = [replace(h, rank=n) for n, h in enumerate(hits, 1)]
    found = regions(affordable(ranked, encoder.tokenizer))
    sentences = candidates(found)
    reading = Reading(question, found, sentences, encoder)
    scores = reading.quotable(calibration.ranker(reading.features))
    order = np.argsort(-scores, kind="stable")
    best = reading.features[order[0]]
    per_passage = sorted(
        (
            float(max(reading.features[i, _AT["passage_max_sim"]] for i, c in enumerate(sentences) if c.region == r))
            for r in {c.region for c in sentences}
        ),
        reverse=True,
    )
    first = {stage: _first(hits, stage) for stage in ("bm25", "dense")}
    home = found[sentences[order[0]].region]
    return {
        **{name: float(best[at]) for name, at in _AT.items()},
        "score": float(scores[order[0]]),
        "dense": max((h.parts["dense"].score for h in hits if "dense" in h.parts), default=0.0),
        "bm25": max((h.parts["bm25"].score for h in hits if "bm25" in h.parts), default=0.0),
        "passage_margin": per_passage[0] - per_passage[1] if len(per_passage) > 1 else 0.0,
        "score_margin": float(scores[order[0]] - scores[order[1]]) if len(order) > 1 else 0.0,
        "same_first": float(first["bm25"] == first["dense"]),
        "first_is_best": float(home.rank == 1),
    }


def _first(hits: Sequence[Hit], stage: str) -> str:
    """The document that one half of the search puts first."""
    return min(hits, key=lambda h: h.parts[stage].rank if stage in h.parts else 10**6).chunk.doc_id


def matrix(rows: Sequence[dict[str, float]], names: Sequence[str]) -> Array:
    return np.array([[row[name] for name in names] for row in rows])


def out_of_fold(x: Array, y: Flags, groups: Sequence[str]) -> Array:
    folds = np.array([fold_of(g, FOLDS) for g in groups])
    said = np.zeros(len(y))
    for k in range(FOLDS):
        held = folds == k
        if held.any():
            weights, bias = fit_logistic(x[~held], y[~held], L2)
            said[held] = x[held] @ weights + bias
    return said


def wrong_at(scores: Array, y: Flags, rate: float) -> str:
    """wrong_unanswerable where this share of the answerable questions is answered, with its counts."""
    said = scores >= np.quantile(scores[y], 1 - rate)
    return f"{(said & ~y).sum() / said.sum():.1%} ({(said & ~y).sum()}/{said.sum()})"


def line(name: str, scores: Array, y: Flags) -> str:
    wrong = (~y)[np.argsort(-scores, kind="stable")].tolist()
    rates = " | ".join(wrong_at(scores, y, r) for r in (0.5, 0.6, 0.7))
    return f"| {name} | {auroc(scores, y):.3f} | {aurc(wrong):.4f} | {rates} |"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "openbook")
    options = parser.parse_args(argv)
    from retrieval.encoders.openvino import OpenVinoEncoder

    inner = OpenVinoEncoder(cache_dir=options.cache, threads=1)
    inner.load()
    calibration = load_extract_calibration().fit("english")
    sets = {}
    for split in ("train", "dev"):
        print(f"reading clapnq {split} …", file=sys.stderr, flush=True)
        path = options.data / "clapnq" / f"{split}.jsonl"
        sets[split] = read(path, CachingEncoder(inner), options.cache / "vectors", calibration)
    (rows, y, groups), (dev_rows, dev_y, _) = sets["train"], sets["dev"]
    head = "| features | AUROC | AURC | wrong at 50 % | at 60 % | at 70 % |\n|---|---|---|---|---|---|"
    print(f"train, out of fold\n\n{head}")
    measured = {}
    for name, names in SETS.items():
        scores = out_of_fold(matrix(rows, names), y, groups)
        measured[name] = aurc((~y)[np.argsort(-scores, kind="stable")].tolist())
        print(line(name, scores, y))
    chosen = min(measured, key=lambda n: measured[n])
    print(f"\nchosen on train: {chosen}\n\ndev\n\n{head}")
    shipped = calibration.answerable(matrix(dev_rows, SHIPPED))
    print(line("as shipped (fitted with xquad)", shipped, dev_y))
    for name in dict.fromkeys(("shipped", chosen)):
        weights, bias = fit_logistic(matrix(rows, SETS[name]), y, L2)
        print(line(f"{name}, fitted on clapnq train", matrix(dev_rows, SETS[name]) @ weights + bias, dev_y))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
