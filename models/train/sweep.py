"""Several cross-encoders from the same pairs, one after the other, and a table of what each is worth on dev.

    python -m models.train.sweep --pairs build/pairs --base build/base --out $OUT --device cuda

For a machine with a GPU that is there for minutes: each candidate is a folder of its own under --out, each can be resumed, and
the table is written anew after every one. Which of them ships is for a person to say, by the rule in the guide.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from core.errors import OpenbookError
from models.train.cross_encoder import arguments, run, say
from models.train.dev import Measured

# Name → what differs from the defaults of models.train.cross_encoder.
CANDIDATES: dict[str, list[str]] = {
    "listwise": [],
    "distilled": ["--distill", "0.5"],
    "taught": ["--distill", "0.9"],
    "cls": ["--pooling", "cls"],
    "faster": ["--rate", "1e-4", "--distill", "0.5"],
    "two-layers": ["--trainable-layers", "2", "--distill", "0.5"],
}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.train.sweep", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", default=",".join(CANDIDATES), help="some of them, comma-separated")
    parser.add_argument("--minutes", type=float, default=9.0, help="no candidate is begun after this")
    parser.add_argument("rest", nargs="*", metavar="-- OPTION", help="for every candidate, for example -- --epochs 3")
    options = parser.parse_args(argv)
    if unknown := [n for n in options.only.split(",") if n not in CANDIDATES]:
        parser.error(f"unknown candidate {unknown[0]!r}: choose {', '.join(CANDIDATES)}")
    started = time.perf_counter()
    results: dict[str, Measured] = {}
    for name in options.only.split(","):
        if time.perf_counter() - started > 60 * options.minutes:
            say(f"{name} and what follows are left out: {options.minutes:g} minutes are over")
            break
        say(f"— {name}")
        given = ["--pairs", str(options.pairs), "--out", str(options.out / name), "--device", options.device]
        given += ["--run", str(options.out.parent / "runs" / name)]
        given += ["--base", str(options.base)] if options.base is not None else []
        try:
            measured = run(arguments([*given, *CANDIDATES[name], *options.rest]))
        except OpenbookError as e:
            say(f"{name}: {e.message}")
            return 1
        if measured is not None:
            results[name] = measured
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / "candidates.md").write_text(table(results), "utf-8")
    sys.stdout.write(table(results))
    return 0


def table(results: dict[str, Measured]) -> str:
    """nDCG@10 on every dev field, mixed at each candidate's own weight; an asterisk where p < 0.05."""
    if not results:
        return "Nothing was measured.\n"
    fields = list(next(iter(results.values())).fields)
    first = next(iter(results.values()))
    lines = [
        f"| candidate | weight | mean | {' | '.join(fields)} |",
        "|---|---|---|" + "---|" * len(fields),
        "| hybrid alone | 0 | "
        + f"{sum(f.fused for f in first.fields.values()) / len(fields):.4f} | "
        + " | ".join(f"{first.fields[n].fused:.4f}" for n in fields)
        + " |",
    ]
    for name, measured in results.items():
        cells = [f"{f.mixed:.4f}{'*' if f.p < 0.05 else ''}" for f in measured.fields.values()]
        lines.append(f"| {name} | {measured.weight} | {measured.mean:.4f} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
