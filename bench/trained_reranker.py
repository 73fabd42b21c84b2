"""What a trained cross-encoder adds to the default order, on dev fields, one of which nobody trains on.

    python -m bench.trained_reranker --model build/reranker --pairs build/pairs

The default (seven likenesses, weighed) orders the hybrid's first hundred; the cross-encoder reads the first ``READ`` of them and its
score is mixed with the default's. The weight of the mix that is applied to a field is the best one on the other fields.
Differences are to the default, paired by question; p by paired randomisation, not corrected.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.wiring import build_encoder, model_cache_dir
from bench.fit_likeness import ANYWHERE, DEPTH, NDCG, corpora
from core.protocols import Encoder
from core.settings import Settings
from core.types import Chunk, Hit
from eval.metrics.ranking import evaluate_query
from eval.statistics import bootstrap_means, percentile_interval, randomization_test
from models.train.pairs import Mined, read_mined
from retrieval.adhoc import build_adhoc
from retrieval.rerank.cross_encoder import CrossEncoderReranker
from retrieval.rerank.late import LateInteractionReranker
from retrieval.rerank.order import Scores, mix

READ = 30  # candidates that the cross-encoder reads
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
ROOT = Path(__file__).resolve().parent.parent
Asked = list[tuple[str, list[Hit], Mapping[str, int]]]  # query, candidates, judged


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question: its candidates in the default's order, best first."""

    doc_ids: tuple[str, ...]
    found: Scores  # (n,) of the hybrid
    default: Scores  # (n,)
    cross: Scores  # (min(n, READ),)
    judged: Mapping[str, int]

    def ndcg(self, scores: Scores) -> float:
        order = np.argsort(-scores, kind="stable").tolist()
        return evaluate_query({self.doc_ids[i]: float(-rank) for rank, i in enumerate(order)}, self.judged, [NDCG])[
            "ndcg@10"
        ]

    def mixed(self, weight: float) -> Scores:
        """(n,): what was read by the mix, the rest behind it as it was."""
        n = len(self.cross)
        return np.concatenate([1.0 + mix(self.cross, self.default[:n], weight), self.default[n:] - self.default.max()])


def labelled(settings: Settings, encoder: Encoder, data: Path) -> dict[str, Asked]:
    """The dev questions of SciFact, clapnq and English xquad with what the hybrid finds."""
    found: dict[str, Asked] = {}
    for corpus, sets in corpora(data):
        retriever = build_adhoc(settings, corpus, encoder, model_cache_dir() / "vectors", language="en")
        for name, (queries, judged) in sets.items():
            if name.endswith(" dev"):
                found[name] = [(q, retriever.search(q, DEPTH, ANYWHERE), judged[i]) for i, q in queries.items()]
    return found


def mined_field(mined: Mined, name: str) -> Asked:
    """The questions of a field of the mined folder, with the candidates that lie there."""
    found: Asked = []
    for query in mined.dev[name]:
        hits = []
        for rank, (key, score) in enumerate(zip(query.candidates, query.fused, strict=True), start=1):
            text = mined.passages[key].read_as(with_heading=query.with_heading)
            chunk = Chunk(chunk_id=key, doc_id=key, text=text, start=0, end=len(text), n_tokens=0)
            hits.append(Hit(chunk=chunk, title="", collection=name, score=score, rank=rank, source="hybrid"))
        found.append((query.query, hits, query.relevant))
    return found


def scored(asked: Asked, late: LateInteractionReranker, cross: CrossEncoderReranker) -> tuple[list[Case], float]:
    """The cases, and the median seconds that the cross-encoder took of a question."""
    cases, took = [], []
    for query, hits, judged in asked:
        scores, fitted = late.weighed(query, hits)
        default = fitted if fitted is not None else mix(scores, np.array([h.score for h in hits]), 0.5)
        order = np.argsort(-default, kind="stable").tolist()
        started = time.perf_counter()
        read = cross.score(query, [hits[i] for i in order[:READ]])
        took.append(time.perf_counter() - started)
        cases.append(
            Case(
                doc_ids=tuple(hits[i].chunk.doc_id for i in order),
                found=np.array([hits[i].score for i in order]),
                default=default[order],
                cross=read,
                judged=judged,
            )
        )
    return cases, float(np.median(took))


def report(fields: Mapping[str, Sequence[Case]]) -> str:
    values = {
        name: {w: np.array([case.ndcg(case.mixed(w)) for case in cases]) for w in WEIGHTS}
        for name, cases in fields.items()
    }
    lines = [
        "| field | questions | hybrid | default | cross-encoder alone | mixed (weight) | difference to the default | p |",
        "|---|---:|---:|---:|---:|---:|---|---:|",
    ]
    for name, cases in fields.items():
        others = [values[other] for other in fields if other != name]
        weight = max(WEIGHTS, key=lambda w: (float(np.mean([v[w].mean() for v in others])), -w))
        found = np.array([case.ndcg(case.found) for case in cases])
        default = np.array([case.ndcg(case.default) for case in cases])
        gain: NDArray[np.float64] = values[name][weight] - default
        low, high = percentile_interval(bootstrap_means(gain), len(gain))
        lines.append(
            f"| {name} | {len(cases)} | {found.mean():.4f} | {default.mean():.4f} | {values[name][1.0].mean():.4f} | "
            f"{values[name][weight].mean():.4f} ({weight:g}) | {gain.mean():+.4f} [{low:+.4f}, {high:+.4f}] | "
            f"{randomization_test(gain.tolist()).p:.4f} |"
        )
    lines += ["", f"| field, by weight | {' | '.join(f'{w:g}' for w in WEIGHTS)} |", "|---|" + "---:|" * len(WEIGHTS)]
    lines += [f"| {name} | {' | '.join(f'{v[w].mean():.4f}' for w in WEIGHTS)} |" for name, v in values.items()]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.trained_reranker", description=main.__doc__)
    parser.add_argument("--model", type=Path, required=True, help="what models.train.cross_encoder wrote")
    parser.add_argument("--pairs", type=Path, required=True, help="what bench mine-pairs made")
    parser.add_argument("--held-out", default="python+peps", help="the field of that folder that no model trains on")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    options = parser.parse_args(argv)
    mined = read_mined(options.pairs)
    if options.held_out not in mined.dev:
        parser.error(
            f"--held-out {options.held_out!r} has no dev questions in that folder: choose of {', '.join(mined.dev)}"
        )
    settings = Settings()
    encoder = build_encoder(settings)
    late, cross = LateInteractionReranker(encoder), CrossEncoderReranker(options.model)
    asked = labelled(settings, encoder, options.data)
    asked[options.held_out] = mined_field(mined, options.held_out)
    fields = {}
    for name, questions in asked.items():
        fields[name], seconds = scored(questions, late, cross)
        print(f"{name}: {seconds * 1000:.0f} ms of the cross-encoder a question", file=sys.stderr, flush=True)
    print(f"{cross.revision}, the first {READ}\n\n{report(fields)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
