"""Source code: kept as it is. The name says in which language."""

from __future__ import annotations

from pathlib import PurePath

from ingest.parse.clean import one_line
from ingest.parse.document import ParsedDocument, ParseLimits
from ingest.parse.kinds import CODE_TYPES, MIME_TYPES
from ingest.parse.source import File
from ingest.parse.text import read_text


def parse_code(path: File, filename: str, limits: ParseLimits) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``. The title is the file's name with its extension, as programmers say it."""
    text, encoding, warnings = read_text(path, filename, limits)
    name = PurePath(filename.replace("\\", "/"))
    return ParsedDocument(
        text=text,
        title=one_line(name.name) or one_line(filename) or "untitled",
        mime_type=CODE_TYPES.get(name.suffix.lower(), MIME_TYPES["code"]),
        metadata={"encoding": encoding},
        warnings=warnings,
    )
