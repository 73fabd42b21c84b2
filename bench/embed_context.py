"""Whether a chunk should be embedded with its document's title and its headings in front.

    python -m bench.embed_context [--files DIR] [--questions CSV] [--limit N]

Exact dense search over the chunks of all filings, for the questions about one filing. Two measures at k = 8: the
share of questions for which a chunk of the right filing that holds a figure of the answer is found ("figure"; only
questions whose answer has figures that stand in a chunk of that filing), and the share of hits from the right filing ("file").
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.types import Chunk, Document
from ingest.chunk import chunker
from ingest.embed_text import EmbedContext, embedded_text
from ingest.parse import ParseLimits
from ingest.parse.sandbox import Sandbox
from ingest.pipeline import to_document
from retrieval.encoders.openvino import OpenVinoEncoder

K = 8
_FIGURE = re.compile(r"\d{1,3}(?:,\d{3})+|\d+\.\d+")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.embed_context", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--files", type=Path, default=Path("../shared/data/sec10q/docs"))
    parser.add_argument("--questions", type=Path, default=Path("../shared/data/sec10q/qna_data.csv"))
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "openbook-tests")
    parser.add_argument("--limit", type=int, default=20, help="how many filings")
    arguments = parser.parse_args(argv)
    encoder = OpenVinoEncoder(arguments.cache)
    entries: list[tuple[Document, Chunk]] = []
    with Sandbox(ParseLimits()) as sandbox:
        for path in sorted(arguments.files.glob("*.pdf"))[:: max(1, 20 // arguments.limit)]:
            parsed = sandbox.parse(path, path.name)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            document = to_document(parsed, collection="c", uri=path.stem, sha256=sha256)
            made = chunker("fixed")(document, parsed.headings, encoder.tokenizer, 200, 40)
            entries += [(document, chunk) for chunk in made]
    files = np.array([document.uri for document, _ in entries])
    with arguments.questions.open(encoding="utf-8-sig", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["Question Type"].startswith("Single-Doc")]
    rows = [r for r in rows if r["Source Docs"].strip("*") in set(files)]
    queries = encoder.encode_queries([r["Question"] for r in rows])
    print(f"{len(set(files))} filings, {len(entries)} chunks, {len(rows)} questions about one filing\n")
    print(f"{'embedded text':34}{'figure@8':>10}{'(n)':>6}{'file@8':>8}{'seconds':>9}")
    ways: tuple[tuple[str, EmbedContext], ...] = (
        ("chunk", "none"),
        ("title, chunk", "title"),
        ("title, headings, chunk", "headings"),
    )
    for name, how in ways:
        room = encoder.max_tokens - 2
        texts = [embedded_text(d.title, c, how, encoder.tokenizer, room) for d, c in entries]
        begun = time.perf_counter()
        vectors = encoder.encode_documents(texts)
        seconds = time.perf_counter() - begun
        top = np.argsort(-(queries @ vectors.T), axis=1)[:, :K]
        found: list[bool] = []
        from_file: list[float] = []
        for row, best in zip(rows, top, strict=True):
            right = row["Source Docs"].strip("*")
            from_file.append(float(np.mean(files[best] == right)))
            figures = set(_FIGURE.findall(row["Answer"]))
            holds = {i for i in np.flatnonzero(files == right) if figures & set(_FIGURE.findall(entries[i][1].text))}
            if holds:
                found.append(bool(holds & set(best.tolist())))
        print(f"{name:34}{np.mean(found):10.3f}{len(found):6}{np.mean(from_file):8.3f}{seconds:9.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
