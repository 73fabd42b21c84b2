"""How long it takes to rerank 50 passages: our cross-encoder on OpenVINO, torch in fp32, late interaction.

All three run in turns on the same queries and passages, so that whatever else the machine does slows them alike. Both
cross-encoders have the same weights (the packaged MiniLM with a head drawn at random, or --model), so their scores are
compared, too: a speed-up that changes the order would be none.

    python -m bench.rerank --data ../shared/data/scifact
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from app.wiring import model_cache_dir
from core.types import Chunk, Hit
from models.openvino_run import Precision
from models.packaged import MINILM, verify
from retrieval.encoders.openvino import OpenVinoEncoder
from retrieval.rerank.cross_encoder import CrossEncoderReranker
from retrieval.rerank.late import LateInteractionReranker
from retrieval.rerank.order import Scores
from retrieval.rerank.sentence_transformers import SentenceTransformersReranker

TARGET = 5.0  # times torch fp32


@dataclass
class Timed:
    """One reranker under the clock."""

    name: str
    score: Callable[[str, Sequence[Hit]], Scores]
    wall_s: list[float] = field(default_factory=list)  # one per query
    scores: list[Scores] = field(default_factory=list)

    def run(self, query: str, hits: Sequence[Hit]) -> None:
        started = time.perf_counter()
        self.scores.append(self.score(query, hits))
        self.wall_s.append(time.perf_counter() - started)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; returns 1 if the speed-up misses its target."""
    parser = argparse.ArgumentParser(prog="python -m bench.rerank", description=main.__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/scifact"), help="a BEIR-shaped folder")
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--passages", type=int, default=50, help="per query, drawn at random with a fixed seed")
    parser.add_argument(
        "--words", type=int, default=140, help="each passage is cut to this many, about 200 word pieces"
    )
    parser.add_argument(
        "--model", type=Path, help="a folder with a whole cross-encoder (default: MiniLM with any head)"
    )
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of ours")
    parser.add_argument("--threads", type=int, default=0, help="of each; 0 is what each takes by itself")
    arguments = parser.parse_args(argv)
    if not (arguments.data / "corpus.jsonl").is_file():
        parser.error(f"{arguments.data} holds no corpus.jsonl: give a BEIR-shaped folder with --data")
    draw = random.Random(0)
    with (arguments.data / "corpus.jsonl").open(encoding="utf-8") as lines:
        texts = [" ".join(json.loads(line)["text"].split()[: arguments.words]) for line in lines]
    with (arguments.data / "queries.jsonl").open(encoding="utf-8") as lines:
        queries = draw.sample([json.loads(line)["text"] for line in lines], arguments.queries)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.model or any_head(Path(scratch) / "minilm")
        rounds = [(q, [_hit(t) for t in draw.sample(texts, arguments.passages)]) for q in queries]
        return compare(folder, rounds, arguments.precision, arguments.threads)


def compare(folder: Path, rounds: Sequence[tuple[str, list[Hit]]], precision: Precision, threads: int) -> int:
    import torch

    if threads:
        torch.set_num_threads(threads)
    ours = CrossEncoderReranker(folder, precision=precision, threads=threads)
    theirs = SentenceTransformersReranker(str(folder), device="cpu", precision="fp32")
    encoder = OpenVinoEncoder(model_cache_dir(), precision, threads=threads)
    late = LateInteractionReranker(encoder)
    timed = [
        Timed("torch fp32 (sentence-transformers)", theirs.score),
        Timed("cross-encoder (OpenVINO)", ours.score),
        Timed("late interaction, passages unread", LateInteractionReranker(encoder, cache_bytes=0).score),
        Timed("late interaction, passages read before", late.score),
    ]
    for one in timed:  # the first call of each loads and compiles
        one.score(rounds[0][0], rounds[0][1][:4])
    for turn, (query, hits) in enumerate(rounds):
        late.score(query, hits)  # so that the last of the four finds them read
        for one in timed if turn % 2 == 0 else timed[::-1]:
            one.run(query, hits)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{turn + 1}/{len(rounds)} queries\033[K")

    n = len(rounds[0][1])
    print(f"{len(rounds)} queries × {n} passages; {ours.revision}; encoder {encoder.revision}\n")
    print(f"| {'':38} | ms a query, median | × torch fp32 (median of turns) |")
    print(f"|{'-' * 40}|-------------------:|-------------------------------:|")
    for one in timed:
        ratio = statistics.median(t / o for t, o in zip(timed[0].wall_s, one.wall_s, strict=True))
        print(f"| {one.name:38} | {statistics.median(one.wall_s) * 1000:18.1f} | {ratio:29.2f}× |")
    speedup = statistics.median(t / o for t, o in zip(timed[0].wall_s, timed[1].wall_s, strict=True))
    largest = max(float(np.abs(a - b).max()) for a, b in zip(timed[0].scores, timed[1].scores, strict=True))
    same = statistics.mean(
        int(a.argmax()) == int(b.argmax()) for a, b in zip(timed[0].scores, timed[1].scores, strict=True)
    )
    spread = float(np.mean([s.std() for s in timed[0].scores]))
    print(f"\nlargest difference of logits {largest:.2e} (their spread {spread:.2e}); same best passage {same:.0%}")
    print(f"speed-up {speedup:.2f}× (target ≥ {TARGET:g}: {'met' if speedup >= TARGET else 'MISSED'})")
    return int(speedup < TARGET)


def any_head(folder: Path) -> Path:
    """The packaged MiniLM as a whole cross-encoder, with a head drawn at random: right for timing, and nothing else."""
    from safetensors.numpy import load_file, save_file

    source = verify(MINILM)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    tensors: dict[str, Any] = {f"bert.{name}": w for name, w in load_file(source / MINILM.main_file).items()}
    tensors["classifier.weight"] = rng.standard_normal((1, 384)).astype(np.float32)
    tensors["classifier.bias"] = np.zeros(1, np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text("utf-8"))
    config |= {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    config |= {"label2id": {"LABEL_0": 0}}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(source / name, folder / name)
    return folder


def _hit(text: str) -> Hit:
    chunk = Chunk(chunk_id="c", doc_id="d", text=text, start=0, end=len(text), n_tokens=0)
    return Hit(chunk=chunk, title="", collection="bench", score=0.0, rank=1, source="bench")


if __name__ == "__main__":
    sys.exit(main())
