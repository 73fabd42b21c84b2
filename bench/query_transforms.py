"""What HyDE, decomposition and rewriting do to what is found, with the language model of the settings.

    python -m bench.query_transforms [--beir DIR] [--split dev] [--queries N] [--passages N] [--qa FILE] [--cache FILE]

HyDE and decomposition on a BEIR folder; rewriting on follow-ups made from a question-answering file: a question that names
its paragraph's title is asked as "it", after another question about that title. What the model said is kept in the
cache, so that a run that was broken off goes on. nDCG@10 over documents; differences as `eval compare` reports them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.decompose import sub_questions
from agents.followup import standalone_by_rule
from agents.hyde import imagine
from agents.limits import Budget
from agents.prompts import Prompts
from agents.query_side import PlannedRetriever
from agents.rewrite import rewrite
from app.wiring import build_encoder, build_lm, load_cli_settings, model_cache_dir
from bench.as_beir import passage_id
from core.protocols import LanguageModel, Retriever
from core.types import LOCAL_USER_ID, Limits, Message, Principal, Sample, Where
from eval.compare import compare_runs
from eval.datasets import load_beir, load_qa
from eval.metrics.ranking import evaluate_run, parse_metric
from eval.retrieval import document_scores
from eval.saved import SavedRun
from retrieval.adhoc import build_adhoc

DATA = Path(__file__).parents[2] / "shared" / "data"
METRIC = "ndcg@10"
EVERYWHERE = Where(principal=Principal(user_id=LOCAL_USER_ID))
DEPTH = 100
Scores = dict[str, dict[str, float]]


class Kept:
    """What the model said, by a key, with the seconds that it took; on disk after each answer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        self._said: dict[str, dict[str, Any]] = {one["key"]: one for one in map(json.loads, lines)}

    async def get(self, key: str, ask: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
        if key not in self._said:
            began = time.perf_counter()
            said = await ask()
            self._said[key] = {"key": key, "said": said, "seconds": time.perf_counter() - began}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(self._said[key], ensure_ascii=False) + "\n")
        return self._said[key]["said"], self._said[key]["seconds"]


def budget() -> Budget:
    return Budget(Limits(max_steps=100, max_tokens=100_000, max_seconds=3600))


def scored(retriever: Retriever, query_id: str, query: str) -> dict[str, float]:
    return document_scores(query_id, retriever.search(query, DEPTH, EVERYWHERE))


def table(runs: Mapping[str, Scores], qrels: Mapping[str, Mapping[str, int]], seconds: Mapping[str, float]) -> str:
    """A row per way, each against the first."""
    metric = parse_metric(METRIC)
    saved = {
        name: SavedRun(
            path=name,
            label=name,
            kind="retrieval",
            data="",
            data_sha256="",
            per_query=evaluate_run(run, qrels, [metric]),
        )
        for name, run in runs.items()
    }
    first = next(iter(saved.values()))
    lines = [f"| way | {METRIC} | against the first | LM seconds a query |", "|---|---|---|---|"]
    for name, run in saved.items():
        values = [v[METRIC] or 0.0 for v in run.per_query.values()]
        said = compare_runs(first, run).metrics[0].text(1) if run is not first else ""
        lines.append(f"| {name} | {sum(values) / len(values):.4f} | {said} | {seconds.get(name, 0.0):.1f} |")
    return "\n".join(lines)


