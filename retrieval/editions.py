"""A collection's documents a second time: made beside those that are searched, switched to at once, and back again.

    begin ─▶ building ──switch──▶ searched ──roll_back──▶ kept        (each switch is a swap: what was searched is kept)
                │ abandon                       forget │
                └──────────────▶ leaving ◀─────────────┘ ──sweep──▶ gone

An edition *follows* what is searched: its copy of a document is of the same bytes. Whoever replaces or deletes the
searched one takes the copies with it (``retrieval.store``), so that a switch neither loses a document nor brings one back.
A document of which an edition has no copy stays searched as it is. Editions know nothing of how copies are made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, and_, delete, exists, func, insert, select, update

from core.clock import now_iso
from core.errors import Conflict, InvalidRequest, NotFound
from core.types import Chunk, Document, Vectors
from retrieval.document_rows import check_fits, insert_document
from retrieval.near import insert_signature
from retrieval.parents import insert_parents
from retrieval.projection import next_change, record_removals
from retrieval.records import Change
from retrieval.signature import Signature
from retrieval.tables import collections, documents, edition_attempts, editions

EditionState = Literal["building", "kept", "leaving"]

# A document that stops its worker so often is not tried any more.
MAX_ATTEMPTS = 3
_SWEEP_DOCUMENTS = 64  # deleted in one transaction, so that nobody waits long for the next
_PARAMETERS = 500  # of one statement


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmade:
    """A document that an edition has no copy of yet."""

    doc_id: str
    uri: str
    sha256: str
    source: Mapping[str, Any] | None  # the document's ``metadata["source"]``: where its bytes came from


@dataclass(frozen=True, slots=True, kw_only=True)
class EditionProgress:
    """Of the documents that are searched: how many are as the edition wants them, in number and in characters."""

    documents: int
    done: int
    characters: int
    characters_done: int
    failures: tuple[tuple[str, str], ...]  # (uri, reason) of what is not tried any more


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


def unmade(connection: Connection, edition: Edition, limit: int, but: Collection[str] = ()) -> list[Unmade]:
    """The next documents to be copied, those first that were tried least; none if all are there or not tried any more.

    Args:
        but: documents that are being worked on.
    """
    query = _to_try(edition).where(documents.c.doc_id.not_in(list(but))).limit(limit)
    query = query.order_by(func.coalesce(edition_attempts.c.attempts, 0), documents.c.doc_number)
    return [Unmade(**row._mapping) for row in connection.execute(query)]


def is_unmade(connection: Connection, edition: Edition, document: Unmade) -> bool:
    """Whether it still is to be copied, of the same bytes."""
    same = (documents.c.doc_id == document.doc_id) & (documents.c.sha256 == document.sha256)
    return connection.execute(_to_try(edition).where(same)).first() is not None


def _to_try(edition: Edition) -> Select[Any]:
    source = documents.c.metadata["source"].label("source")
    fields = (documents.c.doc_id, documents.c.uri, documents.c.sha256, source)
    return _wanting(edition, *fields).where(func.coalesce(edition_attempts.c.reason, "") == "")


def note_attempt(connection: Connection, edition: Edition, document: Unmade) -> bool:
    """Notes that work on a copy begins; False if that happened too often, and it is given up."""
    mine = and_(edition_attempts.c.edition_id == edition.edition_id, edition_attempts.c.doc_id == document.doc_id)
    row = connection.execute(select(edition_attempts).where(mine)).one_or_none()
    before = row.attempts if row is not None and row.sha256 == document.sha256 else 0
    reason = f"given up after {before} attempts: each time the worker broke off" if before >= MAX_ATTEMPTS else ""
    connection.execute(delete(edition_attempts).where(mine))
    connection.execute(
        insert(edition_attempts).values(
            edition_id=edition.edition_id, doc_id=document.doc_id, sha256=document.sha256, attempts=before + 1,
            reason=reason,
        )
    )  # fmt: skip
    return not reason


def note_failure(connection: Connection, edition_id: int, doc_id: str, reason: str) -> None:
    """A copy cannot be made; the document stays searched as it is."""
    mine = and_(edition_attempts.c.edition_id == edition_id, edition_attempts.c.doc_id == doc_id)
    connection.execute(update(edition_attempts).where(mine).values(reason=reason or "failed"))


def put_copy(
    connection: Connection,
    edition: Edition,
    document: Document,
    chunks_: Sequence[Chunk],
    vectors_: Vectors,
    parents_: Sequence[Chunk],
    *,
    encoder_revision: str,
    chunker_version: str,
    signature: Signature | None = None,
) -> bool:
    """Stores the copy of a document, seen by nobody yet; False if these bytes are not what is searched (any more).

    Raises:
        InvalidRequest: it is not made as the edition wants, or chunks, text and vectors do not fit together.
    """
    if (encoder_revision, chunker_version) != (edition.encoder_revision, edition.chunker_version):
        raise InvalidRequest(
            f"made by {chunker_version} and {encoder_revision}, not by {edition.chunker_version} and "
            f"{edition.encoder_revision}: the worker has another version than the server; restart both"
        )
    check_fits(document, chunks_, vectors_, parents_)
    query = select(documents).where(
        documents.c.doc_id == document.doc_id,
        documents.c.collection_id == edition.collection_id,
        documents.c.sha256 == document.sha256,
    )
    served = connection.execute(query.where(documents.c.edition_id.is_(None))).one_or_none()
    if served is None:
        return False
    connection.execute(
        delete(documents).where(documents.c.doc_id == document.doc_id, documents.c.edition_id == edition.edition_id)
    )
    doc_number, _ = insert_document(
        connection,
        document,
        chunks_,
        vectors_,
        encoder_revision,
        chunker_version,
        edition.collection_id,
        served.added_change,
        served.size,
        edition_id=edition.edition_id,
        created_at=served.created_at,
    )
    insert_parents(connection, doc_number, parents_)
    if signature is not None:
        insert_signature(connection, doc_number, signature)
    mine = and_(edition_attempts.c.edition_id == edition.edition_id, edition_attempts.c.doc_id == document.doc_id)
    connection.execute(delete(edition_attempts).where(mine))
    return True


def progress(connection: Connection, edition: Edition) -> EditionProgress:
    everything = select(func.count(), func.coalesce(func.sum(documents.c.n_characters), 0)).where(
        documents.c.collection_id == edition.collection_id, documents.c.edition_id.is_(None)
    )
    total, characters = connection.execute(everything).one()
    wanting = _wanting(
        edition, func.count().label("n"), func.coalesce(func.sum(documents.c.n_characters), 0).label("c")
    )
    left, characters_left = connection.execute(wanting).one()
    failures = connection.execute(
        _wanting(edition, documents.c.uri, edition_attempts.c.reason)
        .where(func.coalesce(edition_attempts.c.reason, "") != "")
        .order_by(documents.c.doc_number)
    ).all()
    return EditionProgress(
        documents=total,
        done=total - left,
        characters=characters,
        characters_done=characters - characters_left,
        failures=tuple((row.uri, row.reason) for row in failures),
    )


def _wanting(edition: Edition, *columns: Any) -> Select[Any]:
    """Searched documents that are neither made as the edition wants nor copied, with their attempts of these bytes."""
    copy = documents.alias()
    return (
        select(*columns)
        .select_from(documents)
        .outerjoin(
            edition_attempts,
            and_(
                edition_attempts.c.edition_id == edition.edition_id,
                edition_attempts.c.doc_id == documents.c.doc_id,
                edition_attempts.c.sha256 == documents.c.sha256,
            ),
        )
        .where(
            documents.c.collection_id == edition.collection_id,
            documents.c.edition_id.is_(None),
            (documents.c.encoder_revision != edition.encoder_revision)
            | (documents.c.chunker_version != edition.chunker_version),
            ~exists().where(copy.c.edition_id == edition.edition_id, copy.c.doc_id == documents.c.doc_id),
        )
    )


# ---------------------------------------------------------------- switching


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
    treated = func.coalesce(documents.c.metadata["pii"]["mode"].as_string(), "off")
    wanted = select(collections.c.pii).where(collections.c.name == collection).scalar_subquery()
    otherwise = select(documents.c.doc_number).where(documents.c.edition_id == edition.edition_id, treated != wanted)
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
