"""Conversations that others read, and what their answers were looked for in (``app.chat_tables``).

Of conversations that have messages already nobody knows the second, so that they cannot be shared: decision 0225.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chats", sa.Column("shared_at", sa.String, nullable=True))
    op.add_column("chats", sa.Column("searched_known", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute("UPDATE chats SET searched_known = TRUE WHERE chat_id NOT IN (SELECT chat_id FROM messages)")
    op.create_table(
        "chat_searched",
        sa.Column("chat_id", sa.String, sa.ForeignKey("chats.chat_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("collection_id", sa.Integer, primary_key=True, autoincrement=False),
    )


def downgrade() -> None:
    op.drop_table("chat_searched")
    op.drop_column("chats", "searched_known")
    op.drop_column("chats", "shared_at")
