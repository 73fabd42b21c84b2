"""Word documents: paragraphs, headings, lists, tables (as Markdown rows), equations, the text in pictures, the numbers of
charts, the labels of diagrams, comments, foot- and endnotes, and documents that are inserted whole.

Left out: deleted text of tracked changes, running heads and feet (said in the metadata), and text that Word
would not show (said in a warning). A .docx has no pages until it is printed.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import docx
from docx.opc.exceptions import PackageNotFoundError
from lxml import etree

from core.errors import EmptyDocument, OpenbookError, ParseFailed
from core.wording import not_read
from ingest.parse.archive import check_archive
from ingest.parse.clean import clean, expand_ligatures, is_title, one_line, title_from_filename
from ingest.parse.document import Heading, ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.docx_parts import Inner, Inserted, comment_author, comments, inserted_by, opened, reason
from ingest.parse.docx_styles import heading_levels, hiding_styles, is_hidden, raising_styles
from ingest.parse.docx_table import WordRow, joined_rows
from ingest.parse.drawing_text import chart_blocks, diagram_blocks
from ingest.parse.embedded import EmbeddedPictures
from ingest.parse.equation import equation_text
from ingest.parse.hidden import hidden_warning
from ingest.parse.raised import joined_runs
from ingest.parse.source import File
from ingest.parse.tables import markdown_table
from ingest.parse.text import check_characters

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MC_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_A_BLIP = "{http://schemas.openxmlformats.org/drawingml/2006/main}blip"
_M_EQUATION = "{http://schemas.openxmlformats.org/officeDocument/2006/math}oMath"
_A_DATA = "{http://schemas.openxmlformats.org/drawingml/2006/main}graphicData"
_V_IMAGE = "{urn:schemas-microsoft-com:vml}imagedata"
# del and moveFrom hold what tracked changes took away.
_NOT_SHOWN = frozenset([_W + "del", _W + "moveFrom", _W + "instrText", _MC_FALLBACK, _W + "delText"])
_TEXT = {_W + "tab": "\t", _W + "br": "\n", _W + "cr": "\n", _W + "noBreakHyphen": "-", _W + "ptab": "\t"}
# Drawings whose text is read where it stands, or that have none but in pictures; "chartex" are the charts of Office 2016.
_SHAPES = ("picture", "wordprocessingShape", "wordprocessingGroup", "wordprocessingCanvas", "lockedCanvas")
_READ = {"chart": (chart_blocks, _R + "id"), "diagram": (diagram_blocks, _R + "dm")}
_TITLE_WITHIN = 500  # a first heading further down is a chapter's, not the document's
_NOTES = (("footnotes", "footnote"), ("endnotes", "endnote"))


def parse_docx(
    path: File, filename: str, limits: ParseLimits, pictures: EmbeddedPictures, inner: Inner | None = None
) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``; ``pictures`` reads those of the document, ``inner`` documents within it."""
    check_archive(path, filename, limits)
    try:
        with path.open("rb") as file:
            package = docx.Document(opened(path, file))
    except (PackageNotFoundError, KeyError, ValueError, zipfile.BadZipFile, SyntaxError) as e:
        raise ParseFailed(f"{filename} is a damaged Word document ({type(e).__name__}: {e})", code="damaged") from e
    writer = _Writer(
        filename,
        limits,
        heading_levels(package),
        pictures,
        _parts(package),
        hiding_styles(package),
        raising_styles(package),
        inserted_by(package, inner),
    )
    for part in _named(package, "comments"):
        writer.comments.update(comments(_xml(part.blob)))
    writer.blocks(package.element.body)
    writer.notes(package)
    writer.commented(list(writer.comments))
    text = "\n\n".join(writer.parts)
    pictures.end_part(writer.own)
    if not text.strip():
        if pictures.reason:
            raise EmptyDocument(f"{filename} has no text: {pictures.reason}", code="scanned")
        raise EmptyDocument(f"{filename} is a Word document without text")
    metadata: dict[str, Any] = {**_metadata(package), **pictures.metadata()}
    title = metadata.pop("title", "")
    running = _running_texts(package)
    if running:
        metadata["running_heads"] = running
    warnings = [*hidden_warning(writer.hidden), *pictures.warnings(), *writer.said]
    warnings += (ParseWarning("embedded", not_read(count, what)) for what, count in writer.unread.items())
    first = writer.headings[0].text if writer.headings and writer.headings[0].start < _TITLE_WITHIN else ""
    return ParsedDocument(
        text=text,
        title=one_line(title) if is_title(title) else first or title_from_filename(filename),
        mime_type="application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        headings=tuple(writer.headings),
        metadata=metadata,
        warnings=tuple(warnings),
    )


