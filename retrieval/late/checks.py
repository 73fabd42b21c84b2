"""What every index of token vectors asks of what it is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.types import Vectors


def check_passages(rows: NDArray[np.int64], tokens: Sequence[Vectors], dim: int) -> None:
    """Raises InvalidRequest unless there is one (n_tokens ≥ 1, ``dim``) array of finite numbers per row, no row twice."""
    if len(rows) != len(tokens):
        raise InvalidRequest(f"{len(rows)} rows and the tokens of {len(tokens)} passages: they belong together")
    if len(np.unique(rows)) != len(rows):
        raise InvalidRequest("a row is given twice in one call: give each once")
    for row, vectors in zip(rows.tolist(), tokens, strict=True):
        if vectors.ndim != 2 or vectors.shape[1] != dim or not len(vectors):
            raise InvalidRequest(
                f"the token vectors of row {row} are {vectors.shape}: (n, {dim}), at least one, belong here"
            )
        if not np.isfinite(vectors).all():
            raise InvalidRequest(
                f"a token vector of row {row} has a value that is not a number: the encoder is at fault"
            )


def check_question(query: Vectors, k: int, dim: int) -> Vectors:
    """The query as float32; raises InvalidRequest for ``k`` below 1 or shapes that do not fit."""
    if k < 1:
        raise InvalidRequest(f"k = {k} is out of range: ask for at least 1 hit", code="bad-k")
    if query.ndim != 2 or query.shape[1] != dim or not len(query):
        raise InvalidRequest(f"the query's token vectors are {query.shape}: (n, {dim}), at least one, belong here")
    return query.astype(np.float32, copy=False)
