"""Names that follow from content, so that doing a thing twice gives the same name."""

from __future__ import annotations

import hashlib
import re
import uuid

from core.errors import InvalidRequest

ATTACHED = "attached-"  # begins the names of collections that belong to a conversation
COLLECTION_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def _digest(*parts: str | int) -> str:
    # Length-prefixed, so that ("ab", "c") and ("a", "bc") differ.
    h = hashlib.sha256()
    for part in parts:
        data = str(part).encode("utf-8", "surrogatepass")
        h.update(len(data).to_bytes(8, "little"))
        h.update(data)
    return h.hexdigest()[:32]


def document_id(collection: str, uri: str) -> str:
    """One file in two collections shares nothing."""
    return "d" + _digest(collection, uri)


def chunk_id(doc_id: str, sha256: str, kind: str, start: int, end: int, chunker_version: str) -> str:
    return "c" + _digest(doc_id, sha256, kind, start, end, chunker_version)


def attached_name(chat_id: str) -> str:
    """What the collection of a conversation's own files is called."""
    return ATTACHED + chat_id


def new_id(prefix: str) -> str:
    """A fresh random id, for example ``new_id("j")`` for a job."""
    return prefix + uuid.uuid4().hex


def check_collection_name(name: str) -> str:
    """Returns ``name``; raises InvalidRequest if it is not a collection name."""
    if not COLLECTION_NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} is not a collection name: use 1 to 63 of a-z, 0-9, '-' and '_', beginning with a letter or digit",
            code="bad-collection-name",
        )
    return name
