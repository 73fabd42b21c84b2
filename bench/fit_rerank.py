"""Chooses depth and weight of late-interaction reranking, by cross-validation on SciFact train.

    python -m bench.fit_rerank --data ../shared/data

Token vectors are in the form that a store keeps. Every depth and weight is a sum of two columns of each question's
first hundred passages.
The choice is made on SciFact train, five times on four fifths and scored on the fifth; then the best weight of each depth
on all of it. SciFact dev and the questions of clapnq and xquad (one pool of all their English paragraphs: another field) are only reported, with
those weights. Differences are to the same hybrid without reranking, paired by question.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.wiring import build_encoder, model_cache_dir
from core.protocols import Encoder, Retriever
from core.settings import Settings
from core.types import Hit, Principal, Sample, Where
from eval.datasets import load_beir, load_qa
from eval.metrics.ranking import evaluate_query, parse_metric
from eval.statistics import bootstrap_means, percentile_interval, randomization_test
from retrieval.adhoc import build_adhoc
from retrieval.rerank.late import LateInteractionReranker
from retrieval.rerank.order import mix

DEPTHS = (10, 20, 30, 50, 75, 100)
WEIGHTS = tuple(round(0.05 * i, 2) for i in range(21))
FOLDS = 5
_NDCG = parse_metric("ndcg@10")
Choice = tuple[int, float]  # depth, weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question with its candidates, best first."""

    query_id: str
    doc_ids: tuple[str, ...]
    fused: NDArray[np.float64]  # (n,)
    late: NDArray[np.float64]  # (n,)
    judged: Mapping[str, int]

    @property
    def fold(self) -> int:
        return zlib.crc32(self.query_id.encode()) % FOLDS


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.fit_rerank", description=main.__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="holds scifact, clapnq and xquad")
    arguments = parser.parse_args(argv)
    settings = Settings()
    encoder = build_encoder(settings)
    encoder.load()
    report(settings, encoder, arguments.data)
    return 0


def report(settings: Settings, encoder: Encoder, data: Path) -> None:
    train, dev = scifact(settings, encoder, data / "scifact")
    values = table(train)
    print(f"nDCG@10 on SciFact train, {len(train)} questions, by depth and weight\n")
    show(values)
    cross_validated(train, values)
    print("\nWith the weight that is best on train for each depth (time grows with the depth)\n")
    print("| depth, weight | field | questions | hybrid | late alone | mix | difference | p |")
    print("|---|---|---:|---:|---:|---:|---|---:|")
    fields = {"SciFact train (chosen here)": train, "SciFact dev": dev, **paragraphs(settings, encoder, data)}
    for depth in DEPTHS:
        choice = best({c: values[c] for c in values if c[0] == depth})
        for name, cases in fields.items():
            show_field(name, cases, choice)
    print("\nThe same by depth and weight, SciFact dev (nothing was chosen here)\n")
    show(table(dev))


# ---------------------------------------------------------------- candidates


def scifact(settings: Settings, encoder: Encoder, folder: Path) -> tuple[list[Case], list[Case]]:
    sets = [load_beir(folder, split) for split in ("train", "dev")]
    corpus = [(d.doc_id, d.title, d.text) for d in sets[0].corpus]
    retriever = build_adhoc(settings, corpus, encoder, model_cache_dir() / "vectors", language="en", tokens=True)
    late = LateInteractionReranker(encoder, retriever.kept_tokens)
    train, dev = (collected(retriever, late, s.queries, s.qrels) for s in sets)
    return train, dev


def paragraphs(settings: Settings, encoder: Encoder, data: Path) -> dict[str, list[Case]]:
    """The questions of clapnq and xquad, train and dev, over all their paragraphs together."""
    files = {
        "clapnq": [data / "clapnq" / f"{split}.jsonl" for split in ("train", "dev")],
        "xquad English": [data / "xquad" / f"en-{split}.jsonl" for split in ("train", "dev")],
    }
    samples: dict[str, list[Sample]] = {
        name: [s for path in paths for s in load_qa(path).samples] for name, paths in files.items()
    }
    ids: dict[tuple[str, str], str] = {}
    for sample in (s for some in samples.values() for s in some):
        for context in sample.contexts:
            ids.setdefault(context, f"p{len(ids)}")
    retriever = build_adhoc(
        settings,
        [(i, *context) for context, i in ids.items()],
        encoder,
        model_cache_dir() / "vectors",
        language="en",
        tokens=True,
    )
    late = LateInteractionReranker(encoder, retriever.kept_tokens)
    found = {}
    for name, some in samples.items():
        asked = [s for s in some if s.answerable]
        queries = {f"{n}": s.question for n, s in enumerate(asked)}
        qrels = {f"{n}": {ids[c]: 1 for c in s.contexts} for n, s in enumerate(asked)}
        found[f"{name} (pool of {len(ids)})"] = collected(retriever, late, queries, qrels)
    return found