def _parts(package: Any) -> Callable[[str], bytes | None]:
    """Looks up the bytes of a part, as a picture, by the id of its relationship; None if the file does not hold it."""

    def look_up(relationship: str) -> bytes | None:
        part = package.part.related_parts.get(relationship)
        return None if part is None else bytes(part.blob)

    return look_up


def _named(package: Any, name: str) -> Iterator[Any]:
    """The parts of one name, in whatever folder: "comments" is comments.xml."""
    for part in package.part.package.iter_parts():
        if str(part.partname).endswith(f"/{name}.xml"):
            yield part


def _metadata(package: Any) -> dict[str, str]:
    core = package.core_properties
    found = {}
    for name in ("title", "author", "subject", "keywords", "language"):
        try:
            value = getattr(core, name)
        except (ValueError, AttributeError):  # a malformed property is as good as none
            continue
        if value:
            found[name] = one_line(value)
    for name in ("created", "modified"):
        try:
            value = getattr(core, name)
        except (ValueError, AttributeError):
            continue
        if value:
            found[name] = value.isoformat()
    return found


def _running_texts(package: Any) -> str:
    """The texts of page headers and footers, on one line."""
    found: list[str] = []
    for part in package.part.package.iter_parts():
        if re.search(r"/(?:header|footer)\d*\.xml$", str(part.partname)):
            text = one_line("".join(t.text or "" for t in _xml(part.blob).iter(_W + "t")))
            if text and text not in found:
                found.append(text)
    return " · ".join(found[:10])


