"""Letters of a PDF that are not one for one: ligatures, and runs that are written in the order they are seen."""

from __future__ import annotations

import io

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from ingest.parse import ParseLimits, parse_file
from ingest.parse.pdf_rtl import has_rtl, reading_order

SHALOM = "\u05e9\u05dc\u05d5\u05dd"  # its first letter lies at the right


def test_a_ligature_becomes_its_letters(tmp_path) -> None:
    pdfmetrics.registerFont(pdfmetrics.Font("Mac Helvetica", "Helvetica", "MacRomanEncoding"))
    out = io.BytesIO()
    canvas = Canvas(out)
    canvas.setFont("Mac Helvetica", 12)
    canvas.drawString(72, 700, "The \ufb01rst \ufb02ag")
    canvas.save()
    path = tmp_path / "a.pdf"
    path.write_bytes(out.getvalue())
    assert parse_file(path, "a.pdf", ParseLimits()).text == "The first flag"


def test_right_to_left_runs_are_read_from_the_right_however_the_file_has_them() -> None:
    """Their places tell: in the order they are read the letters go from right to left."""
    read = {n: 40.0 - n for n in range(len(SHALOM))}
    assert reading_order(SHALOM, None, read.get)[0] == SHALOM
    seen = SHALOM[::-1]
    rising = {n: 10.0 + n for n in range(len(seen))}
    assert reading_order(seen, None, rising.get) == (SHALOM, [3, 2, 1, 0]), "with the place of each letter"


def test_only_the_run_is_turned_and_words_of_other_scripts_stay() -> None:
    text = f"on {SHALOM[::-1]} day"
    assert reading_order(text, None, lambda n: float(n))[0] == f"on {SHALOM} day"
    assert has_rtl(text) and not has_rtl("on one day")
