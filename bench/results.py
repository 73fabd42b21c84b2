"""Our own numbers: all dev sets, retrievers, strategies and verifiers that the packaged models can run, into docs/results.md.

    python -m bench.results                       everything, hours with the language model
    python -m bench.results --lm-n 10             the same, with only ten questions of each set for what asks a language model
    python -m bench.results --n 20 --strategies extract rag        says how long the rest would take
    python -m bench.results --no-answers          retrieval and verifiers only

Every question's row is kept as it is measured (in the cache folder, or --work), under what it follows from: data, settings, the
code's hash and the choice. A run that was broken off goes on where it stopped, and one that was finished is only written again.
Fitted settings were fitted on train splits; nothing here chooses anything.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from app.cli.eval_grid import RETRIEVAL_CODE, code_digest, grid_entries
from app.lab import qa_answerer
from app.strategies import STRATEGIES
from app.wiring import build_encoder, build_verifier, load_cli_settings, model_cache_dir
from bench.as_beir import export
from core.errors import OpenbookError
from core.offload import Offload
from core.protocols import Encoder, Verifier
from core.settings import Settings
from core.types import Sample
from eval.datasets import (
    QaDataset,
    RetrievalDataset,
    load_beir,
    load_faithfulness,
    load_qa,
)
from eval.faithfulness import run_faithfulness
from eval.grid import run_grid
from eval.html_report import told_apart
from eval.kept_rows import KeptRows
from eval.leaderboard import Contender, leaderboard
from eval.plots import mean_text
from eval.qa import AnswerOne, Pooled, ask_all
from eval.qa_scores import score_outcomes
from eval.report import table

T = TypeVar("T")

RETRIEVERS = ("bm25", "tfidf", "dense", "late", "hybrid", "hybrid:rrf", "hybrid:rerank", "late:rerank")
QA_SETS = ("clapnq/dev", *(f"xquad/{language}-dev" for language in ("en", "de", "es", "zh", "ar", "hi")))
CLAIM_SETS = ("wice-dev", "begin-wow-dev", "begin-cmu-dev", "begin-tc-dev")
# Not measured by default: it needs native tool calls, which the packaged model does not make.
NOT_PACKAGED = frozenset({"research"})
CODE = (*RETRIEVAL_CODE, "agents", "lm")
VERSION = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Writes docs/results.md."""
    parser = argparse.ArgumentParser(prog="python -m bench.results", description=main.__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--n", type=int, default=None, help="only so many questions of each set, evenly spread")
    parser.add_argument(
        "--lm-n", type=int, default=None, help="the same, of strategies that ask a language model alone"
    )
    parser.add_argument(
        "--lm-sets", nargs="*", choices=QA_SETS, default=list(QA_SETS), help="… and of these sets alone"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    parser.add_argument("--work", type=Path, default=model_cache_dir() / "results")
    parser.add_argument(
        "--sets", nargs="*", choices=QA_SETS, default=list(QA_SETS), help="which are searched and answered"
    )
    parser.add_argument("--strategies", nargs="*", default=[s for s in STRATEGIES if s not in NOT_PACKAGED])
    parser.add_argument("--retrievers", nargs="*", default=list(RETRIEVERS))
    parser.add_argument("--no-retrieval", action="store_true")
    parser.add_argument("--no-answers", action="store_true")
    parser.add_argument("--no-verifiers", action="store_true")
    args = parser.parse_args(argv)
    settings = load_cli_settings()
    parts = [_head(args)]
    if not args.no_retrieval:
        parts.append(_retrieval(settings, args))
    if not args.no_answers:
        parts.append(_answers(settings, args))
    if not args.no_verifiers:
        parts.append(_verifiers(settings, args))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("\n\n".join(parts) + "\n", "utf-8")
    _say(f"written: {args.out}")
    return 0


def _head(args: argparse.Namespace) -> str:
    few = f" On **a sample of {args.n} questions** of each set, which is for trying the command only." if args.n else ""
    if args.lm_n:
        few += (
            f" Strategies that ask a language model had **{args.lm_n} questions** of {', '.join(args.lm_sets)}, too few to tell"
            " them apart."
        )
    return (
        "# Results\n\nMade by `openbook bench results`, resumable, with the packaged models and the settings' defaults."
        f"{few} Intervals are 95 % bootstrap intervals over questions. “Not told apart” is against the first of its table, by "
        "paired randomisation with Holm's correction. Seconds are of the machine that it ran on, whatever else ran there."
    )


def _retrieval(settings: Settings, args: argparse.Namespace) -> str:
    parts = ["## Searching\n\nThe settings were fitted on SciFact's train split."]
    for name in ("scifact", *args.sets):
        path = args.data / (name if name == "scifact" else f"{name}.jsonl")
        if not path.exists():
            parts.append(f"### {name}\n\nNot measured: {path} is not there.")
        elif name == "scifact":
            parts.append(f"### SciFact dev\n\n{_found(settings, args, load_beir(path, 'dev'))}")
        else:
            asks = (
                "Asked is which of all contexts of train and dev is the question's own; no other one counts as right."
            )
            parts.append(f"### {name}\n\n{asks}\n\n{_found(settings, args, _own_contexts(path))}")
    return "\n\n".join(parts)


def _own_contexts(dev: Path) -> RetrievalDataset:
    files = {"train": dev.with_name(dev.name.replace("dev", "train")), "dev": dev}
    with TemporaryDirectory() as folder:
        export({split: load_qa(path) for split, path in files.items() if path.is_file()}, Path(folder))
        data = load_beir(Path(folder), "dev")
        # The corpus is read from its file otherwise, which goes.
        return replace(data, name=f"{dev.parent.name}/{dev.stem}", corpus=tuple(data.corpus))


def _found(settings: Settings, args: argparse.Namespace, data: RetrievalDataset) -> str:
    entries = grid_entries(settings, args.retrievers)
    result = run_grid([data], entries, args.work, n=args.n, progress=_progress)
    rows = []
    for place in result.places("ndcg@10"):
        means = result.metrics(place.label)
        shown = [f"{means[m]:.3f}" for m in ("mrr@10", "recall@10", "recall@100", "map", "hits@4")]
        p = place.to_json()
        rows.append((place.label, mean_text(p), *shown, f"{1000 * place.seconds:.1f}", told_apart(p)))
    heads = ("", "nDCG@10", "MRR@10", "R@10", "R@100", "MAP", "hits@4", "ms for 10", "against the first")
    n = len(result.per_query[result.labels[0]])
    return (
        f"{table(heads, rows, style='markdown')}\n\n{n:,} questions over {data.n_documents:,} texts; "
        f"data {_short(data.sha256)}."
    )


def _answers(settings: Settings, args: argparse.Namespace) -> str:
    parts = [
        "## Answering\n\nEach strategy reads what it finds among the passages of all questions of its set together."
        " F1 is SQuAD's, of the questions that can be answered; “wrong” is of all, “kept quiet” of those that cannot be answered."
    ]
    for name in args.sets:
        path = args.data / f"{name}.jsonl"
        if not path.is_file():
            parts.append(f"### {name}\n\nNot measured: {path} is not there.")
            continue
        data = load_qa(path)
        parts.append(f"### {name}")
        for samples, strategies in _shares(data.samples, args, name in args.lm_sets):
            rows = {}
            for strategy in strategies:
                try:
                    rows[strategy] = asyncio.run(_asked(settings, data, samples, strategy, args.work))
                except OpenbookError as e:
                    parts.append(f"{strategy}: not measured, {e.message}")
            if rows:
                parts.append(f"{answer_table(rows)}\n\n{len(samples):,} questions; data {_short(data.sha256)}.")
    return "\n\n".join(parts)


def _shares(samples: Sequence[Sample], args: argparse.Namespace, with_lm: bool) -> list[tuple[list[Sample], list[str]]]:
    """Which questions are asked in which ways: a table each. One, unless what asks a language model gets fewer or none."""
    every = spread(samples, args.n)
    some = spread(every, args.lm_n if with_lm else 0)
    if len(some) == len(every):
        return [(every, args.strategies)]
    quick = [s for s in args.strategies if not STRATEGIES[s].needs_lm]
    return [(every, quick), (some, args.strategies)] if some else [(every, quick)]


async def _asked(
    settings: Settings, data: QaDataset, samples: Sequence[Sample], strategy: str, work: Path
) -> dict[str, Any]:
    facts = {
        "version": VERSION,
        "dataset": data.name,
        "sha256": data.sha256,
        "strategy": strategy,
        "mode": "pool",
        "settings": settings.digest(),
        "code": code_digest(CODE),
    }
    kept = KeptRows(work, facts).load()
    missing = [s for s in samples if s.id not in kept.rows]
    if missing:
        offload = Offload(max_threads=2)
        try:
            encoder = build_encoder(settings)
            verifier = build_verifier(settings, encoder)
            answer = qa_answerer(settings, strategy, Pooled(samples=data.samples), data.samples, offload)
            for i, sample in enumerate(missing):
                _progress(f"{data.name}, {strategy}", i, len(missing))
                row = await answered_row(data.name, sample, answer, verifier, offload, strategy, encoder)
                kept.add(sample.id, row)
        finally:
            offload.close()
    found = {s.id: kept.rows[s.id] for s in samples}
    left = sum(s.id not in kept.rows for s in data.samples)
    if left and found:
        each = fmean(row["seconds"] for row in found.values())
        _say(
            f"{data.name}, {strategy}: {each:.1f} s a question; the {left:,} that are left would take {_length(each * left)}"
        )
    return found


async def answered_row(
    dataset: str,
    sample: Sample,
    answer: AnswerOne,
    verifier: Verifier,
    offload: Offload,
    strategy: str,
    encoder: Encoder | None = None,
) -> dict[str, Any]:
    """What is kept of one question: asks it, and judges the answer."""
    outcomes = await ask_all([sample], answer)
    one = QaDataset(name=dataset, samples=(sample,), sha256="")
    scored = await offload(score_outcomes, one, outcomes, verifier, strategy=strategy, mode="pool", encoder=encoder)
    (outcome,) = outcomes
    return {
        "metrics": dict(scored.per_query[sample.id]),
        "answerable": sample.answerable,
        "quiet": outcome.abstained,
        "failed": bool(outcome.error),
        "seconds": outcome.seconds,
        "tokens": outcome.usage.prompt_tokens + outcome.usage.completion_tokens,
    }


def answer_table(rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    contenders = [
        Contender(
            label=strategy,
            values={q: r["metrics"]["f1"] for q, r in of.items() if r["metrics"]["f1"] is not None},
            seconds=fmean(r["seconds"] for r in of.values()),
        )
        for strategy, of in rows.items()
    ]
    lines = []
    for place in leaderboard(contenders, "f1"):
        of = list(rows[place.label].values())
        means = [_mean([r["metrics"][m] for r in of]) for m in _SHOWN]
        quiet = _mean([float(r["quiet"]) for r in of if not r["answerable"]])
        p = place.to_json()
        lines.append(
            (
                place.label,
                mean_text(p),
                *means,
                quiet,
                str(sum(r["failed"] for r in of)),
                f"{place.seconds:.2f}",
                f"{fmean(r['tokens'] for r in of):.0f}",
                told_apart(p),
            )
        )
    heads = ("", "F1", *_SHOWN.values(), "kept quiet", "failed", "s", "tokens", "against the first")
    return table(heads, lines, style="markdown")


_SHOWN = {
    "contains": "contains",
    "rouge_l": "ROUGE-L",
    "bertscore": "BERTScore",
    "answered": "answered",
    "wrong": "wrong",
    "citation_recall": "cited",
    "citation_precision": "citations right",
    "faithfulness": "faithful",
    "context_recall": "read it",
}


def _verifiers(settings: Settings, args: argparse.Namespace) -> str:
    rows: list[tuple[str, ...]] = []
    for name in CLAIM_SETS:
        path = args.data / "faithfulness" / f"{name}.jsonl"
        if not path.is_file():
            rows.append((name, "–", "–", "–", "–", "–", "–"))
            continue
        data = load_faithfulness(path)
        whole = len(data.pairs)
        data = replace(data, pairs=tuple(spread(data.pairs, args.n)))
        for kind in ("trained", "rules"):
            chosen = settings.model_copy(update={"verifier": kind})
            facts = {
                "version": VERSION,
                "dataset": name,
                "sha256": data.sha256,
                "verifier": kind,
                "claims": len(data.pairs),
                "settings": settings.digest(),
                "code": code_digest(CODE),
            }
            kept = KeptRows(args.work, facts).load()
            if "all" not in kept.rows:
                verifier = build_verifier(chosen)
                verifier.check("It rains.", ["It rains."])  # loads it, which is not timed
                kept.add("all", run_faithfulness(data, verifier, progress=_progress).to_json())
            r = kept.rows["all"]
            if whole > len(data.pairs):
                _say(f"{name}, {kind}: all {whole:,} claims would take {_length(r['seconds_per_claim'] * whole)}")
            shown = [_number(r[m]) for m in ("balanced_accuracy", "f1", "auroc")]
            rows.append((name, kind, f"{r['n']:,}", *shown, f"{1000 * r['seconds_per_claim']:.1f}"))
    heads = ("", "verifier", "claims", "balanced accuracy", "F1", "AUROC", "ms a claim")
    said = (
        "## Checking claims\n\n**The trained verifier as it ships was fitted on these very pairs**, so its rows flatter it: held out it is in"
        " [results/verifier.md](results/verifier.md) (WiCE 0.75). The rules were not fitted.\n\n"
    )
    return said + table(heads, rows, style="markdown", left=(0, 1))


def spread(samples: Sequence[T], n: int | None) -> list[T]:
    if n is None or n >= len(samples):
        return list(samples)
    return [samples[i * len(samples) // n] for i in range(n)]


def _mean(values: Sequence[float | None]) -> str:
    known = [v for v in values if v is not None]
    return _number(fmean(known) if known else None)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _length(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _short(sha256: str) -> str:
    return f"`{sha256[:12]}`"


def _progress(stage: str, done: int, total: int) -> None:
    if done % 10 == 0 or done == total:
        _say(f"{stage}: {done:,} of {total:,}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
