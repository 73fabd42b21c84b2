"""Documents: what was understood of each file, its text, its passages and its pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from app.api.etags import Tagged, known, tag_of
from app.api.guard import PrincipalHere, ServicesHere
from app.shapes import chunk_json, facts_json
from app.upkeep.purge import purge as purge_document
from app.upkeep.purge import purged_json
from core.errors import Forbidden, InvalidRequest, NotFound
from core.types import Chunk, Document
from ingest.parse.document import OCR_WORDS
from ingest.parse.kinds import DRAWN
from retrieval.filters import tags_of
from retrieval.near import NearDuplicate, count_near, near_duplicates
from retrieval.records import DocumentInfo
from retrieval.tags import given_tags, set_tags

router = APIRouter(prefix="/v1", tags=["documents"], route_class=Tagged)

PAGE_WIDTH_PX = 1000
MAX_CHUNKS = 1000  # passages in one answer, if an offset is asked for without a limit


@router.get("/collections/{collection}/documents")
async def list_documents(
    collection: str,
    services: ServicesHere,
    principal: PrincipalHere,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
    near: bool = False,
    q: Annotated[str, Query(max_length=200, description="words that title and file name together must all have")] = "",
    tag: Annotated[list[str] | None, Query(max_length=50, description="one of which it must have")] = None,
) -> dict[str, Any]:
    """One page of the documents of a collection, those added last first; ``next_cursor`` is null on the last.

    `tags` are those that people gave it and those that it brought along. With `near=true` each says how many
    `near_duplicates` it has among all that you may read.
    """

    def read() -> list[dict[str, Any]]:
        with services.database.read() as connection:
            ids = [d.doc_id for d in found]
            given = given_tags(connection, ids)
            listed = [_info_json(d, given.get(d.doc_id, [])) for d in found]
            counts = count_near(connection, principal, ids) if near else {}
        return [{**d, "near_duplicates": counts.get(d["doc_id"], 0)} for d in listed] if near else listed

    def page() -> tuple[list[DocumentInfo], str | None]:
        return services.store.list_documents(principal, collection, limit, cursor, words=q, tags=tag or ())

    found, following = await services.offload(page)
    return {"documents": await services.offload(read), "next_cursor": following}


def _info_json(info: DocumentInfo, given: Sequence[str]) -> dict[str, Any]:
    """``given``: the tags that people gave it."""
    metadata = dict(info.metadata)
    tags = sorted(tags_of(metadata) | set(given))
    told = {"language": metadata.get("language"), "pii": metadata.get("pii"), "tags": tags, "given_tags": list(given)}
    return {**dataclasses.asdict(info), "metadata": metadata, "warnings": metadata.get("warnings", []), **told}


@router.get("/documents/{doc_id}")
async def get_document(doc_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """What is known of a document; `outline` has its headings with their places, `authors` and dates are as it says."""

    def read() -> tuple[DocumentInfo, Document, list[str]]:
        info = services.store.get_document_info(principal, doc_id)
        with services.database.read() as connection:
            given = given_tags(connection, [doc_id]).get(doc_id, [])
        return info, services.store.get_document(principal, doc_id), given

    info, document, given = await services.offload(read)
    facts = facts_json(info.title, info.metadata, document.pages)
    spans = [{"number": p.number, "start": p.start, "end": p.end} for p in document.pages]
    return {**facts, **_info_json(info, given), "page_spans": spans, "figures": _figures(document)}


class Tags(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tags: list[str] = Field(max_length=200, examples=[["contract", "2024"]])


@router.put("/documents/{doc_id}/tags")
async def tag_document(doc_id: str, body: Tags, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Gives a document these tags in place of those that people gave it before; what it brought along stays. They stay when the
    document is replaced or made anew, searches can be narrowed by them, and everybody who may read it sees them."""

    def tag() -> list[str]:
        with services.database.write() as connection:
            kept, change = set_tags(connection, principal, doc_id, body.tags)
        if services.search_ready:  # else the first search that is narrowed looks by itself
            services.engine.publish(change)
        return kept

    return {"doc_id": doc_id, "given_tags": await services.offload(tag)}


