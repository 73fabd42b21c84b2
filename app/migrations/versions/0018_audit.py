"""Who did what, when, to what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("entry_id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("user_id", sa.String, nullable=True),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("by", sa.String, nullable=False),
        sa.Column("address", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_by_user", "audit", ["user_id"])


def downgrade() -> None:
    op.drop_table("audit")
