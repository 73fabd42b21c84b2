"""Editions: a collection's documents a second time, as another pipeline makes them; declared in ``retrieval.tables``.

One document may now be stored once per edition, so its id, its chunks' ids and its parents' ids name it no longer alone.
SQLite cannot drop a UNIQUE of a table: the three tables are copied, with the numbers that they have given away. That is
safe only because ``core.database.migrate`` holds foreign keys off meanwhile: a table that is dropped empties itself first,
and what refers to it would go with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("collections", sa.Column("pipeline", sa.JSON))
    op.create_table(
        "editions",
        sa.Column("edition_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column(
            "collection_id", sa.Integer, sa.ForeignKey("collections.collection_id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("pipeline", sa.JSON, nullable=False),
        sa.Column("chunker_version", sa.String, nullable=False),
        sa.Column("encoder_revision", sa.String, nullable=False),
        sa.Column("job_id", sa.String),
        sa.Column("created_at", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("editions_by_collection", "editions", ["collection_id", "state"])
    op.create_table(
        "edition_attempts",
        sa.Column("edition_id", sa.Integer, sa.ForeignKey("editions.edition_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("doc_id", sa.String, primary_key=True),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
    )
    op.add_column("jobs", sa.Column("kind", sa.String, nullable=False, server_default="ingest"))
    _documents()
    _chunks()
    _parents()


def downgrade() -> None:
    raise NotImplementedError("restore a backup from before: documents may be stored more than once now")


def _documents() -> None:
    op.create_table(
        "documents_new",
        sa.Column("doc_number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("doc_id", sa.String, nullable=False),
        sa.Column("edition_id", sa.Integer, sa.ForeignKey("editions.edition_id", ondelete="CASCADE")),
        sa.Column(
            "collection_id", sa.Integer, sa.ForeignKey("collections.collection_id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("uri", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("mime_type", sa.String, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("n_characters", sa.Integer, nullable=False),
        sa.Column("pages", sa.JSON, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("encoder_revision", sa.String, nullable=False),
        sa.Column("chunker_version", sa.String, nullable=False),
        sa.Column("first_row", sa.Integer, nullable=False),
        sa.Column("n_chunks", sa.Integer, nullable=False),
        sa.Column("added_change", sa.Integer, sa.ForeignKey("changes.number"), nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    _copy(
        "documents",
        "doc_number, doc_id, collection_id, uri, title, mime_type, sha256, size, n_characters, pages, metadata,"
        " encoder_revision, chunker_version, first_row, n_chunks, added_change, created_at",
        numbered=True,
    )
    served = sa.text("edition_id IS NULL")
    op.create_index("documents_served", "documents", ["doc_id"], unique=True, sqlite_where=served)
    op.create_index("documents_by_edition", "documents", ["edition_id", "doc_id"], unique=True)
    op.create_index("documents_by_collection", "documents", ["collection_id", "doc_number"])
    op.create_index("documents_by_change", "documents", ["added_change"])
    op.create_index("documents_by_sha256", "documents", ["sha256"])


def _chunks() -> None:
    op.create_table(
        "chunks_new",
        sa.Column("row_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("chunk_id", sa.String, nullable=False),
        sa.Column("doc_number", sa.Integer, sa.ForeignKey("documents.doc_number", ondelete="CASCADE"), nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("n_tokens", sa.Integer, nullable=False),
        sa.Column("page", sa.Integer),
        sa.Column("heading_path", sa.JSON, nullable=False),
        sa.Column("parent_id", sa.String),
        sqlite_autoincrement=True,
    )
    _copy(
        "chunks", 'row_id, chunk_id, doc_number, start, "end", n_tokens, page, heading_path, parent_id', numbered=True
    )
    op.create_index("chunks_by_document", "chunks", ["doc_number"])


def _parents() -> None:
    op.create_table(
        "parents_new",
        sa.Column(
            "doc_number", sa.Integer, sa.ForeignKey("documents.doc_number", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("parent_id", sa.String, primary_key=True),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("n_tokens", sa.Integer, nullable=False),
        sa.Column("page", sa.Integer),
        sa.Column("heading_path", sa.JSON, nullable=False),
    )
    _copy("parents", 'doc_number, parent_id, start, "end", n_tokens, page, heading_path', numbered=False)


def _copy(table: str, columns: str, *, numbered: bool) -> None:
    """Everything into ``<table>_new``, which then takes its place; numbers that were given stay given."""
    op.execute(f"INSERT INTO {table}_new ({columns}) SELECT {columns} FROM {table}")
    if numbered:
        op.execute(f"DELETE FROM sqlite_sequence WHERE name = '{table}_new'")
        op.execute(
            "INSERT INTO sqlite_sequence (name, seq)"
            f" SELECT '{table}_new', seq FROM sqlite_sequence WHERE name = '{table}'"
        )
    op.drop_table(table)
    op.rename_table(f"{table}_new", table)