def collected(
    retriever: Retriever,
    late: LateInteractionReranker,
    queries: Mapping[str, str],
    qrels: Mapping[str, Mapping[str, int]],
) -> list[Case]:
    cases = []
    where = Where(principal=Principal(user_id="bench"))
    for done, (query_id, text) in enumerate(queries.items()):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done}/{len(queries)}\033[K")
        hits: list[Hit] = retriever.search(text, max(DEPTHS), where)
        cases.append(
            Case(
                query_id=query_id,
                doc_ids=tuple(h.chunk.doc_id for h in hits),
                fused=np.array([h.score for h in hits]),
                late=late.score(text, hits),
                judged=qrels[query_id],
            )
        )
    return cases


# ---------------------------------------------------------------- scores


def ndcg(case: Case, choice: Choice) -> float:
    """nDCG@10 of one question; weight 0 is the hybrid."""
    depth, weight = choice
    head = mix(case.late[:depth], case.fused[:depth], weight)
    order = [*np.argsort(-head, kind="stable").tolist(), *range(depth, len(case.doc_ids))]
    scores = {case.doc_ids[i]: float(-rank) for rank, i in enumerate(order)}
    return evaluate_query(scores, case.judged, [_NDCG])["ndcg@10"]


def table(cases: Sequence[Case]) -> dict[Choice, NDArray[np.float64]]:
    """(n_cases,) for every choice."""
    return {(d, w): np.array([ndcg(c, (d, w)) for c in cases]) for d in DEPTHS for w in WEIGHTS}


def best(values: Mapping[Choice, NDArray[np.float64]], rows: NDArray[np.bool_] | None = None) -> Choice:
    """The highest mean; of equal ones the shallowest, then the lightest."""
    return max(values, key=lambda c: (float(values[c][... if rows is None else rows].mean()), -c[0], -c[1]))


def cross_validated(cases: Sequence[Case], values: Mapping[Choice, NDArray[np.float64]]) -> None:
    folds = np.array([c.fold for c in cases])
    held_out = np.zeros(len(cases))
    chosen = []
    for fold in range(FOLDS):
        choice = best(values, folds != fold)
        chosen.append(choice)
        held_out[folds == fold] = values[choice][folds == fold]
    print(f"\nchosen on four fifths: {', '.join(f'depth {d}, weight {w}' for d, w in chosen)}")
    print(f"on the held-out fifths: {held_out.mean():.4f}; {difference(held_out - values[(DEPTHS[0], 0.0)])}")


def difference(values: NDArray[np.float64]) -> str:
    low, high = percentile_interval(bootstrap_means(values), len(values))
    p = randomization_test(values.tolist()).p
    return f"{values.mean():+.4f} [{low:+.4f}, {high:+.4f}], p = {p:.4f}"


def show(values: Mapping[Choice, NDArray[np.float64]]) -> None:
    shown = [w for w in WEIGHTS if round(w * 100) % 10 == 0]
    print(f"| depth | {' | '.join(f'w {w:g}' for w in shown)} |")
    print(f"|---:|{'---:|' * len(shown)}")
    for depth in DEPTHS:
        print(f"| {depth} | {_row(values[(depth, w)] for w in shown)} |")


def show_field(name: str, cases: Sequence[Case], choice: Choice) -> None:
    hybrid, alone, mixed = (np.array([ndcg(c, x) for c in cases]) for x in ((choice[0], 0.0), (choice[0], 1.0), choice))
    said, p = difference(mixed - hybrid).split(", p = ")
    print(f"| {choice[0]}, {choice[1]:g} | {name} | {len(cases)} | {_row((hybrid, alone, mixed))} | {said} | {p} |")


def _row(columns: Iterable[NDArray[np.float64]]) -> str:
    return " | ".join(f"{c.mean():.4f}" for c in columns)


if __name__ == "__main__":
    sys.exit(main())
