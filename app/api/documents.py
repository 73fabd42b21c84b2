"""Documents: what was understood of each file, its text, its passages and its pages."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from app.api.guard import PrincipalHere, ServicesHere
from app.upkeep.purge import purge as purge_document
from app.upkeep.purge import purged_json
from core.errors import InvalidRequest, NotFound
from core.types import Chunk, Document
from ingest.parse.document import OCR_WORDS
from ingest.parse.kinds import DRAWN
from retrieval.records import DocumentInfo

router = APIRouter(prefix="/v1", tags=["documents"])

PAGE_WIDTH_PX = 1000


@router.get("/collections/{collection}/documents")
async def list_documents(
    collection: str,
    services: ServicesHere,
    principal: PrincipalHere,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """One page of the documents of a collection; ``next_cursor`` is null on the last."""
    found, following = await services.offload(services.store.list_documents, principal, collection, limit, cursor)
    return {"documents": [_info_json(d) for d in found], "next_cursor": following}


def _info_json(info: DocumentInfo) -> dict[str, Any]:
    metadata = dict(info.metadata)
    return {**dataclasses.asdict(info), "metadata": metadata, "warnings": metadata.get("warnings", [])}


@router.get("/documents/{doc_id}")
async def get_document(doc_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    info = await services.offload(services.store.get_document_info, principal, doc_id)
    document = await services.offload(services.store.get_document, principal, doc_id)
    spans = [{"number": p.number, "start": p.start, "end": p.end} for p in document.pages]
    return {**_info_json(info), "page_spans": spans, "figures": _figures(document)}


def _figures(document: Document) -> list[dict[str, Any]]:
    """Captions of figures with the image of the page on which each stands, the caption marked."""
    return [
        {
            **figure,
            "caption": document.text[figure["start"] : figure["end"]],
            "image": f"/v1/documents/{document.doc_id}/pages/{figure['page']}.png?highlight={figure['start']},{figure['end']}",
        }
        for figure in document.metadata.get("figures", [])
    ]


@router.delete("/documents/{doc_id}", status_code=204, responses={200: {"description": "What was purged where."}})
async def delete_document(
    doc_id: str, services: ServicesHere, principal: PrincipalHere, purge: bool = False
) -> Response:
    """Deletes a document from every search at once; quotes of it in past chats remain.

    With `purge=true` they do not: it is taken out of everybody's chats and traces and out of the files themselves, and
    the answer (200) says what was changed and where it may still be.
    """

    engine = services.engine
    if purge:
        done = await services.offload(
            purge_document,
            principal,
            doc_id,
            database=services.database,
            store=services.store,
            ledger=services.ledger,
            chats=services.chats,
            traces=services.traces,
            engine=engine,
            recent=services.purges,
            data_dir=services.data_dir,
        )
        await services.announce_jobs()
        return JSONResponse(purged_json(done))

    def delete() -> None:
        with services.database.write() as connection:
            change = services.store.delete_document(connection, principal, doc_id)
        engine.publish(change)

    await services.offload(delete)
    return Response(status_code=204)


@router.get("/documents/{doc_id}/content", response_class=PlainTextResponse)
async def get_content(
    doc_id: str,
    services: ServicesHere,
    principal: PrincipalHere,
    format: Annotated[str, Query(pattern="^(text|json|original)$")] = "text",
) -> Response:
    """The stored text, which offsets point into; or, with ``format=original``, the file as it came."""
    document = await services.offload(services.store.get_document, principal, doc_id)
    if format == "original":
        # Never shown in place: a stored HTML page must not run as a page of this server.
        return FileResponse(
            services.store.originals.path(document.sha256),
            media_type="application/octet-stream",
            filename=document.uri.rstrip("/").rsplit("/", 1)[-1],
            content_disposition_type="attachment",
        )
    if format == "json":
        return JSONResponse({"doc_id": doc_id, "text": document.text})
    return PlainTextResponse(document.text)


@router.get("/documents/{doc_id}/chunks")
async def get_chunks(doc_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """The passages that are searched, and the larger ones that are read in their place, if there are any."""
    found = await services.offload(services.store.list_chunks, principal, doc_id)
    parents = await services.offload(services.store.list_parents, principal, doc_id)
    return {"chunks": [_chunk_json(c) for c in found], "parents": [_chunk_json(p) for p in parents]}


def _chunk_json(chunk: Chunk) -> dict[str, Any]:
    return {**dataclasses.asdict(chunk), "heading_path": list(chunk.heading_path)}


@router.get("/documents/{doc_id}/pages/{number}.png", response_class=Response)
async def get_page_image(
    doc_id: str,
    number: int,
    services: ServicesHere,
    principal: PrincipalHere,
    highlight: Annotated[
        str | None, Query(description="start,end: a passage by its offsets in the stored text")
    ] = None,
    width: Annotated[int, Query(ge=100, le=3000)] = PAGE_WIDTH_PX,
) -> Response:
    """A page of a PDF, or of a picture, as an image, the passage marked."""
    document = await services.offload(services.store.get_document, principal, doc_id)
    page = next((p for p in document.pages if p.number == number), None)
    if document.mime_type not in DRAWN:
        raise NotFound(f"{document.title!r} is {document.mime_type}, which has no page images", code="no-pages")
    if page is None:
        raise NotFound(f"{document.title!r} has pages 1 to {len(document.pages)}, not {number}", code="no-such-page")
    start, end = _range(highlight) if highlight else (page.start, page.start)
    path = services.store.originals.path(document.sha256)
    words = document.metadata.get(OCR_WORDS, {}).get(str(number), "")

    def render() -> bytes:
        # Offsets of a document become offsets of its page; a passage may begin before it or end after it.
        low, high = max(start, page.start) - page.start, min(end, page.end) - page.start
        page_text = document.text[page.start : page.end]
        passages = [(low, high)] if low < high else []
        return services.sandbox.page_image(path, number, page_text, passages, width, words=words)

    return Response(await services.offload(render), media_type="image/png")


def _range(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2 or not all(p.strip().isdecimal() for p in parts):
        raise InvalidRequest(f"highlight={text!r} is not 'start,end'", code="bad-highlight")
    return int(parts[0]), int(parts[1])