@dataclass(slots=True)
class _Writer:
    filename: str
    limits: ParseLimits
    heading_levels: dict[str, int]
    pictures: EmbeddedPictures
    part: Callable[[str], bytes | None]  # by the id of its relationship
    hiding_styles: frozenset[str]
    raising_styles: frozenset[str]
    inserted: Inserted
    own: int = 0  # characters that do not come from pictures
    parts: list[str] = field(default_factory=list)
    length: int = 0
    headings: list[Heading] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    comments: dict[str, Any] = field(default_factory=dict)  # those not written yet
    said: list[ParseWarning] = field(default_factory=list)  # of documents inserted whole
    unread: Counter[str] = field(default_factory=Counter)  # what is drawn and could not be read

    def blocks(self, container: Any) -> None:
        """Writes the paragraphs and tables of a body; content controls and insertions are looked into."""
        stack = [iter(container)]
        while stack:
            element = next(stack[-1], None)
            if element is None:
                stack.pop()
            elif element.tag == _W + "p":
                self._paragraph(element)
            elif element.tag == _W + "tbl":
                self._write(markdown_table(joined_rows([*self._rows(element)])))
                self._drawn(element)
                self._commented_in(element)
            elif element.tag == _W + "altChunk":
                self._insert(element.get(_R + "id") or "")
            elif element.tag in (_W + "sdt", _W + "sdtContent", _W + "ins", _W + "customXml", _W + "smartTag"):
                stack.append(iter(element))

    def notes(self, package: Any) -> None:
        for part_name, tag in _NOTES:
            for part in _named(package, part_name):
                root = _xml(part.blob)
                for note in root.iter(_W + tag):
                    if note.get(_W + "type") is None:
                        text = " ".join(self._text(p) for p in note.iter(_W + "p")).strip()
                        if text:
                            self._write(f"[^{note.get(_W + 'id')}]: {clean(text)}")

    def commented(self, ids: list[str]) -> None:
        """Writes comments, each once: those of a paragraph or a table follow it."""
        for comment in (self.comments.pop(i) for i in ids if i in self.comments):
            text = clean(" ".join(self._text(p) for p in comment.iter(_W + "p"))).strip()
            author = comment_author(comment)
            if text:
                self._write(f"Comment ({author}): {text}" if author else f"Comment: {text}")

    def _commented_in(self, element: Any) -> None:
        if self.comments:
            self.commented([e.get(_W + "id", "") for e in element.iter(_W + "commentReference")])

    def _insert(self, relationship: str) -> None:
        """Writes a document that is inserted whole (w:altChunk), which Word unpacks when it next saves."""
        share = replace(self.limits, max_characters=max(self.limits.max_characters - self.length, 1))
        try:
            document = self.inserted(relationship, share)
        except OpenbookError as e:
            if e.code == "too-many-characters":  # said of this document, whose limit it is
                check_characters(self.limits.max_characters + 1, self.filename, self.limits)
            self.said.append(ParseWarning("embedded", f"an inserted document was not read: {reason(e)}", lost=True))
            return
        start = self.length + (2 if self.parts else 0)
        self.headings += (Heading(h.level, h.text, start + h.start) for h in document.headings)
        self._write(document.text)
        self.said += (w._replace(page=None) for w in document.warnings)

    def _paragraph(self, paragraph: Any) -> None:
        boxes: list[Any] = []
        text = clean(self._text(paragraph, boxes)).strip()
        if text:
            properties = paragraph.find(_W + "pPr")
            level = self._level(properties)
            if level:
                title = one_line(text)
                self.headings.append(Heading(level, title, self.length + (2 if self.parts else 0)))
            elif properties is not None and properties.find(_W + "numPr") is not None:
                text = "- " + text
            self._write(text)
        self._drawn(paragraph)
        for box in boxes:
            for inner in box:
                if inner.tag == _W + "p":
                    self._paragraph(inner)
        self._commented_in(paragraph)

    def _drawn(self, element: Any) -> None:
        """Writes the text in the pictures, charts and diagrams of a paragraph or a table; of two versions the newer counts."""
        for node in element.iter(_A_BLIP, _V_IMAGE, _A_DATA, _W + "object"):
            around = [a.tag for a in node.iterancestors()]
            if _MC_FALLBACK in around or any(is_hidden(r, self.hiding_styles) for r in node.iterancestors(_W + "r")):
                continue
            if node.tag == _A_DATA:
                self._graphic(node)
            elif node.tag == _W + "object":
                self.unread["embedded object"] += 1
            else:
                self._picture(node)

    def _picture(self, node: Any) -> None:
        relationship = node.get(_R + "embed") or node.get(_R + "id")
        if not relationship:
            return
        data = self.part(relationship)
        if data is None:
            self.pictures.missing()
            return
        text = self.pictures.text(data)
        self._write(text)
        self.own -= len(text)

    def _graphic(self, data: Any) -> None:
        """Writes a chart's numbers or a diagram's labels."""
        kind = (data.get("uri") or "").rpartition("/")[2]
        if kind in _SHAPES:
            return
        blocks: list[str] = []
        if kind in _READ:
            read, key = _READ[kind]
            blob = self.part(next((e.get(key) for e in data if e.get(key)), ""))
            try:
                blocks = [clean(block) for block in read(_xml(blob))] if blob is not None else []
            except etree.XMLSyntaxError:
                blocks = []  # told of below
        if any(blocks):
            for block in blocks:
                self._write(block)
        else:
            self.unread[kind if kind in _READ else "chart" if kind == "chartex" else "drawing"] += 1

    def _level(self, properties: Any) -> int:
        if properties is None:
            return 0
        style = properties.find(_W + "pStyle")
        if style is not None and (style.get(_W + "val") or "") in self.heading_levels:
            return self.heading_levels[style.get(_W + "val")]
        outline = properties.find(_W + "outlineLvl")
        value = outline.get(_W + "val", "9") if outline is not None else "9"
        return int(value) + 1 if value.isdigit() and int(value) < 9 else 0

    def _text(self, element: Any, boxes: list[Any] | None = None) -> str:
        """The visible text of a paragraph; text boxes that hang on it are put into ``boxes``."""
        parts: list[tuple[str, bool]] = []  # each with whether it is raised
        stack = [iter(element)]
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
            elif node.tag == _W + "t":
                parts.append((expand_ligatures(node.text or ""), self._is_raised(node)))
            elif node.tag in _TEXT:
                parts.append((_TEXT[node.tag], False))
            elif node.tag == _M_EQUATION:
                parts.append((equation_text(node), False))
            elif node.tag == _W + "txbxContent":
                if boxes is not None:
                    boxes.append(node)
            elif node.tag == _W + "footnoteReference" or node.tag == _W + "endnoteReference":
                parts.append((f"[^{node.get(_W + 'id')}]", False))
            elif node.tag == _W + "r" and is_hidden(node, self.hiding_styles):
                hidden = "".join(t.text or "" for t in node.iter(_W + "t"))
                if hidden.strip():
                    self.hidden.append(hidden.strip())
            elif node.tag not in _NOT_SHOWN and isinstance(node.tag, str):
                stack.append(iter(node))
        return joined_runs(parts)

    def _is_raised(self, text: Any) -> bool:
        """Whether the run of a ``w:t`` is set as a superscript, by itself or by its own style."""
        run = text.getparent()
        properties = run.find(_W + "rPr") if run is not None else None
        if properties is None:
            return False
        own = properties.find(_W + "vertAlign")
        if own is not None:
            return bool(own.get(_W + "val") == "superscript")
        style = properties.find(_W + "rStyle")
        return style is not None and style.get(_W + "val") in self.raising_styles

    def _rows(self, table: Any) -> Iterator[WordRow]:
        for row in _children(table, _W + "tr"):
            cells: list[tuple[str, int]] = []
            for cell in _children(row, _W + "tc"):
                merged = cell.find(f"{_W}tcPr/{_W}vMerge")
                continued = merged is not None and merged.get(_W + "val") != "restart"
                texts = "" if continued else " ".join(self._text(p) for p in cell.iter(_W + "p"))
                span = cell.find(f"{_W}tcPr/{_W}gridSpan")
                width = span.get(_W + "val", "1") if span is not None else "1"
                cells.append((clean(texts), max(min(int(width), 100), 1) if width.isdigit() else 1))
            head = row.find(f"{_W}trPr/{_W}tblHeader")
            yield WordRow(cells, head is not None and head.get(_W + "val") not in ("0", "false", "off"))

    def _write(self, text: str) -> None:
        if not text:
            return
        self.length += len(text) + (2 if self.parts else 0)
        self.own += len(text)
        self.parts.append(text)
        check_characters(self.length, self.filename, self.limits)


def _children(element: Any, tag: str) -> Iterator[Any]:
    """Children with ``tag``, also inside content controls and tracked insertions."""
    stack = [iter(element)]
    while stack:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
        elif node.tag == tag:
            yield node
        elif node.tag in (_W + "sdt", _W + "sdtContent", _W + "ins", _W + "customXml"):
            stack.append(iter(node))


def _xml(blob: bytes) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.parse(io.BytesIO(blob), parser).getroot()
