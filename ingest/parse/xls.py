"""Old Excel workbooks (BIFF, up to Excel 2003) through xlrd: each sheet a heading, followed by its tables."""

from __future__ import annotations

import io
import struct
from collections import Counter
from typing import Any

import xlrd
from xlrd.compdoc import CompDocError

from core.errors import EmptyDocument, Encrypted, ParseFailed
from ingest.parse.clean import one_line, title_from_filename
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.grid import Row, write_grid
from ingest.parse.hidden import marked
from ingest.parse.kinds import MIME_TYPES
from ingest.parse.number_format import shown_date, shown_number
from ingest.parse.source import File
from ingest.parse.text import check_characters
from ingest.parse.writer import TextWriter


def parse_xls(path: File, filename: str, limits: ParseLimits) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``; ``headings`` are the sheets."""
    book = _open(path.read_bytes(), filename)
    writer = TextWriter(filename, limits)
    hidden: list[str] = []
    counts: Counter[str] = Counter()
    titles = 0
    for sheet in book.sheets():
        rows = _rows(book, sheet, writer, counts)
        if not rows:
            continue
        if sheet.visibility:
            hidden.append(one_line(sheet.name, 60))
        writer.heading(1, marked(sheet.name, "sheet") if sheet.visibility else sheet.name)
        titles += 1
        write_grid(writer, rows)
    if len(writer.parts) == titles:
        raise EmptyDocument(f"{filename} is an Excel workbook without any text or number in its cells")
    warnings = []
    if hidden:
        warnings.append(ParseWarning("hidden-sheets", f"hidden sheets were read too: {', '.join(hidden[:5])}"))
    if counts["hidden"]:
        warnings.append(ParseWarning("hidden-cells", f"{counts['hidden']} hidden rows were read too"))
    metadata: dict[str, Any] = {"sheets": [one_line(name) for name in book.sheet_names()][:200]}
    if book.user_name.strip():
        metadata["author"] = one_line(book.user_name)
    return ParsedDocument(
        text=writer.text(),
        title=title_from_filename(filename),
        mime_type=MIME_TYPES["xls"],
        headings=tuple(writer.headings),
        metadata=metadata,
        warnings=tuple(warnings),
    )


def _open(data: bytes, filename: str) -> Any:
    log = io.StringIO()  # xlrd prints what it wonders about
    try:
        try:
            # Ragged rows: a sheet that claims 65,536 rows costs what its cells cost.
            return xlrd.open_workbook(file_contents=data, logfile=log, formatting_info=True, ragged_rows=True)
        except (IndexError, KeyError, AssertionError):  # odd styles; the values may be in order
            return xlrd.open_workbook(file_contents=data, logfile=log, ragged_rows=True)
    except (xlrd.XLRDError, CompDocError, LookupError, ArithmeticError, AssertionError, ValueError, struct.error) as e:
        if "encrypted" in str(e).lower():
            message = f"{filename} is an Excel workbook with a password: remove the password and try again"
            raise Encrypted(message) from e
        raise ParseFailed(
            f"{filename} is a damaged Excel workbook ({one_line(str(e), 200) or type(e).__name__})", code="damaged"
        ) from e


def _rows(book: Any, sheet: Any, writer: TextWriter, counts: Counter[str]) -> list[tuple[int, Row]]:
    rows: list[tuple[int, Row]] = []
    characters = 0
    for number in range(sheet.nrows):
        row = {}
        for column, cell in enumerate(sheet.row(number)):
            text = _shown(book, cell)
            if text.strip():
                row[column] = text
                characters += len(text) + 3
        check_characters(writer.length + characters, writer.filename, writer.limits)
        if row:
            rows.append((number, row))
            info = sheet.rowinfo_map.get(number)
            counts["hidden"] += bool(info is not None and info.hidden)
    return rows


def _shown(book: Any, cell: Any) -> str:
    match cell.ctype:
        case xlrd.XL_CELL_TEXT:
            return str(cell.value)
        case xlrd.XL_CELL_NUMBER:
            value = int(cell.value) if float(cell.value).is_integer() and abs(cell.value) < 1e15 else cell.value
            return shown_number(value, _format(book, cell))
        case xlrd.XL_CELL_DATE:
            try:
                moment = xlrd.xldate_as_datetime(cell.value, book.datemode)
            except (xlrd.xldate.XLDateError, OverflowError, ValueError):
                return shown_number(cell.value)
            return shown_date(moment.time() if 0 <= cell.value < 1 else moment)
        case xlrd.XL_CELL_BOOLEAN:
            return "TRUE" if cell.value else "FALSE"
        case xlrd.XL_CELL_ERROR:
            return str(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
    return ""


def _format(book: Any, cell: Any) -> str:
    if cell.xf_index is None or cell.xf_index >= len(book.xf_list):
        return ""
    found = book.format_map.get(book.xf_list[cell.xf_index].format_key)
    return found.format_str if found is not None else ""
