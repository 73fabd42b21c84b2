"""Fits the weights of ``retrieval.rerank.likeness`` on train sets, and reports what they change on dev sets.

    python -m bench.fit_likeness --data ../shared/data --write

Fitted on SciFact train, clapnq train and xquad English train, the first hundred candidates of the hybrid each, by a listwise
softmax. SciFact train is scored out of fold as well, ten times on nine tenths with all of the others. No
weight sees a dev question. The peer, before and in the same run, is the mix of late interaction and fused score, half and half. ``--write``
replaces retrieval/rerank/likeness.json and docs/results/likeness.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.wiring import build_encoder, model_cache_dir
from bench.fitting import Array, Flags, fit_listwise, fold_of
from core.protocols import Encoder
from core.settings import Settings
from core.types import Principal, Where
from eval.datasets import load_beir, load_qa
from eval.metrics.ranking import evaluate_query, parse_metric
from eval.statistics import bootstrap_means, percentile_interval, randomization_test
from retrieval.adhoc import AdhocRetriever, build_adhoc
from retrieval.rerank.late import LateInteractionReranker
from retrieval.rerank.likeness import FEATURES, FILE
from retrieval.rerank.order import mix

L2 = 1e-2
FOLDS = 10
DEPTH = 100
HALF = 0.5
TRAIN = ("SciFact train", "clapnq train", "xquad en train")
ROOT = Path(__file__).resolve().parent.parent
NDCG = parse_metric("ndcg@10")
Passage = tuple[str, str, str]  # id, title, text
Sets = Mapping[str, tuple[Mapping[str, str], Mapping[str, Mapping[str, int]]]]
ANYWHERE = Where(principal=Principal(user_id="bench"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question with its candidates."""

    query_id: str
    doc_ids: tuple[str, ...]
    features: Array  # (n, len(FEATURES))
    judged: Mapping[str, int]

    @property
    def right(self) -> Flags:
        return np.array([self.judged.get(doc_id, 0) > 0 for doc_id in self.doc_ids])

    @property
    def half(self) -> Array:
        """(n,) scores of the mix half and half."""
        at = {name: self.features[:, i] for i, name in enumerate(FEATURES)}
        return mix(at["late"], at["found"], HALF)

    def ndcg(self, scores: Array) -> float:
        order = np.argsort(-scores, kind="stable").tolist()
        found = {self.doc_ids[i]: float(-rank) for rank, i in enumerate(order)}
        return evaluate_query(found, self.judged, [NDCG])["ndcg@10"]


def fit(cases: Sequence[Case]) -> Array:
    return fit_listwise([(case.features, case.right) for case in cases], L2)


def out_of_fold(scifact: Sequence[Case], others: Sequence[Case]) -> NDArray[np.float64]:
    """(n,) nDCG@10 of SciFact train by weights that saw none of the question."""
    found = np.zeros(len(scifact))
    folds = np.array([fold_of(case.query_id, FOLDS) for case in scifact])
    for fold in range(FOLDS):
        weights = fit([*others, *(case for case, f in zip(scifact, folds, strict=True) if f != fold)])
        for i in np.flatnonzero(folds == fold).tolist():
            found[i] = scifact[i].ndcg(scifact[i].features @ weights)
    return found


# ---------------------------------------------------------------- reading


def collected(
    settings: Settings,
    encoder: Encoder,
    corpus: Sequence[Passage],
    sets: Sets,
) -> dict[str, list[Case]]:
    """name → cases, from name → (queries, judgements), all over one corpus."""
    retriever: AdhocRetriever = build_adhoc(
        settings, corpus, encoder, model_cache_dir() / "vectors", language="en", tokens=True
    )
    late = LateInteractionReranker(encoder, retriever.kept_tokens)
    found: dict[str, list[Case]] = {}
    for name, (queries, judged) in sets.items():
        print(f"reading {name} …", file=sys.stderr, flush=True)
        found[name] = []
        for query_id, text in queries.items():
            hits = retriever.search(text, DEPTH, ANYWHERE)
            ids = tuple(hit.chunk.doc_id for hit in hits)
            case = Case(query_id=query_id, doc_ids=ids, features=late.likenesses(text, hits), judged=judged[query_id])
            found[name].append(case)
    return found


