"""What vector search costs against the number of vectors: time, memory and building, as a table and a drawing.

    openbook bench vector_sizes -- [--sizes 10000 50000 100000 1000000] [--hnsw-to 100000]
        [--out docs/bench/vector-sizes.md] [--plot docs/images/vector-sizes.svg]

Vectors are invented, as in ``bench.retrieval``. One query at a time on one thread, k = 10. Building a graph of a million vectors takes
the better part of an hour, so graphs are built up to ``--hnsw-to``.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss as _typed_faiss
import numpy as np

from bench.retrieval_vectors import DIM, invented_vectors
from core.types import Allowed, Vectors
from retrieval.dense.exact import ExactIndex
from retrieval.dense.hnsw import HnswIndex

faiss: Any = _typed_faiss

K = 10
LINE = 15  # pixels from one name to the next
STEP = 50_000  # vectors invented at once
COLOURS = {"FAISS flat fp32": "#8a8f98", "exact": "#2563eb", "exact, 1 % allowed": "#7c3aed", "HNSW": "#d97706"}


@dataclass(frozen=True)
class Point:
    """One engine at one size. Times in milliseconds."""

    name: str
    n: int
    p50: float
    p95: float
    cpu: float
    megabytes: float
    build_s: float
    recall: float


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.vector_sizes", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 50_000, 100_000, 1_000_000])
    parser.add_argument("--hnsw-to", type=int, default=100_000, help="largest graph that is built")
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--out", type=Path, help="also write the table to this Markdown file")
    parser.add_argument("--plot", type=Path, help="also draw to this SVG file")
    arguments = parser.parse_args(argv)
    load = os.getloadavg()[0]
    faiss.omp_set_num_threads(1)
    queries = invented_vectors(arguments.queries, 1)
    command = f"openbook bench vector_sizes -- --sizes {' '.join(map(str, sorted(arguments.sizes)))} --hnsw-to {arguments.hnsw_to}"
    points: list[Point] = []
    text = ""
    for n in sorted(arguments.sizes):
        points += measure(n, queries, arguments.hnsw_to)
        text = (
            f"# Vector search against size\n\n`{command}`, {os.cpu_count()} cores, load average at the start {load:.1f};"
            f" {len(queries)} queries one at a time on one thread, k = {K}. Memory is what the index holds (the process had"
            f" {_peak_mb():,.0f} MB at most); cpu is processor time, which other work on the machine disturbs least. Graphs are"
            f" built up to {arguments.hnsw_to:,} vectors.\n\n{_image(arguments.out, arguments.plot)}{table(points)}\n"
        )
        # After every size: a run that is stopped keeps what it has measured.
        for path, content in ((arguments.out, text), (arguments.plot, drawing(points))):
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, "utf-8")
    print(text)
    return 0


def _image(out: Path | None, plot: Path | None) -> str:
    """The drawing, as the table's file names it."""
    if out is None or plot is None:
        return ""
    return f"![Time per query against the number of vectors]({Path(os.path.relpath(plot, out.parent)).as_posix()})\n\n"


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(n: int, queries: Vectors, hnsw_to: int) -> Iterator[Point]:
    """Every engine on ``n`` vectors. One holds memory at a time, so that a million fit."""
    every, some = _allowed(n, 1), _allowed(n, 100)
    flat = faiss.IndexFlatIP(DIM)
    build_s = _filled(lambda rows, v: flat.add(v), n)
    truth = flat.search(queries, K)[1] + 1  # rows count from 1
    yield _point("FAISS flat fp32", n, lambda q: flat.search(q, K), queries, n * DIM * 4, build_s, 1.0)
    flat.reset()

    exact = ExactIndex(DIM)
    build_s = _filled(exact.add, n)
    found = _recall(exact.search(queries, K, every), truth)
    yield _point("exact", n, lambda q: exact.search(q, K, every), queries, exact.nbytes, build_s, found)
    yield _point("exact, 1 % allowed", n, lambda q: exact.search(q, K, some), queries, exact.nbytes, build_s, math.nan)

    if n <= hnsw_to:
        hnsw = HnswIndex(DIM, threads=1)
        build_s = _filled(lambda rows, v: hnsw.build([(rows, v)]), n)
        found = _recall(hnsw.search(queries, K, every), truth)
        yield _point("HNSW", n, lambda q: hnsw.search(q, K, every), queries, hnsw.nbytes, build_s, found)


