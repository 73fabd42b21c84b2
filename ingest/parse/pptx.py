"""PowerPoint presentations: a page per slide with its title, texts, tables, charts' numbers and notes.

Shapes are read from top to bottom, and from left to right where they stand beside each other. Slide numbers and dates
are left out; typed texts at the foot are said in the metadata. The text in pictures is read by OCR.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from core.errors import EmptyDocument, ParseFailed, TooLarge
from ingest.parse.archive import check_archive
from ingest.parse.clean import is_title, one_line, title_from_filename
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.drawing_text import chart_blocks, diagram_blocks, paragraphs
from ingest.parse.embedded import EmbeddedPictures
from ingest.parse.hidden import hidden_warning, marked
from ingest.parse.kinds import MIME_TYPES
from ingest.parse.ooxml import attribute, core_properties, local, read_xml, relationships
from ingest.parse.source import File
from ingest.parse.tables import markdown_table
from ingest.parse.writer import TextWriter

_BESIDE_EMU = 91_440  # a tenth of an inch: shapes whose tops differ by less stand in one row
_MAX_DEPTH = 20
_MAX_NAMED = 10
_HEADING = ("title", "ctrTitle")
_RUNNING = ("ftr", "hdr", "dt", "sldNum")
_SHAPES = ("sp", "grpSp", "graphicFrame", "pic", "cxnSp", "AlternateContent")


def parse_pptx(path: File, filename: str, limits: ParseLimits, pictures: EmbeddedPictures) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``; page numbers are those of the slides. ``pictures`` reads theirs."""
    check_archive(path, filename, limits)
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return _parse(archive, filename, limits, pictures)
    except (zipfile.BadZipFile, EOFError, KeyError, etree.XMLSyntaxError) as e:
        message = f"{filename} is a damaged PowerPoint presentation ({type(e).__name__}: {e})"
        raise ParseFailed(message, code="damaged") from e


def _parse(archive: zipfile.ZipFile, filename: str, limits: ParseLimits, pictures: EmbeddedPictures) -> ParsedDocument:
    slides, size = _slides(archive, filename)
    if len(slides) > limits.max_pages:
        raise TooLarge(
            f"{filename} has {len(slides):,} slides, over the limit of {limits.max_pages:,} pages: split it",
            code="too-many-pages",
        )
    deck = _Deck(archive, TextWriter(filename, limits), pictures, size=size)
    for number, part in enumerate(slides, 1):
        start = deck.writer.next_start
        try:
            deck.slide(number, part)
        except (etree.XMLSyntaxError, KeyError, ValueError) as e:
            reason = "the file does not hold it" if isinstance(e, KeyError) else str(e)
            warning = ParseWarning("damaged", f"slide {number} could not be read: {reason}", number, lost=True)
            deck.warnings.append(warning)
        deck.end_slide(number, start)
        deck.writer.page(number, start)
    writer = deck.writer
    if not writer.parts:
        if pictures.reason:
            raise EmptyDocument(f"{filename} has no text: {pictures.reason}", code="scanned")
        if deck.warnings:
            raise ParseFailed(f"{filename} could not be read: {deck.warnings[0].message}", code="damaged")
        raise EmptyDocument(f"{filename} is a presentation without text ({len(slides)} slides)")
    metadata: dict[str, Any] = {**core_properties(archive), **pictures.metadata()}
    title = metadata.pop("title", "")
    if deck.running:
        metadata["running_heads"] = " · ".join(list(deck.running)[:_MAX_NAMED])
    first = writer.headings[0].text if writer.headings else ""
    return ParsedDocument(
        text=writer.text(),
        title=one_line(title) if is_title(title) else first or title_from_filename(filename),
        mime_type=MIME_TYPES["pptx"],
        pages=tuple(writer.pages),
        headings=tuple(writer.headings),
        metadata=metadata,
        warnings=tuple(deck.said()),
    )


def _slides(archive: zipfile.ZipFile, filename: str) -> tuple[list[str], tuple[int, int]]:
    """The parts of the slides in the order of the presentation, and the (width, height) of a slide."""
    members = frozenset(archive.namelist())
    part = next((p for kind, p in relationships(archive, "").values() if kind == "officeDocument"), "")
    part = part if part in members else "ppt/presentation.xml"
    root = read_xml(archive, part)
    if root is None:
        raise ParseFailed(f"{filename} is a damaged presentation: it has no list of slides", code="damaged")
    related = relationships(archive, part)
    ids = (attribute(e, "id", namespaced=True) for e in root.iterfind("{*}sldIdLst/{*}sldId"))
    slides = [related.get(i, ("", ""))[1] for i in ids]
    size = root.find("{*}sldSz")
    said = [size.get(name, "") if size is not None else "" for name in ("cx", "cy")]
    width, height = (int(v) if v.isdecimal() and len(v) < 12 else 0 for v in said)
    # No program shows a slide twice; an attack may name one a million times.
    return list(dict.fromkeys(slides)), (width, height)


