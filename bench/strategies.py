"""Every strategy with the language model of the settings, on the same few questions. ``python -m bench.strategies``

Two kinds of questions: clapnq dev (two of three can be answered), each read from the passages of all that are asked, and two-hop
questions out of xquad's paragraphs (``bench.two_hops``), read from all its English paragraphs. Question after question is asked of each strategy
in turn, and each row is kept, so that a run that was broken off goes on, and what is tabled are the questions that every strategy had.
One model, on ``--threads`` threads, serves all.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.cli.eval_grid import code_digest
from app.lab import qa_answerer
from app.strategies import STRATEGIES
from app.wiring import build_lm, build_verifier, load_cli_settings, model_cache_dir
from bench.results import CODE, NOT_PACKAGED, answer_table, answered_row
from bench.two_hops import two_hop_samples
from core.offload import Offload
from core.protocols import LanguageModel
from core.settings import Settings
from core.types import Sample
from eval.datasets import load_qa
from eval.kept_rows import KeptRows
from eval.qa import AnswerOne, Pooled

DATA = Path(__file__).parents[2] / "shared" / "data"
KINDS = ("clapnq", "two-hops")
VERSION = 1
_ANSWERABLE = 2 / 3


def clapnq(n: int, seed: int) -> tuple[list[Sample], list[Sample]]:
    """``n`` questions of the dev set in a random order, two of three answerable; they are searched among each other's contexts."""
    samples = list(load_qa(DATA / "clapnq" / "dev.jsonl").samples)
    random.Random(f"strategies {seed}").shuffle(samples)
    good, bad = ([s for s in samples if s.answerable == wanted] for wanted in (True, False))
    chosen = []
    for i in range(n):
        take = good if round((i + 1) * _ANSWERABLE) > round(i * _ANSWERABLE) else bad
        chosen.append(take.pop(0))
    return chosen, samples


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.strategies", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, nargs="*", default=list(KINDS))
    parser.add_argument("--questions", type=int, default=12, help="of each kind")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=40.0, help="that one answer may take")
    parser.add_argument(
        "--until", type=float, default=0.0, help="minutes after which no further question is asked; 0: all"
    )
    parser.add_argument("--threads", type=int, default=0, help="of the packaged model; 0: as many as there are cores")
    parser.add_argument("--strategies", nargs="*", default=[s for s in STRATEGIES if s not in NOT_PACKAGED])
    parser.add_argument("--work", type=Path, default=model_cache_dir() / "strategies")
    parser.add_argument("--tabled-only", action="store_true", help="ask nothing: the table of what is kept")
    options = parser.parse_args(argv)
    settings = load_cli_settings(max_seconds=options.seconds)
    ends = time.monotonic() + 60 * options.until if options.until else float("inf")
    with _model(settings, options) as lm:
        for kind in options.kind:
            samples, pool = (
                clapnq(options.questions, options.seed)
                if kind == "clapnq"
                else two_hop_samples(DATA / "xquad", options.questions, options.seed)
            )
            rows = asyncio.run(_asked(settings, kind, samples, pool, lm, options, ends))
            print(f"\n## {kind}\n\n{_table(samples, rows, options.strategies)}", flush=True)
    return 0


@contextmanager
def _model(settings: Settings, options: argparse.Namespace) -> Iterator[LanguageModel | None]:
    if options.tabled_only:
        yield None
        return
    if settings.packaged_lm:
        from lm.openvino import OpenVinoLM
        from models.packaged import SMOLLM2, verify

        lm: Any = OpenVinoLM(verify(SMOLLM2), cache_dir=model_cache_dir() / "lm", threads=options.threads)
    else:
        lm = build_lm(settings)
    lm.load()
    try:
        yield lm
    finally:
        lm.close()


async def _asked(
    settings: Settings,
    kind: str,
    samples: Sequence[Sample],
    pool: Sequence[Sample],
    lm: LanguageModel | None,
    options: argparse.Namespace,
    ends: float,
) -> dict[str, KeptRows]:
    """Rows of each strategy; asks for what is missing, question after question."""
    facts = {"version": VERSION, "kind": kind, "seed": options.seed, "settings": settings.digest()}
    facts["code"] = code_digest(CODE)
    kept = {s: KeptRows(options.work, {**facts, "strategy": s}).load() for s in options.strategies}
    if lm is None:
        return kept
    offload = Offload(max_threads=2)
    verifier = build_verifier(settings)
    answerers: dict[str, AnswerOne] = {}
    try:
        for n, sample in enumerate(samples, 1):
            for strategy, rows in kept.items():
                if sample.id in rows.rows or time.monotonic() > ends:
                    continue
                if strategy not in answerers:
                    answerers[strategy] = qa_answerer(
                        settings, strategy, Pooled(samples=tuple(pool)), pool, offload, lm=lm
                    )
                row = await answered_row(kind, sample, answerers[strategy], verifier, offload, strategy)
                rows.add(sample.id, {**row, "load": round(os.getloadavg()[0], 1)})
                print(f"{kind} {n} of {len(samples)}, {strategy}: {row['seconds']:.0f} s", file=sys.stderr, flush=True)
    finally:
        offload.close()
    return kept


def _table(samples: Sequence[Sample], kept: dict[str, KeptRows], strategies: Sequence[str]) -> str:
    every = [s.id for s in samples if all(s.id in kept[strategy].rows for strategy in strategies)]
    if not every:
        return "No question was asked of every strategy."
    rows = {strategy: {i: kept[strategy].rows[i] for i in every} for strategy in strategies}
    loads = [row["load"] for of in rows.values() for row in of.values()]
    answerable = sum(rows[strategies[0]][i]["answerable"] for i in every)
    return (
        f"{answer_table(rows)}\n\n{len(every)} questions that every strategy had, {answerable} of them answerable; load of "
        f"{os.cpu_count()} cores {min(loads):.0f} to {max(loads):.0f}."
    )


if __name__ == "__main__":
    sys.exit(main())
