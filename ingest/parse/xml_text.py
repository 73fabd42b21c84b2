"""XML of any kind: its text with the names of its elements; siblings of one shape as a table.

Entities are neither expanded nor fetched. What is not well-formed is read as plain text, with a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import etree

from core.errors import EmptyDocument
from ingest.parse.clean import is_title, one_line, title_from_filename
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.kinds import MIME_TYPES
from ingest.parse.ooxml import local
from ingest.parse.source import File
from ingest.parse.tables import markdown_table
from ingest.parse.text import check_characters, read_text
from ingest.parse.writer import TextWriter

_MAX_COLUMNS = 60
_MAX_CELL = 500
_MAX_INDENT = 12
_MAX_ATTRIBUTES = 200  # of one element


def parse_xml(path: File, filename: str, limits: ParseLimits) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``."""
    data = path.read_bytes()
    try:
        # No huge_tree: libxml2 itself bounds depth (256) and the length of a text (10 MB).
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_pis=True,
                                 remove_comments=True)  # fmt: skip
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as e:
        text, encoding, warnings = read_text(path, filename, limits)
        warning = ParseWarning(
            "invalid-xml", f"it is not well-formed XML ({one_line(str(e), 150)}): it was read as text"
        )
        return ParsedDocument(
            text=text,
            title=title_from_filename(filename),
            mime_type="text/plain",
            metadata={"encoding": encoding},
            warnings=(*warnings, warning),
        )
    writer = TextWriter(filename, limits)
    _write(writer, root)
    if not writer.parts:
        raise EmptyDocument(f"{filename} is XML without text")
    entities = sum(1 for _ in root.iter(etree.Entity))
    found: tuple[ParseWarning, ...] = ()
    if entities:
        found = (ParseWarning("xml-entities", f"{entities} entities were left as they are written", lost=True),)
    titles = (one_line(_prose(e)) for e in root.iter("{*}title"))
    return ParsedDocument(
        text=writer.text(),
        title=next((t for t in titles if is_title(t)), "") or title_from_filename(filename),
        mime_type=MIME_TYPES["xml"],
        metadata={"root": local(root.tag)},
        warnings=found,
    )


def _write(writer: TextWriter, root: Any) -> None:
    """The root's children as blocks: tables for records of one shape, indented lines for others."""
    table = _table(root, writer)
    if table:
        writer.block(f"{local(root.tag)}: {local(_elements(root)[0].tag)}")
        writer.block(markdown_table(table))
        return
    if root.attrib or (root.text or "").strip() or not len(root) or _is_mixed(root):
        writer.block("\n".join(_lines(root, 0, deep=_is_mixed(root))))
    if not _is_mixed(root):
        for child in _elements(root):
            inner = _table(child, writer)
            if inner:
                writer.block(f"{_name(child)}: {local(_elements(child)[0].tag)}")
                writer.block(markdown_table(inner))
            else:
                writer.block("\n".join(_lines(child, 0, deep=True)))


def _elements(element: Any) -> list[Any]:
    return [child for child in element if isinstance(child.tag, str)]


def _is_mixed(element: Any) -> bool:
    """Whether text stands between its elements: prose, to be read as one."""
    if any((child.tail or "").strip() for child in element):
        return True
    return bool((element.text or "").strip()) and len(element) > 0


def _prose(element: Any) -> str:
    return " ".join("".join(_texts(element)).split())


def _texts(element: Any) -> Iterator[str]:
    """Every text within an element in order; an entity is its name ("&x;")."""
    yield element.text or ""
    for child in element:
        yield from _texts(child)
        yield child.tail or ""


def _name(element: Any) -> str:
    names = element.keys()  # not attrib.items(), which takes the square of their number
    attributes = [f"{local(k)}={one_line(element.get(k), 200)}" for k in names[:_MAX_ATTRIBUTES]]
    if len(names) > _MAX_ATTRIBUTES:
        attributes.append(f"and {len(names) - _MAX_ATTRIBUTES:,} more attributes")
    return local(element.tag) + (f" ({', '.join(attributes)})" if attributes else "")


def _lines(element: Any, depth: int, *, deep: bool) -> Iterator[str]:
    indent = "  " * min(depth, _MAX_INDENT)
    if _is_mixed(element) or not len(element):
        text = _prose(element)
        if text or element.attrib:
            yield f"{indent}{_name(element)}: {text}" if text else indent + _name(element)
        return
    yield indent + _name(element) + ":"
    for child in _elements(element) if deep else ():
        yield from _lines(child, depth + 1, deep=True)


def _table(element: Any, writer: TextWriter) -> list[list[str]]:
    """Header and rows of children that bear one name and hold plain fields; else nothing."""
    rows = _elements(element)
    if len(rows) < 2 or element.attrib or _is_mixed(element) or len({row.tag for row in rows}) > 1:
        return []
    columns: dict[str, None] = {}
    records: list[dict[str, str]] = []
    for row in rows:
        record = {local(k): row.get(k) for k in row.keys()[: _MAX_COLUMNS + 1]}
        fields = _elements(row)
        if _is_mixed(row) or not (fields or record):
            return []
        for f in fields:
            name = local(f.tag)
            if len(f) or f.attrib or name in record or len(f.text or "") > _MAX_CELL:
                return []
            record[name] = f.text or ""
        columns.update(dict.fromkeys(record))
        records.append(record)
        if len(columns) > _MAX_COLUMNS:
            return []
    if sum(map(len, records)) * 2 < len(columns) * len(records):
        return []
    check_characters(3 * len(columns) * len(records), writer.filename, writer.limits)
    return [list(columns), *([record.get(key, "") for key in columns] for record in records)]
