"""Tables of values with delimiters: CSV, TSV and their like."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import PurePath

from core.errors import EmptyDocument, ParseFailed
from ingest.parse.clean import title_from_filename
from ingest.parse.document import ParsedDocument, ParseLimits
from ingest.parse.grid import Row, write_grid
from ingest.parse.number_format import Number
from ingest.parse.source import File
from ingest.parse.text import read_text
from ingest.parse.writer import TextWriter

_DELIMITERS = ";,\t|"
_SAMPLE_CHARACTERS = 64 * 2**10
_SAMPLE_LINES = 50
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_NUMBER = re.compile(r"[-+(]?\s*[$€£¥]?\s*-?(?:\d{1,3}(?:[,.' ]\d{3})+|\d+)?(?:[.,]\d+)?(?:[eE][-+]?\d+)?\s*[%€)]?")
_FIELD_LIMIT = 2**20


def parse_csv(path: File, filename: str, limits: ParseLimits) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``. Encoding and delimiter are told from the content."""
    text, encoding, warnings = read_text(path, filename, limits)
    delimiter = find_delimiter(text, filename)
    writer = TextWriter(filename, limits)
    try:
        write_grid(writer, _rows(text, delimiter))
    except csv.Error as e:
        message = f"{filename} is a table that could not be understood ({e}): is a quotation mark left open?"
        raise ParseFailed(message, code="damaged") from e
    if not writer.parts:
        raise EmptyDocument(f"{filename} is a table without any value")
    return ParsedDocument(
        text=writer.text(),
        title=title_from_filename(filename),
        mime_type="text/tab-separated-values" if delimiter == "\t" else "text/csv",
        metadata={"encoding": encoding, "delimiter": delimiter},
        warnings=warnings,
    )


def find_delimiter(text: str, filename: str = "") -> str:
    """The delimiter that splits the first lines into the most even rows; the earlier in ";,⇥|" at a tie.

    csv.Sniffer is not asked: it takes letters for delimiters, and its patterns are quadratic on hostile text.
    """
    sample = _QUOTED.sub('""', text[:_SAMPLE_CHARACTERS])
    first = sample.lstrip().split("\n", 1)[0]
    if re.fullmatch(r"sep=.", first):  # Excel's own line
        return first[4]
    lines = [line for line in sample.split("\n")[:_SAMPLE_LINES] if line.strip()]
    best, best_score = "", 0.0
    for delimiter in _DELIMITERS:
        counts = [line.count(delimiter) for line in lines]
        usual = max(set(counts), key=lambda n: (counts.count(n), n))
        if not usual:
            usual = max(counts, default=0)
        score = counts.count(usual) / max(len(counts), 1) if usual else 0.0
        score += 0.2 * (delimiter == "\t" and PurePath(filename).suffix.lower() in (".tsv", ".tab"))
        if score > best_score:
            best, best_score = delimiter, score
    return best or ","


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(_FIELD_LIMIT)
    start = text.split("\n", 1)
    if re.fullmatch(r"sep=.\s*", start[0]):
        text = start[1] if len(start) > 1 else ""
    for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)):
        yield number, {i: _typed(cell) for i, cell in enumerate(cells) if cell.strip()}


def _typed(cell: str) -> str:
    cell = cell.strip()
    return Number(cell) if len(cell) < 40 and any(c.isdigit() for c in cell) and _NUMBER.fullmatch(cell) else cell
