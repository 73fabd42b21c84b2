"""Keys under which a request is sent again without making anything again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.String, sa.ForeignKey("users.user_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("request", sa.String, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("parts", sa.Integer, nullable=True),
    )
    op.create_index("idempotency_keys_by_time", "idempotency_keys", ["created_at"])
    op.create_table(
        "idempotency_parts",
        sa.Column("user_id", sa.String, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("content", sa.String, nullable=False),
        sa.Column("job_id", sa.String, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id", "key"], ["idempotency_keys.user_id", "idempotency_keys.key"], ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("idempotency_parts")
    op.drop_table("idempotency_keys")
