"""A job: what happens to one uploaded file, or to a collection that is indexed anew, from the queue to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

JobState: TypeAlias = Literal["queued", "parsing", "encoding", "indexing", "ready", "partial", "failed", "cancelled"]
WorkingState: TypeAlias = Literal["parsing", "encoding", "indexing"]
FinalState: TypeAlias = Literal["ready", "partial", "failed", "cancelled"]

# What a waiting job waits for: a worker, a worker before other files (members of an archive that has been opened, so that
# one archive is finished before the next is opened), or to be fetched from the web.
Lane: TypeAlias = Literal["files", "members", "urls"]

STATES: tuple[JobState, ...] = get_args(JobState)
WORKING_STATES: tuple[WorkingState, ...] = get_args(WorkingState)
FINAL_STATES: tuple[FinalState, ...] = get_args(FinalState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One file's way. ``ready`` is searchable; ``partial`` is, too, but ``reason`` says what could not be read.

    Times are UTC as ``core.clock`` writes them. ``progress`` is in [0, 1], of the whole job.
    """

    job_id: str
    collection: str
    file: str  # what the person called it
    uri: str  # names the document within its collection
    sha256: str
    size: int  # bytes
    owner_id: str
    chunker: str
    state: JobState
    reason: str = ""  # why it failed, was cancelled or is partial
    doc_id: str | None = None
    pages: int = 0
    chunks: int = 0
    seconds: float = 0.0  # of work on it, waiting not counted
    progress: float = 0.0
    attempts: int = 0  # how often work on it began
    cancel_requested: bool = False
    warnings: tuple[str, ...] = ()
    created_at: str
    updated_at: str
    kind: Literal["ingest", "reindex"] = "ingest"
    lane: Lane = "files"
    paused: bool = False
    parent_id: str | None = None  # the job of the archive or sitemap that this came out of
    # Where it came from, and what it became, as JSON: ``url`` with ``etag`` and ``last_modified``; ``archive`` (the uri of
    # the archive) of a member; ``container`` ("archive" or "sitemap") with ``skipped`` and ``notes`` of what was opened.
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_container(self) -> bool:
        """Whether it has been opened and stands for the jobs that came out of it: it has no document of its own."""
        return "container" in self.origin


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """A change of a job. ``seq`` grows over all jobs, so it can be the id of a server-sent event."""

    seq: int
    job_id: str
    state: JobState
    progress: float
    reason: str
    at: str
