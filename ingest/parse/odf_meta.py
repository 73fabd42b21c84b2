"""What an OpenDocument file says of itself in its meta.xml."""

from __future__ import annotations

from typing import Any

from ingest.parse.clean import one_line
from ingest.parse.ooxml import local

_FIELDS = {"creator": "author", "initial-creator": "author", "language": "language", "subject": "subject",
           "keyword": "keywords", "creation-date": "created", "date": "modified"}  # fmt: skip


def metadata_of(root: Any) -> dict[str, Any]:
    """Title, author, language and the like by the names of ``ParsedDocument.metadata``; ``root`` may be None."""
    found: dict[str, Any] = {}
    for element in root.iter() if root is not None else ():
        name, text = local(element.tag), one_line(element.text or "")
        if name == "title" and text:
            found["title"] = text
        elif name in _FIELDS and text:
            found[_FIELDS[name]] = text
    return found
