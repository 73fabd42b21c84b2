"""By what near-duplicates are found, and what a collection does about personal data; declared in ``retrieval.tables``.

Documents from before have no signature until they are ingested again: they are nobody's near-duplicates until then.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("collections", sa.Column("pii", sa.String, nullable=False, server_default="off"))
    op.create_table("signatures", _document(), sa.Column("signature", sa.LargeBinary, nullable=False))
    op.create_table(
        "signature_bands",
        _document(),
        sa.Column("key", sa.BigInteger, primary_key=True),
    )
    op.create_index("signature_bands_by_key", "signature_bands", ["key", "doc_number"])


def _document() -> sa.Column[int]:
    return sa.Column(
        "doc_number", sa.Integer, sa.ForeignKey("documents.doc_number", ondelete="CASCADE"), primary_key=True
    )


def downgrade() -> None:
    op.drop_table("signature_bands")
    op.drop_table("signatures")
    op.drop_column("collections", "pii")
