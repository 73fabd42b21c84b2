"""What more tokens buy: right answers against tokens said, for more samples, more depth, more width. ``python -m bench.compute``

On GSM8K (the answer's last number equals the gold one) and clapnq dev, answerable questions over their own contexts (the best token F1 over golds,
since no short answer equals a paragraph; exact match is printed beside it), with the language model of the settings:

    samples   the majority of n chains of thought (strategy self-consistency)
    depth     one greedy chain whose reasoning may have d tokens before it is asked for the answer (strategy cot)
    width     of w written answers the one that the verifier prefers (strategy rag with best_of); clapnq alone, for it needs passages

What is said is kept in a file after each question, so that a run that was broken off goes on, and the plot can be drawn again. n, d and
w share what was said: the first n of the same chains. Intervals are 95 %: Wilson's of shares, t of means.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import NormalDist, mean, stdev
from typing import Any

from scipy.stats import t as student

from agents.best_of import Candidate, best_of, judged
from agents.cot import TEMPERATURE, Chain, passages_for, think, vote
from agents.desk import Desk, Kit
from agents.limits import Budget
from agents.query_side import QuerySide
from agents.rag import RagStrategy
from agents.run import Provenance, Recorder
from agents.saying import together
from agents.self_rag import written_from
from agents.tools.library import NoLibrary
from app.people import local_principal
from app.wiring import build_encoder, build_lm, build_queue, build_verifier, load_cli_settings, model_cache_dir
from bench.curves import Point, draw
from core.offload import Offload
from core.protocols import LanguageModel, Retriever, Verifier
from core.types import Limits, Sample, Usage, Where
from eval.datasets import load_qa
from eval.metrics.squad import best_over_golds, exact_match, f1
from retrieval.adhoc import build_adhoc

DATA = Path(__file__).parents[2] / "shared" / "data"
SAMPLES = (1, 2, 4)
DEPTHS = (16, 48, 96)
WIDTHS = (1, 2, 4)
SAMPLE_TOKENS = 96  # of the reasoning of one sample, of one written answer
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
Json = dict[str, Any]


class _NoPassages:
    def search(self, query: str, k: int, where: Where) -> list[Any]:
        del query, k, where
        return []


def drawn(of: int, n: int, seed: int) -> list[int]:
    """The first ``n`` of a shuffle: more questions are the same ones and others."""
    order = list(range(of))
    random.Random(seed).shuffle(order)
    return order[:n]


def gsm8k(n: int, seed: int) -> list[Sample]:
    lines = (DATA / "gsm8k" / "train-1000.jsonl").read_text("utf-8").splitlines()
    rows = [(i, json.loads(lines[i])) for i in drawn(len(lines), n, seed)]
    return [
        Sample(id=f"g{i}", question=r["question"], answers=(r["answer"].split("####")[1].strip(),)) for i, r in rows
    ]


def clapnq(n: int, seed: int) -> list[Sample]:
    answerable = [s for s in load_qa(DATA / "clapnq" / "dev.jsonl").samples if s.answerable]
    return [answerable[i] for i in drawn(len(answerable), n, seed)]


def same_number(answer: str, golds: Sequence[str]) -> float:
    """1 where the last number of the answer is the gold one."""
    found = _NUMBER.findall(answer)
    return float(bool(found) and float(found[-1].replace(",", "")) == float(golds[0].replace(",", "")))


def token_f1(answer: str, golds: Sequence[str]) -> float:
    return best_over_golds(f1, answer, golds)


class Asking:
    """One question of a data set after the other, over the contexts of each."""

    def __init__(
        self, lm: LanguageModel, verifier: Verifier, offload: Offload, build: Callable[[Sample], Retriever]
    ) -> None:
        self._lm, self._verifier, self._offload, self._build = lm, verifier, offload, build

    def desk(self, sample: Sample, max_answer_tokens: int) -> Desk:
        retriever = self._build(sample)
        side = QuerySide(rewrite="off")
        reader = RagStrategy(
            retriever=retriever, lm=self._lm, verifier=self._verifier, offload=self._offload, query_side=side
        )
        kit = Kit(
            lm=self._lm,
            retriever=retriever,
            library=NoLibrary(),
            verifier=self._verifier,
            offload=self._offload,
            reader=reader,
            query_side=side,
            max_answer_tokens=max_answer_tokens,
        )
        recorder = Recorder(run_id="bench", strategy="bench", question=sample.question, provenance=Provenance())
        budget = Budget(Limits(max_steps=1000, max_tokens=10**6, max_seconds=3600))
        desk = Desk(kit, recorder, budget, Where(principal=local_principal()), lambda _event: None)
        desk.asked = desk.question = sample.question
        return desk

    async def all_of(self, sample: Sample, *, width: bool) -> Json:
        """Everything that is said about one question."""
        desk = self.desk(sample, SAMPLE_TOKENS)
        passages = await passages_for(desk)
        chains = await together(
            think(desk, passages, temperature=TEMPERATURE if seed else 0.0, seed=seed) for seed in range(max(SAMPLES))
        )
        deep = []
        for depth in DEPTHS:
            if depth == SAMPLE_TOKENS:  # the greedy sample is that one
                deep.append(chains[0])
                continue
            shallow = self.desk(sample, depth)
            shallow.mark, shallow.hits = desk.mark, list(desk.hits)
            deep.append(await think(shallow, passages))
        drafts = await self._drafts(desk) if width else []
        return {"id": sample.id, "chains": _plain(chains), "deep": _plain(deep), "drafts": _plain(drafts)}

    async def _drafts(self, desk: Desk) -> list[Candidate]:
        async def draft(seed: int) -> Candidate:
            said = await desk.ask(written_from(desk, desk.hits), temperature=TEMPERATURE if seed else 0.0, seed=seed)
            return await self._offload(judged, desk, Candidate(text=said.text.strip(), usage=said.usage))

        return await together(draft(seed) for seed in range(max(WIDTHS)))


def _plain(things: Sequence[Chain] | Sequence[Candidate]) -> list[Json]:
    return [asdict(thing) for thing in things]


def chains_of(rows: Sequence[Json]) -> list[Chain]:
    return [Chain(**{**row, "usage": Usage(**row["usage"])}) for row in rows]


def curves(
    rows: Sequence[Json], golds: Mapping[str, Sequence[str]], score: Callable[[str, Sequence[str]], float]
) -> Json:
    """Per curve and setting: tokens a question, the scores, the exact matches."""
    found: Json = {"samples": {}, "depth": {}, "width": {}}

    def add(curve: str, setting: int, row: Json, answer: str, tokens: int) -> None:
        at = found[curve].setdefault(setting, {"tokens": [], "scores": [], "exact": []})
        at["tokens"].append(tokens)
        at["scores"].append(score(answer, golds[row["id"]]))
        at["exact"].append(best_over_golds(exact_match, answer, golds[row["id"]]))

    for row in rows:
        chains = chains_of(row["chains"])
        for n in SAMPLES:
            add("samples", n, row, vote(chains[:n])[0].answer, sum(c.usage.completion_tokens for c in chains[:n]))
        for depth, chain in zip(DEPTHS, chains_of(row["deep"]), strict=True):
            add("depth", depth, row, chain.answer, chain.usage.completion_tokens)
        drafts = [Candidate(**{**d, "usage": Usage(**d["usage"])}) for d in row["drafts"]]
        for w in WIDTHS if drafts else ():
            tokens = sum(d.usage.completion_tokens for d in drafts[:w])
            add("width", w, row, drafts[best_of(drafts[:w])].text, tokens)
    return {name: curve for name, curve in found.items() if curve}


def interval(scores: Sequence[float]) -> tuple[float, float, float]:
    """Mean with its 95 % bounds: Wilson's where all are 0 or 1, else Student's t, within [0, 1]."""
    n, m = len(scores), mean(scores)
    if set(scores) <= {0.0, 1.0}:
        z = NormalDist().inv_cdf(0.975)
        middle = (m + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * (m * (1 - m) / n + z * z / (4 * n * n)) ** 0.5
        return m, max(0.0, middle - half), min(1.0, middle + half)
    if n < 2:
        return m, 0.0, 1.0
    half = float(student.ppf(0.975, n - 1)) * stdev(scores) / n**0.5
    return m, max(0.0, m - half), min(1.0, m + half)


def told(title: str, found: Json) -> dict[str, list[Point]]:
    """Prints a table; returns its points."""
    print(f"\n{title}\n\n| curve | setting | tokens a question | score [95 %] | exact match |\n|---|---|---|---|---|")
    points: dict[str, list[Point]] = {}
    for name, settings in found.items():
        for setting, at in settings.items():
            m, low, high = interval(at["scores"])
            tokens = mean(at["tokens"])
            print(f"| {name} | {setting} | {tokens:.0f} | {m:.3f} [{low:.3f}, {high:.3f}] | {mean(at['exact']):.3f} |")
            points.setdefault(name, []).append(Point(x=max(1.0, tokens), y=m, low=low, high=high, label=str(setting)))
    return points


async def ask_all(samples: Sequence[Sample], asking: Asking, kept: Path, *, width: bool) -> list[Json]:
    rows = [json.loads(line) for line in kept.read_text("utf-8").splitlines()] if kept.is_file() else []
    have = {row["id"] for row in rows}
    for n, sample in enumerate(samples, 1):
        if sample.id in have:
            continue
        row = await asking.all_of(sample, width=width)
        rows.append(row)
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        print(f"{kept.stem}: {n} of {len(samples)}", end="\r", file=sys.stderr, flush=True)
    wanted = {s.id for s in samples}
    return [row for row in rows if row["id"] in wanted]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.compute", description=__doc__)
    parser.add_argument("--questions", type=int, default=12, help="of each data set")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--kept", type=Path, default=Path("compute"), help="folder of what was said")
    parser.add_argument("--plot", type=Path, help="an SVG file")
    parser.add_argument("--drawn-only", action="store_true", help="ask nothing: table and plot of what is kept")
    options = parser.parse_args(argv)
    settings = load_cli_settings()
    options.kept.mkdir(parents=True, exist_ok=True)
    encoder = build_encoder(settings)
    lm = None if options.drawn_only else build_lm(settings)
    if lm is not None:
        lm.load()
    offload = Offload(2)

    def over_contexts(sample: Sample) -> Retriever:
        passages = ((f"c{i}", title, text) for i, (title, text) in enumerate(sample.contexts))
        return build_adhoc(
            settings.model_copy(update={"reranker": "none"}), passages, encoder, model_cache_dir() / "vectors"
        )

    async def run(
        samples: Sequence[Sample], name: str, build: Callable[[Sample], Retriever], *, width: bool
    ) -> list[Json]:
        kept = options.kept / f"{name}.jsonl"
        if lm is None:
            ids = {s.id for s in samples}
            lines = kept.read_text("utf-8").splitlines() if kept.is_file() else []
            return [row for row in map(json.loads, lines) if row["id"] in ids]
        asking = Asking(build_queue(settings, lm), build_verifier(settings, encoder), offload, build)
        return await ask_all(samples, asking, kept, width=width)

    try:
        panels: dict[str, dict[str, list[Point]]] = {}
        for name, samples, build, score in (
            ("GSM8K", gsm8k(options.questions, options.seed), lambda _s: _NoPassages(), same_number),
            ("clapnq dev", clapnq(options.questions, options.seed), over_contexts, token_f1),
        ):
            rows = asyncio.run(run(samples, name.split()[0].lower(), build, width=name != "GSM8K"))
            if rows:
                golds = {s.id: s.answers for s in samples}
                title = f"{name}, {len(rows)} questions, {'exact number' if name == 'GSM8K' else 'token F1'}"
                panels[title] = told(title, curves(rows, golds, score))
        if options.plot and panels:
            draw(options.plot, panels, "tokens said a question", "score")
    finally:
        offload.close()
        if lm is not None:
            lm.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