async def hyde_and_parts(lm: LanguageModel, kept: Kept, options: argparse.Namespace) -> str:
    settings, prompts = load_cli_settings(), Prompts()
    data = load_beir(options.beir, options.split)
    step = max(1, len(data.queries) // options.queries)
    queries = dict(list(data.queries.items())[::step][: options.queries])
    corpus = [(d.doc_id, d.title, d.text) for d in data.corpus]
    encoder = build_encoder(settings)
    passages: dict[str, list[str]] = {}
    parts: dict[str, list[str]] = {}
    spent: dict[str, float] = defaultdict(float)
    for n, (query_id, query) in enumerate(queries.items()):
        print(f"{n} of {len(queries)}", file=sys.stderr, flush=True)

        async def one(query: str = query) -> list[str]:
            return list((await imagine(query, lm, prompts, budget(), n=options.passages))[0])

        async def split(query: str = query) -> list[str]:
            return list((await sub_questions(query, lm, prompts, budget()))[0])

        passages[query_id], taken = await kept.get(f"hyde {options.passages} {query_id}", one)
        spent["HyDE"] += taken / len(queries)
        parts[query_id], taken = await kept.get(f"parts {query_id}", split)
        spent["in parts"] += taken / len(queries)
    found = [f"{data.name} {data.split}, {len(queries)} queries, {options.passages} passages, {lm.name}."]
    found += [f"Split into parts: {sum(map(bool, parts.values()))} of {len(queries)} queries."]
    for name in ("hybrid", "dense"):
        retriever = build_adhoc(settings, corpus, encoder, model_cache_dir() / "vectors", retriever=name)
        runs: dict[str, Scores] = defaultdict(dict)
        for query_id, query in queries.items():
            runs[name][query_id] = scored(retriever, query_id, query)
            imagined = PlannedRetriever(retriever, passages=passages[query_id])
            runs[f"{name}, HyDE"][query_id] = scored(imagined, query_id, query)
            taken_apart = PlannedRetriever(retriever, parts=parts[query_id])
            runs[f"{name}, in parts"][query_id] = scored(taken_apart, query_id, query)
        judged = {query_id: data.qrels[query_id] for query_id in queries}
        found += ["", table(runs, judged, {f"{name}, {way}": s for way, s in spent.items()})]
    return "\n".join(found)


def follow_ups(samples: Sequence[Sample], most: int) -> list[tuple[Sample, str, list[Message]]]:
    """(sample, its question with "it" for its title, what was said before)."""
    found = []
    for sample in samples:
        title = sample.contexts[0][0].replace("_", " ")
        named = re.compile(rf"\b(?:the )?{re.escape(title)}\b", re.IGNORECASE)
        before = next(
            (
                s
                for s in samples
                if s.contexts[0][0] == sample.contexts[0][0] and s is not sample and named.search(s.question)
            ),
            None,
        )
        if before is not None and named.search(sample.question):
            said = [
                Message(role="user", content=before.question),
                Message(role="assistant", content=before.answers[0]),
            ]
            found.append((sample, named.sub("it", sample.question), said))
    step = max(1, len(found) // most)
    return found[::step][:most]


async def rewriting(lm: LanguageModel, kept: Kept, options: argparse.Namespace) -> str:
    settings, prompts = load_cli_settings(), Prompts()
    samples = load_qa(options.qa).samples
    corpus = {passage_id(*context): context for s in samples for context in s.contexts}
    retriever = build_adhoc(
        settings, [(i, *c) for i, c in corpus.items()], build_encoder(settings), model_cache_dir() / "vectors"
    )
    asked = follow_ups(samples, options.queries)
    runs: dict[str, Scores] = defaultdict(dict)
    spent = 0.0
    for sample, question, history in asked:

        async def ask(question: str = question, history: Sequence[Message] = history) -> str:
            return (await rewrite(question, history, lm, prompts, budget()))[0]

        rewritten, taken = await kept.get(f"rewrite {sample.id}", ask)
        spent += taken / len(asked)
        ways = {
            "off": question,
            "rule": standalone_by_rule(question, history),
            "lm": rewritten,
            "(the question as it was)": sample.question,
        }
        for way, query in ways.items():
            runs[way][sample.id] = scored(retriever, sample.id, query)
    judged = {sample.id: {passage_id(*c): 1 for c in sample.contexts} for sample, _, _ in asked}
    head = (
        f"{options.qa.parent.name}/{options.qa.stem}, {len(asked)} follow-ups over {len(corpus)} paragraphs, {lm.name}."
    )
    return f"{head}\n\n{table(runs, judged, {'lm': spent})}"


async def measure(options: argparse.Namespace) -> None:
    lm = build_lm(load_cli_settings())
    if lm is None:
        raise SystemExit("lm_runtime is none: there is nothing to measure")
    lm.load()
    try:
        kept = Kept(options.cache)
        print(await rewriting(lm, kept, options), flush=True)
        print()
        print(await hyde_and_parts(lm, kept, options))
    finally:
        lm.close()


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.query_transforms", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--beir", type=Path, default=DATA / "scifact")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--qa", type=Path, default=DATA / "xquad" / "en-train.jsonl")
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--passages", type=int, default=8)
    parser.add_argument("--cache", type=Path, default=Path("query_transforms.jsonl"))
    asyncio.run(measure(parser.parse_args(argv)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
