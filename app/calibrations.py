"""From which confidence a collection's questions are answered, and how that was fitted. SQL owner of ``calibrations``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Column, Float, ForeignKey, Integer, String, Table, delete, insert, select

from core.clock import now_iso
from core.database import Database, metadata
from core.types import Principal
from retrieval.access import readable_collections, require_role

calibrations = Table(
    "calibrations",
    metadata,
    Column("collection_id", Integer, ForeignKey("collections.collection_id", ondelete="CASCADE"), primary_key=True),
    Column("strategy", String, primary_key=True),
    Column("encoder", String, nullable=False),  # the revision that it was fitted with: for another it says nothing
    Column("threshold", Float, nullable=False),
    Column("fitted", JSON, nullable=False),  # the document of `openbook calibrate --json`
    Column("created_at", String, nullable=False),
)


class Calibrations:
    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(
        self, principal: Principal, collection: str, strategy: str, encoder: str, fitted: Mapping[str, Any]
    ) -> None:
        """Replaces what was kept. Raises NotFound, Forbidden: only the owner may."""
        with self._database.write() as connection:
            collection_id = require_role(connection, principal, collection, ("owner",))
            connection.execute(_of(collection_id, strategy))
            connection.execute(
                insert(calibrations).values(
                    collection_id=collection_id,
                    strategy=strategy,
                    encoder=encoder,
                    threshold=float(fitted["threshold"]),
                    fitted=dict(fitted),
                    created_at=now_iso(),
                )
            )

    def forget(self, principal: Principal, collection: str, strategy: str) -> None:
        """Goes back to the settings. Raises NotFound, Forbidden: only the owner may."""
        with self._database.write() as connection:
            connection.execute(_of(require_role(connection, principal, collection, ("owner",)), strategy))

    def get(self, principal: Principal, collection: str) -> list[dict[str, Any]]:
        """What is kept of a collection, one per strategy. Raises NotFound for one that this person cannot see."""
        with self._database.read() as connection:
            collection_id = readable_collections(connection, principal, [collection])[collection]
            query = select(calibrations).where(calibrations.c.collection_id == collection_id)
            rows = connection.execute(query.order_by(calibrations.c.strategy)).all()
        return [{**row.fitted, "encoder": row.encoder, "created_at": row.created_at} for row in rows]

    def threshold(self, principal: Principal, collection: str, strategy: str, encoder: str) -> float | None:
        """What holds where ``collection`` alone is asked; None where nothing was fitted with this encoder."""
        with self._database.read() as connection:
            collection_id = readable_collections(connection, principal, [collection])[collection]
            query = select(calibrations.c.threshold).where(
                calibrations.c.collection_id == collection_id,
                calibrations.c.strategy == strategy,
                calibrations.c.encoder == encoder,
            )
            return connection.execute(query).scalar_one_or_none()


def _of(collection_id: int, strategy: str) -> Any:
    return delete(calibrations).where(
        calibrations.c.collection_id == collection_id, calibrations.c.strategy == strategy
    )
