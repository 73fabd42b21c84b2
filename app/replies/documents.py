"""Collections, their documents and the jobs that bring them."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from core.types import PiiMode

JobState = Literal["queued", "parsing", "encoding", "indexing", "ready", "partial", "failed", "cancelled"]
ACTIVE_STATES: frozenset[JobState] = frozenset({"queued", "parsing", "encoding", "indexing"})


class Collection(TypedDict):
    name: str
    documents: int
    chunks: int
    created_at: str
    role: NotRequired[Literal["owner", "editor", "reader"]]  # what the asking person is in it
    pipeline: NotRequired[dict[str, Any] | None]  # how its documents are made; None: as the settings say
    previous: NotRequired[dict[str, Any] | None]  # how they were made before the last reindex; None: no way back
    pii: NotRequired[PiiMode]
    fusion: NotRequired[dict[str, Any] | None]  # its own weights and how they were fitted; None: as the settings say
    late: NotRequired[bool]  # whether it can be searched by late interaction
    tokens: NotRequired[bool]  # whether token vectors are kept, by which searches are reranked
    with_tokens: NotRequired[int]  # passages that have them
    etag: NotRequired[str]  # of its settings, for If-Match


class ChangedCollection(TypedDict):
    """``unlike`` counts the documents that were added under another setting and stay as they are."""

    name: str
    pii: PiiMode
    late: bool
    tokens: bool
    unlike: int
    etag: str


class Pii(TypedDict):
    """How many of each were found in a text, or taken out of it."""

    mode: PiiMode
    email: int
    phone: int
    iban: int
    name: NotRequired[int]  # only where a model looked for people's names


class Heading(TypedDict):
    level: int
    text: str
    start: int
    page: int | None


class Facts(TypedDict):
    """What a document says of itself; ``language`` is an ISO 639-1 code."""

    language: str | None
    title: str
    authors: list[str]
    created: str | None
    modified: str | None
    outline: list[Heading]
    pii: Pii | None
    metadata: dict[str, Any]


class NearDuplicate(TypedDict):
    doc_id: str
    collection: str
    title: str
    uri: str
    similarity: float


class Job(TypedDict):
    job_id: str
    collection: str
    file: str
    state: JobState
    reason: str | None
    doc_id: str | None
    pages: int | None
    chunks: int | None
    seconds: float | None
    progress: float  # 0 to 1
    created_at: str
    warnings: list[str]
    paused: NotRequired[bool]
    parent_id: NotRequired[str | None]  # the archive or sitemap that it came out of
    url: NotRequired[str | None]
    container: NotRequired[str | None]  # "archive" or "sitemap": its parts are the jobs with this parent
    skipped: NotRequired[list[list[str]]]  # (name, reason) of what got no job
    kind: NotRequired[Literal["ingest", "reindex"]]
    gone: NotRequired[bool]  # in a list: its document has been deleted since
    remaining_s: NotRequired[float | None]  # of a reindex: how long it will still take, once that can be said


class ReindexEstimate(TypedDict):
    changes: dict[str, dict[str, Any]]  # setting → "is", "would_be"
    documents: int
    again: int  # of them, those that would be read again
    characters: int
    chunks: int
    seconds: float | None


class JobPage(TypedDict):
    jobs: list[Job]
    next_cursor: str | None
    counts: dict[JobState, int]


class Span(TypedDict):
    number: int  # 1-based
    start: int
    end: int


class Purged(TypedDict):
    """What was changed where, and where the document may still be."""

    purged: str
    deleted_before: bool
    chats: int
    messages: int
    traces: int
    jobs: int
    original: str
    remains: list[str]


class Document(TypedDict):
    """``page_spans``, ``figures``, ``authors``, dates and ``outline`` come with one document, not with a list of them."""

    doc_id: str
    title: str
    uri: str
    mime_type: str
    size: int
    pages: int
    chunks: int
    created_at: str
    warnings: list[str]
    sha256: NotRequired[str]
    collection: NotRequired[str]
    figures: NotRequired[list[dict[str, Any]]]  # label, caption, page, start, end, image (a path of the API)
    metadata: NotRequired[dict[str, Any]]
    page_spans: NotRequired[list[Span]]
    language: NotRequired[str | None]
    pii: NotRequired[Pii | None]
    near_duplicates: NotRequired[int]
    tags: NotRequired[list[str]]  # all of them
    given_tags: NotRequired[list[str]]  # by people
    authors: NotRequired[list[str]]
    created: NotRequired[str | None]
    modified: NotRequired[str | None]
    outline: NotRequired[list[Heading]]


class DocumentPage(TypedDict):
    documents: list[Document]
    next_cursor: str | None


class ChunkInfo(TypedDict):
    chunk_id: str
    text: str
    start: int
    end: int
    n_tokens: int
    page: int | None
    heading_path: list[str]
    parent_id: NotRequired[str | None]  # what is read in its place


class ChunkPage(TypedDict):
    """``parents`` are those that the chunks name."""

    chunks: list[ChunkInfo]
    parents: list[ChunkInfo]
    offset: int
    total: int


class Preview(Facts):
    """What would become of a file. ``chunks`` are the first of ``total``."""

    file: str
    size: int
    chunker: str
    chunk_tokens: int
    overlap_tokens: int
    mime_type: str
    characters: int
    pages: int
    warnings: list[str]
    partial: bool
    total: int
    total_parents: int
    tokens: dict[str, int]  # word pieces per chunk: min, median, max, sum
    chunks: list[ChunkInfo]
    parents: list[ChunkInfo]
