"""What an extractive answer costs in processor time, and where it goes: search with reranking, reading, checking.

    python -m bench.answer_time --data ../shared/data --n 40 [--out answers.json]

Questions of clapnq and xquad English dev over all passages of both, as ``openbook ask`` answers them: hybrid, reranked by late
interaction with token vectors that are there already, quoted by ``extract`` and checked by the shipped verifier. Processor time
of all threads; on a busy machine compare runs that were made in turns. ``--out`` keeps the answers, to be compared. With ``--remember``
questions about the same few passages follow each other, as in a conversation: 198 passages are all there are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from agents.extract import Extract, ExtractStrategy
from agents.verify import TrainedVerifier
from app.wiring import build_encoder, build_reranker, load_cli_settings
from core.errors import OpenbookError
from core.events import RunDone
from core.offload import Offload
from core.protocols import Retriever, Verifier
from core.token_memory import TokenMemory
from core.types import Hit, Limits, Principal, Verdict, Where
from eval.datasets import load_qa
from retrieval.adhoc import build_adhoc
from retrieval.rerank.retriever import RerankingRetriever

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
SETS = ("clapnq/dev", "xquad/en-dev")
LIMITS = Limits(max_steps=20, max_tokens=2048, max_seconds=600, max_tool_calls=20)
WHERE = Where(principal=Principal(user_id="bench"))


class Clock:
    """Seconds of processor time by stage, of one question after the other."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {"search": [], "read": [], "check": [], "all": []}
        self._now: dict[str, float] = {}

    def __call__(self, stage: str, work: Callable[[], T]) -> T:
        began = time.process_time()
        try:
            return work()
        finally:
            self._now[stage] = self._now.get(stage, 0.0) + time.process_time() - began

    def next(self) -> None:
        for stage, values in self.spent.items():
            values.append(self._now.get(stage, 0.0))
        self._now.clear()


class TimedRetriever:
    """A Retriever."""

    def __init__(self, inner: Retriever, clock: Clock) -> None:
        self._inner, self._clock = inner, clock

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        return self._clock("search", lambda: self._inner.search(query, k, where))


class TimedVerifier:
    """A Verifier."""

    def __init__(self, inner: Verifier, clock: Clock) -> None:
        self._inner, self._clock = inner, clock

    def check(self, claim: str, evidence: Sequence[str]) -> Verdict:
        return self._clock("check", lambda: self._inner.check(claim, evidence))


class TimedExtract(ExtractStrategy):
    """Its reading is timed."""

    clock: Clock

    def extract(self, question: str, hits: Sequence[Hit]) -> Extract:
        return self.clock("read", lambda: super(TimedExtract, self).extract(question, hits))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "openbook" / "vectors")
    parser.add_argument("--n", type=int, default=40, help="questions of each set, spread evenly (default 40)")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--remember", action="store_true", help="what was read is remembered, as a server does")
    options = parser.parse_args(argv)
    settings = load_cli_settings(encoder_threads=2)
    encoder = build_encoder(settings)
    encoder.load()
    data = {name: load_qa(options.data / f"{name}.jsonl").samples for name in SETS}
    ids = {
        c: f"p{i}" for i, c in enumerate(dict.fromkeys(c for some in data.values() for s in some for c in s.contexts))
    }
    found = build_adhoc(settings, [(i, *c) for c, i in ids.items()], encoder, options.cache, tokens=True)
    reranker = build_reranker(settings, "late", encoder, found.kept_tokens)
    if reranker is None:
        raise OpenbookError("late interaction is no reranker")
    clock = Clock()
    strategy = TimedExtract(
        retriever=TimedRetriever(RerankingRetriever(found, reranker, settings.rerank_depth), clock),
        encoder=TokenMemory(encoder) if options.remember else encoder,
        verifier=TimedVerifier(TrainedVerifier(encoder), clock),
        offload=(pool := Offload(1)),
        k=settings.k,
    )
    strategy.clock = clock
    answers: dict[str, Any] = {}
    print(
        f"{len(ids)} passages\n\n| set | questions | all, ms | search | read | check | 95 % of all |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    for name, samples in data.items():
        chosen = [samples[i * len(samples) // options.n] for i in range(min(options.n, len(samples)))]
        clock.spent = {stage: [] for stage in clock.spent}
        for sample in chosen:
            answers[sample.id] = clock("all", lambda q=sample.question: asyncio.run(_answer(strategy, q)))  # type: ignore[misc]
            clock.next()
        mean = {stage: 1000 * statistics.mean(values) for stage, values in clock.spent.items()}
        most = 1000 * statistics.quantiles(clock.spent["all"], n=20)[-1]
        shown = " | ".join(f"{mean[s]:.0f}" for s in ("all", "search", "read", "check"))
        print(f"| {name} | {len(chosen)} | {shown} | {most:.0f} |")
    pool.close()
    if options.out is not None:
        options.out.write_text(json.dumps(answers, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return 0


async def _answer(strategy: ExtractStrategy, question: str) -> dict[str, Any]:
    async for event in strategy.run(question, history=(), limits=LIMITS, where=WHERE, run_id="bench"):
        if isinstance(event, RunDone):
            a = event.answer
            return {
                "text": a.text,
                "reason": a.reason,
                "confidence": a.confidence,
                "verdicts": [[s.verdict, s.score, s.reason] for s in a.sentences],
                "conflicts": [c.text for c in a.conflicts],
            }
    raise OpenbookError(f"no answer to {question!r}")


if __name__ == "__main__":
    raise SystemExit(main())
