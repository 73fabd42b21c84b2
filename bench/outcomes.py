"""What becomes of each file of a folder: state, characters, reason. Prints a Markdown table.

    python -m bench.outcomes DIR… [--manifest]

With --manifest the folder's manifest.csv (columns file, password) says which files count, and their passwords.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import OpenbookError
from ingest.parse import ParseLimits
from ingest.parse.sandbox import Sandbox


@dataclass(frozen=True)
class Outcome:
    file: str
    state: str  # ready, partial or failed
    characters: int
    pages: int
    reason: str
    seconds: float


def outcomes(folder: Path, passwords: dict[str, str], limits: ParseLimits) -> Iterator[Outcome]:
    """One outcome per file of ``folder``, in order of name; never raises on account of a file."""
    with Sandbox(limits) as sandbox:
        for path in sorted(p for p in folder.iterdir() if p.is_file()):
            begun = time.perf_counter()
            try:
                document = sandbox.parse(path, path.name, password=passwords.get(path.name))
            except OpenbookError as e:
                yield Outcome(path.name, "failed", 0, 0, e.message, time.perf_counter() - begun)
                continue
            reason = "; ".join(w.message for w in document.warnings[:3])
            state = "partial" if document.partial else "ready"
            yield Outcome(
                path.name, state, len(document.text), len(document.pages), reason, time.perf_counter() - begun
            )


def passwords_of(folder: Path) -> dict[str, str]:
    manifest = folder / "manifest.csv"
    if not manifest.exists():
        return {}
    with manifest.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row["password"] for row in csv.DictReader(file) if row.get("password")}


def _listed(folder: Path) -> set[str] | None:
    manifest = folder / "manifest.csv"
    if not manifest.exists():
        return None
    with manifest.open(newline="", encoding="utf-8") as file:
        return {row["file"] for row in csv.DictReader(file)}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.outcomes", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--manifest", action="store_true", help="only files of manifest.csv, with its passwords")
    arguments = parser.parse_args(argv)
    counts: Counter[str] = Counter()
    print("| file | state | characters | pages | reason |\n|---|---|---:|---:|---|")
    for folder in arguments.folders:
        listed = _listed(folder) if arguments.manifest else None
        for o in outcomes(folder, passwords_of(folder) if arguments.manifest else {}, ParseLimits()):
            if listed is not None and o.file not in listed:
                continue
            counts[o.state] += 1
            reason = o.reason.replace(o.file, "it").replace("|", "\\|")
            print(f"| {o.file} | {o.state} | {o.characters} | {o.pages} | {reason} |")
    print("\n" + ", ".join(f"{n} {state}" for state, n in counts.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
