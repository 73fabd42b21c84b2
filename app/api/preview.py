"""What would become of a file: its passages before anything is stored."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from app.api.guard import PrincipalHere, ServicesHere
from app.api.uploads import receive_files
from app.intake import clean_uri
from app.services import Services
from app.shapes import chunk_json, facts_json
from core.errors import Busy, StorageFailed, TooLarge
from core.settings import Settings
from core.types import Chunk, PiiMode
from ingest.chunk.choose import ChunkerName
from ingest.parse.sandbox import Sandbox
from ingest.pipeline import Understood, chunk_budget, parse_limits, understand
from retrieval.files import storage_errors

router = APIRouter(prefix="/v1", tags=["documents"])

# Reading a file takes a processor and up to ``parse_memory_bytes``: more at once would be felt by those who search.
MAX_PREVIEWS = 2
LOOK_S = 0.2  # how soon a person who left is noticed
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.post("/preview", openapi_extra=_BODY)
async def preview(
    request: Request,
    services: ServicesHere,
    _principal: PrincipalHere,
    chunker: ChunkerName | None = None,
    tokens: Annotated[int | None, Query(ge=16, le=8192)] = None,
    overlap: Annotated[int | None, Query(ge=0, le=4096)] = None,
    pii: PiiMode = "off",
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """Reads one file and cuts it as an upload would, and stores nothing. `chunks` are the first `limit` of `total`.

    `tokens` and `overlap` try other sizes than the server's. It stops when the request is dropped, and answers 429
    while two others are under way.
    """
    sizes = {"chunk_tokens": tokens, "chunk_overlap_tokens": overlap}
    settings = services.settings.model_copy(update={k: v for k, v in sizes.items() if v is not None})
    with contextlib.ExitStack() as stack:
        try:
            with storage_errors(f"look at a file in {tempfile.gettempdir()}"):
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="openbook-preview-"))
        except StorageFailed:
            async for _ in request.stream():  # who is still sending would see a broken line, and no reason
                pass
            raise
        path = Path(folder) / "file"

        def keep(pieces: Iterator[bytes]) -> tuple[str, int]:
            return _write(path, pieces, services.settings.max_upload_bytes)

        uploads = [u async for u in receive_files(request, keep, services.offload, 1)]
        (uploaded,) = uploads
        if uploaded.error is not None:
            raise uploaded.error
        name = clean_uri(uploaded.filename)
        found = await _understood(request, services, settings, path, name, uploaded.sha256, chunker, pii)
    most, shared = chunk_budget(settings, services.encoder)
    cut = {"chunker": chunker or settings.chunker, "chunk_tokens": most, "overlap_tokens": shared}
    return _json(found, name, cut, uploaded.size, limit)


async def _understood(
    request: Request,
    services: Services,
    settings: Settings,
    path: Path,
    name: str,
    sha256: str,
    chunker: ChunkerName | None,
    pii: PiiMode,
) -> Understood:
    if services.previews >= MAX_PREVIEWS:
        raise Busy("other files are being looked at just now: try again in a moment")
    left = threading.Event()

    def work() -> Understood:
        with Sandbox(parse_limits(services.settings)) as sandbox:
            return understand(
                path,
                name,
                collection="preview",
                uri=name,
                sha256=sha256,
                settings=settings,
                encoder=services.encoder,
                report=lambda _state, _progress: None,
                cancelled=left.is_set,
                chunker=chunker,
                pii=pii,
                sandbox=sandbox,
                languages=services.languages,
                names=services.names,
            )

    services.previews += 1
    task = asyncio.ensure_future(services.offload(work))
    try:
        while not (await asyncio.wait([task], timeout=LOOK_S))[0]:
            if await request.is_disconnected():
                left.set()
        return task.result()
    finally:
        left.set()
        # The place is free, and the file may go, only when the thread has let go of them.
        await asyncio.wait([task])
        services.previews -= 1


def _write(path: Path, pieces: Iterator[bytes], limit: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with storage_errors(f"look at a file in {path.parent.parent}"), path.open("wb") as file:
        for piece in pieces:
            size += len(piece)
            if size > limit:
                raise TooLarge(f"the file is larger than {limit:,} bytes: split it, or raise max_upload_bytes")
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest(), size


def _json(found: Understood, name: str, cut: dict[str, Any], size: int, limit: int) -> dict[str, Any]:
    document, shown = found.document, found.chunks[:limit]
    named = {c.parent_id for c in shown}
    return {
        "file": name,
        "size": size,
        **cut,
        "title": document.title,
        "mime_type": document.mime_type,
        "characters": len(document.text),
        "pages": len(document.pages),
        **facts_json(document.title, document.metadata, document.pages),
        "warnings": list(found.warnings),
        "partial": found.partial,
        "total": len(found.chunks),
        "total_parents": len(found.parents),
        "tokens": _spread(found.chunks),
        "chunks": [chunk_json(c) for c in shown],
        "parents": [chunk_json(p) for p in found.parents if p.chunk_id in named],
    }


def _spread(chunks: list[Chunk]) -> dict[str, int]:
    """Word pieces per chunk: least, middle, most, and of all together."""
    counts = [c.n_tokens for c in chunks] or [0]
    return {"min": min(counts), "median": round(median(counts)), "max": max(counts), "sum": sum(counts)}
