"""Jobs that stand for many (archives, sitemaps), that wait for a fetch, or that are paused; declared in ``ingest.ledger_tables``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("lane", sa.String, nullable=False, server_default="files"))
    op.add_column("jobs", sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("jobs", sa.Column("parent_id", sa.String))
    op.add_column("jobs", sa.Column("origin", sa.String, nullable=False, server_default="{}"))
    op.create_index("jobs_waiting", "jobs", ["state", "paused", "lane", "owner_id", "job_number"])
    op.create_index("jobs_by_parent", "jobs", ["parent_id", "state"])
    op.create_index("jobs_listed", "jobs", ["owner_id", "job_number"])
    op.create_index("jobs_listed_by_collection", "jobs", ["owner_id", "collection", "job_number"])
    op.create_index("jobs_counted", "jobs", ["owner_id", "collection", "state"])
    op.create_table("paused_collections", sa.Column("collection", sa.String, primary_key=True))


def downgrade() -> None:
    op.drop_table("paused_collections")
    for name in ("jobs_counted", "jobs_listed_by_collection", "jobs_listed"):
        op.drop_index(name, "jobs")
    op.drop_index("jobs_by_parent", "jobs")
    op.drop_index("jobs_waiting", "jobs")
    for name in ("origin", "parent_id", "paused", "lane"):
        op.drop_column("jobs", name)