def corpora(data: Path) -> list[tuple[list[Passage], Sets]]:
    """SciFact over its corpus; clapnq and English xquad over one pool of all their paragraphs. By set: queries, judgements."""
    splits = {split: load_beir(data / "scifact", split) for split in ("train", "dev")}
    abstracts = [(d.doc_id, d.title, d.text) for d in splits["train"].corpus]
    files = {f"{name} {split}": data / path for split in ("train", "dev") for name, path in
             (("clapnq", f"clapnq/{split}.jsonl"), ("xquad en", f"xquad/en-{split}.jsonl"))}  # fmt: skip
    samples = {name: load_qa(path).samples for name, path in files.items()}
    ids: dict[tuple[str, str], str] = {}
    for sample in (s for some in samples.values() for s in some):
        for context in sample.contexts:
            ids.setdefault(context, f"p{len(ids)}")
    sets = {}
    for name, some in samples.items():
        asked = [s for s in some if s.answerable]
        queries = {f"{n}": s.question for n, s in enumerate(asked)}
        sets[name] = (queries, {f"{n}": {ids[c]: 1 for c in s.contexts} for n, s in enumerate(asked)})
    return [
        (abstracts, {f"SciFact {s}": (d.queries, d.qrels) for s, d in splits.items()}),
        ([(i, *c) for c, i in ids.items()], sets),
    ]


def read_all(settings: Settings, encoder: Encoder, data: Path) -> dict[str, list[Case]]:
    return {
        name: cases
        for corpus, sets in corpora(data)
        for name, cases in collected(settings, encoder, corpus, sets).items()
    }


# ---------------------------------------------------------------- measuring


def row(name: str, cases: Sequence[Case], now: NDArray[np.float64]) -> str:
    """Of one set: nDCG@10 of the candidates as found, of half and half, of the weights, and the difference of the two."""
    found = np.array([case.ndcg(case.features[:, FEATURES.index("found")]) for case in cases])
    before = np.array([case.ndcg(case.half) for case in cases])
    gain = now - before
    low, high = percentile_interval(bootstrap_means(gain), len(gain))
    p = randomization_test(gain.tolist()).p
    return (
        f"| {name} | {len(cases)} | {found.mean():.4f} | {before.mean():.4f} | {now.mean():.4f} | "
        f"{gain.mean():+.4f} [{low:+.4f}, {high:+.4f}] | {p:.4f} |"
    )


def report(cases: Mapping[str, Sequence[Case]], weights: Array) -> str:
    def fitted(name: str) -> NDArray[np.float64]:
        return np.array([case.ndcg(case.features @ weights) for case in cases[name]])

    others = [case for name in TRAIN[1:] for case in cases[name]]
    folds = out_of_fold(cases["SciFact train"], others)
    together = [*cases["SciFact train"], *cases["SciFact dev"]]
    lines = [
        "# Seven likenesses, weighed",
        "",
        "Made by `python -m bench.fit_likeness --write`. Weights fitted on SciFact train, clapnq train and xquad English train. Which likenesses",
        "are weighed was settled with dev scores in sight (decision 0265). nDCG@10 of the hybrid's first hundred (fused 200 deep): as found, by late interaction and fused score half and half (the default",
        "before), and by the weights. Differences are to half and half, paired by question; p by paired randomisation, not corrected.",
        "",
        "| set | questions | as found | half and half | weighed | difference | p |",
        "|---|---:|---:|---:|---:|---|---:|",
        row("SciFact train, out of fold", cases["SciFact train"], folds),
        row("SciFact dev", cases["SciFact dev"], fitted("SciFact dev")),
        row("… both", together, np.concatenate([folds, fitted("SciFact dev")])),
        row("clapnq dev", cases["clapnq dev"], fitted("clapnq dev")),
        row("xquad English dev", cases["xquad en dev"], fitted("xquad en dev")),
        "",
        "The same with weights that saw no question of SciFact: another field.",
        "",
        "| set | questions | as found | half and half | weighed | difference | p |",
        "|---|---:|---:|---:|---:|---|---:|",
    ]
    foreign = fit(others)
    lines += [
        row(name, cases[name], np.array([case.ndcg(case.features @ foreign) for case in cases[name]]))
        for name in ("SciFact train", "SciFact dev")
    ]
    share = weights / weights.sum()
    lines += [
        "",
        f"Weights, of their sum: {', '.join(f'{n} {w:.2f}' for n, w in zip(FEATURES, share, strict=True))}.",
        "",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--write", action="store_true", help="replace the shipped weights and the report")
    options = parser.parse_args(argv)
    settings = Settings()
    encoder = build_encoder(settings)
    cases = read_all(settings, encoder, options.data)
    weights = fit([case for name in TRAIN for case in cases[name]])
    text = report(cases, weights)
    print(text)
    if options.write:
        shipped = {
            "made_by": "python -m bench.fit_likeness --write",
            "fitted_on": list(TRAIN),
            "results": "docs/results/likeness.md",
            "encoder": encoder.revision.split("-g")[0],
            "weights": {name: round(float(w), 4) for name, w in zip(FEATURES, weights, strict=True)},
        }
        (ROOT / "retrieval" / "rerank" / FILE).write_text(json.dumps(shipped, indent=2) + "\n", "utf-8")
        (ROOT / "docs" / "results" / "likeness.md").write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
