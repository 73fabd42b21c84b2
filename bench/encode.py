"""How fast the packaged encoder runs here, against sentence-transformers' default on the same CPU in the same run.

Both encode the same passages in alternating slices, so that whatever else the machine does slows both alike. The
speed-up is the median over the slices; top-1 agreement and cosines say whether the vectors are still the same.

    python -m bench.encode --data ../shared/data/scifact
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.types import Vectors
from models.packaged import MINILM, verify
from retrieval.encoders.openvino import OpenVinoEncoder

Encode = Callable[[Sequence[str]], Vectors]
TOP1_TARGET, COSINE_TARGET = 0.99, 0.9999
SPEEDUP_TARGET = {"fp32": 2.0, "bf16": 4.0}


@dataclass
class Timed:
    """One encoder under the clock."""

    name: str
    encode: Encode
    wall_s: list[float] = field(default_factory=list)  # one per slice
    cpu_s: list[float] = field(default_factory=list)
    parts: list[Vectors] = field(default_factory=list)

    def run(self, texts: Sequence[str]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        self.parts.append(self.encode(texts))
        self.wall_s.append(time.perf_counter() - wall)
        self.cpu_s.append(time.process_time() - cpu)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; returns 1 if speed, top-1 agreement or cosine misses its target."""
    parser = argparse.ArgumentParser(prog="python -m bench.encode", description=main.__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/scifact"), help="a BEIR-shaped folder")
    parser.add_argument("--passages", type=int, default=320, help="drawn at random with a fixed seed")
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--slices", type=int, default=5, help="the passages are timed in this many parts")
    parser.add_argument(
        "--mixed", action="store_true", help="cut each passage to a random length first (8 to 250 words)"
    )
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    parser.add_argument("--threads", type=int, default=0, help="of each; 0 is what each takes by itself")
    parser.add_argument("--batch-tokens", type=int, default=0, help="of ours; 0 is its default")
    parser.add_argument("--cache-dir", type=Path, default=None, help="where the converted encoder is kept")
    arguments = parser.parse_args(argv)
    if not (arguments.data / "corpus.jsonl").is_file():
        parser.error(f"{arguments.data} holds no corpus.jsonl: give a BEIR-shaped folder with --data")

    random_ = random.Random(0)
    passages = _sample(_passages(arguments.data), arguments.passages, random_)
    queries = _sample(_queries(arguments.data), arguments.queries, random_)
    if arguments.mixed:
        passages = [" ".join(p.split()[: random_.randint(8, 250)]) for p in passages]

    with tempfile.TemporaryDirectory() as scratch:
        options = {"batch_tokens": arguments.batch_tokens} if arguments.batch_tokens else {}
        encoder = OpenVinoEncoder(
            arguments.cache_dir or Path(scratch), arguments.precision, threads=arguments.threads, **options
        )
        encoder.load()
        return _compare(encoder, passages, queries, arguments.slices, arguments.threads)


def _compare(
    encoder: OpenVinoEncoder, passages: Sequence[str], queries: Sequence[str], n_slices: int, threads: int
) -> int:
    ours = Timed("openbook (OpenVINO)", encoder.encode_documents)
    theirs = Timed("sentence-transformers", _reference(threads))
    pieces = encoder.tokenizer.count(passages)
    for one in (ours, theirs):  # the first call of each compiles kernels
        one.encode(passages[:4])

    step = -(-len(passages) // n_slices)
    for i, start in enumerate(range(0, len(passages), step)):
        pair = (ours, theirs) if i % 2 == 0 else (theirs, ours)
        for one in pair:
            one.run(passages[start : start + step])
        _progress(f"{min(start + step, len(passages))}/{len(passages)} passages")
    a, b = np.concatenate(ours.parts), np.concatenate(theirs.parts)
    cosine = float((a * b).sum(axis=1).min())
    top1 = float(np.mean((ours.encode(queries) @ a.T).argmax(1) == (theirs.encode(queries) @ b.T).argmax(1)))
    latency_ms = _latency_ms(ours.encode, queries), _latency_ms(theirs.encode, queries)
    speedup = statistics.median(t / o for o, t in zip(ours.wall_s, theirs.wall_s, strict=True))
    speedup_cpu = statistics.median(t / o for o, t in zip(ours.cpu_s, theirs.cpu_s, strict=True))

    target = SPEEDUP_TARGET["bf16" if encoder.revision.endswith("bf16") else "fp32"]
    print(_machine())
    print(f"{len(passages)} passages, {statistics.mean(pieces):.0f} word pieces on average; {encoder.revision}\n")
    print(f"| {'':22} | passages/s | passages per CPU second | one query, ms |")
    print(f"|{'-' * 24}|-----------:|------------------------:|--------------:|")
    for one, ms in zip((ours, theirs), latency_ms, strict=True):
        rate, cpu_rate = len(passages) / sum(one.wall_s), len(passages) / sum(one.cpu_s)
        print(f"| {one.name:22} | {rate:10.1f} | {cpu_rate:23.1f} | {ms:13.1f} |")
    print(
        f"| {'ratio (median slice)':22} | {speedup:9.2f}× | {speedup_cpu:22.2f}× | {latency_ms[1] / latency_ms[0]:12.1f}× |"
    )
    print()
    results = [
        ("speed-up", speedup, target),
        (f"top-1 agreement over {len(queries)} queries", top1, TOP1_TARGET),
        ("lowest cosine", cosine, COSINE_TARGET),
    ]
    for name, value, wanted in results:
        print(f"{name}: {value:.7g} (target ≥ {wanted:g}: {'met' if value >= wanted else 'MISSED'})")
    return int(any(value < wanted for _, value, wanted in results))


def _reference(threads: int) -> Encode:
    """sentence-transformers as it comes: fp32, batches of 32, sorted by length by itself."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging as transformers_logging

    quiet: Any = transformers_logging  # its functions carry no types
    quiet.disable_progress_bar()
    if threads:
        torch.set_num_threads(threads)
    model = SentenceTransformer(str(verify(MINILM)), device="cpu")

    def encode(texts: Sequence[str]) -> Vectors:
        vectors: Vectors = model.encode(list(texts), show_progress_bar=False)
        return vectors

    return encode


def _latency_ms(encode: Encode, queries: Sequence[str]) -> float:
    """Median over single queries, after a few to warm up."""
    times = []
    for query in queries[:40]:
        start = time.perf_counter()
        encode([query])
        times.append(time.perf_counter() - start)
    return statistics.median(times[10:]) * 1000


def _passages(folder: Path) -> list[str]:
    with (folder / "corpus.jsonl").open(encoding="utf-8") as lines:
        return [f"{one['title']} {one['text']}".strip() for one in map(json.loads, lines)]


def _queries(folder: Path) -> list[str]:
    with (folder / "queries.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def _sample(items: list[str], n: int, random_: random.Random) -> list[str]:
    return random_.sample(items, min(n, len(items)))


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.is_file() else ""
    name = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    kept = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16") if f in flags]
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return f"{name or platform.processor()}, {cores} cores, {' '.join(kept)}; load average at the end {load:.1f}"


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line}\033[K")


if __name__ == "__main__":
    sys.exit(main())
