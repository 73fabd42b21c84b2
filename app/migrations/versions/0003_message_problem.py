"""Why an answer broke off, beside what had been said of it; declared in ``app.chats``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("problem", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("messages", "problem")
