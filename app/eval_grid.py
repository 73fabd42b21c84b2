"""A grid of configurations: every combination of what is listed, without those that would be the same or cannot be.

Knows neither which models and prompts there are, nor which strategies ask a model: that is said to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import product
from math import prod
from typing import Any, Literal

from app.eval_configs import Configuration, Contexts
from core.errors import InvalidRequest
from eval.stress import Stress
from ingest.chunk.choose import ChunkerName

MAX_COMBINED = 4096  # many stand for the same configuration, so more than are ever measured at once


def grid(
    retrievers: Sequence[str | None] = (None,),
    fusions: Sequence[Literal["convex", "rrf"] | None] = (None,),
    rerank: Sequence[bool] = (False,),
    chunkers: Sequence[ChunkerName | None] = (None,),
    strategies: Sequence[str] = (),
    stress: Sequence[Stress | None] = (None,),
    models: Sequence[str | None] = (None,),
    prompts: Sequence[str | None] = (None,),
    contexts: Sequence[Contexts | None] = (None,),
    *,
    without_lm: Collection[str] = (),
) -> list[Configuration]:
    """In the order of the lists, each once.

    A fusion says something of hybrid only, and what is cut anew cannot be reranked: other retrievers and chunkers stand
    once, without. ``stress`` goes with everything. ``strategies`` are of answering, and make a grid of their own, with
    ``models``, ``prompts`` and ``contexts``.

    Args:
        without_lm: the strategies that ask no language model: each stands once, whatever models and prompts are listed.

    Raises:
        InvalidRequest: strategies beside anything of searching, models or prompts without strategies, nothing to combine, or more
            than ``MAX_COMBINED`` combinations, of which none is made.
    """
    if strategies:
        if (*retrievers, *fusions, *chunkers) != (None, None, None) or True in rerank:
            raise InvalidRequest(
                "strategies search as the settings say: make a grid of them alone, or of searches", code="usage"
            )
        answers = [
            Configuration(strategy=s, stress=t, contexts=read)
            if s in without_lm
            else Configuration(strategy=s, stress=t, model=model, prompts=of, contexts=read)
            for model, s, of, t, read in _product(models, strategies, prompts, stress, contexts)
        ]
        return by_model(_each_once(answers))
    if any((*models, *prompts, *contexts)):
        raise InvalidRequest(
            "models, prompts and contexts are of answering: name the strategies that use them, or leave them out",
            code="usage",
        )
    found = [
        Configuration(
            retriever=retriever,
            fusion=fusion if retriever in (None, "hybrid") else None,
            rerank=again and chunker is None,
            chunker=chunker,
            stress=worse,
        )
        for chunker, retriever, fusion, again, worse in _product(chunkers, retrievers, fusions, rerank, stress)
    ]
    return _each_once(found)


def _product(*axes: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Every combination, once the axes have been counted without repetitions: a few lists make millions."""
    each_once = [list(dict.fromkeys(axis)) for axis in axes]
    n = prod(map(len, each_once))
    if n > MAX_COMBINED:
        raise InvalidRequest(
            f"{n:,} combinations: a grid is of {MAX_COMBINED:,} at most, so make several", code="usage"
        )
    return product(*each_once)


def by_model(configurations: Sequence[Configuration]) -> list[Configuration]:
    """Those of one language model next to each other, so that each is loaded once; else in their order. The first stays first."""
    models = list(dict.fromkeys(c.model for c in configurations))
    return sorted(configurations, key=lambda c: models.index(c.model))


def _each_once(found: Sequence[Configuration]) -> list[Configuration]:
    if not found:
        raise InvalidRequest("the grid is empty: name one retriever or strategy at least", code="usage")
    return list(dict.fromkeys(found))
