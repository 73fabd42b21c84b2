"""OpenDocument files (LibreOffice): texts, spreadsheets and presentations.

A cell or a space that says it is repeated a billion times costs nothing: repetitions are counted, not made.
Left out: deleted text of tracked changes, text that is not displayed (said in a warning), tables of contents. The text in pictures is read by OCR.
Source: OASIS OpenDocument 1.3 part 3.
"""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from lxml import etree

from core.errors import EmptyDocument, Encrypted, ParseFailed, TooLarge
from core.wording import not_read
from ingest.parse.archive import check_archive
from ingest.parse.clean import is_title, one_line, title_from_filename
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.embedded import EmbeddedPictures
from ingest.parse.grid import Row, write_grid
from ingest.parse.hidden import hidden_warning, marked
from ingest.parse.kinds import MIME_TYPES
from ingest.parse.number_format import Number
from ingest.parse.odf_meta import metadata_of
from ingest.parse.odf_styles import hidden_styles, raising_styles, vanishing_styles
from ingest.parse.ooxml import attribute, local, read_xml
from ingest.parse.raised import before_raised, raised_sign
from ingest.parse.source import File
from ingest.parse.tables import markdown_table
from ingest.parse.text import check_characters
from ingest.parse.writer import TextWriter

_NOT_SHOWN = ("tracked-changes", "annotation", "table-of-content", "notes", "forms", "sequence-decls", "desc", "title")
_GROUPS = ("section", "index-body", "list-header", "text-box", "numbered-paragraph", "a", "soft-page-break")
_SHAPES = ("custom-shape", "rect", "ellipse", "circle", "line", "polyline", "polygon", "regular-polygon", "path",
           "connector", "caption", "measure", "g")  # fmt: skip
_ROW_GROUPS = ("table-rows", "table-header-rows", "table-row-group")
_COLUMN_GROUPS = ("table-columns", "table-header-columns", "table-column-group")
_NUMBER_TYPES = ("float", "percentage", "currency")
_MAX_SPACES = 100


