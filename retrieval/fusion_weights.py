"""How two lists are fused, as values that can be kept: of the settings, or fitted for one collection.

A collection's own hold where it alone is searched. Scores are scaled over all that is searched, so of several
collections none has the say: then the settings' hold (docs/decisions/0100).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import JSON, Connection, bindparam, null, select, update

from core.errors import StorageFailed
from core.settings import Settings
from core.types import Principal
from retrieval.access import require_role
from retrieval.projection import next_change
from retrieval.records import Change
from retrieval.tables import collections


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far one query's vectors are trusted, whatever the weights: with ``alpha`` at most, and by ``ranks`` alone or not."""

    alpha: float = 1.0
    ranks: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionWeights:
    """``alpha`` (weight of dense) counts for convex, ``rrf_k`` for rrf; ``depth`` is how many rows of each list are fused."""

    fusion: Literal["convex", "rrf"]
    alpha: float
    rrf_k: int
    depth: int

    def within(self, trust: Trust) -> FusionWeights:
        """What a query is fused by whose vectors are trusted so far. RRF has no weights to take away: where ranks do not count
        it is convex."""
        return replace(self, fusion=self.fusion if trust.ranks else "convex", alpha=min(self.alpha, trust.alpha))

    def text(self) -> str:
        """For people: "convex, alpha 0.45, depth 200"."""
        weight = f"alpha {self.alpha:g}" if self.fusion == "convex" else f"k {self.rrf_k}"
        return f"{self.fusion}, {weight}, depth {self.depth}"

    def to_json(self) -> dict[str, Any]:
        return {"fusion": self.fusion, "alpha": self.alpha, "rrf_k": self.rrf_k, "depth": self.depth}

    def same_order_as(self, other: FusionWeights) -> bool:
        """Whether both rank alike whatever the lists: what the other kind of fusion would use does not count."""
        mine = self.alpha if self.fusion == "convex" else self.rrf_k
        its = other.alpha if other.fusion == "convex" else other.rrf_k
        return (self.fusion, self.depth, mine) == (other.fusion, other.depth, its)


def weights_of(settings: Settings) -> FusionWeights:
    return FusionWeights(
        fusion=settings.fusion, alpha=settings.fusion_alpha, rrf_k=settings.rrf_k, depth=settings.fusion_depth
    )


def read_weights(kept: Mapping[str, Any]) -> FusionWeights:
    """What ``collections.fusion`` holds; further keys say how it was fitted.

    Raises:
        StorageFailed: it is no such value.
    """
    fusion = kept.get("fusion")
    try:
        if fusion != "convex" and fusion != "rrf":
            raise ValueError(f"fusion is {fusion!r}")
        return FusionWeights(
            fusion=fusion, alpha=float(kept["alpha"]), rrf_k=int(kept["rrf_k"]), depth=int(kept["depth"])
        )
    except (KeyError, TypeError, ValueError) as e:
        raise StorageFailed(
            f"a collection's fusion weights cannot be read ({e}): `openbook tune --reset` takes them away"
        ) from e


_KEPT = select(collections.c.fusion).where(collections.c.collection_id == bindparam("collection_id"))


def kept_weights(connection: Connection, collection_id: int) -> FusionWeights | None:
    """A collection's own weights; None if none were fitted. Raises StorageFailed."""
    kept = connection.execute(_KEPT, {"collection_id": collection_id}).scalar_one_or_none()
    return read_weights(kept) if kept else None


def keep_weights(connection: Connection, principal: Principal, name: str, fusion: Mapping[str, Any] | None) -> Change:
    """Keeps a collection's own weights (with how they were fitted), or with None goes back to the settings'.

    What is found changes although no document does, so it is a change like others: what was cached of before is old.

    Raises:
        NotFound, Forbidden: only the owner may.
    """
    collection_id = require_role(connection, principal, name, ("owner",))
    value = null() if fusion is None else bindparam("fusion", dict(fusion), type_=JSON)
    connection.execute(update(collections).where(collections.c.collection_id == collection_id).values(fusion=value))
    return Change(number=next_change(connection, "weights", name), kind="weights")
