"""What vectors are worth where the encoder only has the letters of a script: XQuAD by the weight of dense in the hybrid.

Each language's questions are asked of all its paragraphs. The first row of a language is what every query had before
decision 0262, alpha as the settings say; the differences are against it.

    openbook bench spelt -- --split train
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from app.wiring import build_encoder, model_cache_dir
from bench.languages import Paragraphs, load
from core.legible import reads
from core.protocols import Retriever
from core.settings import Settings
from core.types import Principal, Where
from eval.metrics.ranking import evaluate_run, parse_metric
from eval.statistics import bootstrap_means, percentile_interval
from retrieval.adhoc import build_adhoc
from retrieval.fuse import Ranked, convex

ALPHAS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
_METRIC = parse_metric("ndcg@10")
_ANYWHERE = Where(principal=Principal(user_id="bench"))


def lists(found: Paragraphs, settings: Settings, language: str) -> dict[str, tuple[str, Ranked, Ranked]]:
    """question id → (question, sparse list, dense list); row i is paragraph i."""
    encoder = build_encoder(settings)
    rows = {paragraph: row for row, paragraph in enumerate(found.texts)}
    corpus = [(paragraph, "", text) for paragraph, text in found.texts.items()]
    cache = model_cache_dir() / "vectors"
    one, other = (
        build_adhoc(settings, corpus, encoder, cache, retriever=r, language=language) for r in ("bm25", "dense")
    )

    def ranked(retriever: Retriever, question: str) -> list[tuple[int, float]]:
        hits = retriever.search(question, settings.fusion_depth, _ANYWHERE)
        return [(rows[hit.chunk.doc_id], hit.score) for hit in hits]

    return {i: (text, ranked(one, text), ranked(other, text)) for i, (text, _) in found.questions.items()}


def scores(found: Paragraphs, fused: Mapping[str, Ranked]) -> np.ndarray:
    """(n questions,): nDCG@10 of each."""
    ids = list(found.texts)
    run = {question: {ids[row]: score for row, score in ranked} for question, ranked in fused.items()}
    per_query = evaluate_run(run, {q: {paragraph: 1} for q, (_, paragraph) in found.questions.items()}, [_METRIC])
    return np.array([per_query[q]["ndcg@10"] for q in found.questions])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="openbook bench spelt", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data/xquad"), help="the folder of LANG-SPLIT.jsonl"
    )
    parser.add_argument("--split", choices=("train", "dev"), default="dev")
    parser.add_argument("--languages", nargs="+", default=["ar", "hi", "zh"])
    options = parser.parse_args(arguments)
    settings = Settings()
    print("| language | questions | spelt | alpha | nDCG@10 | difference |\n|---|---|---|---|---|---|")
    for language in options.languages:
        found = load(options.data, language, options.split)
        by_question = lists(found, settings, language)
        tokenizer = build_encoder(settings).tokenizer
        spelt = sum(not reads(tokenizer, text) for text, _, _ in by_question.values()) / len(by_question)
        before: np.ndarray | None = None
        for alpha in (settings.fusion_alpha, *ALPHAS):
            fused = {q: convex(s, d, alpha, settings.fusion_depth) for q, (_, s, d) in by_question.items()}
            got = scores(found, fused)
            before = got if before is None else before
            low, high = percentile_interval(bootstrap_means(got - before), len(got))
            difference = f"{(got - before).mean():+.4f} [{low:+.4f}, {high:+.4f}]"
            print(f"| {language} | {len(got)} | {spelt:.3f} | {alpha} | {got.mean():.4f} | {difference} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
