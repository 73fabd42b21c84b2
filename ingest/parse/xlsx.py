"""Excel workbooks: each sheet a heading, followed by its tables, its comments and the text in its pictures.

Sheets are read as a stream of cells, whatever size they claim to have, so that a sheet with a million formatted but
empty rows costs what its cells cost. Formulas give the value that Excel last saved; one without is said in a warning.
Number formats and dates follow openpyxl's tables; the tests hold the values against openpyxl.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from lxml import etree
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904, WINDOWS_EPOCH, from_excel

from core.errors import EmptyDocument, ParseFailed
from core.wording import not_read, plural
from ingest.parse.archive import check_archive
from ingest.parse.clean import is_title, one_line, title_from_filename
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.embedded import EmbeddedPictures
from ingest.parse.grid import Row, write_grid
from ingest.parse.hidden import marked
from ingest.parse.kinds import MIME_TYPES
from ingest.parse.number_format import Number, shown_date, shown_number
from ingest.parse.ooxml import attribute, core_properties, forget, local, read_xml, relationships, stream_xml
from ingest.parse.raised import joined_runs
from ingest.parse.source import File
from ingest.parse.text import check_characters
from ingest.parse.writer import TextWriter
from ingest.parse.xlsx_pictures import pictures_of_sheet

_REF = re.compile(r"([A-Z]{1,7})(\d{1,9})")
_MAX_MERGED_CELLS = 100_000
_MAX_NAMED = 5
_PROGRESS = 200_000  # characters


def parse_xlsx(
    path: File,
    filename: str,
    limits: ParseLimits,
    pictures: EmbeddedPictures,
    progressed: Callable[[], None] = lambda: None,
) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``; ``headings`` are the sheets, ``pictures`` reads theirs. Every 200,000
    characters are progress."""
    check_archive(path, filename, limits)
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return _parse(archive, filename, limits, pictures, progressed)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, etree.XMLSyntaxError) as e:
        raise ParseFailed(f"{filename} is a damaged Excel workbook ({type(e).__name__}: {e})", code="damaged") from e


def _parse(
    archive: zipfile.ZipFile,
    filename: str,
    limits: ParseLimits,
    pictures: EmbeddedPictures,
    progressed: Callable[[], None],
) -> ParsedDocument:
    book = _Book(archive, filename, limits, progressed)
    seen: set[str] = set()  # pictures that stand on a sheet
    writer = TextWriter(filename, limits)
    for name, state, kind, part in book.sheets:
        if part not in book.members:
            book.said["lost-sheet"].append(name)
            continue
        if kind != "worksheet":
            book.said["chart-sheet"].append(name)
            continue
        if state != "visible":
            book.said["hidden-sheet"].append(name)
        rows = _Sheet(book, part).read()
        comments = list(_comments(archive, part, book.members))
        images = pictures_of_sheet(archive, part)
        seen.update(images)
        written = writer.length
        read = [text for text in _read_pictures(book, images, pictures, f"on sheet {one_line(name, 60)}") if text]
        if rows or comments or read:
            writer.heading(1, name if state == "visible" else marked(name, "sheet"))
            write_grid(writer, rows)
        if comments:
            writer.block("\n".join(comments))
        pictures.end_part(writer.length - written)
        for text in read:
            writer.block(text)
    book.counts["picture"] = len({m for m in book.members if m.startswith("xl/media/")} - seen)
    if not any(part for part in writer.parts if part not in {h.text for h in writer.headings}):
        if pictures.reason:
            raise EmptyDocument(f"{filename} has no text: {pictures.reason}", code="scanned")
        found = f"{len(book.sheets)} sheet{'s' * (len(book.sheets) != 1)}"
        raise EmptyDocument(f"{filename} is an Excel workbook without any text or number in its cells ({found})")
    metadata: dict[str, Any] = {**core_properties(archive), **pictures.metadata()}
    title = metadata.pop("title", "")
    metadata["sheets"] = [one_line(name) for name, *_ in book.sheets][:200]
    return ParsedDocument(
        text=writer.text(),
        title=one_line(title) if is_title(title) else title_from_filename(filename),
        mime_type=MIME_TYPES["xlsx"],
        headings=tuple(writer.headings),
        metadata=metadata,
        warnings=(*book.warnings(), *pictures.warnings()),
    )


def _read_pictures(book: _Book, parts: list[str], pictures: EmbeddedPictures, where: str) -> Iterator[str]:
    for part in parts:
        if part in book.members:
            yield pictures.text(book.archive.read(part), where)
        else:
            pictures.missing(where)


class _Format(NamedTuple):
    code: str
    date: bool
    duration: bool


_GENERAL = _Format("", False, False)


