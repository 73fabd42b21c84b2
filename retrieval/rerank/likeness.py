"""The order of candidates by seven likenesses of query and passage, weighed as fitted: decision 0265.

A linear ranker over the score that found a passage, late interaction, and the terms that they share. Its weights are fitted on
training questions by a listwise softmax (``bench.fit_likeness``), for English and the packaged encoder alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.errors import OpenbookError
from core.late_interaction import weakest
from core.lexical import coverage, rarity
from core.types import Hit
from retrieval.rerank.order import Scores, minmax, passage_text
from retrieval.sparse.analyse import Analyser

FILE = "likeness.json"
FEATURES = (
    "found",  # the score that the candidate came with
    "late",  # late interaction: mean over the query's tokens of the best match
    "late_content",  # the same, function words weighing little
    "late_weakest",  # mean of the two worst matches of content words
    "coverage",  # share of the query's terms in the passage with its title and headings, by rarity among the candidates
    "title_coverage",  # the same in title and headings alone
    "bigrams",  # share of the query's adjoining terms that adjoin there
)
_AS_THEY_ARE = ("title_coverage", "bigrams")  # the others are min-max normalised within the candidates

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Weights of FEATURES; they were fitted for one encoder."""

    weights: NDArray[np.float64]  # (len(FEATURES),)
    encoder: str  # the revision, up to how its graph is run

    def __call__(self, features: Matrix) -> Scores:
        """(n,), higher is better."""
        scores: Scores = features @ self.weights
        return scores


@cache
def shipped() -> Likeness:
    """The weights that come with this version.

    Raises:
        OpenbookError: they belong to another version.
    """
    data = json.loads(resources.files("retrieval.rerank").joinpath(FILE).read_text("utf-8"))
    if set(data["weights"]) != set(FEATURES):
        raise OpenbookError(f"{FILE} does not fit this version: make it anew with python -m bench.fit_likeness --write")
    return Likeness(weights=np.array([float(data["weights"][f]) for f in FEATURES]), encoder=str(data["encoder"]))


def features(
    query: str, hits: Sequence[Hit], best: NDArray[np.float32], weights: NDArray[np.float32], analyser: Analyser
) -> Matrix:
    """(n, len(FEATURES)) of candidates.

    Args:
        hits: (n), with the scores that they came with.
        best: (n, n_query_tokens) best match of each of the query's tokens in each passage.
        weights: (n_query_tokens,) as ``core.late_interaction.question_tokens`` gives them.
        analyser: cuts queries, passages and titles into terms.
    """
    asked = analyser.terms(query)
    wanted = list(dict.fromkeys(asked))
    pairs = list(pairwise(asked))
    heads = [analyser.terms(" ".join((hit.title, *hit.chunk.heading_path))) for hit in hits]
    terms = [head + analyser.terms(passage_text(hit)) for head, hit in zip(heads, hits, strict=True)]
    held = [set(some) for some in terms]
    idf = rarity(wanted, held)
    columns: dict[str, Sequence[float] | NDArray[np.floating]] = {
        "found": [hit.score for hit in hits],
        "late": best.mean(axis=1),
        "late_content": np.average(best, axis=1, weights=weights),
        "late_weakest": weakest(best, weights),
        "coverage": [coverage(idf, some.__contains__) for some in held],
        "title_coverage": [coverage(idf, set(head).__contains__) for head in heads],
        "bigrams": [_share(pairs, set(pairwise(some))) for some in terms],
    }
    found = [np.asarray(columns[name], dtype=np.float64) for name in FEATURES]
    return np.stack([f if name in _AS_THEY_ARE else minmax(f) for name, f in zip(FEATURES, found, strict=True)], axis=1)


def _share(pairs: Sequence[tuple[str, str]], held: set[tuple[str, str]]) -> float:
    return sum(pair in held for pair in pairs) / len(pairs) if pairs else 0.0