@router.get("/documents/{doc_id}/near-duplicates")
async def get_near_duplicates(doc_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Documents that you may read and whose text is nearly the same, the most alike first.

    `similarity` estimates which share of all runs of five words the two have in common.
    """

    def read() -> list[NearDuplicate]:
        with services.database.read() as connection:
            return near_duplicates(connection, principal, doc_id)

    found = await services.offload(read)
    return {
        "near_duplicates": [
            {
                "doc_id": n.document.doc_id,
                "collection": n.document.collection,
                "title": n.document.title,
                "uri": n.document.uri,
                "similarity": round(n.similarity, 3),
            }
            for n in found
        ]
    }


def _figures(document: Document) -> list[dict[str, Any]]:
    """Captions of figures with the image of the page on which each stands, the caption marked."""
    if _is_redacted(document):
        return []  # their page images are not shown
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
    the answer (200) says what was changed and where it may still be. A document that was deleted before can be purged, too:
    what kept runs were shown of it is looked for.
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
            eval_sets=services.eval_sets,
            eval_runs=services.eval_runs,
            engine=engine,
            recent=services.purges,
            data_dir=services.data_dir,
        )
        services.searching.forget()
        if services.models.reader is not None:
            services.models.reader.forget()
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
    request: Request,
    services: ServicesHere,
    principal: PrincipalHere,
    format: Annotated[str, Query(pattern="^(text|json|original)$")] = "text",
) -> Response:
    """The stored text, which offsets point into; or, with ``format=original``, the file as it came."""
    document = await services.offload(services.store.get_document, principal, doc_id)
    if format == "original":
        _may_show_original(document)
        tag = f'"{document.sha256}"'
        if (unchanged := known(request, tag)) is not None:
            return unchanged
        # Never shown in place: a stored HTML page must not run as a page of this server.
        return FileResponse(
            services.store.originals.path(document.sha256),
            media_type="application/octet-stream",
            filename=document.uri.rstrip("/").rsplit("/", 1)[-1],
            content_disposition_type="attachment",
            headers={"ETag": tag},
        )
    if format == "json":
        return JSONResponse({"doc_id": doc_id, "text": document.text})
    return PlainTextResponse(document.text)


@router.get("/documents/{doc_id}/chunks")
async def get_chunks(
    doc_id: str,
    services: ServicesHere,
    principal: PrincipalHere,
    offset: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
) -> dict[str, Any]:
    """The passages that are searched, and the larger ones that are read in their place, if there are any.

    With a `limit`: so many from the `offset`-th on, with their parents alone. `total` counts all passages.
    """

    def read() -> tuple[list[Chunk], list[Chunk], int]:
        if limit is None and not offset:
            found = services.store.list_chunks(principal, doc_id)
            return found, services.store.list_parents(principal, doc_id), len(found)
        some, total = services.store.page_of_chunks(principal, doc_id, offset, limit or MAX_CHUNKS)
        named = list(dict.fromkeys(c.parent_id for c in some if c.parent_id is not None))
        return some, services.store.parents_by_id(principal, doc_id, named), total

    found, parents, total = await services.offload(read)
    return {
        "chunks": [chunk_json(c) for c in found],
        "parents": [chunk_json(p) for p in parents],
        "offset": offset,
        "total": total,
    }


@router.get("/documents/{doc_id}/pages/{number}.png", response_class=Response)
async def get_page_image(
    doc_id: str,
    number: int,
    request: Request,
    services: ServicesHere,
    principal: PrincipalHere,
    highlight: Annotated[
        str | None, Query(description="start,end: a passage by its offsets in the stored text")
    ] = None,
    width: Annotated[int, Query(ge=100, le=3000)] = PAGE_WIDTH_PX,
) -> Response:
    """A page of a PDF, or of a picture, as an image, the passage marked."""
    document = await services.offload(services.store.get_document, principal, doc_id)
    _may_show_original(document)
    page = next((p for p in document.pages if p.number == number), None)
    if document.mime_type not in DRAWN:
        raise NotFound(f"{document.title!r} is {document.mime_type}, which has no page images", code="no-pages")
    if page is None:
        raise NotFound(f"{document.title!r} has pages 1 to {len(document.pages)}, not {number}", code="no-such-page")
    start, end = _range(highlight) if highlight else (page.start, page.start)
    path = services.store.originals.path(document.sha256)
    words = document.metadata.get(OCR_WORDS, {}).get(str(number), "")
    # Offsets of a document become offsets of its page; a passage may begin before it or end after it.
    low, high = max(start, page.start) - page.start, min(end, page.end) - page.start
    page_text = document.text[page.start : page.end]
    # Of all that it is drawn from, so that whoever has it waits for no drawing.
    drawn = (document.sha256, number, low, high, width, version("openbook"), version("pypdfium2"))
    tag = tag_of(*map(str, drawn), page_text, str(words))
    if (unchanged := known(request, tag)) is not None:
        return unchanged

    def render() -> bytes:
        passages = [(low, high)] if low < high else []
        return services.sandbox.page_image(path, number, page_text, passages, width, words=words)

    return Response(await services.offload(render), media_type="image/png", headers={"ETag": tag})


def _is_redacted(document: Document) -> bool:
    return dict(document.metadata.get("pii") or {}).get("mode") == "redact"


def _may_show_original(document: Document) -> None:
    """The file as it came, and pictures of its pages, hold what was taken out of the text."""
    if _is_redacted(document):
        raise Forbidden(
            f"{document.title!r} was redacted: its original is kept on the server to be read again, and not shown",
            code="redacted",
        )


def _range(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2 or not all(p.strip().isdecimal() for p in parts):
        raise InvalidRequest(f"highlight={text!r} is not 'start,end'", code="bad-highlight")
    return int(parts[0]), int(parts[1])
