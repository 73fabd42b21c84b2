"""What "did you mean" costs on the query path, and how many misspelt words it puts right.

Words of the collection, found in two passages or more, are misspelt by one letter (lost, doubled, changed or swapped with its
neighbour; the first one spared or not, as it falls) and put into queries of three words.

    openbook bench spelling -- --n 100000
"""

from __future__ import annotations

import argparse
import random
import string
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.collection import ARCHIVE, passages
from core.types import Allowed, Chunk
from retrieval.did_you_mean import did_you_mean
from retrieval.sparse.analyse import words_of
from retrieval.sparse.tantivy import TantivyIndex

COLLECTIONS = 8
QUERIES = 300


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="openbook bench spelling", description="Time and hits of did-you-mean.")
    parser.add_argument("--n", type=int, default=100_000, help="passages (default 100000)")
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    options = parser.parse_args(arguments)
    found, source = passages(options.n, options.archive)
    index = TantivyIndex(None)
    for start in range(0, len(found), 2000):
        some = range(start, min(start + 2000, len(found)))
        chunks = [_passage(found[row][1]) for row in some]
        index.add(some, chunks, [found[row][0] for row in some], [row % COLLECTIONS + 1 for row in some])
    index.settle()
    everything = Allowed(
        rows=np.ones(len(found), dtype=np.bool_), count=len(found), collection_ids=tuple(range(1, COLLECTIONS + 1))
    )
    one = np.arange(len(found)) % COLLECTIONS == 0
    narrow = Allowed(rows=one, count=int(one.sum()), collection_ids=(1,))

    def read(rows: Sequence[int]) -> list[str]:
        return [f"{found[row][0]}\n{found[row][1]}" for row in rows]

    generator = random.Random(0)
    within = Counter(w for row in np.flatnonzero(one).tolist() for w in set(words_of(found[row][1])))
    words = sorted(w for w, n in within.items() if n >= 2 and w.isascii() and w.isalpha() and 5 <= len(w) <= 14)
    wrong = [(w, _misspelt(w, generator)) for w in generator.sample(words, min(len(words), 2 * QUERIES))]
    wrong = [(w, m) for w, m in wrong if m not in within][:QUERIES]
    print(
        f"{len(found):,} passages of {source}; {index.segments} segments; {len(wrong)} queries of three words, one wrong\n"
    )
    print("| searched | query | p50, ms | p95, ms | processor p50 | p95 | put right |\n|---|---|---|---|---|---|---|")
    for name, allowed in (("all", everything), ("1 of 8 collections", narrow)):
        for kind, queries in (
            ("as it should be", [(" ".join((w, *generator.sample(words, 2))), w) for w, _ in wrong]),
            ("one word wrong", [(" ".join((m, *generator.sample(words, 2))), w) for w, m in wrong]),
        ):
            seconds, busy, right = [], [], 0
            for query, word in queries:
                started, worked = time.perf_counter(), time.thread_time()
                meant = did_you_mean(query, index, allowed, read)
                seconds.append(time.perf_counter() - started)
                busy.append(time.thread_time() - worked)
                right += meant is not None and meant.terms[0][1] == word
            cells = [f"{v:.2f}" for of in (seconds, busy) for v in np.percentile(np.array(of) * 1000, [50, 95])]
            share = f"{right / len(queries):.2f}" if kind != "as it should be" else "–"
            print(f"| {name} | {kind} | {' | '.join(cells)} | {share} |", flush=True)
    index.close()
    return 0


def _misspelt(word: str, generator: random.Random) -> str:
    at = generator.randrange(len(word) - 1)
    match generator.randrange(4):
        case 0:
            return word[:at] + word[at + 1 :]
        case 1:
            return word[: at + 1] + word[at:]
        case 2:
            return word[:at] + generator.choice(string.ascii_lowercase) + word[at + 1 :]
        case _:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _passage(text: str) -> Chunk:
    return Chunk(chunk_id="c", doc_id="d", text=text, start=0, end=len(text), n_tokens=0)


if __name__ == "__main__":
    raise SystemExit(main())
