"""JSON and JSON Lines as text that reads well: records of plain values as a table, others as indented lines.

Numbers stay as they are written, so that none is rounded on the way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from core.errors import EmptyDocument
from ingest.parse.clean import one_line, title_from_filename
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.kinds import MIME_TYPES
from ingest.parse.number_format import Number
from ingest.parse.source import File
from ingest.parse.tables import markdown_table
from ingest.parse.text import check_characters, read_text
from ingest.parse.writer import TextWriter

_MAX_COLUMNS = 60
_MAX_CELL = 500  # longer texts are no cells
_MAX_INDENT = 12
_INLINE = 120  # a list of plain values that fits stays on its line
_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number, strict=False)


def parse_json(path: File, filename: str, limits: ParseLimits) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``. What is not valid JSON is read as plain text, with a warning."""
    text, encoding, warnings = read_text(path, filename, limits)
    lines = PurePath(filename).suffix.lower() in (".jsonl", ".ndjson")
    try:
        value = _decode_lines(text) if lines else _DECODER.decode(text.strip())
    except ValueError as e:
        try:
            value, lines = _decode_lines(text), True
        except ValueError:
            warning = ParseWarning(
                "invalid-json", f"it is not valid JSON ({one_line(str(e), 150)}): it was read as text"
            )
            return _document(text, filename, encoding, "text/plain", (*warnings, warning), TextWriter(filename, limits))
    writer = TextWriter(filename, limits)
    _write(writer, value)
    if not writer.parts:
        raise EmptyDocument(f"{filename} is JSON without any value")
    mime_type = "application/jsonl" if lines else MIME_TYPES["json"]
    return _document(writer.text(), filename, encoding, mime_type, warnings, writer)


def _document(
    text: str, filename: str, encoding: str, mime_type: str, warnings: tuple[ParseWarning, ...], writer: TextWriter
) -> ParsedDocument:
    return ParsedDocument(
        text=text,
        title=title_from_filename(filename),
        mime_type=mime_type,
        headings=tuple(writer.headings),
        metadata={"encoding": encoding},
        warnings=warnings,
    )


def _decode_lines(text: str) -> list[Any]:
    return [_DECODER.decode(line.strip()) for line in text.split("\n") if line.strip()]


def _write(writer: TextWriter, value: Any) -> None:
    if isinstance(value, dict):
        plain = [
            line for key, item in value.items() if not _is_container(item) for line in _lines(key, item, 0, writer)
        ]
        writer.block("\n".join(plain))
        for key, item in value.items():
            if _is_container(item):
                writer.heading(1, key)
                _write_container(writer, item)
    else:
        _write_container(writer, value)


def _write_container(writer: TextWriter, value: Any) -> None:
    table = _table(value, writer)
    if table:
        writer.block(markdown_table(table))
    elif isinstance(value, list) and any(_is_container(item) for item in value):
        for item in value:  # records: a paragraph each
            writer.block("\n".join(_lines(None, item, 0, writer)))
    else:
        writer.block("\n".join(_lines(None, value, 0, writer)))


def _table(value: Any, writer: TextWriter) -> list[list[str]]:
    """Header and rows of a list of flat objects that have much the same keys; else nothing."""
    if not isinstance(value, list) or len(value) < 2 or not all(isinstance(item, dict) and item for item in value):
        return []
    columns: dict[str, None] = {}
    cells = 0
    for item in value:
        if any(_is_container(v) or len(_plain(v)) > _MAX_CELL for v in item.values()):
            return []
        columns.update(dict.fromkeys(item))
        cells += len(item)
        if len(columns) > _MAX_COLUMNS:
            return []
    if cells * 2 < len(columns) * len(value):
        return []
    check_characters(3 * len(columns) * len(value), writer.filename, writer.limits)
    return [list(columns), *([_plain(item.get(key, "")) for key in columns] for item in value)]


def _lines(key: str | None, value: Any, depth: int, writer: TextWriter) -> Iterator[str]:
    indent = "  " * min(depth, _MAX_INDENT)
    label = f"{indent}{key}:" if key is not None else indent
    if not _is_container(value):
        text = _plain(value)
        separator = " " if key is not None else ""
        yield label + separator + re.sub(r"\n", "\n" + indent + "  ", text)
    elif isinstance(value, dict):
        if key is not None:
            yield label
        for k, item in value.items():
            yield from _lines(k, item, depth + (key is not None), writer)
    else:
        flat = [_plain(item) for item in value if not _is_container(item)]
        if len(flat) == len(value) and sum(map(len, flat)) + 2 * len(flat) <= _INLINE:
            yield (label + " " if key is not None else label) + ", ".join(flat)
            return
        if key is not None:
            yield label
        for item in value:
            inner = list(_lines(None, item, depth + (key is not None), writer))
            if inner:
                bullet = "  " * min(depth + (key is not None), _MAX_INDENT)
                yield bullet + "- " + inner[0].removeprefix(bullet)
                yield from ("  " + line for line in inner[1:])


def _is_container(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _plain(value: Any) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    if value is None or value == {} or value == []:
        return ""
    return str(value)
