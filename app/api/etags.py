"""Entity tags (RFC 9110, 8.8.3 and 13.1): who has an answer already is told so in a few bytes, and who would change what
somebody else has changed meanwhile is told that.

A tag is computed after the route has answered, or has found what it would answer with, so that it lets nobody past a check.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any

from fastapi import Header, Request
from fastapi.routing import APIRoute
from starlette.responses import FileResponse, Response, StreamingResponse

from core.errors import Changed

# A cache keeps it for one person, and asks each time whether it still holds.
REVALIDATED = "private, no-cache"
_TAG = re.compile(r'(?:W/)?"[^"]*"')

IfMatch = Annotated[
    str | None,
    Header(description="the ETag of what you have seen: 412 if somebody has changed it since", max_length=1000),
]


def tag_of(*parts: str | bytes) -> str:
    """A strong tag: equal parts have equal tags, and no others."""
    whole = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "big") + data)
    return f'"{whole.hexdigest()}"'


def tag_of_json(value: Mapping[str, Any]) -> str:
    return tag_of(json.dumps(value, sort_keys=True, default=str))


def names(header: str, tag: str) -> bool:
    """Whether a list of tags has ``tag``, weak or strong; "*" has all."""
    if header.strip() == "*":
        return True
    return _opaque(tag) in map(_opaque, _TAG.findall(header))


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")


def known(request: Request, tag: str) -> Response | None:
    """304 for who has what ``tag`` stands for."""
    given = ", ".join(request.headers.getlist("if-none-match"))
    if not given or not names(given, tag):
        return None
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": REVALIDATED})


def check_unchanged(header: str | None, tag: str) -> None:
    """Args: header: ``If-Match``, if it came.

    Raises:
        Changed: it names other tags than that of how things are.
    """
    if header is None or header.strip() == "*" or tag in _TAG.findall(header):
        return
    raise Changed("it was changed since you read it: read it again, then change what is there now")


class Tagged(APIRoute):
    """A route whose answers to GET have tags: one that it has set itself, else that of the body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if "GET" not in (self.methods or ()):
            return handle

        async def tagged(request: Request) -> Response:
            response = await handle(request)
            if response.status_code != 200:
                return response
            tag = response.headers.get("etag", "")
            if not tag:
                if isinstance(response, StreamingResponse | FileResponse):
                    return response
                tag = response.headers["ETag"] = tag_of(bytes(response.body))
            response.headers.setdefault("Cache-Control", REVALIDATED)
            return known(request, tag) or response

        return tagged
