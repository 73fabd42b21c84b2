"""Token vectors of passages, by which searches are reranked, and which collections keep them; declared in ``retrieval.tables``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("collections", sa.Column("tokens", sa.Boolean, nullable=False, server_default=sa.text("1")))
    op.add_column("documents", sa.Column("token_revision", sa.String))
    op.create_table(
        "token_vectors",
        sa.Column(
            "row_id",
            sa.Integer,
            sa.ForeignKey("chunks.row_id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("revision", sa.String, nullable=False),
        sa.Column("packed", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("token_vectors")
    op.drop_column("documents", "token_revision")
    op.drop_column("collections", "tokens")