@dataclass(slots=True)
class _Deck:
    archive: zipfile.ZipFile
    writer: TextWriter
    pictures: EmbeddedPictures
    images: list[str] = field(default_factory=list)  # parts of the pictures of the slide being read
    hidden: list[int] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)  # of a slide, in EMU; (0, 0) if the file does not say
    off_slide: list[tuple[str, int]] = field(default_factory=list)  # text that stands beside a slide, and its number
    unread: dict[str, int] = field(default_factory=dict)
    running: dict[str, None] = field(default_factory=dict)
    warnings: list[ParseWarning] = field(default_factory=list)
    related: dict[str, tuple[str, str]] = field(default_factory=dict)  # of the slide being read
    positions: list[dict[str, tuple[int, int]]] = field(default_factory=list)  # of its layout and master

    def slide(self, number: int, part: str) -> None:
        root = read_xml(self.archive, part)
        if root is None:
            raise KeyError(part)
        hidden = root.get("show") in ("0", "false")
        if hidden:
            self.hidden.append(number)
        self.related = relationships(self.archive, part)
        self.positions = list(self._inherited())
        tree = root.find("{*}cSld/{*}spTree")
        for shape in tree if tree is not None else ():
            if _is_off(shape, self.size):
                if passage := one_line(" ".join(paragraphs(shape))):
                    self.off_slide.append((passage, number))
                tree.remove(shape)
        shapes = self._ordered(tree, 0)
        titles = [s for s in shapes if _placeholder(s)[0] in _HEADING]
        title = " ".join(paragraphs(titles[0])) if titles else ""
        self.writer.heading(1, marked(title, "slide") if hidden else title)
        for shape in shapes:
            if shape not in titles[:1]:
                self._shape(shape)
        for kind, target in self.related.values():
            if kind == "notesSlide":
                self._notes(target)
            elif kind == "comments":
                self._comments(target)

    def _inherited(self) -> Iterator[dict[str, tuple[int, int]]]:
        """Where the placeholders of the layout, then those of its master, stand."""
        related = self.related
        for wanted in ("slideLayout", "slideMaster"):
            part = next((target for kind, target in related.values() if kind == wanted), "")
            root = read_xml(self.archive, part) if part else None
            if root is None:
                return
            found = {}
            for shape in root.iterfind("{*}cSld/{*}spTree/{*}sp"):
                position = _position(shape)
                kind, index = _placeholder(shape)
                if position is not None:
                    found[f"#{index}"] = found[kind] = position
            yield found
            related = relationships(self.archive, part)

    def _ordered(self, tree: Any, depth: int) -> list[Any]:
        """The shapes of a tree in reading order, groups replaced by their shapes."""
        if tree is None or depth > _MAX_DEPTH:
            return []
        placed = []
        for order, shape in enumerate(s for s in tree if local(s.tag) in _SHAPES):
            top, left = _position(shape) or self._inherited_position(shape) or (0, 0)
            placed.append((top, left, order, shape))
        rows: list[list[Any]] = []
        above: int | None = None
        for entry in sorted(placed, key=lambda e: (e[0], e[2])):
            if above is None or entry[0] - above > _BESIDE_EMU:
                rows.append([])
                above = entry[0]
            rows[-1].append(entry)
        shapes: list[Any] = []
        for row in rows:
            for *_, shape in sorted(row, key=lambda e: (e[1], e[2])):
                name = local(shape.tag)
                if name == "grpSp":
                    shapes += self._ordered(shape, depth + 1)
                elif name == "AlternateContent":
                    branch = shape.find("{*}Choice")
                    shapes += self._ordered(branch if branch is not None else shape.find("{*}Fallback"), depth + 1)
                else:
                    shapes.append(shape)
        return shapes

    def _inherited_position(self, shape: Any) -> tuple[int, int] | None:
        kind, index = _placeholder(shape)
        for positions in self.positions if kind else ():
            if f"#{index}" in positions or kind in positions:
                return positions.get(f"#{index}") or positions[kind]
        return None

    def _shape(self, shape: Any) -> None:
        kind, _ = _placeholder(shape)
        name = local(shape.tag)
        if kind in _RUNNING:
            if next(shape.iter("{*}fld"), None) is not None:
                return  # a number or date that the program fills in
            text = one_line(" ".join(paragraphs(shape)))
            if text:
                self.running[text] = None
        elif name == "pic":
            self._picture(shape)
        elif name == "graphicFrame":
            self._frame(shape)
        else:
            self.writer.block("\n".join(paragraphs(shape, bullets=kind in ("body", "obj", "subTitle"))))

    def _picture(self, shape: Any) -> None:
        for blip in shape.iter("{*}blip"):
            kind, target = self.related.get(attribute(blip, "embed", namespaced=True), ("", ""))
            if kind == "image":
                self.images.append(target)

    def end_slide(self, number: int, start: int) -> None:
        """Reads the pictures of the slide that began at ``start``, below its texts, which say what they are about."""
        where = f"on slide {number}"
        own = max(0, self.writer.length - start)
        for part in self.images:
            try:
                data = self.archive.read(part)
            except KeyError:
                self.pictures.missing(where)
                continue
            self.writer.block(self.pictures.text(data, where))
        self.pictures.end_part(own)
        self.images = []

    def _frame(self, frame: Any) -> None:
        table = next(frame.iter("{*}tbl"), None)
        if table is not None:
            rows = [[" ".join(paragraphs(cell)) for cell in row.iterfind("{*}tc")] for row in table.iterfind("{*}tr")]
            self.writer.block(markdown_table(rows, header=True))
            return
        for element in frame.iter("{*}chart", "{*}relIds"):
            kind, target = self.related.get(attribute(element, "id", namespaced=True), ("", ""))
            if kind == "chart":
                for block in chart_blocks(read_xml(self.archive, target)):
                    self.writer.block(block)
                return
            kind, target = self.related.get(attribute(element, "dm", namespaced=True), ("", ""))
            if kind == "diagramData":
                for block in diagram_blocks(read_xml(self.archive, target)):
                    self.writer.block(block)
                return
        self.unread["embedded objects"] = self.unread.get("embedded objects", 0) + 1

    def _notes(self, part: str) -> None:
        root = read_xml(self.archive, part)
        shapes = root.iter("{*}sp") if root is not None else ()
        texts = [text for shape in shapes if _placeholder(shape)[0] == "body" for text in paragraphs(shape)]
        if texts:
            self.writer.block("Notes: " + "\n".join(texts))

    def _comments(self, part: str) -> None:
        root = read_xml(self.archive, part)
        for element in root.iter("{*}cm") if root is not None else ():
            text = " ".join(" ".join(t.text or "" for t in element.iter("{*}text", "{*}t")).split())
            if text:
                self.writer.block(f"Comment: {text}")

    def said(self) -> Iterator[ParseWarning]:
        yield from self.warnings
        if self.hidden:
            numbers = ", ".join(map(str, self.hidden[:_MAX_NAMED])) + (" …" if len(self.hidden) > _MAX_NAMED else "")
            yield ParseWarning("hidden-slides", f"hidden slides were read too: {numbers}")
        yield from hidden_warning([text for text, _ in self.off_slide], [number for _, number in self.off_slide])
        yield from self.pictures.warnings()
        for what, count in self.unread.items():
            yield ParseWarning("embedded", f"{count} {what} were not read")


