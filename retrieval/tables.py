"""The tables that retrieval owns: what was read, how it was cut, who may see it, and what changed.

``chunks`` holds no text: a passage is a slice of its document, and a document's text lies in blocks of
``TEXT_BLOCK`` code points (``texts``) so that a slice reads one or two blocks however long the document is.
``documents.first_row`` and ``n_chunks`` say which rows are a document's: they are given in one piece.

Nothing here knows jobs, people or chats; ``owner_id`` and ``user_id`` are names that app/ gives a meaning.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from core.database import metadata

TEXT_BLOCK = 8192  # code points

collections = Table(
    "collections",
    metadata,
    Column("collection_id", Integer, primary_key=True, autoincrement=True),
    Column("name", String, nullable=False, unique=True),
    Column("owner_id", String, nullable=False),
    Column("created_at", String, nullable=False),  # ISO 8601, UTC, as every *_at
    Column("pipeline", JSON),  # how its documents are made, as settings; null until it is said: as the settings say
    Column("pii", String, nullable=False, server_default="off"),  # off | flag | redact: see ingest/pii.py
    Column("fusion", JSON),  # its own weights, and how they were fitted; null: as the settings say
    Column("late", Boolean, nullable=False, server_default=text("0")),  # whether it can be searched by late interaction
    Column("tokens", Boolean, nullable=False, server_default=text("1")),  # whether ``token_vectors`` are kept
    # What it belongs to: then it is listed nowhere and is its owner's alone; null: it stands by itself. See decision 0203.
    Column("attached_to", String),
    Index("collections_attached", "attached_to", unique=True),
    sqlite_autoincrement=True,
)

members = Table(
    "members",
    metadata,
    Column("collection_id", Integer, ForeignKey("collections.collection_id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("role", String, nullable=False),
    CheckConstraint("role IN ('reader', 'editor')", name="members_role"),
    Index("members_by_user", "user_id"),
)

# A collection's documents a second time, beside those that are searched: being made by another pipeline (``building``),
# or those that were searched before the switch (``kept``). At most one of each per collection; ``leaving`` ones are being
# thrown away. Of every document in the first two the same bytes are searched under the same ``doc_id``.
editions = Table(
    "editions",
    metadata,
    Column("edition_id", Integer, primary_key=True, autoincrement=True),
    Column("collection_id", Integer, ForeignKey("collections.collection_id", ondelete="CASCADE"), nullable=False),
    Column("state", String, nullable=False),  # building | kept | leaving
    Column("pipeline", JSON, nullable=False),  # as of ``collections``
    Column("chunker_version", String, nullable=False),  # that ``pipeline`` makes; "" where nobody asks
    Column("encoder_revision", String, nullable=False),
    Column("job_id", String),  # that builds it
    Column("created_at", String, nullable=False),
    Index("editions_by_collection", "collection_id", "state"),
    sqlite_autoincrement=True,
)

# Documents that an edition tried to make and has not made (yet).
edition_attempts = Table(
    "edition_attempts",
    metadata,
    Column("edition_id", Integer, ForeignKey("editions.edition_id", ondelete="CASCADE"), primary_key=True),
    Column("doc_id", String, primary_key=True),
    Column("sha256", String, nullable=False),  # other bytes are tried anew
    Column("attempts", Integer, nullable=False),
    Column("reason", String, nullable=False),  # why it is not tried any more; "" while it is
)

_SERVED = text("edition_id IS NULL")

documents = Table(
    "documents",
    metadata,
    # A replaced document gets a new number, so that what is said of a number never changes.
    Column("doc_number", Integer, primary_key=True, autoincrement=True),
    Column("doc_id", String, nullable=False),
    # Null: it is searched. Else it waits in this edition, seen by nobody.
    Column("edition_id", Integer, ForeignKey("editions.edition_id", ondelete="CASCADE")),
    Column("collection_id", Integer, ForeignKey("collections.collection_id", ondelete="CASCADE"), nullable=False),
    Column("uri", String, nullable=False),
    Column("title", String, nullable=False),
    Column("mime_type", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("size", Integer, nullable=False),  # bytes of the original
    Column("n_characters", Integer, nullable=False),
    Column("pages", JSON, nullable=False),  # [[number, start, end], …]
    Column("metadata", JSON, nullable=False),
    Column("encoder_revision", String, nullable=False),
    Column("chunker_version", String, nullable=False),
    Column("first_row", Integer, nullable=False),  # 0 where there are no chunks
    Column("n_chunks", Integer, nullable=False),
    Column("added_change", Integer, ForeignKey("changes.number"), nullable=False),
    Column("created_at", String, nullable=False),
    Column("token_revision", String),  # of the ``token_vectors`` that all its chunks have; null: some may lack them
    Index("documents_served", "doc_id", unique=True, sqlite_where=_SERVED, postgresql_where=_SERVED),
    Index("documents_by_edition", "edition_id", "doc_id", unique=True),
    Index("documents_by_collection", "collection_id", "doc_number"),
    Index("documents_by_change", "added_change"),
    Index("documents_by_sha256", "sha256"),
    sqlite_autoincrement=True,
)

texts = Table(
    "texts",
    metadata,
    Column("doc_number", Integer, ForeignKey("documents.doc_number", ondelete="CASCADE"), primary_key=True),
    Column("block", Integer, primary_key=True),  # holds code points [block · TEXT_BLOCK, (block + 1) · TEXT_BLOCK)
    Column("text", Text, nullable=False),
)

# SQLite notices a damaged page, not a flipped bit within a value. A document from before this table has no row.
fingerprints = Table(
    "fingerprints",
    metadata,
    Column("doc_number", Integer, ForeignKey("documents.doc_number", ondelete="CASCADE"), primary_key=True),
    Column("text_sha256", String, nullable=False),  # of the whole text in UTF-8
)

# By which near-duplicates are found; see ``retrieval.signature``. A document without a word, or from before, has none.
signatures = Table(
    "signatures",
    metadata,
    Column("doc_number", Integer, ForeignKey("documents.doc_number", ondelete="CASCADE"), primary_key=True),
    Column("signature", LargeBinary, nullable=False),  # uint32, little endian
)

# Near-duplicates have a key in common.
signature_bands = Table(
    "signature_bands",
    metadata,
    Column("doc_number", Integer, ForeignKey("documents.doc_number", ondelete="CASCADE"), primary_key=True),
    Column("key", BigInteger, primary_key=True),
    Index("signature_bands_by_key", "key", "doc_number"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("row_id", Integer, primary_key=True, autoincrement=True),
    Column("chunk_id", String, nullable=False),  # two editions of a document may cut the same chunk
    Column("doc_number", Integer, ForeignKey("documents.doc_number", ondelete="CASCADE"), nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("n_tokens", Integer, nullable=False),
    Column("page", Integer),
    Column("heading_path", JSON, nullable=False),  # [heading, …], outermost first
    Column("parent_id", String),  # of ``parents``; null where the chunk itself is read
    Index("chunks_by_document", "doc_number"),
    sqlite_autoincrement=True,  # a row id is never given twice: indexes may still know a deleted one
)

# Passages that are read where one of their children (``chunks.parent_id``) is found. They are no chunks: no index
# knows them and they are not counted.
# What people have tagged a document with. By its id, which stays when its bytes are replaced and when it is made anew.
document_tags = Table(
    "document_tags",
    metadata,
    Column("collection_id", Integer, ForeignKey("collections.collection_id", ondelete="CASCADE"), nullable=False),
    Column("doc_id", String, primary_key=True),
    Column("tag", String, primary_key=True),
    Index("document_tags_by_tag", "tag"),
)

parents = Table(
    "parents",
    metadata,
    Column("doc_number", Integer, ForeignKey("documents.doc_number", ondelete="CASCADE"), primary_key=True),
    Column("parent_id", String, primary_key=True),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("n_tokens", Integer, nullable=False),
    Column("page", Integer),
    Column("heading_path", JSON, nullable=False),
)

vectors = Table(
    "vectors",
    metadata,
    Column("row_id", Integer, ForeignKey("chunks.row_id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("encoder_revision", String, nullable=False),
    Column("vector", LargeBinary, nullable=False),  # float32, little endian
)

# By which what was found is reranked. They can be made anew from the text, which takes as long as encoding it.
token_vectors = Table(
    "token_vectors",
    metadata,
    Column("row_id", Integer, ForeignKey("chunks.row_id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("revision", String, nullable=False),  # of the encoder, and of the form
    Column("packed", LargeBinary, nullable=False),  # see ``retrieval.late.packed``
    Column("checksum", BigInteger),  # see ``retrieval.token_rows.checksum``
)

changes = Table(
    "changes",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),  # put | delete-document | delete-collection | switch | weights | tags
    Column("subject", String, nullable=False),
    Column("at", String, nullable=False),
    sqlite_autoincrement=True,
)

# Which rows a change took away, until every open index has let go of them.
removals = Table(
    "removals",
    metadata,
    Column("change", Integer, ForeignKey("changes.number"), primary_key=True),
    Column("first_row", Integer, primary_key=True),
    Column("n_rows", Integer, nullable=False),
)

index_manifests = Table(
    "index_manifests",
    metadata,
    Column("kind", String, primary_key=True),  # dense | sparse | late
    Column("generation", Integer, primary_key=True),
    Column("name", String, nullable=False),  # of the file or folder under indexes/
    Column("sha256", String, nullable=False),  # "" for a folder, whose files carry their own checksums
    Column("size", Integer, nullable=False),
    Column("revision", String, nullable=False),  # of the encoder, or of the text analysis
    Column("covers_change", Integer, nullable=False),
    Column("n_rows", Integer, nullable=False),
    Column("created_at", String, nullable=False),
)
