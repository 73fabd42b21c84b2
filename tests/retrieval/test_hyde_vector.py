"""What is imagined moves the vector half of a search, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.errors import InvalidRequest
from core.protocols import ExpandingRetriever
from core.settings import Settings
from core.types import Where
from retrieval.adhoc import build_adhoc
from retrieval.ranking import query_vector
from tests.support.hash_encoder import HashEncoder
from tests.support.library import LOCAL, Library, library

EVERYWHERE = Where(principal=LOCAL)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Library]:
    with library(tmp_path) as made:
        made.create("c")
        made.put("c", "cats.txt", "cats purr at night")
        made.put("c", "dogs.txt", "dogs bark by day")
        yield made


def test_the_vector_is_the_mean_of_the_queries_and_the_passages_scaled_to_one() -> None:
    encoder = HashEncoder()
    q, d = encoder.encode_queries(["cats"])[0], encoder.encode_documents(["dogs", "fish"])
    mean = (q + d[0] + d[1]) / 3
    found = query_vector(encoder, "cats", ["dogs", "fish"])
    np.testing.assert_allclose(found, [mean / np.linalg.norm(mean)], atol=1e-6)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(query_vector(encoder, "cats"), encoder.encode_queries(["cats"]))


def test_passages_move_the_vectors_and_not_the_terms(shelf: Library) -> None:
    retriever = shelf.engine.retriever()
    assert isinstance(retriever, ExpandingRetriever)
    plain = {h.chunk.text: h.parts for h in retriever.search("purr", 5, EVERYWHERE)}
    moved = {h.chunk.text: h.parts for h in retriever.search_expanded("purr", ["dogs bark by day"], 5, EVERYWHERE)}
    assert "bm25" not in moved["dogs bark by day"]  # its terms were not searched for
    assert moved["cats purr at night"]["bm25"] == plain["cats purr at night"]["bm25"]
    assert moved["dogs bark by day"]["dense"].score > plain["dogs bark by day"]["dense"].score
    dense = shelf.engine.retriever("dense").search_expanded("purr", ["dogs bark by day"] * 8, 1, EVERYWHERE)
    assert dense[0].chunk.text == "dogs bark by day"


def test_what_searches_no_vectors_refuses_passages(shelf: Library, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="which bm25 cannot: choose dense or hybrid"):
        shelf.engine.retriever("bm25").search_expanded("purr", ["x"], 5, EVERYWHERE)
    adhoc = build_adhoc(Settings(), [("a", "", "cats purr")], HashEncoder(), tmp_path / "vectors")
    assert isinstance(adhoc, ExpandingRetriever)
    assert adhoc.search_expanded("purr", ["x"], 5, EVERYWHERE)[0].chunk.doc_id == "a"
