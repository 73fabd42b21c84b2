"""Reads every document, passage and vector and says what is wrong with them; SQL on retrieval's own tables.

Everything is read in one transaction of the caller, so that a check is of one moment. What is found is told as
``Finding``; nothing is changed here.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, func, select

from core.errors import NotFound, StorageFailed
from core.findings import Finding
from core.ids import chunk_id
from retrieval.files import sha256_of
from retrieval.originals import Originals
from retrieval.store import Store
from retrieval.tables import TEXT_BLOCK, chunks, collections, documents, editions, fingerprints, parents, texts, vectors

# A unit vector of float32, of any encoder, is nearer to 1 than this.
NORM_TOLERANCE = 1e-3
_BATCH = 64  # documents
_VECTOR_BATCH = 4096
# Under which names chunks are cut: what a chunk's id is made of beside what is stored.
_SHORT_VERSION = re.compile(r"[a-z-]+(\d+)-")
_KINDS = ("fixed", "sentence", "semantic", "parent", "child", "parent-child", "words")

# The version of what is to be read again. No pipeline has it, so the same bytes are not taken for the same result.
DAMAGED = "damaged"

READ_AGAIN = "the document is read again from its original"
DROP_COPY = "the copy is thrown away; the document that is searched takes its place, or it is made again"
ENCODE_AGAIN = "they are encoded again from the text"


# ---------------------------------------------------------------- originals


def audit_originals(store: Store, connection: Connection) -> tuple[int, list[Finding]]:
    """Every original that somebody needs is there with its bytes, and no other is.

    Returns:
        How many there are, and what is wrong.
    """
    originals = store.originals
    needed = store.needed_originals(connection)
    stored = set(originals.stored())
    # The file of a job that has failed may be gone: it is needed only to try again, and jobs are checked by themselves.
    looked_at = store.document_originals(connection) | (needed & stored)
    found = [f for sha256 in sorted(looked_at) if (f := _original(originals, connection, sha256)) is not None]
    # Who needs what may have changed since this transaction began: a file is wrong only if it is wrong now.
    with store.database.read() as now:
        needed_now = store.needed_originals(now)
    found = [f for f in found if f.subject in needed_now]
    for sha256 in sorted(stored - needed - needed_now):
        if not originals.is_pinned(sha256) and originals.size(sha256) is not None:
            message = f"the original {sha256} is needed by no document and no job"
            found.append(Finding(code="original-orphan", subject=sha256, message=message, fix="it is removed"))
    return len(stored), found


def _original(originals: Originals, connection: Connection, sha256: str) -> Finding | None:
    try:
        digest = sha256_of(originals.path(sha256))
    except (NotFound, OSError):
        code, what = "original-missing", "is not there"
    else:
        if digest == sha256:
            return None
        code, what = "original-damaged", f"has other bytes than its name says (SHA-256 {digest[:12]}…)"
    names = connection.execute(
        select(collections.c.name, documents.c.uri)
        .join(collections, collections.c.collection_id == documents.c.collection_id)
        .where(documents.c.sha256 == sha256)
    ).all()
    whose = ", ".join(f"{uri!r} in {collection}" for collection, uri in names[:3]) or "a waiting job"
    return Finding(
        code=code,
        subject=sha256,
        message=f"the original {sha256} of {whose} {what}",
        fix="upload the same file again, or restore a backup; its text is still searched",
        repairable=False,
    )


# ---------------------------------------------------------------- texts and passages


def audit_documents(connection: Connection) -> Iterator[tuple[Row[Any], list[Finding]]]:
    """Each document (a row of its id, number and so on) with what is wrong with its text and its passages."""
    last = 0
    while True:
        query = (
            select(documents, fingerprints.c.text_sha256)
            .outerjoin(fingerprints, fingerprints.c.doc_number == documents.c.doc_number)
            .where(documents.c.doc_number > last)
            .order_by(documents.c.doc_number)
            .limit(_BATCH)
        )
        batch = connection.execute(query).all()
        for row in batch:
            wrong = _wrong_text(connection, row) or _wrong_chunks(connection, row) or _wrong_parents(connection, row)
            if wrong is None and row.chunker_version == DAMAGED:
                wrong = ("document-damaged", "it is to be read again, and has not been yet")
            yield row, [] if wrong is None else [_document_finding(row, *wrong)]
        if len(batch) < _BATCH:
            return
        last = batch[-1].doc_number


def _document_finding(row: Row[Any], code: str, what: str) -> Finding:
    if row.edition_id is not None:
        return _copy_finding(row, what)
    return Finding(code=code, subject=row.doc_id, message=f"{row.uri!r} ({row.doc_id}): {what}", fix=READ_AGAIN)


def _copy_finding(row: Row[Any], what: str) -> Finding:
    """Of a document that is not searched: it can be made again, and until then the searched one takes its place."""
    message = f"the copy of {row.uri!r} ({row.doc_id}) in generation {row.edition_id}: {what}"
    return Finding(code="copy-damaged", subject=str(row.doc_number), message=message, fix=DROP_COPY)


def audit_editions(connection: Connection) -> tuple[int, list[Finding]]:
    """Every copy is of a document that is searched, of the same bytes, and no two editions claim the same part.

    Returns:
        How many editions there are, and what is wrong.
    """
    found: list[Finding] = []
    served = documents.alias()
    stray = (
        select(documents)
        .join(editions, editions.c.edition_id == documents.c.edition_id)
        .outerjoin(
            served,
            (served.c.doc_id == documents.c.doc_id)
            & served.c.edition_id.is_(None)
            & (served.c.sha256 == documents.c.sha256),
        )
        .where(editions.c.state != "leaving", served.c.doc_number.is_(None))
        .order_by(documents.c.doc_number)
    )
    found += [_copy_finding(row, "no document with these bytes is searched") for row in connection.execute(stray)]
    seen = set()
    rows = connection.execute(select(editions).order_by(editions.c.edition_id.desc())).all()
    for row in rows:
        part = (row.collection_id, row.state)
        if row.state not in ("building", "kept", "leaving") or (row.state != "leaving" and part in seen):
            message = f"generation {row.edition_id} is {row.state!r}, which it cannot be"
            fix = "it is thrown away; what is searched stays"
            found.append(Finding(code="edition-state", subject=str(row.edition_id), message=message, fix=fix))
        seen.add(part)
    return len(rows), found


def _wrong_text(connection: Connection, row: Row[Any]) -> tuple[str, str] | None:
    query = select(texts.c.block, texts.c.text).where(texts.c.doc_number == row.doc_number).order_by(texts.c.block)
    digest, n, blocks = hashlib.sha256(), 0, []
    for block, text in connection.execute(query):
        blocks.append(block)
        n += len(text)
        digest.update(text.encode("utf-8", "surrogatepass"))
    if blocks != list(range(-(-row.n_characters // TEXT_BLOCK))) or n != row.n_characters:
        return "text-damaged", f"{n:,} characters of text are stored, not {row.n_characters:,}"
    if row.text_sha256 is not None and digest.hexdigest() != row.text_sha256:
        return "text-damaged", "its text is not what was written"
    return None


def _wrong_chunks(connection: Connection, row: Row[Any]) -> tuple[str, str] | None:
    query = select(chunks).where(chunks.c.doc_number == row.doc_number).order_by(chunks.c.row_id)
    found = connection.execute(query).all()
    wanted = list(range(row.first_row, row.first_row + row.n_chunks)) if row.n_chunks else []
    if [c.row_id for c in found] != wanted:
        return "chunks-damaged", f"{len(found):,} passages are stored, not {row.n_chunks:,} in one run"
    for c in found:
        if not 0 <= c.start < c.end <= row.n_characters:
            return "chunks-damaged", f"passage {c.chunk_id} [{c.start}, {c.end}) is no slice of its text"
    if stray := _not_their_own_ids(row, found):
        return "chunks-damaged", f"the id of passage {stray} is not made of what is stored of it"
    return None


def _wrong_parents(connection: Connection, row: Row[Any]) -> tuple[str, str] | None:
    """What is read in place of passages: it is there, a slice of the text, around each that names it, and is named."""
    kept = connection.execute(select(parents).where(parents.c.doc_number == row.doc_number)).all()
    by_id = {p.parent_id: p for p in kept}
    named = set()
    query = select(chunks).where(chunks.c.doc_number == row.doc_number, chunks.c.parent_id.is_not(None))
    for c in connection.execute(query):
        parent = by_id.get(c.parent_id)
        if parent is None:
            return "chunks-damaged", f"passage {c.chunk_id} is read as part of {c.parent_id}, which is not stored"
        if not parent.start <= c.start < c.end <= parent.end:
            return (
                "chunks-damaged",
                f"passage {c.chunk_id} does not lie within {c.parent_id}, which is read in its place",
            )
        named.add(c.parent_id)
    for p in kept:
        if not 0 <= p.start < p.end <= row.n_characters:
            return "chunks-damaged", f"passage {p.parent_id} [{p.start}, {p.end}) is no slice of its text"
        if p.parent_id not in named:
            return "chunks-damaged", f"passage {p.parent_id} is read in place of none"
    return None


def _not_their_own_ids(row: Row[Any], found: Sequence[Row[Any]]) -> str | None:
    """A chunk whose id does not follow from its document, place and version, where the others' do."""
    # Chunkers put their own number into the id ("3"), other writers the whole version ("fixed3-200-40-parse2").
    short = _SHORT_VERSION.match(row.chunker_version)
    versions = [row.chunker_version, *([short.group(1)] if short else [])]
    for kind, version in product(_KINDS, versions):
        wrong = [
            c.chunk_id for c in found if c.chunk_id != chunk_id(row.doc_id, row.sha256, kind, c.start, c.end, version)
        ]
        if len(wrong) < len(found):
            return wrong[0] if wrong else None
    return None  # of a chunker that is not known here: nothing can be said


