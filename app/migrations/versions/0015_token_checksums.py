"""What was written of each passage's token vectors, so that other bytes are noticed; declared in ``retrieval.tables``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from retrieval.token_rows import checksum

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_AT_ONCE = 512  # rows of some 13 kB


def upgrade() -> None:
    """Takes what is there as it is: about a second for 10,000 passages."""
    op.add_column("token_vectors", sa.Column("checksum", sa.BigInteger))
    rows = sa.table(
        "token_vectors", sa.column("row_id"), sa.column("revision"), sa.column("packed"), sa.column("checksum")
    )
    connection = op.get_bind()
    change = sa.update(rows).where(rows.c.row_id == sa.bindparam("row")).values(checksum=sa.bindparam("sum"))
    last = -1
    while True:
        query = sa.select(rows.c.row_id, rows.c.revision, rows.c.packed).where(rows.c.row_id > last)
        batch = connection.execute(query.order_by(rows.c.row_id).limit(_AT_ONCE)).all()
        if batch:
            last = batch[-1].row_id
            sums = [{"row": r.row_id, "sum": checksum(r.row_id, r.revision, r.packed)} for r in batch]
            connection.execute(change, sums)
        if len(batch) < _AT_ONCE:
            return


def downgrade() -> None:
    op.drop_column("token_vectors", "checksum")