def _is_off(shape: Any, slide: tuple[int, int]) -> bool:
    """Whether a shape, or a group of shapes, lies beside the slide, where nobody sees it."""
    position = _position(shape)
    if position is None or not all(slide):
        return False
    top, left = position
    extent = next((e for e in shape.iterfind("{*}*/{*}xfrm/{*}ext")), None)
    if extent is None:
        extent = shape.find("{*}xfrm/{*}ext")
    said = [extent.get(name, "") if extent is not None else "" for name in ("cx", "cy")]
    width, height = (int(v) if v.isdecimal() and len(v) < 12 else 0 for v in said)
    return left >= slide[0] or top >= slide[1] or left + width <= 0 or top + height <= 0


def _placeholder(shape: Any) -> tuple[str, str]:
    """(type, index) of the placeholder that a shape fills; ("", "") if none."""
    for holder in shape.iterfind("{*}*/{*}nvPr/{*}ph"):
        return holder.get("type", "obj"), holder.get("idx", "0")
    return "", ""


def _position(shape: Any) -> tuple[int, int] | None:
    """(top, left) in EMU, in the coordinates of its group."""
    if local(shape.tag) == "AlternateContent":
        inner = next(shape.iter("{*}sp", "{*}grpSp", "{*}graphicFrame", "{*}pic"), None)
        return _position(inner) if inner is not None else None
    for path in ("{*}spPr/{*}xfrm/{*}off", "{*}grpSpPr/{*}xfrm/{*}off", "{*}xfrm/{*}off"):
        offset = shape.find(path)
        if offset is not None:
            x, y = offset.get("x", ""), offset.get("y", "")
            if re.fullmatch(r"-?\d{1,15}", x) and re.fullmatch(r"-?\d{1,15}", y):
                return int(y), int(x)
    return None
