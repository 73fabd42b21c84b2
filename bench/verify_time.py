"""How long the small verifier takes for a sentence, and where the time goes.

    python -m bench.verify_time --data ../shared/data --n 40

Of each set n pairs, spread evenly. "anew": nothing of the evidence is known, as for the first sentence of an answer; "known":
the evidence was read for another sentence. Milliseconds are medians. On a busy machine only the ratios mean anything: what a
sentence costs in readings of one passage of 1,000 characters by the same encoder in the same run.
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

SETS = ("wice", "begin-wow", "begin-cmu", "begin-tc")
WANTED_MS = 60
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
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