@dataclass(slots=True)
class _Book:
    """What the sheets share: strings, styles, and what there is to be said."""

    archive: zipfile.ZipFile
    filename: str
    limits: ParseLimits
    progressed: Callable[[], None]
    members: frozenset[str] = frozenset()
    sheets: list[tuple[str, str, str, str]] = field(default_factory=list)  # name, state, kind, part
    strings: list[str] = field(default_factory=list)
    formats: list[_Format] = field(default_factory=list)  # per cell style
    mac_dates: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    said: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.said = {"lost-sheet": [], "chart-sheet": [], "hidden-sheet": [], "lost-cell": []}
        self.members = frozenset(self.archive.namelist())
        part = next((p for kind, p in relationships(self.archive, "").values() if kind == "officeDocument"), "")
        part = part if part in self.members else "xl/workbook.xml"
        root = read_xml(self.archive, part)
        if root is None:
            raise ParseFailed(f"{self.filename} is a damaged Excel workbook: it has no list of sheets", code="damaged")
        related = relationships(self.archive, part)
        for element in root.iter("{*}sheet"):
            relation = attribute(element, "id", namespaced=True)
            kind, target = related.get(relation, ("worksheet", ""))
            self.sheets.append((element.get("name", "Sheet"), element.get("state", "visible"), kind, target))
        properties = root.find("{*}workbookPr")
        self.mac_dates = properties is not None and properties.get("date1904") in ("1", "true")
        for kind, target in related.values():
            if kind == "sharedStrings" and target in self.members:
                self._read_strings(target)
            elif kind == "styles" and target in self.members:
                self._read_formats(target)

    def _read_strings(self, part: str) -> None:
        characters = 0
        with self.archive.open(part) as stream:
            for _, element in stream_xml(stream, ("{*}si",)):
                text = _rich_text(element)
                characters += len(text)
                check_characters(characters, self.filename, self.limits)
                self.strings.append(text)
                forget(element)

    def _read_formats(self, part: str) -> None:
        root = read_xml(self.archive, part)
        own = {e.get("numFmtId"): e.get("formatCode", "") for e in root.iter("{*}numFmt")}
        styles = root.find("{*}cellXfs")
        for style in styles if styles is not None else ():
            number = style.get("numFmtId", "0")
            code = own.get(number)
            if code is None:
                code = BUILTIN_FORMATS.get(int(number), "") if number.isdigit() else ""
            self.formats.append(_Format(code, is_date_format(code), is_timedelta_format(code)) if code else _GENERAL)

    def warnings(self) -> Iterator[ParseWarning]:
        counts, said = self.counts, self.said
        if said["lost-sheet"]:
            names = _named(said["lost-sheet"])
            yield ParseWarning("damaged", f"sheets that the file names but does not hold: {names}", lost=True)
        if counts["lost-cell"]:
            message = f"{counts['lost-cell']} cells refer to texts that the file does not hold"
            yield ParseWarning("damaged", message, lost=True)
        if counts["formula"]:
            message = (
                f"{counts['formula']} formulas have no saved value and are left empty: "
                "open the workbook in Excel or LibreOffice and save it, then add it again"
            )
            yield ParseWarning("formulas-without-values", message, lost=True)
        if said["hidden-sheet"]:
            yield ParseWarning("hidden-sheets", f"hidden sheets were read too: {_named(said['hidden-sheet'])}")
        hidden = [plural(counts[k], f"hidden {k}") for k in ("row", "column") if counts[k]]
        if hidden:
            yield ParseWarning("hidden-cells", f"{' and '.join(hidden)} were read too")
        if said["chart-sheet"]:
            yield ParseWarning("charts", f"sheets that are a chart were not read: {_named(said['chart-sheet'])}")
        charts = sum(bool(re.fullmatch(r"xl/charts/chart\d*\.xml", m)) for m in self.members)
        # Those of running heads, and in cells: of none of them it is known where it stands.
        for count, what in ((charts, "chart"), (counts["picture"], "picture")):
            if count:
                yield ParseWarning(f"{what}s", not_read(count, what))


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(one_line(n, 60) for n in names[:_MAX_NAMED]) + more


def _rich_text(element: Any) -> str:
    """The text of a string item; phonetic guides are left out."""
    runs: list[tuple[str, bool]] = []  # each with whether it is raised
    for child in element:
        name = local(child.tag)
        if name == "t":
            runs.append((child.text or "", False))
        elif name == "r":
            align = child.find("{*}rPr/{*}vertAlign")
            raised = align is not None and align.get("val") == "superscript"
            runs += [(t.text or "", raised) for t in child if local(t.tag) == "t"]
    return joined_runs(runs)


