"""Collections that belong to something else (``retrieval.tables``), and runs that are found without reading them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("collections", sa.Column("attached_to", sa.String, nullable=True))
    op.create_index("collections_attached", "collections", ["attached_to"], unique=True)
    op.create_index("traces_of_a_person", "traces", ["user_id", "created_at", "run_id", "strategy"])
    op.create_index("ix_messages_run_id", "messages", ["run_id"])


def downgrade() -> None:
    op.drop_index("ix_messages_run_id", "messages")
    op.drop_index("traces_of_a_person", "traces")
    op.drop_index("collections_attached", "collections")
    op.drop_column("collections", "attached_to")
