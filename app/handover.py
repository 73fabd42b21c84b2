"""What worker and server hand each other: a task as JSON, a result as one safetensors file (no pickle).

The server is the only writer; the worker parses, chunks and encodes, and hands over what it made.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import safetensors.numpy

from core.errors import InvalidRequest
from core.types import Chunk, Document, PageSpan, PiiMode, Vectors
from ingest.chunk.choose import ChunkerName
from retrieval.signature import Signature
from retrieval.token_rows import TokenVectors

WORKER_HEADER = "X-Openbook-Worker"
ORIGIN_HEADER = "X-Openbook-Origin"  # of a fetched page: JSON, ASCII


def process_name(pid: int | str, host: str) -> str:
    """What a worker process is called; ``host`` is empty beside the server, where process ids are enough."""
    return f"w{pid}" + (f"-{host}" if host else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One file to be understood, or one page to be fetched. ``path`` is the stored original; of a page it is empty.

    ``address`` is where progress and result are told; ``origin`` is the job's: see ``ingest.job.Job``.
    """

    address: str
    collection: str
    uri: str
    filename: str
    sha256: str
    path: str
    chunker: ChunkerName
    origin: dict[str, Any] = field(default_factory=dict)
    pipeline: Mapping[str, Any] = field(default_factory=dict)  # settings of the collection, in place of the worker's
    pii: PiiMode = "off"
    tokens: bool = False  # whether token vectors are to come along, if the encoder makes them in the same pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What a container was found to be: the members of an archive are sent one by one before, the pages of a sitemap are
    its ``urls``. ``skipped`` are (name, reason)."""

    container: Literal["archive", "sitemap"]
    urls: list[str] = field(default_factory=list)
    is_index: bool = False  # the URLs are those of sitemaps
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    incomplete: bool = False  # something of it was left out, as the notes say


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    document: Document
    chunks: tuple[Chunk, ...]
    vectors: Vectors  # (n_chunks, dim)
    encoder_revision: str
    chunker_version: str
    warnings: tuple[str, ...]
    partial: bool  # a part of the file could not be read; the warnings say which
    seconds: float
    parents: tuple[Chunk, ...] = ()  # read in place of the chunks that name them; they have no vectors
    signature: Signature | None = None  # by which near-duplicates are found
    pii: PiiMode = "off"  # how personal data were treated
    tokens: TokenVectors | None = None  # of the chunks


def pack(result: Result) -> bytes:
    header = {
        "document": dataclasses.asdict(result.document),
        # A chunk's text is a slice of the document's, so it does not travel twice.
        "chunks": [_without_text(c) for c in result.chunks],
        "parents": [_without_text(p) for p in result.parents],
        "encoder_revision": result.encoder_revision,
        "chunker_version": result.chunker_version,
        "warnings": list(result.warnings),
        "partial": result.partial,
        "seconds": result.seconds,
        "pii": result.pii,
    }
    tensors: dict[str, np.ndarray[Any, Any]] = {
        "vectors": np.ascontiguousarray(result.vectors, dtype=np.float32),
    }
    if result.signature is not None:
        tensors["signature"] = np.ascontiguousarray(result.signature, dtype=np.uint32)
    if result.tokens is not None:
        header["tokens"] = result.tokens.revision
        tensors["tokens"] = np.concatenate(result.tokens.packed)
        tensors["token_counts"] = np.array([len(p) for p in result.tokens.packed], dtype=np.int32)
    tensors["header"] = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    return safetensors.numpy.save(tensors)


def _without_text(chunk: Chunk) -> dict[str, Any]:
    return {k: v for k, v in dataclasses.asdict(chunk).items() if k != "text"}


def unpack(data: bytes) -> Result:
    """Raises InvalidRequest if ``data`` is not what ``pack`` makes."""
    try:
        tensors = safetensors.numpy.load(data)
        header: dict[str, Any] = json.loads(tensors["header"].tobytes())
        document = dict(header["document"])
        document["pages"] = tuple(PageSpan(**p) for p in document["pages"])
        text = document["text"]
        chunks, parents = (
            tuple(
                Chunk(**{**c, "heading_path": tuple(c["heading_path"]), "text": text[c["start"] : c["end"]]})
                for c in header[kind]
            )
            for kind in ("chunks", "parents")
        )
        vectors: Vectors = tensors["vectors"]
        if vectors.shape[0] != len(chunks):
            raise ValueError(f"{vectors.shape[0]} vectors for {len(chunks)} chunks")
        return Result(
            document=Document(**document),
            chunks=chunks,
            vectors=vectors,
            encoder_revision=header["encoder_revision"],
            chunker_version=header["chunker_version"],
            warnings=tuple(header["warnings"]),
            partial=header["partial"],
            seconds=header["seconds"],
            parents=parents,
            signature=tensors.get("signature"),
            pii=header["pii"],
            tokens=_tokens(header.get("tokens"), tensors),
        )
    except (KeyError, TypeError, ValueError, safetensors.SafetensorError) as e:
        raise InvalidRequest(f"not a worker's result: {e}", code="bad-result") from e


def _tokens(revision: str | None, tensors: Mapping[str, np.ndarray[Any, Any]]) -> TokenVectors | None:
    if revision is None:
        return None
    ends = np.cumsum(tensors["token_counts"])
    return TokenVectors(revision=revision, packed=np.split(tensors["tokens"], ends[:-1]))
