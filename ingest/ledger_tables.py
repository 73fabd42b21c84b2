"""The tables of the ledger. Only ``ingest.ledger`` and the modules beside it write SQL on them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, false

from core.database import metadata

jobs = Table(
    "jobs",
    metadata,
    Column("job_number", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String, nullable=False, unique=True),
    Column("owner_id", String, nullable=False),
    Column("collection", String, nullable=False),
    Column("file", String, nullable=False),
    Column("uri", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("chunker", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("doc_id", String),
    Column("pages", Integer, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("progress", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("warnings", String, nullable=False),  # JSON list of sentences
    Column("worker_id", String),
    Column("claimed_at", Float),  # seconds of the clock; the order in which owners are served
    Column("lease_until", Float),  # seconds of the clock; past it the worker counts as dead
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
    Column("kind", String, nullable=False, server_default="ingest"),  # or "reindex": see ``ingest.ledger_reindex``
    Column("lane", String, nullable=False, server_default="files"),  # what it waits for: see ``ingest.job.Lane``
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("parent_id", String),  # the job_id of the archive or sitemap that it came out of
    Column("origin", String, nullable=False, server_default="{}"),  # JSON object: see ``ingest.job.Job``
    Index("jobs_by_state", "state", "owner_id", "job_number"),
    Index("jobs_by_owner", "owner_id", "claimed_at"),
    Index("jobs_by_collection", "collection", "state"),
    Index("jobs_by_sha256", "sha256"),
    Index("jobs_waiting", "state", "paused", "lane", "owner_id", "job_number"),
    Index("jobs_by_parent", "parent_id", "state"),
    # Lists, newest first, and counts by state: ten thousand jobs are neither sorted nor read for them.
    Index("jobs_listed", "owner_id", "job_number"),
    Index("jobs_listed_by_collection", "owner_id", "collection", "job_number"),
    Index("jobs_counted", "owner_id", "collection", "state"),
    sqlite_autoincrement=True,
)
job_events = Table(
    "job_events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String, ForeignKey("jobs.job_id", ondelete="CASCADE"), nullable=False),
    Column("state", String, nullable=False),
    Column("progress", Float, nullable=False),
    Column("reason", String, nullable=False),
    Column("at", String, nullable=False),
    Index("job_events_by_job", "job_id", "seq"),
    sqlite_autoincrement=True,
)
# What is added to such a collection is paused from the first.
paused_collections = Table("paused_collections", metadata, Column("collection", String, primary_key=True))
