"""What worker and server hand each other: a task as JSON, a result as one safetensors file (no pickle).

The server is the only writer; the worker parses, chunks and encodes, and hands over what it made.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.numpy

from core.errors import InvalidRequest
from core.types import Chunk, Document, PageSpan, PiiMode, Vectors
from ingest.chunk.choose import ChunkerName
from retrieval.signature import Signature

WORKER_HEADER = "X-Openbook-Worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One file to be understood. ``path`` is the stored original."""

    job_id: str
    collection: str
    uri: str
    filename: str
    sha256: str
    path: str
    chunker: ChunkerName
    pii: PiiMode = "off"


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
        "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
    }
    if result.signature is not None:
        tensors["signature"] = np.ascontiguousarray(result.signature, dtype=np.uint32)
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
        )
    except (KeyError, TypeError, ValueError, safetensors.SafetensorError) as e:
        raise InvalidRequest(f"not a worker's result: {e}", code="bad-result") from e
