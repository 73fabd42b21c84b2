"""Conversations that others may read: sharing one's own, and reading theirs."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.api.chats import CHAT_FILE, chat_file, whole_chat
from app.api.etags import IfMatch, Tagged, check_unchanged, tag_of_json
from app.api.guard import PrincipalHere, ServicesHere
from app.chat_export import as_markdown
from app.chat_tables import ChatMessage, SharedChat
from app.shapes import chat_json, message_json
from app.sharing import share, unshare

router = APIRouter(prefix="/v1/chats", tags=["chats"], route_class=Tagged)

_TIMES = {"created_at": "2025-03-03T09:00:00.000Z", "updated_at": "2025-03-04T10:30:00.000Z"}
_OWN = {
    "chat_id": "h5c0ee0f28d3a4d5b9d5e6d8f9a7e2b10",
    "title": "How much did net sales grow?",
    "collections": ["filings"],
    "strategy": "extract",
    **_TIMES,
    "shared_at": "2025-03-04T10:31:00.000Z",
}
_OTHERS = {key: value for key, value in _OWN.items() if key != "strategy"} | {"owner": "Ada"}


def _example(value: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": value}}}}


@router.put("/{chat_id}/share", responses=_example(_OWN))
async def share_chat(
    chat_id: str, services: ServicesHere, principal: PrincipalHere, if_match: IfMatch = None
) -> dict[str, Any]:
    """Lets the people of this server read your conversation, what you ask in it later too: everybody who may read each
    collection that its answers were looked for in, and nobody else. 409 where nobody signs in, and for a conversation with
    files of its own. With `If-Match`, the `ETag` of the conversation, it is shared only as it was read."""

    def unchanged() -> None:
        if if_match is not None:
            check_unchanged(if_match, tag_of_json(whole_chat(services, principal, chat_id)))

    return chat_json(await services.offload(share, services, principal, chat_id, unchanged))


@router.delete("/{chat_id}/share", status_code=204)
async def unshare_chat(chat_id: str, services: ServicesHere, principal: PrincipalHere) -> Response:
    """From now on nobody but you reads it."""
    await services.offload(unshare, services, principal, chat_id)
    return Response(status_code=204)


@router.get("/shared", responses=_example({"chats": [_OTHERS], "next_cursor": None}))
async def list_shared_chats(
    services: ServicesHere,
    principal: PrincipalHere,
    limit: Annotated[int, Query(ge=1, le=200)] = 200,
    cursor: str | None = None,
    q: Annotated[str, Query(max_length=200, description="words that the title or what is shown must all have")] = "",
) -> dict[str, Any]:
    """One page of the conversations that others share and that you may read, those used last first; `collections` are
    those that the answers were looked for in."""

    def read() -> tuple[list[SharedChat], str | None]:
        return services.shared_chats.list_shared(principal, limit, words=q, after=cursor)

    found, following = await services.offload(read)
    return {"chats": [chat_json(c) for c in found], "next_cursor": following}


@router.get("/shared/{shared_id}", responses=_example({**_OTHERS, "messages": []}))
async def get_shared_chat(shared_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """A conversation of somebody else, as it is shown: questions, answers, verdicts and citations. Your rights are looked
    at each time; without them, and once it is no longer shared, there is no such conversation."""
    return _shared_json(*await services.offload(services.shared_chats.get, principal, shared_id))


@router.get("/shared/{shared_id}/export", response_class=Response, responses=CHAT_FILE)
async def export_shared_chat(
    shared_id: str,
    services: ServicesHere,
    principal: PrincipalHere,
    form: Annotated[Literal["markdown", "json"], Query(alias="format")] = "markdown",
) -> Response:
    """A conversation of somebody else as a file, in Markdown or JSON: what is shown, and nothing else."""
    chat, shown = await services.offload(services.shared_chats.get, principal, shared_id)
    if form == "markdown":
        return chat_file(shared_id, "md", "text/markdown; charset=utf-8", as_markdown(chat, shown))
    text = json.dumps(_shared_json(chat, shown), ensure_ascii=False, indent=2)
    return chat_file(shared_id, "json", "application/json", text)


def _shared_json(chat: SharedChat, shown: list[ChatMessage]) -> dict[str, Any]:
    return {**chat_json(chat), "messages": [message_json(m) for m in shown]}
