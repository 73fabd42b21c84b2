"""Making an edition what is searched, and back again: each switch is a swap, and what was searched is kept.

Part of one transaction: before COMMIT nobody sees any of it, and after ``SearchEngine.publish`` everybody all of it.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from core.clock import now_iso
from core.errors import Conflict, NotFound
from retrieval.collection_rows import treated_otherwise
from retrieval.edition_copies import unmade
from retrieval.editions import Edition, building, kept
from retrieval.projection import next_change, record_removals
from retrieval.records import Change
from retrieval.tables import collections, documents, editions

_PARAMETERS = 500  # of one statement


def switch(connection: Connection, edition: Edition) -> Change | None:
    """Makes an edition what is searched, and keeps what was; None if a document is still to be made.

    Part of one transaction: before COMMIT nobody sees any of it, and after ``publish`` everybody all of it.
    """
    if unmade(connection, edition, 1):
        return None
    connection.execute(
        update(editions)
        .where(editions.c.collection_id == edition.collection_id, editions.c.state == "kept")
        .values(state="leaving")
    )
    return _swap(connection, edition)


def roll_back(connection: Connection, collection: str) -> Change:
    """Makes the kept edition what is searched again, and keeps what was: twice is as good as never.

    Raises:
        NotFound: nothing is kept.
        Conflict: an edition is being built, which would be of neither; or personal data were treated otherwise in what
            is kept, which must not come back.
    """
    if building(connection, collection) is not None:
        raise Conflict(f"{collection} is being indexed anew: cancel that job first", code="reindexing")
    edition = kept(connection, collection)
    if edition is None:
        raise NotFound(
            f"of {collection} no earlier generation is kept: there is one after `openbook reindex {collection}`",
            code="nothing-kept",
        )
    otherwise = (
        select(documents.c.doc_number)
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .where(documents.c.edition_id == edition.edition_id, treated_otherwise())
    )
    if connection.execute(otherwise.limit(1)).first() is not None:
        raise Conflict(
            f"what is kept of {collection} was made under another setting for personal data: give it up with "
            f"`openbook collections drop-previous {collection}`, or change the setting back first",
            code="setting-changed",
        )
    return _swap(connection, edition)


def _swap(connection: Connection, edition: Edition) -> Change:
    served, copy = documents.alias(), documents.alias()
    pairs = connection.execute(
        select(served.c.doc_number, served.c.first_row, served.c.n_chunks, copy.c.doc_number.label("copy"))
        .join(copy, (copy.c.doc_id == served.c.doc_id) & (copy.c.sha256 == served.c.sha256))
        .where(
            served.c.collection_id == edition.collection_id,
            served.c.edition_id.is_(None),
            copy.c.edition_id == edition.edition_id,
        )
    ).all()
    collection = connection.execute(
        select(collections).where(collections.c.collection_id == edition.collection_id)
    ).one()
    number = next_change(connection, "switch", collection.name)
    runs = [(p.first_row, p.n_chunks) for p in pairs if p.n_chunks]
    record_removals(connection, number, runs)
    values = {
        "collection_id": edition.collection_id, "state": "kept", "pipeline": collection.pipeline or {},
        "chunker_version": "", "encoder_revision": "", "created_at": now_iso(),
    }  # fmt: skip
    before = connection.execute(insert(editions).values(values).returning(editions.c.edition_id)).scalar_one()
    going, coming = [p.doc_number for p in pairs], [p.copy for p in pairs]
    for numbers, to in (going, {"edition_id": before}), (coming, {"edition_id": None, "added_change": number}):
        for start in range(0, len(numbers), _PARAMETERS):
            some = documents.c.doc_number.in_(numbers[start : start + _PARAMETERS])
            connection.execute(update(documents).where(some).values(to))
    connection.execute(
        update(collections)
        .where(collections.c.collection_id == edition.collection_id)
        .values(pipeline=dict(edition.pipeline))
    )
    connection.execute(
        update(editions).where(editions.c.edition_id == edition.edition_id).values(state="leaving", job_id=None)
    )
    return Change(number=number, kind="switch", removed=tuple(range(first, first + n) for first, n in runs))
