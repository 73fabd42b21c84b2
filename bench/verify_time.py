"""How long the small verifier takes for a sentence, and where the time goes.

    python -m bench.verify_time --data ../shared/data --n 40

Of each set n pairs, spread evenly. "anew": nothing of the evidence is known, as for the first sentence of an answer; "known":
the same pair once more. Milliseconds are medians. On a busy machine only processor time and ratios mean anything: what a
sentence costs in readings of one passage of 1,000 characters by the same encoder in the same run.

The second table is of answers as they are written: the gold answers of three clapnq questions behind each other, sentence by
sentence, each citing the passage of its question, the last of each question the next passage too (then the citations are also
checked one by one). One verifier for each answer, which has read nothing before.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.verify import RuleVerifier, TrainedVerifier
from agents.verify.reading import MAX_CHARACTERS, excerpt
from app.wiring import build_encoder, load_cli_settings
from core.protocols import Encoder
from core.text import sentence_spans

SETS = ("wice", "begin-wow", "begin-cmu", "begin-tc")
WANTED_MS = 60
_QUESTIONS = 3  # in one answer
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Medians in milliseconds of the clock; ``cpu`` is of all threads."""

    name: str
    anew: float
    anew_cpu: float
    known: float
    rules: float
    reading: float  # one passage of 1,000 characters, as a yardstick


def measure(name: str, pairs: Sequence[tuple[str, str]], encoder: Encoder) -> Times:
    """``pairs`` are (claim, evidence)."""
    anew: list[tuple[float, float]] = []
    known: list[tuple[float, float]] = []
    rules: list[tuple[float, float]] = []
    reading: list[tuple[float, float]] = []
    by_rule = RuleVerifier()
    for claim, evidence in pairs:
        verifier = TrainedVerifier(encoder)
        _ = verifier.threshold  # loads the head
        passage = excerpt(claim, evidence, MAX_CHARACTERS)[:MAX_CHARACTERS]
        reading.append(_timed(lambda passage=passage: encoder.encode_tokens([passage])))  # type: ignore[misc]
        anew.append(_timed(lambda v=verifier, c=claim, e=evidence: v.check(c, [e])))  # type: ignore[misc]
        known.append(_timed(lambda v=verifier, c=claim, e=evidence: v.check(c, [e])))  # type: ignore[misc]
        rules.append(_timed(lambda c=claim, e=evidence: by_rule.check(c, [e])))  # type: ignore[misc]
    wall = [statistics.median(w for w, _ in t) for t in (anew, known, rules, reading)]
    return Times(
        name=name,
        anew=wall[0],
        anew_cpu=statistics.median(c for _, c in anew),
        known=wall[1],
        rules=wall[2],
        reading=wall[3],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTimes:
    """Milliseconds per sentence, of the clock and of all threads."""

    n_answers: int
    n_sentences: int
    mean: float
    mean_cpu: float
    median_cpu: float
    most_cpu: float  # 95th percentile


def measure_answers(path: Path, encoder: Encoder, n: int) -> AnswerTimes:
    """The first ``n`` answers that the questions of ``path`` make."""
    text = path.read_text("utf-8")
    asked = [r for line in text.splitlines() if line.strip() and (r := json.loads(line))["answerable"]]
    taken: list[tuple[float, float]] = []
    groups = [asked[i : i + _QUESTIONS] for i in range(0, len(asked), _QUESTIONS)][:n]
    for group in groups:
        verifier = TrainedVerifier(encoder)
        _ = verifier.threshold
        passages = [f"{r['contexts'][0]['title']}\n\n{r['contexts'][0]['text']}" for r in group]
        for i, row in enumerate(group):
            answer = str(row["answers"][0])
            sentences = [answer[a:b] for a, b in sentence_spans(answer)]
            for sentence in sentences:
                both = len(group) > 1 and sentence is sentences[-1]
                cited = [passages[i], passages[(i + 1) % len(group)]] if both else [passages[i]]
                taken.append(_timed(lambda v=verifier, s=sentence, c=cited: _cited(v, s, c)))  # type: ignore[misc]
    wall, cpu = ([t[i] for t in taken] for i in (0, 1))
    return AnswerTimes(
        n_answers=len(groups),
        n_sentences=len(taken),
        mean=statistics.mean(wall),
        mean_cpu=statistics.mean(cpu),
        median_cpu=statistics.median(cpu),
        most_cpu=statistics.quantiles(cpu, n=20)[-1],
    )


def _cited(verifier: TrainedVerifier, sentence: str, cited: Sequence[str]) -> None:
    """What ``agents.draft.judge`` asks of one sentence."""
    verifier.check(sentence, cited)
    if len(cited) > 1:
        for one in cited:
            verifier.check(sentence, [one])


def answers_table(t: AnswerTimes) -> str:
    return "\n".join(
        [
            "| answers | sentences | mean, ms | of processor | median of processor | 95 % of processor |",
            "|---:|---:|---:|---:|---:|---:|",
            f"| {t.n_answers} | {t.n_sentences} | {t.mean:.0f} | {t.mean_cpu:.0f} | {t.median_cpu:.0f} | {t.most_cpu:.0f} |",
        ]
    )


def table(rows: Sequence[Times]) -> str:
    lines = [
        "| set | anew, ms | of processor | known, ms | rules, ms | one passage, ms | anew / passage | known / passage |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {t.name} | {t.anew:.0f} | {t.anew_cpu:.0f} | {t.known:.0f} | {t.rules:.0f} | {t.reading:.0f} "
        f"| {t.anew / t.reading:.2f} | {t.known / t.reading:.2f} |"
        for t in rows
    ]
    worst = max(t.anew for t in rows)
    return "\n".join([*lines, "", f"slowest median {worst:.0f} ms; wanted at most {WANTED_MS} ms on two idle cores"])


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--n", type=int, default=40)
    parser.add_argument("--answers", type=int, default=25, help="answers of three questions each (default 25)")
    options = parser.parse_args(argv)
    encoder = build_encoder(load_cli_settings(encoder_threads=2))
    encoder.load()
    rows = []
    for name in SETS:
        text = (options.data / "faithfulness" / f"{name}-dev.jsonl").read_text("utf-8")
        every = [json.loads(line) for line in text.splitlines() if line.strip()]
        chosen = [every[i * len(every) // options.n] for i in range(min(options.n, len(every)))]
        rows.append(measure(name, [(str(r["claim"]), str(r["evidence"])) for r in chosen], encoder))
    print(table(rows))
    print()
    print(answers_table(measure_answers(options.data / "clapnq" / "dev.jsonl", encoder, options.answers)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
