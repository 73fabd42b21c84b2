"""Which tokens are of one session (``app.people``): it ends under all of them, decision 0317."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("session_id", sa.String, nullable=False, server_default=""))
    # Of those of before nobody knows; an old token of theirs holds for a minute more.
    op.execute("UPDATE sessions SET session_id = token_hash")


def downgrade() -> None:
    op.drop_column("sessions", "session_id")
