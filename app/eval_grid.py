"""A grid of configurations: every combination of what is listed, without those that would be the same or cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Literal

from app.eval_configs import Configuration
from core.errors import InvalidRequest
from eval.stress import Stress
from ingest.chunk.choose import ChunkerName


def grid(
    retrievers: Sequence[str | None] = (None,),
    fusions: Sequence[Literal["convex", "rrf"] | None] = (None,),
    rerank: Sequence[bool] = (False,),
    chunkers: Sequence[ChunkerName | None] = (None,),
    strategies: Sequence[str] = (),
    stress: Sequence[Stress | None] = (None,),
) -> list[Configuration]:
    """In the order of the lists, each once.

    A fusion says something of hybrid only, and what is cut anew cannot be reranked: other retrievers and chunkers stand
    once, without. ``stress`` goes with everything. ``strategies`` are of answering, and make a grid of their own.

    Raises:
        InvalidRequest: strategies beside anything else, or nothing to combine.
    """
    if strategies:
        if (*retrievers, *fusions, *chunkers) != (None, None, None) or True in rerank:
            raise InvalidRequest(
                "strategies search as the settings say: make a grid of them alone, or of searches", code="usage"
            )
        return [Configuration(strategy=s, stress=t) for s in dict.fromkeys(strategies) for t in dict.fromkeys(stress)]
    found = [
        Configuration(
            retriever=retriever,
            fusion=fusion if retriever in (None, "hybrid") else None,
            rerank=again and chunker is None,
            chunker=chunker,
            stress=worse,
        )
        for chunker, retriever, fusion, again, worse in product(chunkers, retrievers, fusions, rerank, stress)
    ]
    if not found:
        raise InvalidRequest("the grid is empty: name one retriever or strategy at least", code="usage")
    return list(dict.fromkeys(found))
