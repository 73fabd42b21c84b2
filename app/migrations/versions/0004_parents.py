"""Passages that are read in place of the smaller ones that are found; declared in ``retrieval.tables``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "parents",
        sa.Column("parent_id", sa.String, primary_key=True),
        sa.Column("doc_number", sa.Integer, sa.ForeignKey("documents.doc_number", ondelete="CASCADE"), nullable=False),
        sa.Column("start", sa.Integer, nullable=False),
        sa.Column("end", sa.Integer, nullable=False),
        sa.Column("n_tokens", sa.Integer, nullable=False),
        sa.Column("page", sa.Integer),
        sa.Column("heading_path", sa.JSON, nullable=False),
    )
    op.create_index("parents_by_document", "parents", ["doc_number"])


def downgrade() -> None:
    op.drop_table("parents")
