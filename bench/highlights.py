"""Which sentence is marked, and what that costs: by words against by tokens, on questions with a known answer.

xquad English train (a paragraph and a question whose answer is a span of it): a mark is right if its sentence holds the
answer. Run: ``python -m bench.highlights [--data DIR]``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from app.wiring import build_encoder
from core.settings import Settings
from core.text import fold, sentence_spans
from core.types import Chunk, Hit
from eval.datasets import load_qa
from retrieval.highlight import Highlighter
from retrieval.sparse.analyse import Analyser

_WAYS: tuple[Literal["words", "tokens"], ...] = ("words", "tokens")


def main(arguments: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--questions", type=int, default=300)
    options = parser.parse_args(list(arguments))
    encoder = build_encoder(Settings())
    encoder.load()
    highlighter = Highlighter(analyser=Analyser(), encoder=encoder)
    right: dict[str, list[bool]] = {way: [] for way in (*_WAYS, "first sentence")}
    seconds: dict[str, list[float]] = {way: [] for way in _WAYS}
    for sample in load_qa(options.data / "xquad" / "en-train.jsonl").samples[: options.questions]:
        if not sample.answerable or not sample.contexts:
            continue
        text = sample.contexts[0][1]
        chunk = Chunk(chunk_id="c", doc_id="d", text=text, start=0, end=len(text), n_tokens=0)
        hit = Hit(chunk=chunk, title="", collection="", score=1.0, rank=1, source="bench")
        for way in _WAYS:
            began = time.perf_counter()
            (span,) = highlighter.spans(sample.question, [hit], way)
            seconds[way].append(time.perf_counter() - began)
            right[way].append(span is not None and _holds(text[slice(*span)], sample.answers))
        right["first sentence"].append(_holds(text[slice(*sentence_spans(text)[0])], sample.answers))
    print(f"| marked by | right of {len(right['words'])} | ms per passage, p50 |\n|---|---|---|")
    for name, found in right.items():
        took = f"{1000 * statistics.median(seconds[name]):.2f}" if name in seconds else ""
        print(f"| {name} | {sum(found) / len(found):.3f} | {took} |")
    return 0


def _holds(sentence: str, answers: Sequence[str]) -> bool:
    return any(fold(answer) in fold(sentence) for answer in answers)


if __name__ == "__main__":
    raise SystemExit(main())
