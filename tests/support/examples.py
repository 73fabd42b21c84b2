"""What a server was asked and what it answered, shortened to what an example needs, without anything that is a secret."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import httpx

from app.api.examples import FILE

ITEMS, CHARACTERS = 2, 160  # of a list, of a text
SECRETS = {"key", "token", "csrf", "invite", "link", "password", "old", "new"}


def shortened(value: Any, name: str = "") -> Any:
    match value:
        case dict():
            some = list(value.items()) if len(value) <= 40 else list(value.items())[:ITEMS]
            return {key: shortened(inner, key) for key, inner in some}
        case list():
            return [shortened(inner) for inner in value[:ITEMS]]
        case str() if name in SECRETS and value:
            return "…"
        case str():
            text = re.sub(r"/(?:tmp|root|home|work)/[^\s,;:)]*", "data", value)  # of the machine that recorded it
            return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} …"
        case _:
            return value


def example(request: Any, reply: httpx.Response) -> dict[str, Any] | None:
    """``request``: the JSON that was sent, which is valid, whatever was answered; None: there is nothing to show."""
    found: dict[str, Any] = {}
    if request is not None:
        found["request"] = shortened(request)
    if reply.is_success and reply.headers.get("content-type", "").startswith("application/json"):
        found |= {"status": str(reply.status_code), "reply": shortened(reply.json())}
    return found or None


def shape(value: Any) -> Any:
    """The names of its fields, as far as an example need agree with what is answered now."""
    return sorted(value) if isinstance(value, dict) else type(value).__name__


def as_text(examples: dict[str, dict[str, Any]]) -> str:
    return json.dumps(dict(sorted(examples.items())), ensure_ascii=False, indent=1) + "\n"


def shown_as(route: str, reply: Any) -> None:
    """Holds what ``route`` ("GET /v1/x") answers with 200 against its example; OPENBOOK_TEST_RECORD=1 makes it the example."""
    known = json.loads(FILE.read_text("utf-8"))
    if os.environ.get("OPENBOOK_TEST_RECORD") == "1":
        known[route] = {**known.get(route, {}), "status": "200", "reply": shortened(reply)}
        FILE.write_text(as_text(known), "utf-8")
        return
    assert shape(known.get(route, {}).get("reply")) == shape(reply), f"OPENBOOK_TEST_RECORD=1 writes {route} anew"
