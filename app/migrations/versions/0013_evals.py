"""Questions with known answers, evaluations on them, and what they measured; declared in ``app.eval_tables``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    collection = sa.ForeignKey("collections.collection_id", ondelete="CASCADE")
    op.create_table(
        "eval_sets",
        sa.Column("set_id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, sa.ForeignKey("users.user_id"), nullable=False, index=True),
        sa.Column("collection_id", sa.Integer, collection, nullable=False, index=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("origin", sa.JSON, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
    )
    in_set = sa.ForeignKey("eval_sets.set_id", ondelete="CASCADE")
    op.create_table(
        "eval_questions",
        sa.Column("question_id", sa.String, primary_key=True),
        sa.Column("set_id", sa.String, in_set, nullable=False, index=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("answers", sa.JSON, nullable=False),
        sa.Column("answerable", sa.Boolean, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("split", sa.String, nullable=False),
        sa.Column("gold", sa.JSON, nullable=False),
        sa.Column("approved", sa.Boolean),
    )
    op.create_table(
        "evals",
        sa.Column("eval_id", sa.String, primary_key=True),
        sa.Column("user_id", sa.String, sa.ForeignKey("users.user_id"), nullable=False, index=True),
        sa.Column(
            "set_id", sa.String, sa.ForeignKey("eval_sets.set_id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("configurations", sa.JSON, nullable=False),
        sa.Column("questions", sa.JSON, nullable=False),
        sa.Column("questions_sha256", sa.String, nullable=False),
        sa.Column("result_keys", sa.JSON, nullable=False),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("done", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("reused", sa.Integer, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("ended_at", sa.String),
    )
    op.create_table(
        "eval_results",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column(
            "collection_id",
            sa.Integer,
            sa.ForeignKey("collections.collection_id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("rows", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
    )


def downgrade() -> None:
    for table in ("eval_results", "evals", "eval_questions", "eval_sets"):
        op.drop_table(table)