def parse_odf(
    kind: Literal["odt", "ods", "odp"], path: File, filename: str, limits: ParseLimits, pictures: EmbeddedPictures
) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``; sheets are headings, slides are pages. ``pictures`` reads theirs."""
    check_archive(path, filename, limits)
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            manifest = read_xml(archive, "META-INF/manifest.xml")
            if manifest is not None and next(manifest.iter("{*}encryption-data"), None) is not None:
                message = f"{filename} is an OpenDocument file with a password: remove the password and try again"
                raise Encrypted(message)
            content, meta = read_xml(archive, "content.xml"), read_xml(archive, "meta.xml")
            reader = _read(
                kind, content, read_xml(archive, "styles.xml"), archive, TextWriter(filename, limits), pictures
            )
    except (zipfile.BadZipFile, zlib.error, EOFError, etree.XMLSyntaxError) as e:
        raise ParseFailed(f"{filename} is a damaged OpenDocument file ({type(e).__name__}: {e})", code="damaged") from e
    writer = reader.writer
    if len(writer.parts) <= reader.sheet_titles:
        if pictures.reason:
            raise EmptyDocument(f"{filename} has no text: {pictures.reason}", code="scanned")
        raise EmptyDocument(f"{filename} is an OpenDocument file without text", code="empty-document")
    metadata = {**metadata_of(meta), **pictures.metadata()}
    title = metadata.pop("title", "")
    first = writer.headings[0].text if writer.headings and kind != "ods" else ""
    return ParsedDocument(
        text=writer.text(),
        title=title if is_title(title) else first or title_from_filename(filename),
        mime_type=MIME_TYPES[kind],
        pages=tuple(writer.pages),
        headings=tuple(writer.headings),
        metadata=metadata,
        warnings=tuple(reader.warnings()),
    )


def _read(
    kind: Literal["odt", "ods", "odp"],
    content: Any,
    styles: Any,
    archive: zipfile.ZipFile,
    writer: TextWriter,
    pictures: EmbeddedPictures,
) -> _Reader:
    body = content.find("{*}body") if content is not None else None
    if body is None or not len(body):
        raise ParseFailed(f"{writer.filename} is a damaged OpenDocument file: it has no content", code="damaged")
    reader = _Reader(
        writer, hidden_styles(content), raising_styles(content), vanishing_styles(content, styles), pictures, archive
    )
    match kind:
        case "odt":
            reader.blocks(body[0])
            reader.footnotes()
        case "ods":
            reader.sheets(body[0])
        case "odp":
            reader.slides(body[0])
    pictures.end_part(writer.length - reader.of_pictures)
    return reader


def _place(column: int, row: int) -> str:
    """A cell by the name that a sheet shows, its column and row counted from 0: "B1"."""
    letters, column = "", column + 1
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return f"{letters}{row + 1}"


def _times(element: Any, name: str) -> int:
    value = attribute(element, name, "1")
    return max(1, int(value)) if value.isdecimal() and len(value) < 12 else 1


@dataclass(slots=True)
class _Reader:
    writer: TextWriter
    hidden_styles: frozenset[str]
    raising_styles: frozenset[str]
    vanishing_styles: frozenset[tuple[str, str]]
    pictures: EmbeddedPictures
    archive: zipfile.ZipFile
    where: str = ""  # names the slide or the sheet that is being read
    of_pictures: int = 0  # characters that come from pictures
    counts: Counter[str] = field(default_factory=Counter)
    hidden: list[str] = field(default_factory=list)
    invisible: list[str] = field(default_factory=list)  # texts that are not displayed
    comments: list[str] = field(default_factory=list)  # those not written yet
    notes: list[str] = field(default_factory=list)
    sheet_titles: int = 0

    # ------------------------------------------------------------ texts

    def blocks(self, container: Any, bullet: int = -1) -> None:
        """Headings, paragraphs, lists and tables; ``bullet`` is the depth of the list they are in."""
        for element in container:
            name = local(element.tag)
            if name == "annotation":
                self._annotation(element)
                self._write_comments()
            if name in _NOT_SHOWN or not name:
                continue
            if name == "section" and attribute(element, "display") == "none":
                self._left_out(element)
            elif name == "h":
                level = attribute(element, "outline-level", "1")
                self.writer.heading(int(level) if level.isdecimal() and len(level) < 3 else 1, self._text(element))
                self._boxes(element)
            elif name == "p":
                text = self._text(element).strip()
                self.writer.block("  " * bullet + "- " + text if bullet >= 0 and text else text)
                self._boxes(element)
            elif name == "list":
                self._list(element, bullet + 1)
            elif name == "table":
                self._table(element)
            elif name == "frame":
                self._frame(element)
            elif name in _GROUPS or name in _SHAPES or name.endswith("-index"):
                self.blocks(element, bullet)
            self._write_comments()

    def _list(self, element: Any, depth: int) -> None:
        """Items one to a line; what is more than a paragraph stands as a block of its own."""
        lines: list[str] = []

        def walk(node: Any, level: int) -> None:
            for item in node:
                for child in item:
                    name = local(child.tag)
                    if name == "list":
                        walk(child, level + 1)
                    elif name in ("p", "h"):
                        text = self._text(child).strip()
                        lines.append("  " * min(level, 9) + "- " + text if text else "")

        walk(element, depth)
        self.writer.block("\n".join(line for line in lines if line))
        self._boxes(element)

    def _boxes(self, element: Any) -> None:
        """Frames and shapes that hang on a paragraph, a list or a sheet; what they hold is theirs to write."""
        stack = [iter(element)]
        while stack:
            node = next(stack[-1], None)
            name = local(node.tag) if node is not None else ""
            if node is None:
                stack.pop()
            elif name == "frame":
                self._frame(node)
            elif name in _SHAPES:
                self.blocks(node)
            elif name != "annotation":
                stack.append(iter(node))

    def _annotation(self, element: Any) -> None:
        """Puts a comment aside; it follows the block in which it stands."""
        text = self._note(element)
        if text:
            author = one_line(element.findtext("{*}creator", ""))
            self.comments.append(f"Comment ({author}): {text}" if author else f"Comment: {text}")

    def _note(self, element: Any) -> str:
        return " ".join(filter(None, (self._text(p).strip() for p in element.iter("{*}p"))))

    def _write_comments(self) -> None:
        waiting, self.comments = self.comments, []
        for comment in waiting:
            self.writer.block(comment)

    def _left_out(self, element: Any) -> None:
        text = " ".join("".join(element.itertext()).split())
        if text:
            self.invisible.append(text)

    def _frame(self, frame: Any) -> None:
        for child in frame:
            name = local(child.tag)
            if name == "text-box":
                self.blocks(child)
            elif name == "table":
                self._table(child)
            elif name == "image":
                self._picture(attribute(child, "href"))
            elif name in ("object", "object-ole"):
                self.counts["embedded object"] += 1
            else:
                continue
            return  # what follows is a replacement for the first

    def _picture(self, part: str) -> None:
        try:
            data = self.archive.read(part.removeprefix("./"))
        except KeyError:  # linked, not embedded
            self.pictures.missing(self.where)
            return
        text = self.pictures.text(data, self.where)
        self.writer.block(text)
        self.of_pictures += len(text)

    def _table(self, table: Any) -> None:
        rows = []
        for row in self._rows(table):
            cells: list[str] = []
            for cell in row:
                if local(cell.tag) in ("table-cell", "covered-table-cell"):
                    text = " ".join(self._text(p) for p in cell.iter("{*}p", "{*}h"))
                    cells += [text] * (min(_times(cell, "number-columns-repeated"), 1000) if text else 1)
            rows.append(cells)
        self.writer.block(markdown_table(rows))
        for frame in table.iter("{*}frame"):  # text boxes are read with their cell
            if frame.find("{*}text-box") is None:
                self._frame(frame)

    def _rows(self, table: Any) -> Iterator[Any]:
        for element in table:
            name = local(element.tag)
            if name == "table-row":
                yield element
            elif name in _ROW_GROUPS:
                yield from self._rows(element)

    def _text(self, paragraph: Any) -> str:
        """The visible text of a paragraph; notes and comments are put aside, frames are not entered."""
        if self._vanishes(paragraph):
            self._left_out(paragraph)
            return ""
        parts: list[str] = [paragraph.text or ""]
        for node in paragraph:
            name = local(node.tag)
            if name == "s":
                spaces = attribute(node, "c", "1")
                parts.append(" " * min(int(spaces) if spaces.isdecimal() and len(spaces) < 9 else 1, _MAX_SPACES))
            elif name == "tab":
                parts.append("\t")
            elif name == "line-break":
                parts.append("\n")
            elif name == "note":
                body = next(node.iter("{*}note-body"), None)
                text = " ".join(self._text(p).strip() for p in body.iter("{*}p")) if body is not None else ""
                if text:
                    self.notes.append(text)
                    parts.append(f"[^{len(self.notes)}]")
            elif name == "annotation":
                self._annotation(node)
            elif name not in _SHAPES and name not in ("frame", "annotation-end", "ruby-text", ""):
                text = self._text(node)
                if attribute(node, "style-name") in self.raising_styles:
                    text = raised_sign(parts[-1], text, node.tail or "")
                    parts.append(before_raised(parts[-1], text, node.tail or ""))
                parts.append(text)
            parts.append(node.tail or "")
        return "".join(parts)

    def _vanishes(self, element: Any) -> bool:
        if not self.vanishing_styles:
            return False
        family = "paragraph" if local(element.tag) in ("p", "h") else "text"
        return (family, attribute(element, "style-name")) in self.vanishing_styles

    def footnotes(self) -> None:
        for number, text in enumerate(self.notes, 1):
            self.writer.block(f"[^{number}]: {text}")

    # ------------------------------------------------------------ sheets

    def sheets(self, body: Any) -> None:
        for table in body.iterfind("{*}table"):
            rows, comments = self._grid(table)
            drawn = next(table.iter("{*}frame", *("{*}" + shape for shape in _SHAPES)), None) is not None
            if not rows and not comments and not drawn:
                continue
            name = attribute(table, "name", "Sheet")
            self.where = f"on sheet {one_line(name, 60)}"
            hidden = attribute(table, "style-name") in self.hidden_styles
            if hidden:
                self.hidden.append(one_line(name, 60))
            self.writer.heading(1, marked(name, "sheet") if hidden else name)
            self.sheet_titles += 1
            start, before = self.writer.length, self.of_pictures
            write_grid(self.writer, rows)
            self.writer.block("\n".join(comments))
            if drawn:
                self._boxes(table)
            self.pictures.end_part(self.writer.length - start - (self.of_pictures - before))

    def _grid(self, table: Any) -> tuple[list[tuple[int, Row]], list[str]]:
        """The rows with something in them, and the comments on cells."""
        rows: list[tuple[int, Row]] = []
        comments: list[str] = []
        number = characters = 0
        for element in self._rows(table):
            row: dict[int, str] = {}
            column = 0
            times = _times(element, "number-rows-repeated")
            for cell in element:
                name = local(cell.tag)
                if name not in ("table-cell", "covered-table-cell"):
                    continue
                repeated = _times(cell, "number-columns-repeated")
                text = self._cell(cell) if name == "table-cell" else ""
                notes = map(self._note, cell.iterfind("{*}annotation"))
                comments += (f"Comment on {_place(column, number)}: {note}" for note in notes if note)
                if text.strip():
                    characters += (len(text) + 3) * repeated * times
                    check_characters(characters, self.writer.filename, self.writer.limits)
                    row.update((column + i, text) for i in range(repeated))
                column += repeated
            if row:
                rows += [(number + i, row) for i in range(times)]
                self.counts["hidden row"] += times * (attribute(element, "visibility") in ("collapse", "filter"))
            number += times
        return rows, comments

    def _cell(self, cell: Any) -> str:
        text = "\n".join(self._text(p) for p in cell.iterfind("{*}p")).strip()
        kind = attribute(cell, "value-type")
        if kind in _NUMBER_TYPES:
            return Number(text or attribute(cell, "value"))
        if kind == "date":  # as ISO says it, not as the sheet's language does
            return attribute(cell, "date-value").removesuffix("T00:00:00").replace("T", " ") or text
        return text

    # ------------------------------------------------------------ slides

    def slides(self, body: Any) -> None:
        pages = body.findall("{*}page")
        limit = self.writer.limits.max_pages
        if len(pages) > limit:
            message = f"{self.writer.filename} has {len(pages):,} slides, over the limit of {limit:,} pages: split it"
            raise TooLarge(message, code="too-many-pages")
        for number, page in enumerate(pages, 1):
            start, before = self.writer.next_start, self.of_pictures
            self.where = f"on slide {number}"
            hidden = attribute(page, "style-name") in self.hidden_styles
            if hidden:
                self.hidden.append(f"slide {number}")
            title = next((f for f in page.iter("{*}frame") if attribute(f, "class") == "title"), None)
            heading = " ".join(self._text(p) for p in title.iter("{*}p")) if title is not None else ""
            self.writer.heading(1, marked(heading, "slide") if hidden else heading)
            self._write_comments()
            for element in page:
                if element is not title and local(element.tag) != "notes":
                    self.blocks([element])
            for notes in page.iterfind("{*}notes"):
                texts = [self._text(p).strip() for p in notes.iter("{*}p")]
                if any(texts):
                    self.writer.block("Notes: " + "\n".join(filter(None, texts)))
            self.pictures.end_part(self.writer.length - start - (self.of_pictures - before))
            self.writer.page(number, start)

    def warnings(self) -> Iterator[ParseWarning]:
        if self.hidden:
            yield ParseWarning("hidden-sheets", f"hidden parts were read too: {', '.join(self.hidden[:10])}")
        if self.counts["hidden row"]:
            yield ParseWarning("hidden-cells", f"{self.counts['hidden row']} hidden rows were read too")
        yield from hidden_warning(self.invisible)
        yield from self.pictures.warnings()
        if self.counts["embedded object"]:
            yield ParseWarning("embedded", not_read(self.counts["embedded object"], "embedded object"))
