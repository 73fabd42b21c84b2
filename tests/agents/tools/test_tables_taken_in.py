"""Tables as ingestion itself writes them, read back: each one whole, however it was parted into segments and passages."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest

from agents.tools.markdown_tables import Table, tables_in, text_of
from agents.tools.sql import described, select
from app.library import PassageLibrary
from ingest.chunk.choose import ChunkerName, cut
from ingest.parse import ParseLimits, parse_file
from ingest.parse.tables import markdown_table
from ingest.pipeline import to_document
from tests.support.drawn_pdfs import Draw, pdf
from tests.support.passages import EVERYTHING
from tests.support.tokenizers import ToyTokenizer

HEADER = ("name", "x", "note")
ROWS = [(f"row {n}", str(n), "" if n % 3 else "noted | twice") for n in range(1, 301)]
WHOLE = (("300", "45150"),)  # 300 · 301 / 2


def taken_in(content: bytes, filename: str, folder: Path, chunker: ChunkerName = "sentence") -> list[Table]:
    """The tables that the tool finds in a file that was parsed and cut as ingestion does it."""
    path = folder / "content"
    path.write_bytes(content)
    parsed = parse_file(path, filename, ParseLimits())
    document = to_document(parsed, collection="c", uri=filename, sha256="0" * 64)
    chunks, parents = cut(chunker, document, parsed.headings, ToyTokenizer(), 200, 30)
    library = PassageLibrary(parents or chunks, [document.title] * len(parents or chunks), "c")
    return tables_in(text_of(library.passages(document.doc_id, EVERYTHING)))


def as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    return "\n".join(",".join(row) for row in rows).encode()


def as_xlsx(**sheets: Sequence[Sequence[str]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append([int(cell) if cell.isdigit() else cell for cell in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def ruled(rows: Sequence[Sequence[str]]) -> Draw:
    """A page with a line around every cell."""
    xs, top, height = (60, 200, 320, 440), 800, 18

    def draw(canvas) -> None:
        bottom = top - height * len(rows)
        for r, row in enumerate(rows):
            for x, cell in zip(xs, row, strict=False):
                canvas.drawString(x + 4, top - height * r - 13, cell)
        for x in xs:
            canvas.line(x, top, x, bottom)
        for r in range(len(rows) + 1):
            canvas.line(xs[0], top - height * r, xs[-1], top - height * r)

    return draw


@pytest.mark.parametrize("chunker", ["fixed", "sentence", "parent-child"])
def test_a_csv_file_is_one_table_with_all_its_rows(chunker: ChunkerName, tmp_path: Path) -> None:
    tables = taken_in(as_csv([HEADER, *ROWS]), "a.csv", tmp_path, chunker)
    assert described(tables) == 't1 ("name" text, "x" number, "note" text; 300 rows)'
    assert select("SELECT count(*), sum(x) FROM t1", tables).rows == WHOLE
    assert tables[0].rows[2] == ("row 3", 3.0, "noted | twice")


def test_each_sheet_of_a_workbook_is_a_table_of_its_own(tmp_path: Path) -> None:
    tables = taken_in(as_xlsx(First=[HEADER, *ROWS], Second=[HEADER, *ROWS[:50]]), "a.xlsx", tmp_path)
    assert select("SELECT count(*), sum(x) FROM t1", tables).rows == WHOLE
    assert select("SELECT count(*), sum(x) FROM t2", tables).rows == (("50", "1275"),)  # 50 · 51 / 2
    assert len(tables) == 2


@pytest.mark.parametrize("again", [True, False])
def test_a_ruled_table_over_the_pages_of_a_pdf_is_one(again: bool, tmp_path: Path) -> None:
    parts = [list(ROWS[i : i + 40]) for i in range(0, 300, 40)]
    pages = [ruled([HEADER, *part] if again or n == 0 else part) for n, part in enumerate(parts)]
    tables = taken_in(pdf(*pages), "a.pdf", tmp_path)
    assert select("SELECT count(*), sum(x) FROM t1", tables).rows == WHOLE
    assert len(tables) == 1


def test_the_label_of_a_group_that_is_repeated_is_one_row() -> None:
    rows = [["item", "sum"]]
    for group in ("North", "South", "South"):
        rows += [[f"{group}:", ""], *([f"{group} {n}", str(n)] for n in range(30))]
    written = markdown_table(rows, segment_tokens=60)
    assert written.count("| North: |") > 1
    (table,) = tables_in(written)
    assert [row[0] for row in table.rows] == [row[0] for row in rows[1:]]


def test_rows_that_are_labels_alone_are_all_kept() -> None:
    rows = [["item", "sum"], *([f"{n // 40}:", ""] for n in range(80)), ["last", "1"]]
    (table,) = tables_in(markdown_table(rows, segment_tokens=60))
    assert len(table.rows) == 81


def test_a_header_too_long_to_be_repeated_heads_all_rows() -> None:
    names = [f"a column with a long name, number {n}" for n in range(60)]
    written = markdown_table([names, *([str(n)] * 60 for n in range(20))])
    assert written.count(f"| {names[0]} |") == 1 and "\n\n" in written
    (table,) = tables_in(written)
    assert len(table.rows) == 20 and all(table.numeric)


def test_tables_with_words_between_them_or_other_columns_stay_apart() -> None:
    one, other = "| a | b |\n|-|-|\n| 1 | 2 |", "| a | c |\n|-|-|\n| 3 | 4 |"
    assert [len(t.rows) for t in tables_in(f"{one}\n\n{one}")] == [2]
    assert [len(t.rows) for t in tables_in(f"{one}\n\nSouth\n\n{one}")] == [1, 1]
    assert [len(t.rows) for t in tables_in(f"{one}\n\n{other}")] == [1, 1]
    # Rows without a header belong to the table before, unless they are of other columns or not of their kind.
    assert [len(t.rows) for t in tables_in(f"{one}\n\n| 3 | 4 |\n\n| 5 | – |")] == [3]
    for rows in ("| 3 | 4 | 5 |", "| item | price |\n| 3 | 4 |"):
        assert [len(t.rows) for t in tables_in(f"{one}\n\n{rows}")] == [1]


def test_what_is_beyond_the_rows_that_are_read_is_told_of_a_joined_table() -> None:
    (table,) = tables_in("\n\n".join(["| a | b |\n|-|-|" + "\n| 1 | 2 |" * 19] * 1_100))
    assert (len(table.rows), table.left_out) == (20_000, 900)  # 1,100 · 19 = 20,900


def test_parts_with_and_without_their_header_in_turn_take_time_that_grows_with_their_number() -> None:
    part = "| a | b |\n|-|-|" + "\n| 1 | x |" * 20 + "\n\n| 3 | y |\n\n"
    began = time.process_time()
    (table,) = tables_in(part * 400)
    assert len(table.rows) == 21 * 400 and table.numeric == (True, False)
    assert time.process_time() - began < 1.5  # a row that was judged anew for each part made it 5 s
