"""What each document's text was when it was written, so that a flipped bit is noticed; declared in ``retrieval.tables``.

Documents from before have no fingerprint until they are ingested again; they are checked in their structure only.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fingerprints",
        sa.Column(
            "doc_number", sa.Integer, sa.ForeignKey("documents.doc_number", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("text_sha256", sa.String, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("fingerprints")
