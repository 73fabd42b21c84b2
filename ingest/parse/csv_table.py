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
_DIVIDING_COMMA = re.compile(r"(?<!\d),|,(?!\d)")
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
    """The delimiter that splits the first lines most evenly; of those as even, the one that splits most.

    csv.Sniffer is not asked: it takes letters for delimiters, and its patterns are quadratic on hostile text.
    """
    sample = _QUOTED.sub('""', text[:_SAMPLE_CHARACTERS])
    first = sample.lstrip().split("\n", 1)[0]
    if re.fullmatch(r"sep=.", first):  # Excel's own line
        return first[4]
    lines = [line for line in sample.split("\n")[:_SAMPLE_LINES] if line.strip()]
    scores = {d: _evenness([line.count(d) for line in lines]) for d in _DELIMITERS}
    if scores[","][0] and any(scores[d][0] >= 0.9 for d in _DELIMITERS if d != ","):
        # Where something else divides as well, a comma between digits is a decimal one.
        scores[","] = _evenness([len(_DIVIDING_COMMA.findall(line)) for line in lines])
    if PurePath(filename).suffix.lower() in (".tsv", ".tab") and scores["\t"][0]:
        return "\t"
    best = max(_DELIMITERS, key=lambda d: scores[d])
    return best if scores[best][0] else ","


def _evenness(counts: list[int]) -> tuple[float, int]:
    """(share of the lines that have the usual count, that count); zeros where the delimiter does not appear."""
    usual = max(set(counts), key=lambda n: (counts.count(n), n), default=0) or max(counts, default=0)
    return (counts.count(usual) / len(counts), usual) if usual else (0.0, 0)


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
