"""How a collection's lists are fused, where it was fitted for that collection; declared in ``retrieval.tables``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("collections", sa.Column("fusion", sa.JSON))


def downgrade() -> None:
    op.drop_column("collections", "fusion")
