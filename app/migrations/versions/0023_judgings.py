"""Evaluations in which a language model judges the answers of another one (``app.eval_judging``, decision 0285)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("evals", sa.Column("judging", sa.JSON, nullable=True))


def downgrade() -> None:
    # As evaluations they would have nothing that they measure.
    op.execute("DELETE FROM evals WHERE judging IS NOT NULL")
    op.drop_column("evals", "judging")
