"""How the parsing child and its parent talk: one JSON line per request, one length-prefixed JSON frame per answer.

JSON, not pickle: a child that a hostile file has taken over can say whatever it likes, but only data.
"""

from __future__ import annotations

import json
from typing import Any

PREFIX_BYTES = 8


def encode_request(request: dict[str, Any]) -> bytes:
    return json.dumps(request).encode("ascii") + b"\n"


def encode_frame(answer: dict[str, Any]) -> bytes:
    body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return len(body).to_bytes(PREFIX_BYTES, "big") + body


def frame_length(prefix: bytes) -> int:
    return int.from_bytes(prefix, "big")
