"""From which confidence a collection's questions are answered; declared in ``app.calibrations``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calibrations",
        sa.Column(
            "collection_id",
            sa.Integer,
            sa.ForeignKey("collections.collection_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("strategy", sa.String, primary_key=True),
        sa.Column("encoder", sa.String, nullable=False),
        sa.Column("threshold", sa.Float, nullable=False),
        sa.Column("fitted", sa.JSON, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("calibrations")
