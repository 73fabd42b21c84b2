"""A collection's documents a second time: made beside those that are searched, switched to at once, and back again.

    begin ─▶ building ──switch──▶ searched ──roll_back──▶ kept        (each switch is a swap: what was searched is kept)
                │ abandon                       forget │
                └──────────────▶ leaving ◀─────────────┘ ──sweep──▶ gone

An edition *follows* what is searched: its copy of a document is of the same bytes. Whoever replaces or deletes the
searched one takes the copies with it (``retrieval.store``), so that a switch neither loses a document nor brings one back.
A document of which an edition has no copy stays searched as it is. Editions know nothing of how copies are made.

    editions          which there are: begun, given up, swept away
    edition_copies    which copies are still to be made, what was tried, and keeping one
    edition_switch    the swap, and the way back
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, insert, select, update

from core.clock import now_iso
from core.errors import Conflict, NotFound
from retrieval.tables import collections, documents, editions

EditionState = Literal["building", "kept", "leaving"]

_SWEEP_DOCUMENTS = 64  # deleted in one transaction, so that nobody waits long for the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    edition_id: int
    collection_id: int
    collection: str
    owner_id: str  # of the collection
    state: EditionState
    pipeline: Mapping[str, Any]
    chunker_version: str
    encoder_revision: str
    job_id: str | None


_EDITION = select(editions, collections.c.name.label("collection"), collections.c.owner_id).join(
    collections, collections.c.collection_id == editions.c.collection_id
)


# ---------------------------------------------------------------- building


def begin(
    connection: Connection,
    collection: str,
    *,
    serving: Mapping[str, Any],
    pipeline: Mapping[str, Any],
    chunker_version: str,
    encoder_revision: str,
    job_id: str,
) -> int:
    """A new edition of a collection, empty; returns its id.

    Args:
        serving: how the documents that are searched are made, which is noted down if nobody said so before: it is
            what a way back leads to.
        pipeline: how the copies will be made.

    Raises:
        NotFound: there is no such collection.
        Conflict: another edition of it is being built.
    """
    row = connection.execute(select(collections).where(collections.c.name == collection)).one_or_none()
    if row is None:
        raise NotFound(f"the collection {collection!r} is gone", code="unknown-collection")
    if building(connection, collection) is not None:
        raise Conflict(
            f"{collection} is being indexed anew already: wait for that job, or cancel it", code="reindexing"
        )
    if row.pipeline is None:
        connection.execute(update(collections).where(collections.c.name == collection).values(pipeline=dict(serving)))
    values = {
        "collection_id": row.collection_id, "state": "building", "pipeline": dict(pipeline), "job_id": job_id,
        "chunker_version": chunker_version, "encoder_revision": encoder_revision, "created_at": now_iso(),
    }  # fmt: skip
    return int(connection.execute(insert(editions).values(values).returning(editions.c.edition_id)).scalar_one())


# ---------------------------------------------------------------- leaving


def abandon(connection: Connection, edition_id: int) -> None:
    """From now on nobody works on it or goes back to it; ``sweep`` takes its documents away."""
    connection.execute(update(editions).where(editions.c.edition_id == edition_id).values(state="leaving", job_id=None))


def forget(connection: Connection, collection: str) -> None:
    """Gives up the kept edition of a collection. Raises NotFound if there is none."""
    edition = kept(connection, collection)
    if edition is None:
        raise NotFound(f"of {collection} no earlier generation is kept", code="nothing-kept")
    abandon(connection, edition.edition_id)


def any_left(connection: Connection) -> bool:
    """Whether any edition is being built or thrown away."""
    return connection.execute(select(editions.c.edition_id).where(editions.c.state != "kept")).first() is not None


def sweep(connection: Connection) -> bool:
    """Deletes some of what is leaving; False if nothing is. Originals stay, which what is searched has too."""
    query = select(editions.c.edition_id).where(editions.c.state == "leaving").limit(1)
    edition_id = connection.execute(query).scalar_one_or_none()
    if edition_id is None:
        return False
    some = select(documents.c.doc_number).where(documents.c.edition_id == edition_id).limit(_SWEEP_DOCUMENTS)
    numbers = list(connection.scalars(some))
    if numbers:
        connection.execute(delete(documents).where(documents.c.doc_number.in_(numbers)))
    if len(numbers) < _SWEEP_DOCUMENTS:
        connection.execute(delete(editions).where(editions.c.edition_id == edition_id))
    return True


# ---------------------------------------------------------------- reading


def get(connection: Connection, edition_id: int) -> Edition | None:
    row = connection.execute(_EDITION.where(editions.c.edition_id == edition_id)).one_or_none()
    return None if row is None else _edition(row)


def building(connection: Connection, collection: str) -> Edition | None:
    return _one(connection, collection, "building")


def kept(connection: Connection, collection: str) -> Edition | None:
    return _one(connection, collection, "kept")


def all_building(connection: Connection) -> list[Edition]:
    """Those of every collection, the oldest first."""
    query = _EDITION.where(editions.c.state == "building").order_by(editions.c.edition_id)
    return [_edition(row) for row in connection.execute(query)]


def pipelines(connection: Connection) -> list[Mapping[str, Any]]:
    """How documents that are searched, kept or being made were made, wherever that is said."""
    searched = select(collections.c.pipeline).where(collections.c.pipeline.is_not(None))
    others = select(editions.c.pipeline).where(editions.c.state != "leaving")
    found = [p for query in (searched, others) for p in connection.scalars(query) if p]
    return list({repr(sorted(p.items())): p for p in found}.values())


def pipeline_of(connection: Connection, collection: str) -> Mapping[str, Any]:
    """How the documents of a collection are made, as settings; empty: as the settings say."""
    found = connection.execute(select(collections.c.pipeline).where(collections.c.name == collection)).scalar()
    return found or {}


def _one(connection: Connection, collection: str, state: EditionState) -> Edition | None:
    row = connection.execute(_EDITION.where(collections.c.name == collection, editions.c.state == state)).first()
    return None if row is None else _edition(row)


def _edition(row: Row[Any]) -> Edition:
    return Edition(**{name: getattr(row, name) for name in Edition.__dataclass_fields__})
