"""What the measurements of retrieval share: one call after the other, timed; tables; who may see what; memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

from core.types import Allowed

COLLECTIONS = 8


@dataclass(frozen=True)
class Line:
    """One row of a table; times in milliseconds."""

    name: str
    p50: float
    p95: float
    cpu: float
    note: str = ""


def timed(name: str, search: Callable[[Any], object], queries: Sequence[Any], *, note: str = "", warm: int = 3) -> Line:
    for query in queries[:warm]:
        search(query)
    walls, cpus = [], []
    for query in queries:
        wall, cpu = time.perf_counter(), time.process_time()
        search(query)
        walls.append(1e3 * (time.perf_counter() - wall))
        cpus.append(1e3 * (time.process_time() - cpu))
    return Line(name, float(np.percentile(walls, 50)), float(np.percentile(walls, 95)), float(np.median(cpus)), note)


def table(lines: Sequence[Line], base: Line | None, what: str) -> str:
    ratio = [f"p50 {what}"] if base else []
    head = ["", "p50 ms", "p95 ms", "cpu ms", *ratio, "note"]
    body = [
        [
            x.name,
            f"{x.p50:.2f}",
            f"{x.p95:.2f}",
            f"{x.cpu:.2f}",
            *([f"× {x.p50 / base.p50:.2f}"] if base else []),
            x.note,
        ]
        for x in lines
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *body])


def allow(n: int, test: Callable[[int], bool], collections: set[int] | None = None) -> Allowed:
    bits = np.fromiter((row > 0 and test(row) for row in range(n + 1)), dtype=np.bool_, count=n + 1)
    ids = tuple(sorted(collections or range(1, COLLECTIONS + 1)))
    # Room for rows that are added while measuring; they are nobody's.
    return Allowed(rows=np.pad(bits, (0, 4000)), count=int(bits.sum()), collection_ids=ids)


def rss() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)
