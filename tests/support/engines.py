"""What tests of the engine say to it, and look at: a library of invented sentences, and what all retrievers make of it."""

from __future__ import annotations

import numpy as np
from sqlalchemy import select, text

from retrieval.tables import index_manifests

WORDS = [f"word{i}" for i in range(40)]


def sentence(seed: int, n: int = 24) -> str:
    rng = np.random.default_rng(seed)
    return " ".join(rng.choice(WORDS, n)) + f" unique{seed}"


def fill(lib, n=20, collection="a"):
    lib.create(collection)
    lib.put_many(collection, {f"f{i}": sentence(i) for i in range(n)})


def uris(hits):
    return {h.title for h in hits}


def stop_background(lib):
    """From here on nothing happens by itself."""
    lib.engine._builder.stop()
    lib.engine._keeper.stop()


def manifests(lib):
    with lib.database.read() as connection:
        return {row.kind: row for row in connection.execute(select(index_manifests))}


def answers(lib, retrievers=("bm25", "dense", "hybrid")):
    """What every retriever says to some questions, as (chunk, score to 4 digits)."""
    return {
        (r, q): [(h.chunk.chunk_id, round(h.score, 4)) for h in lib.search(q, 8, retriever=r)]
        for r in retrievers
        for q in (sentence(3), "word7 word8", "unique5")
    }


def brute_force(lib, query, k):
    """Cosine of the query with every stored vector."""
    with lib.database.read() as connection:
        stored = connection.execute(text("SELECT row_id, vector FROM vectors ORDER BY row_id")).all()
    vectors = np.stack([np.frombuffer(v, dtype="<f4") for _, v in stored])
    scores = vectors @ lib.encoder.encode_queries([query])[0]
    order = np.lexsort((np.arange(len(scores)), -scores))[:k]
    return [round(float(scores[i]), 4) for i in order]
