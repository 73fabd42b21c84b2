"""Tags that people give to documents (``retrieval.tags``, decision 0232)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "document_tags",
        sa.Column(
            "collection_id",
            sa.Integer,
            sa.ForeignKey("collections.collection_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("doc_id", sa.String, primary_key=True),
        sa.Column("tag", sa.String, primary_key=True),
    )
    op.create_index("document_tags_by_tag", "document_tags", ["tag"])


def downgrade() -> None:
    op.drop_index("document_tags_by_tag", "document_tags")
    op.drop_table("document_tags")
