"""The copies of documents that an edition is made of: which are still to be made, what was tried, and keeping one.

Nothing here is searched. It knows nothing of how a copy is made, nor of what becomes of an edition that has all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, insert, select, update

from core.errors import InvalidRequest
from core.types import Chunk, Document, Vectors
from retrieval.document_writing import check_fits, insert_document
from retrieval.editions import Edition
from retrieval.signature import Signature
from retrieval.tables import documents, edition_attempts
from retrieval.token_rows import TokenVectors, check_tokens

# A document that stops its worker so often is not tried any more.
MAX_ATTEMPTS = 3


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
    mine = _attempts_of(edition.edition_id, document.doc_id)
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
    mine = _attempts_of(edition_id, doc_id)
    connection.execute(update(edition_attempts).where(mine).values(reason=reason or "failed"))


def _attempts_of(edition_id: int, doc_id: str) -> ColumnElement[bool]:
    return and_(edition_attempts.c.edition_id == edition_id, edition_attempts.c.doc_id == doc_id)


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
    tokens: TokenVectors | None = None,
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
    if tokens is not None:
        check_tokens(tokens, len(chunks_))
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
    insert_document(
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
        parents_=parents_,
        signature=signature,
        tokens=tokens,
    )
    connection.execute(delete(edition_attempts).where(_attempts_of(edition.edition_id, document.doc_id)))
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
