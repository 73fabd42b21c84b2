"""Raised type after a figure is no digit of it, in any kind of file."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import docx
import openpyxl
import pytest
from docx.enum.style import WD_STYLE_TYPE
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from pptx import Presentation
from pptx.util import Inches
from reportlab.pdfgen.canvas import Canvas

from ingest.parse.raised import before_raised
from tests.ingest.test_parse_odf import odf
from tests.support.drawn_pdfs import pdf

# Words, each with whether it is raised, and what becomes of them.
CASES: list[tuple[list[tuple[str, bool]], str]] = [
    ([("Revenue was $15", False), ("1", True), (" million.", False)], "Revenue was $15^1 million."),
    ([("About 10", False), ("6", True), (" units.", False)], "About 10^6 units."),
    ([("About 10", False), ("-6", True), (" units.", False)], "About 10^-6 units."),
    ([("Of 1,234", False), ("a", True), (" cases.", False)], "Of 1,234^a cases."),
    ([("Revenue", False), ("1", True), (" rose.", False)], "Revenue1 rose."),
    ([("In 2023", False), ("(1)", True), (" it rose.", False)], "In 2023(1) it rose."),
    ([("The 20", False), ("th", True), (" century.", False)], "The 20th century."),
    ([("Yields 3", False), ("1", True), ("/2 per cent.", False)], "Yields 3 1/2 per cent."),
]


def _html(words: list[tuple[str, bool]]) -> bytes:
    return (
        "".join(f"<sup>{t}</sup>" if raised else t for t, raised in words)
        .join(["<html><body><p>", "</p></body></html>"])
        .encode()
    )


def _html_by_style(words: list[tuple[str, bool]]) -> bytes:
    style = "font-size:6.5pt;position:relative;top:-3.5pt;vertical-align:baseline"  # as filings have it
    raised_or_not = (f'<span style="{style}"><a href="#n">{t}</a></span>' if raised else t for t, raised in words)
    return "".join(raised_or_not).join(["<html><body><p>", "</p></body></html>"]).encode()


def _docx(words: list[tuple[str, bool]]) -> bytes:
    document = docx.Document()
    paragraph = document.add_paragraph()
    for text, raised in words:
        paragraph.add_run(text).font.superscript = raised or None
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def _docx_by_style(words: list[tuple[str, bool]]) -> bytes:
    document = docx.Document()
    document.styles.add_style("Raised", WD_STYLE_TYPE.CHARACTER).font.superscript = True
    document.styles.add_style("Mark", WD_STYLE_TYPE.CHARACTER).base_style = document.styles["Raised"]
    paragraph = document.add_paragraph()
    for text, raised in words:
        for letter in text:  # Word parts runs wherever it likes
            paragraph.add_run(letter, style="Mark" if raised else None)
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def _pptx(words: list[tuple[str, bool]]) -> bytes:
    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    paragraph = slide.shapes.add_textbox(Inches(1), Inches(1), Inches(5), Inches(1)).text_frame.paragraphs[0]
    for text, raised in words:
        run = paragraph.add_run()
        run.text = text
        if raised:
            run.font._element.set("baseline", "30000")
    file = io.BytesIO()
    deck.save(file)
    return file.getvalue()


def _drawn(words: list[tuple[str, bool]]) -> Callable[[Canvas], None]:
    def draw(canvas: Canvas) -> None:
        line = canvas.beginText(72, 700)
        for text, raised in words:
            line.setFont("Helvetica", 6.5 if raised else 11)
            line.setRise(4 if raised else 0)
            line.textOut(text)
        canvas.drawText(line)

    return draw


def _pdf(words: list[tuple[str, bool]]) -> bytes:
    return pdf(_drawn(words))


def _odt(words: list[tuple[str, bool]]) -> bytes:
    style = '<style:style style:name="T1" style:family="text"><style:text-properties style:text-position="super 58%"/></style:style>'
    spans = (f'<text:span text:style-name="T1">{t}</text:span>' if raised else t for t, raised in words)
    return odf("text", f"<text:p>{''.join(spans)}</text:p>", style)


def _xlsx(words: list[tuple[str, bool]]) -> bytes:
    book = openpyxl.Workbook()
    pieces = (TextBlock(InlineFont(vertAlign="superscript"), t) if raised else t for t, raised in words)
    book.active["A1"] = CellRichText(*pieces)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


MAKERS = {
    "a.html": _html,
    "filing.html": _html_by_style,
    "a.docx": _docx,
    "styled.docx": _docx_by_style,
    "a.pptx": _pptx,
    "a.pdf": _pdf,
    "a.odt": _odt,
    "a.xlsx": _xlsx,
}


@pytest.mark.parametrize("name", MAKERS)
def test_raised_type_after_a_figure_is_parted_from_it(parse_bytes: Any, name: str) -> None:
    for words, text in CASES:
        assert parse_bytes(MAKERS[name](words), name).text.removeprefix("Sheet\n\n") == text


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "a.pdf"])
@pytest.mark.parametrize("sign", ["o", "0"])
def test_a_raised_letter_or_nought_before_a_scale_is_a_degree(parse_bytes: Any, name: str, sign: str) -> None:
    words = [("Kept at 25", False), (sign, True), ("C here.", False)]
    assert parse_bytes(MAKERS[name](words), name).text.removeprefix("Sheet\n\n") == "Kept at 25°C here."


def test_raised_type_in_the_cell_of_a_web_page_is_parted_from_its_figure(parse_bytes: Any) -> None:
    page = "<html><body><table><tr><th>Year<sup>1</sup></th><th>2023<sup>2</sup></th></tr><tr><td>Sales</td><td>1,234<sup>a</sup></td></tr></table></body></html>"
    assert parse_bytes(page, "a.html").text == "| Year1 | 2023^2 |\n|-|-|\n| Sales | 1,234^a |"


def test_figures_with_marks_still_make_a_table_of_a_pdf(parse_bytes: Any) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 11)
        for column, year in enumerate(("2022", "2023")):
            canvas.drawRightString(300 + 100 * column, 720, year)
        for row, label in enumerate(("Sales", "Costs", "Profit")):
            canvas.setFont("Helvetica", 11)
            canvas.drawString(72, 700 - 14 * row, label)
            for column in range(2):
                canvas.setFont("Helvetica", 11)
                canvas.drawRightString(300 + 100 * column, 700 - 14 * row, f"1,23{row + column}")
                if row == 1:
                    canvas.setFont("Helvetica", 6.5)
                    canvas.drawString(300 + 100 * column, 704 - 14 * row, str(column + 1))

    lines = parse_bytes(pdf(draw), "a.pdf").text.split("\n")
    assert lines[0] == "|  | 2022 | 2023 |"
    assert [line.replace(" ^", "^") for line in lines[2:]] == [
        "| Sales | 1,230 | 1,231 |",
        "| Costs | 1,231^1 | 1,232^2 |",
        "| Profit | 1,232 | 1,233 |",
    ]


def test_a_large_figure_that_begins_a_chapter_is_not_followed_by_raised_type(parse_bytes: Any) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 30)
        canvas.drawString(72, 688, "1")
        canvas.setFont("Helvetica", 11)
        canvas.drawString(
            72 + canvas.stringWidth("1", "Helvetica", 30), 700, "914 was the year in which the war began."
        )

    assert "^" not in parse_bytes(pdf(draw), "a.pdf").text


def test_figures_of_one_size_on_a_rising_line_are_not_raised(parse_bytes: Any) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.rotate(20)
        canvas.setFont("Helvetica", 11)
        canvas.drawString(300, 400, "Rising by 123456 a year")

    assert "^" not in parse_bytes(pdf(draw), "a.pdf").text


@pytest.mark.parametrize(
    "word", ["2 nde", "2 de", "2 ndes", "1 ro", "5 ta", "3 o", "3 os", "12 h", "12 h30", "2 d", "25 o", "7 mo", "9 NO"]
)
def test_the_raised_end_of_a_word_that_begins_with_a_figure_is_not_parted_from_it(word: str) -> None:
    figure, ending = word.split()
    assert before_raised(figure, ending) == ""


@pytest.mark.parametrize("mark", ["a", "b", "c", "12", "h1"])
def test_the_letters_of_footnotes_are_no_ends_of_words(mark: str) -> None:
    assert before_raised("1,234", mark) == "^"


@pytest.mark.parametrize(
    ("text", "mark", "after", "between"),
    [
        ("10", "6", "", "^"),
        ("10", "\N{MINUS SIGN}6", "", "^"),
        ("2", "n+1", "", "^"),
        ("word", "2", "", ""),
        ("5 ", "1", "", ""),  # it does not follow at once
        ("5", "*", "", ""),
        ("3", "1", "\N{FRACTION SLASH}2", " "),
        ("3", "1/", "2", " "),
        ("", "1", "", ""),
    ],
)
def test_what_parts_raised_type_from_a_figure(text: str, mark: str, after: str, between: str) -> None:
    assert before_raised(text, mark, after) == between
