"""What the store hands out beside the shared vocabulary: summaries of what it holds, and what a write changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.types import Chunk, Metadata, PageSpan, PiiMode

Role = Literal["owner", "editor", "reader"]
ChangeKind = Literal["put", "delete-document", "delete-collection", "switch", "weights", "tags", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """``role`` is what the asking person is in this collection; an administrator counts as owner.

    ``pii`` is what is done about personal data in what is added from now on; ``late`` whether
    it can be searched by late interaction; ``tokens`` whether token vectors are kept, by which searches are reranked.
    """

    collection_id: int
    name: str
    documents: int
    chunks: int
    created_at: str  # ISO 8601, UTC
    owner_id: str
    role: Role
    pipeline: Mapping[str, Any] | None = None  # how its documents are made; None: as the settings say
    pii: PiiMode = "off"
    fusion: Mapping[str, Any] | None = (
        None  # its own weights, as ``retrieval.fusion_weights``; None: as the settings say
    )
    late: bool = False
    tokens: bool = True
    with_tokens: int = 0  # passages that have token vectors
    attached_to: str | None = None  # what it belongs to; None: it stands by itself
    previous: Mapping[str, Any] | None = None  # how they were made before the last reindex, if that can be gone back to


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentInfo:
    """A document without its text."""

    doc_id: str
    collection: str
    uri: str
    title: str
    mime_type: str
    sha256: str
    size: int  # bytes of the original; 0 if it is not stored
    characters: int
    pages: int
    chunks: int
    encoder_revision: str
    chunker_version: str
    created_at: str
    metadata: Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one write transaction did to the rows. Hand it to ``SearchEngine.publish`` after COMMIT.

    Attributes:
        number: the state of the database that has it; for a no-op (``kind`` "none") the state it was found in.
        added_rows: the new chunks' rows.
        removed: the rows that are gone, in runs.
        freed_originals: files that this change let go of; they are removed after COMMIT if nobody else needs them.
    """

    number: int
    kind: ChangeKind
    added_rows: range = field(default_factory=lambda: range(0))
    removed: tuple[range, ...] = ()
    freed_originals: tuple[str, ...] = ()

    @property
    def is_noop(self) -> bool:
        return self.kind == "none"

    @property
    def removed_rows(self) -> list[int]:
        return [row for run in self.removed for row in run]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A chunk with what is shown beside it. ``parent`` is what is read in its place; ``pages`` are those that what is
    read touches."""

    chunk: Chunk
    title: str
    collection: str
    doc_number: int
    parent: Chunk | None = None
    pages: tuple[PageSpan, ...] = ()
    uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStatus:
    """What is searched just now.

    Attributes:
        change: the newest visible change of the database.
        rows: visible passages.
        sparse_kind: "tantivy", "rank-bm25", "reference", or "rebuilding".
        dense_kind: "exact" or "hnsw".
        dense_delta: passages that wait for the next HNSW generation and are searched exactly meanwhile.
        stale_rows: passages whose vectors are another encoder's: found by their terms only, until ingested again. What
            differs in precision alone is not among them.
        late_rows: passages in the index of late interaction.
        late_lacking: passages that are still to be read into it.
        token_rows: passages that have token vectors, by which searches are reranked.
        token_lacking: passages that are to have some and have none yet.
        rebuilding: which indexes are being built in the background.
        problems: what was found wrong since the start, and what was done about it; and that there are stale rows.
    """

    change: int
    rows: int
    sparse_kind: str
    dense_kind: str
    dense_delta: int
    stale_rows: int
    encoder_revision: str
    rebuilding: tuple[str, ...]
    problems: tuple[str, ...]
    late_rows: int = 0
    late_lacking: int = 0
    token_rows: int = 0
    token_lacking: int = 0