def _parts(n: int) -> Iterator[tuple[Any, Vectors]]:
    for start in range(0, n, STEP):
        size = min(STEP, n - start)
        yield np.arange(start + 1, start + size + 1, dtype=np.int64), invented_vectors(size, 100 + start)


def _allowed(n: int, one_in: int) -> Allowed:
    rows = np.zeros(n + 1, dtype=np.bool_)
    rows[1::one_in] = True
    return Allowed(rows=rows, count=int(rows.sum()), collection_ids=(1,))


def _filled(add: Callable[[Any, Vectors], object], n: int) -> float:
    """Seconds to add ``n`` invented vectors, the inventing left out."""
    seconds = 0.0
    for rows, vectors in _parts(n):
        started = time.perf_counter()
        add(rows, vectors)
        seconds += time.perf_counter() - started
    return seconds


def _recall(found: Sequence[Sequence[tuple[int, float]]], truth: Any) -> float:
    return float(np.mean([len({r for r, _ in f} & set(t.tolist())) / K for f, t in zip(found, truth, strict=True)]))


def _point(
    name: str, n: int, search: Callable[[Vectors], object], queries: Vectors, size: float, build_s: float, recall: float
) -> Point:
    for query in queries[:3]:
        search(query[None])
    walls, cpus = [], []
    for query in queries:
        wall, cpu = time.perf_counter(), time.process_time()
        search(query[None])
        walls.append(1e3 * (time.perf_counter() - wall))
        cpus.append(1e3 * (time.process_time() - cpu))
    p50, p95 = (float(np.percentile(walls, p)) for p in (50, 95))
    point = Point(name, n, p50, p95, float(np.median(cpus)), size / 1e6, build_s, recall)
    print(f"{n:>9,} {name}: p50 {p50:.2f} ms, cpu {point.cpu:.2f} ms", flush=True)
    return point


def table(points: Sequence[Point]) -> str:
    lines = [
        "| vectors | | p50 ms | p95 ms | cpu ms | MB | built in s | recall@10 |",
        "|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {p.n:,} | {p.name} | {p.p50:.2f} | {p.p95:.2f} | {p.cpu:.2f} | {p.megabytes:.0f} | {p.build_s:.1f} | "
        f"{'' if math.isnan(p.recall) else f'{p.recall:.3f}'} |"
        for p in points
    ]
    return "\n".join(lines)


# ---------------------------------------------------------------- drawing

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 64, 150, 44, 48


def drawing(points: Sequence[Point]) -> str:
    """Processor time against size, both logarithmic, as SVG."""
    sizes, times = [p.n for p in points], [p.cpu for p in points]
    x = _scale(min(sizes), max(sizes), LEFT, WIDTH - RIGHT)
    low, high = 10.0 ** math.floor(math.log10(min(times))), 10.0 ** math.ceil(math.log10(max(times)))
    y = _scale(low, high, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="14">Vector search: processor time per query, ms (384 dimensions, k = {K})</text>',
    ]
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        at = y(10.0**power)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    for n in sorted(set(sizes)):
        parts.append(f'<line x1="{x(n):.1f}" x2="{x(n):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#f3f4f6"/>')
        parts.append(f'<text x="{x(n):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_short(n)}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">vectors</text>')
    ends: list[tuple[float, float, str]] = []
    for name, colour in COLOURS.items():
        line = [(x(p.n), y(p.cpu)) for p in points if p.name == name]
        if not line:
            continue
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="{colour}"/>' for a, b in line]
        ends.append((line[-1][0] + 8, line[-1][1] + 4, name))
    for at_x, at_y, name in _apart(ends):
        parts.append(f'<text x="{at_x:.1f}" y="{at_y:.1f}" fill="{COLOURS[name]}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _apart(ends: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Names at the ends of lines that end side by side, one below the other."""
    placed: list[tuple[float, float, str]] = []
    for at_x, at_y, name in sorted(ends):
        above = [y for x, y, _ in placed if x == at_x]
        placed.append((at_x, max(at_y, max(above, default=0.0) + LINE), name))
    return placed


def _scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    """A logarithmic axis from ``first`` to ``last``."""
    span = math.log(high / low) or 1.0
    return lambda value: first + (last - first) * math.log(value / low) / span


def _short(n: int) -> str:
    return f"{n / 1e6:g} M" if n >= 1_000_000 else f"{n / 1e3:g} k"


if __name__ == "__main__":
    raise SystemExit(main())
