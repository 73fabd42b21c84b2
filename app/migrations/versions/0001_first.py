"""The first schema: people, what was ingested, chats and traces, and the one local user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from core.clock import now_iso

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _people()
    _ingested()
    _indexes()
    _conversations()


def downgrade() -> None:
    # fmt: off
    for name in ["traces", "messages", "chats", "index_manifests", "removals", "vectors", "chunks", "texts", "documents",
                 "changes", "members", "collections", "users"]:
        op.drop_table(name)
    # fmt: on


def _people() -> None:
    users = op.create_table(
        "users",
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("is_admin", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
    )
    # The one person of an installation without identities; every table that names an owner may point at it.
    op.bulk_insert(users, [{"user_id": "local", "name": "Local user", "is_admin": False, "created_at": now_iso()}])


def _ingested() -> None:
    op.create_table(
        "collections",
        sa.Column("collection_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("owner_id", sa.String, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "members",
        sa.Column(
            "collection_id",
            sa.Integer,
            sa.ForeignKey("collections.collection_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("role", sa.String, nullable=False),
        sa.CheckConstraint("role IN ('reader', 'editor')", name="members_role"),
    )
    op.create_index("members_by_user", "members", ["user_id"])
    op.create_table(
        "changes",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "documents",
        sa.Column("doc_number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("doc_id", sa.String, nullable=False, unique=True),
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
    op.create_index("documents_by_collection", "documents", ["collection_id", "doc_number"])
    op.create_index("documents_by_change", "documents", ["added_change"])
    op.create_index("documents_by_sha256", "documents", ["sha256"])
    op.create_table(
        "texts",
        sa.Column(
            "doc_number", sa.Integer, sa.ForeignKey("documents.doc_number", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("block", sa.Integer, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "chunks",
        sa.Column("row_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("chunk_id", sa.String, nullable=False, unique=True),
        sa.Column("doc_number", sa.Integer, sa.ForeignKey("documents.doc_number", ondelete="CASCADE"), nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("n_tokens", sa.Integer, nullable=False),
        sa.Column("page", sa.Integer),
        sa.Column("heading_path", sa.JSON, nullable=False),
        sa.Column("parent_id", sa.String),
        sqlite_autoincrement=True,
    )
    op.create_index("chunks_by_document", "chunks", ["doc_number"])
    op.create_table(
        "vectors",
        sa.Column(
            "row_id",
            sa.Integer,
            sa.ForeignKey("chunks.row_id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("encoder_revision", sa.String, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
    )


def _indexes() -> None:
    op.create_table(
        "removals",
        sa.Column("change", sa.Integer, sa.ForeignKey("changes.number"), primary_key=True),
        sa.Column("first_row", sa.Integer, primary_key=True),
        sa.Column("n_rows", sa.Integer, nullable=False),
    )
    op.create_table(
        "index_manifests",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("revision", sa.String, nullable=False),
        sa.Column("covers_change", sa.Integer, nullable=False),
        sa.Column("n_rows", sa.Integer, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
    )


def _conversations() -> None:
    op.create_table(
        "chats",
        sa.Column("chat_id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, sa.ForeignKey("users.user_id"), nullable=False, index=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("collections", sa.JSON, nullable=False),
        sa.Column("strategy", sa.String, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("updated_at", sa.String, nullable=False),
    )
    op.create_table(
        "messages",
        sa.Column("message_id", sa.String, primary_key=True),
        sa.Column("chat_id", sa.String, sa.ForeignKey("chats.chat_id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("answer", sa.JSON(none_as_null=True)),
        sa.Column("partial", sa.Boolean, nullable=False),
        sa.Column("run_id", sa.String),
        sa.Column("created_at", sa.String, nullable=False),
    )
    op.create_table(
        "traces",
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, sa.ForeignKey("users.user_id"), nullable=False, index=True),
        sa.Column("strategy", sa.String, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("stop_reason", sa.String, nullable=False),
        sa.Column("trace", sa.JSON, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
    )
