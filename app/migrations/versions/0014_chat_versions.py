"""Versions of questions and answers; declared in ``app.chat_tables``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("parent_id", sa.String))
    op.add_column("chats", sa.Column("leaf_id", sa.String))
    # Until now a conversation was a line: each message follows the one before it, and the last is the one shown.
    op.execute(
        "UPDATE messages SET parent_id = (SELECT b.message_id FROM messages AS b WHERE b.chat_id = messages.chat_id "
        "AND b.sequence < messages.sequence ORDER BY b.sequence DESC LIMIT 1)"
    )
    op.execute(
        "UPDATE chats SET leaf_id = (SELECT m.message_id FROM messages AS m WHERE m.chat_id = chats.chat_id "
        "ORDER BY m.sequence DESC LIMIT 1)"
    )


def downgrade() -> None:
    op.drop_column("chats", "leaf_id")
    op.drop_column("messages", "parent_id")