# ---------------------------------------------------------------- vectors


def audit_vectors(connection: Connection) -> tuple[int, list[Finding]]:
    """Every passage has its vector, of its encoder's dimension, finite, and of length 1.

    Returns:
        How many vectors there are, and what is wrong, one finding per document.
    """
    n, wrong = 0, dict.fromkeys(_without_vector(connection), "no vector")
    dims = _dimensions(connection)
    last = -1
    while True:
        query = select(vectors).where(vectors.c.row_id > last).order_by(vectors.c.row_id).limit(_VECTOR_BATCH)
        batch = connection.execute(query).all()
        n += len(batch)
        for revision, dim in dims.items():
            mine = [row for row in batch if row.encoder_revision == revision]
            wrong |= {row.row_id: "a vector of a wrong size" for row in mine if len(row.vector) != 4 * dim}
            mine = [row for row in mine if len(row.vector) == 4 * dim]
            wrong |= _wrong_values(mine, dim)
        if len(batch) < _VECTOR_BATCH:
            break
        last = batch[-1].row_id
    return n, _vector_findings(connection, wrong)


def _without_vector(connection: Connection) -> list[int]:
    query = select(chunks.c.row_id).outerjoin(vectors, vectors.c.row_id == chunks.c.row_id)
    return list(connection.scalars(query.where(vectors.c.row_id.is_(None))))


