"""Parts of a Word package beside its body: comments, documents inserted whole, and the strict dialect made the usual one.

It knows the package, not how text is written.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from typing import IO, Any, TypeAlias

from core.errors import OpenbookError, ParseFailed
from ingest.parse.document import ParsedDocument, ParseLimits
from ingest.parse.source import File, MemoryFile

Inner: TypeAlias = Callable[[MemoryFile, str, ParseLimits], ParsedDocument]  # reads a document within this one
Inserted: TypeAlias = Callable[[str, ParseLimits], ParsedDocument]  # by the id of its relationship

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT = b"http://purl.oclc.org/ooxml/"
_NAMESPACE = re.compile(rb"http://purl\.oclc\.org/ooxml/(wordprocessingml|drawingml|officeDocument|schemaLibrary)/")
# How the names of parts end whose type Word declares where it inserts another document (w:altChunk).
_ENDINGS = {
    "text/html": ".html", "application/xhtml+xml": ".html", "message/rfc822": ".eml", "text/plain": ".txt",
    "application/rtf": ".rtf", "text/rtf": ".rtf",
}  # fmt: skip


def opened(path: File, stream: IO[bytes]) -> IO[bytes]:
    """``stream``, of the file at ``path``, or what it holds in the transitional dialect if it is strict Open XML.

    The two differ in the names of their namespaces and in values that are not looked at here (ISO/IEC 29500-1 and -4). The archive must
    have been checked: its members are unpacked as they are.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        if "_rels/.rels" not in archive.namelist() or _STRICT not in archive.read("_rels/.rels"):
            return stream
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as rewritten:
            for name in dict.fromkeys(archive.namelist()):
                data = archive.read(name)
                if name.lower().endswith((".xml", ".rels")):
                    data = _NAMESPACE.sub(rb"http://schemas.openxmlformats.org/\1/2006/", data)
                rewritten.writestr(name, data)
    out.seek(0)
    return out


def comments(root: Any) -> dict[str, Any]:
    """The ``w:comment`` elements of the part that has them by their id."""
    return {comment.get(_W + "id", ""): comment for comment in root.iter(_W + "comment")}


def comment_author(comment: Any) -> str:
    return " ".join((comment.get(_W + "author") or "").split())


def inserted_by(package: Any, inner: Inner | None) -> Inserted:
    """What reads a document that is inserted whole; raises OpenbookError with the reason if it cannot be read."""

    def read(relationship: str, limits: ParseLimits) -> ParsedDocument:
        part = package.part.related_parts.get(relationship)
        if part is None:
            raise ParseFailed("the file does not hold it", code="damaged")
        if inner is None:
            raise ParseFailed("it lies within an attachment: upload that by itself")
        kind = str(part.content_type).partition(";")[0].strip().lower()
        return inner(MemoryFile(bytes(part.blob)), f"inserted document{_ENDINGS.get(kind, '')}", limits)

    return read


def reason(error: OpenbookError) -> str:
    """An error's message as the end of a sentence about the inserted document."""
    return re.sub(r"^inserted document(?:\.\w+)?\s+", "it ", error.message)
