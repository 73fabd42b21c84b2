"""Many fusions at once stand exactly where the formulas of ``retrieval.fuse`` put them, one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.errors import Forbidden, NotFound, StorageFailed
from core.types import Principal, Where
from eval.metrics.ranking import trec_order
from retrieval.fuse import convex, rrf
from retrieval.fusion_grid import RankedRows, grid, ranks_under
from retrieval.fusion_weights import FusionWeights, keep_weights, kept_weights, weights_of
from retrieval.stage_lists import document_names
from tests.support.library import LOCAL, Library, library

PRESENT = FusionWeights(fusion="convex", alpha=0.5, rrf_k=60, depth=1000)
N_ROWS = 30

ranked_lists = st.lists(
    st.tuples(st.integers(0, N_ROWS - 1), st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.25, 7.0])),
    max_size=N_ROWS,
    unique_by=lambda pair: pair[0],
).map(lambda pairs: sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def by_formula(weights: FusionWeights, sparse: list[tuple[int, float]], dense: list[tuple[int, float]]) -> list[str]:
    """Documents in order of their best passage; row r belongs to document r // 3."""
    if weights.fusion == "convex":
        fused = convex(sparse, dense, weights.alpha, weights.depth)
    else:
        fused = rrf({"bm25": sparse, "dense": dense}, weights.rrf_k, weights.depth)
    scores: dict[str, float] = {}
    for row, score in fused:
        scores.setdefault(f"{row // 3:02}", score)
    return trec_order(scores)


@settings(suppress_health_check=[HealthCheck.too_slow])  # which a busy machine is
@given(sparse=ranked_lists, dense=ranked_lists, depth=st.sampled_from([1, 3, 10, 1000]))
@example(sparse=[], dense=[], depth=10)
def test_a_grid_of_fusions_ranks_as_each_formula_alone(
    sparse: list[tuple[int, float]], dense: list[tuple[int, float]], depth: int
) -> None:
    candidates = [
        *(FusionWeights(fusion="convex", alpha=a / 20, rrf_k=60, depth=depth) for a in range(21)),
        *(FusionWeights(fusion="rrf", alpha=0.5, rrf_k=k, depth=depth) for k in (1, 60)),
    ]
    documents = list(range(N_ROWS // 3))
    ranks = ranks_under(candidates, RankedRows.of(sparse), RankedRows.of(dense), np.arange(N_ROWS) // 3, documents)
    for candidate, row in zip(candidates, ranks.tolist(), strict=True):
        order = by_formula(candidate, sparse, dense)
        expected = [order.index(f"{d:02}") + 1 if f"{d:02}" in order else 0 for d in documents]
        assert row == expected, candidate.text()


def test_the_present_setting_stands_first_and_no_other_ranks_like_it() -> None:
    candidates = grid(PRESENT)
    assert candidates[0] == PRESENT
    assert sum(c.same_order_as(PRESENT) for c in candidates) == 1
    odd = FusionWeights(fusion="rrf", alpha=0.123, rrf_k=7, depth=77)
    assert grid(odd)[0] == odd and len(grid(odd)) == 1 + 5 * (21 + 4)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Library]:
    with library(tmp_path) as made:
        made.create("pets")
        made.put("pets", "cats.txt", "cats purr at night and sleep all day", title="About cats")
        made.put("pets", "dogs.txt", "dogs bark at night and run all day", title="About dogs")
        made.create("birds")
        made.put("birds", "owls.txt", "owls hoot at night", title="About owls")
        yield made


def fitted(alpha: float) -> dict[str, object]:
    return FusionWeights(fusion="convex", alpha=alpha, rrf_k=60, depth=100).to_json() | {"evidence": {"p": 0.01}}


def keep(shelf: Library, name: str, weights: dict[str, object] | None, who: Principal = LOCAL) -> None:
    with shelf.database.write() as connection:
        change = keep_weights(connection, who, name, weights)
    shelf.engine.publish(change)


def scores(shelf: Library, *collections: str, fusion: Literal["convex", "rrf"] | None = None) -> list[float]:
    where = Where(principal=LOCAL, collections=collections)
    hits = shelf.engine.retriever(fusion=fusion).search("cats at night", 5, where)
    return [hit.score for hit in hits]


def test_a_collections_own_weights_hold_where_it_alone_is_searched(shelf: Library) -> None:
    alone, both = scores(shelf, "pets"), scores(shelf, "pets", "birds")
    before = shelf.engine.status().change
    keep(shelf, "pets", fitted(1.0))
    assert shelf.engine.status().change == before + 1  # what was cached of before is old
    # All weight on dense: the best of two has 1 · 1, the last 1 · 0.
    assert scores(shelf, "pets") == [1.0, 0.0] != alone
    assert scores(shelf, "pets", "birds") == both
    assert scores(shelf) == both
    keep(shelf, "pets", None)
    assert scores(shelf, "pets") == alone


def test_a_fusion_that_a_search_asks_for_comes_before_the_collections_own(shelf: Library) -> None:
    asked = scores(shelf, "pets", fusion="rrf")
    keep(shelf, "pets", fitted(0.9))
    assert scores(shelf, "pets", fusion="rrf") == asked
    assert max(asked) <= 1 / 61 + 1 / 61  # ranks, not shares of a range


def test_weights_are_listed_with_their_evidence_and_only_the_owner_may_change_them(shelf: Library) -> None:
    keep(shelf, "pets", fitted(0.9))
    info = {c.name: c for c in shelf.store.list_collections(LOCAL)}
    assert info["pets"].fusion == fitted(0.9)
    assert info["birds"].fusion is None
    with pytest.raises(NotFound):
        keep(shelf, "pets", None, Principal(user_id="stranger"))
    with pytest.raises((NotFound, Forbidden)):
        keep(shelf, "nowhere", None)


def test_weights_that_cannot_be_read_say_how_they_are_taken_away(shelf: Library) -> None:
    keep(shelf, "pets", {"fusion": "magic"})
    with pytest.raises(StorageFailed, match="openbook tune --reset"):
        scores(shelf, "pets")
    with shelf.database.read() as connection:
        number = shelf.store.readable_collections(LOCAL, ["birds"])["birds"]
        assert kept_weights(connection, number) is None
    assert weights_of(shelf.settings).text() == "convex, alpha 0.5, depth 200"


def test_a_document_is_known_by_its_id_its_file_or_its_title(shelf: Library) -> None:
    names = document_names(shelf.engine, LOCAL, "pets")
    (cats,) = names.names["cats.txt"]
    assert names.names["cats"] == names.names["About cats"] == names.names[cats] == (cats,)
    assert "owls" not in names.names
    rows = np.flatnonzero(names.document_of == names.ids.index(cats))
    assert len(rows) == math.ceil(8 / 8)  # eight words, eight to a passage