def _dimensions(connection: Connection) -> dict[str, int]:
    """Encoder revision → the dimension that most of its vectors have."""
    size = func.length(vectors.c.vector)
    query = select(vectors.c.encoder_revision, size, func.count()).group_by(vectors.c.encoder_revision, size)
    counts: dict[str, Counter[int]] = {}
    for revision, n_bytes, count in connection.execute(query):
        counts.setdefault(revision, Counter())[int(n_bytes)] = count
    return {revision: sizes.most_common(1)[0][0] // 4 for revision, sizes in counts.items()}


def _wrong_values(rows: Sequence[Row[Any]], dim: int) -> dict[int, str]:
    if not rows:
        return {}
    values = np.frombuffer(b"".join(row.vector for row in rows), dtype="<f4").reshape(len(rows), dim)
    with np.errstate(over="ignore", invalid="ignore"):
        norms = np.sqrt((values.astype(np.float64) ** 2).sum(axis=1))
        bad = ~np.isfinite(values).all(axis=1) | ~(np.abs(norms - 1) <= NORM_TOLERANCE)
    return {rows[i].row_id: f"a vector of length {norms[i]:.4g}, not 1" for i in np.flatnonzero(bad).tolist()}


def _vector_findings(connection: Connection, wrong: dict[int, str]) -> list[Finding]:
    by_document: dict[int, list[int]] = {}
    for start in range(0, len(wrong), _VECTOR_BATCH):
        some = list(wrong)[start : start + _VECTOR_BATCH]
        query = select(chunks.c.row_id, chunks.c.doc_number).where(chunks.c.row_id.in_(some))
        for row, number in connection.execute(query):
            by_document.setdefault(number, []).append(row)
    found = []
    for number, rows in sorted(by_document.items()):
        doc = connection.execute(select(documents).where(documents.c.doc_number == number)).one_or_none()
        if doc is None:
            raise StorageFailed(f"passages of document number {number} have no document")
        what = f"{len(rows):,} of its passages have wrong vectors (the first: {wrong[min(rows)]})"
        if doc.edition_id is not None:
            found.append(_copy_finding(doc, what))
            continue
        found.append(
            Finding(
                code="vectors-damaged",
                subject=doc.doc_id,
                message=f"{doc.uri!r} ({doc.doc_id}): {what}",
                fix=ENCODE_AGAIN,
            )
        )
    return found