@dataclass(slots=True)
class _Sheet:
    book: _Book
    part: str
    characters: int = 0
    merges: list[tuple[int, int, int, int]] = field(default_factory=list)

    def read(self) -> list[tuple[int, Row]]:
        rows: list[tuple[int, Row]] = []
        number = 0
        with self.book.archive.open(self.part) as stream:
            for _, element in stream_xml(stream, ("{*}row", "{*}col", "{*}mergeCell")):
                name = local(element.tag)
                if name == "row":
                    given = element.get("r", "")
                    number = int(given) if given.isdecimal() and len(given) < 10 else number + 1
                    row = self._row(element)
                    if row:
                        rows.append((number, row))
                        self.book.counts["row"] += element.get("hidden") in ("1", "true")
                    forget(element)
                elif name == "mergeCell":
                    self._merge(element.get("ref", ""))
                elif element.get("hidden") in ("1", "true"):
                    self.book.counts["column"] += _span(element)
        self._fill_merged(dict(rows))
        return rows

    def _row(self, element: Any) -> dict[int, str]:
        cells: dict[int, str] = {}
        column = 0
        before = self.characters // _PROGRESS
        namespace = element.tag[: -len("row")]
        for cell in element.iterchildren(namespace + "c"):
            column = _column_of(cell.get("r"), column + 1)
            text = self._cell(cell, namespace)
            if text and not text.isspace():
                cells[column] = text
                self.characters += len(text) + 3
        check_characters(self.characters, self.book.filename, self.book.limits)
        if self.characters // _PROGRESS > before:
            self.book.progressed()
        return cells

    def _cell(self, cell: Any, namespace: str) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            inline = cell.find(namespace + "is")
            return _rich_text(inline) if inline is not None else ""
        value = cell.findtext(namespace + "v")
        if not value:
            if kind != "str" and cell.find(namespace + "f") is not None:
                self.book.counts["formula"] += 1
            return ""
        match kind:
            case "n":
                style = cell.get("s")
                formats = self.book.formats
                known = style is not None and style.isdecimal() and int(style[:9]) < len(formats)
                return _shown(value, formats[int(style)] if known else _GENERAL, self.book.mac_dates)
            case "s":
                if value.strip().isdecimal() and int(value[:12]) < len(self.book.strings):
                    return self.book.strings[int(value)]
                self.book.counts["lost-cell"] += 1
                return ""
            case "b":
                return "TRUE" if value.strip() in ("1", "true") else "FALSE"
            case "d":
                return str(value).removesuffix("T00:00:00").replace("T", " ")
        return str(value)  # a formula's text, or an error such as #DIV/0!

    def _merge(self, ref: str) -> None:
        corners = [_REF.fullmatch(corner) for corner in ref.split(":")]
        if len(corners) == 2 and corners[0] and corners[1]:
            (left, top), (right, bottom) = ((_column(c.group(1)), int(c.group(2))) for c in corners if c)
            self.merges.append((top, left, bottom, right))

    def _fill_merged(self, rows: dict[int, Row]) -> None:
        """Repeats a text in the cells it is merged over, where rows and columns have more than that text.

        So a header over three columns names each, and a label beside three rows stays with each.
        """
        filled = 0
        for top, left, bottom, right in self.merges:
            text = rows.get(top, {}).get(left)
            if text is None or isinstance(text, Number) or (right - left >= 50) or bottom - top >= 1000:
                continue
            for number in range(top, bottom + 1):
                row = rows.get(number)
                if not isinstance(row, dict) or not any(not left <= c <= right for c in row):
                    continue  # a caption over the whole table stays one text
                for column in range(left, right + 1):
                    row.setdefault(column, text)
                    filled += 1
                self.characters += (len(text) + 3) * (right - left + 1)
            check_characters(self.characters, self.book.filename, self.book.limits)
            if filled > _MAX_MERGED_CELLS:
                break


def _shown(value: str, shown_as: _Format, mac_dates: bool) -> str:
    try:
        number = float(value)
    except ValueError:
        return value
    if shown_as.date:
        try:
            date = from_excel(number, CALENDAR_MAC_1904 if mac_dates else WINDOWS_EPOCH, shown_as.duration)
        except (OverflowError, ValueError):
            date = None
        if isinstance(date, datetime | time | timedelta):
            return shown_date(date)
    if number.is_integer() and -1e15 < number < 1e15:
        return shown_number(int(number), shown_as.code)
    return shown_number(number, shown_as.code)


def _column_of(place: str | None, following: int) -> int:
    """The column of a cell that says it is at ``place`` ("B7"); of one that says nothing the ``following`` one."""
    match = _REF.fullmatch(place) if place else None
    return _column(match.group(1)) if match else following


@lru_cache(maxsize=2**15)
def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _span(element: Any) -> int:
    first, last = element.get("min", "1"), element.get("max", "1")
    return max(1, int(last[:6]) - int(first[:6]) + 1) if first.isdecimal() and last.isdecimal() else 1


def _comments(archive: zipfile.ZipFile, part: str, members: frozenset[str]) -> Iterator[str]:
    for kind, target in relationships(archive, part).values():
        if kind == "comments" and target in members:
            root = read_xml(archive, target)
            for comment in root.iter("{*}comment"):
                text = "".join(_rich_text(child) for child in comment if local(child.tag) == "text")
                if text.strip():
                    yield f"Comment on {comment.get('ref', '')}: {' '.join(text.split())}"
