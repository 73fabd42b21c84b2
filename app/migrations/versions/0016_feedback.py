"""Thumbs on answers, and blind votes between two answers; declared in ``app.feedback`` and ``app.eval_tables``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("message_id", sa.String, sa.ForeignKey("messages.message_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("user_id", sa.String, sa.ForeignKey("users.user_id"), primary_key=True),
        sa.Column("good", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
    )
    op.create_table(
        "eval_votes",
        sa.Column("eval_id", sa.String, sa.ForeignKey("evals.eval_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("question_id", sa.String, primary_key=True),
        sa.Column("a", sa.Integer, primary_key=True),
        sa.Column("b", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.String, sa.ForeignKey("users.user_id"), primary_key=True),
        sa.Column("choice", sa.String, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
    )


def downgrade() -> None:
    for table in ("eval_votes", "feedback"):
        op.drop_table(table)
