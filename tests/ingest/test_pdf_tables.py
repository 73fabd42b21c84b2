"""Tables drawn without ruling lines: headers over several columns, labels over two lines, groups, and what is none."""

from __future__ import annotations

import random

import pytest
from reportlab.lib import colors
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import Table

from ingest.parse import ParseLimits, parse_file
from ingest.parse.pdf import text_boxes
from ingest.parse.pdf_table_columns import Column, assign_header
from tests.support.drawn_pdfs import both, lines, pdf

RIGHT_EDGES = (330, 400, 470, 540)


@pytest.fixture
def parse(tmp_path):
    def parse(draw):
        path = tmp_path / "file.pdf"
        path.write_bytes(pdf(draw))
        return parse_file(path, "file.pdf", ParseLimits()), path

    return parse


def table(rows, header=(), y=700, right_edges=RIGHT_EDGES, size=10, pitch=14):
    """Draws header lines of (centre x, text) and rows of (label, indent, figures …), figures flush right."""

    def draw(canvas):
        top = y
        for line in header:
            canvas.setFont("Helvetica-Bold", size)
            for x, text in line:
                canvas.drawCentredString(x, top, text)
            top -= pitch
        canvas.setFont("Helvetica", size)
        for label, indent, *figures in rows:
            canvas.drawString(60 + indent, top, label)
            for x, figure in zip(right_edges, figures, strict=False):
                canvas.drawRightString(x, top, figure)
            top -= pitch

    return draw


STATEMENT = table(
    [
        ("Net sales:", 0),
        ("Products", 8, "63,355", "63,948", "245,241", "232,309"),
        ("Services", 8, "19,604", "17,486", "58,941", "50,148"),
        ("Total net sales", 16, "82,959", "81,434", "304,182", "282,457"),
        ("Other income/(expense), net", 0, "(10)", "243", "(97)", "796"),
    ],
    header=[
        [(345, "Three Months Ended"), (485, "Nine Months Ended")],
        [(x - 12, text) for x, text in zip(RIGHT_EDGES, ("June 25,", "June 26,", "June 25,", "June 26,"), strict=True)],
        [(x - 12, text) for x, text in zip(RIGHT_EDGES, ("2022", "2021", "2022", "2021"), strict=True)],
    ],
)


def test_each_column_has_all_that_stands_over_it_and_each_row_its_label(parse):
    document, _ = parse(STATEMENT)
    assert document.text.split("\n") == [
        "|  | Three Months Ended June 25, 2022 | Three Months Ended June 26, 2021 | Nine Months Ended June 25, 2022 "
        "| Nine Months Ended June 26, 2021 |",
        "|-|-|-|-|-|",
        "| Net sales: |  |  |  |  |",
        "| Products | 63,355 | 63,948 | 245,241 | 232,309 |",
        "| Services | 19,604 | 17,486 | 58,941 | 50,148 |",
        "| Total net sales | 82,959 | 81,434 | 304,182 | 282,457 |",
        "| Other income/(expense), net | (10) | 243 | (97) | 796 |",
    ]


def test_a_long_table_repeats_its_header_and_the_group_at_hand(parse):
    rows = [
        ("Assets:", 0),
        *((f"Item number {n}", 10, f"{n},111", f"{n},222", f"{n},333", f"{n},444") for n in range(10, 40)),
    ]
    header = [[(x - 12, str(year)) for x, year in zip(RIGHT_EDGES, (2019, 2020, 2021, 2022), strict=True)]]
    document, _ = parse(table(rows, header))
    parts = document.text.split("\n\n")
    assert len(parts) > 3
    for part in parts:
        assert part.split("\n")[0] == "|  | 2019 | 2020 | 2021 | 2022 |"
        assert part.split("\n")[2] == "| Assets: |  |  |  |  |"
    found = [line for part in parts for line in part.split("\n") if "Item" in line]
    assert found == [f"| Item number {n} | {n},111 | {n},222 | {n},333 | {n},444 |" for n in range(10, 40)]


def test_a_label_over_two_lines_is_one_label(parse):
    rows = [
        ("Sales", 0, "100", "200"),
        ("Net change in unrealized gains of available-for-sale", 0),
        ("debt securities", 0, "300", "400"),
        ("Taxes", 0, "500", "600"),
    ]
    document, _ = parse(table(rows, [[(320, "2021"), (390, "2022")]], right_edges=(400, 500)))
    assert "| Net change in unrealized gains of available-for-sale debt securities | 300 | 400 |" in document.text


def test_a_dollar_sign_far_from_its_figure_stays_with_it(parse):
    def draw(canvas):
        for y, label, *figures in ((700, "Revenue", "7,192", "8,288"), (686, "Cost", "2,544", "2,857")):
            canvas.drawString(60, y, label)
            for x, figure in zip((330, 400), figures, strict=True):
                canvas.drawString(x - 45, y, "$")
                canvas.drawRightString(x, y, figure)

    document, _ = parse(draw)
    assert document.text.split("\n")[0] == "| Revenue | $ 7,192 | $ 8,288 |"


def test_text_around_a_table_stays_where_it_was(parse):
    document, _ = parse(
        both(
            lines(["The following table shows our net sales in the year:"], y=718),
            table([("North", 0, "1,100", "2,200"), ("South", 0, "3,300", "4,400")], [[(318, "2021"), (388, "2022")]]),
            lines(["What follows is prose again, and it is not a part of it."], y=600),
        )
    )
    before, inside, after = document.text.split("\n\n")
    assert before == "The following table shows our net sales in the year:"
    assert inside.split("\n") == [
        "| The following table shows our net sales in the year: | 2021 | 2022 |",
        "|-|-|-|",
        "| North | 1,100 | 2,200 |",
        "| South | 3,300 | 4,400 |",
    ]
    assert after == "What follows is prose again, and it is not a part of it."


@pytest.mark.parametrize(
    "drawing",
    [
        both(
            lines(["prose of the left hand column", "that has two lines"] * 8),
            lines(["and on the right another", "2,300 of them"] * 8, x=330),
        ),
        lines(["• first of a list of things", "• second, with 1,200 in it", "• third, with 1,300 in it"]),
        both(lines(["E = mc", "a = b"], x=150), lines(["(1)", "(2)"], x=520)),
    ],
    ids=["columns of prose", "a list", "numbered equations"],
)
def test_what_only_looks_like_a_table_stays_text(parse, drawing):
    assert "|" not in parse(drawing)[0].text


def test_a_cell_is_marked_where_it_was_drawn(parse):
    document, path = parse(STATEMENT)
    start = document.text.index("17,486")
    (box,) = text_boxes(path, 1, start, start + len("17,486"), page_text=document.text)
    width = stringWidth("17,486", "Helvetica", 10)
    assert box[0] == pytest.approx(400 - width, abs=1)
    assert box[2] == pytest.approx(400, abs=1)
    assert box[1] < 700 - 5 * 14 + 3 < box[3]  # the sixth line of the drawing


def test_no_word_of_a_page_is_lost(parse):
    made = random.Random(5)
    for _ in range(15):
        figures = made.randint(1, 4)
        rows = [
            (
                f"label{n}",
                made.choice((0, 10)),
                *(f"{made.randint(1, 99_999):,}" for _ in range(made.choice((0, figures, figures)))),
            )
            for n in range(made.randint(2, 20))
        ]
        header = [[(x - 12, f"head{x}") for x in RIGHT_EDGES[:figures]]] * made.choice((0, 1))
        text = parse(both(table(rows, header, y=650), lines(["before the table"], y=740)))[0].text
        words = [w for label, _, *values in rows for w in (label, *values)]
        missing = [w for w in [*words, "before", *(t for line in header for _, t in line)] if w not in text]
        assert not missing


def grid(cells, *, missing=(), x=(60, 200, 320, 440), y=700, height=30):
    """Draws a table with a line around each cell but for those in ``missing``: ("v" or "h", row, column)."""

    def draw(canvas):
        for r, row in enumerate(cells):
            top = y - r * height
            for c, texts in enumerate(row):
                for n, text in enumerate(texts.split("\n")):
                    canvas.drawString(x[c] + 4, top - 11 - 11 * n, text)
                if ("v", r, c) not in missing:
                    canvas.line(x[c], top, x[c], top - height)
                if ("h", r, c) not in missing:
                    canvas.line(x[c], top, x[c + 1], top)
            canvas.line(x[len(row)], top, x[len(row)], top - height)
        bottom = y - len(cells) * height
        canvas.line(x[0], bottom, x[-1], bottom)

    return draw


def test_ruling_lines_make_cells_of_several_lines_whole(parse):
    document, _ = parse(
        grid(
            [["Country", "Capital", "Note"], ["Austria", "Vienna", "on the\nDanube"], ["Italy", "Rome", "seven\nhills"]]
        )
    )
    assert document.text.split("\n") == [
        "| Country | Capital | Note |",
        "|-|-|-|",
        "| Austria | Vienna | on the Danube |",
        "| Italy | Rome | seven hills |",
    ]


def test_a_cell_over_several_rows_or_columns_is_told_by_its_missing_lines(parse):
    cells = [
        ["", "Sales", ""],
        ["Region", "2021", "2022"],
        ["North", "1,100", "1,200"],
        ["", "1,300", "1,400"],
        ["All of the south", "", ""],
        ["Harbour", "1,500", "1,600"],
    ]
    missing = [("v", 0, 2), ("h", 3, 0), ("v", 4, 1), ("v", 4, 2)]
    document, _ = parse(grid(cells, missing=missing))
    assert document.text.split("\n") == [
        "| Region | Sales 2021 | Sales 2022 |",
        "|-|-|-|",
        "| North | 1,100 | 1,200 |",
        "| North | 1,300 | 1,400 |",
        "| All of the south |  |  |",
        "| Harbour | 1,500 | 1,600 |",
    ]


def test_a_first_row_of_prose_is_no_header(parse):
    prose = "\n".join(f"line {word} of what is said of it" for word in ("one", "two", "three", "four", "five", "six"))
    document, _ = parse(grid([["North", prose, "yes"], ["South", "nothing", "no"]], x=(60, 200, 400, 440), height=100))
    assert [line[:8] for line in document.text.split("\n")] == ["| North ", "| South "]


def drawn_narrow(rows, *, ruled):
    """A table as report programs set it: each column as wide as its widest cell and a little more."""
    made = Table(rows, style=[("GRID", (0, 0), (-1, -1), 0.5, colors.black)] if ruled else [])

    def draw(canvas):
        made.wrapOn(canvas, 500, 700)
        made.drawOn(canvas, 72, 400)

    return draw


FIGURES = [["Item", "2022", "2023"], *([f"Product {n}", f"{1000 + n}", f"{2000 + n}"] for n in range(5))]
PEOPLE = [["Name", "Role", "City"], ["Ann Roe", "Engineer", "Oslo"], ["Bob Lee", "Nurse", "Rome"]]


@pytest.mark.parametrize(("rows", "ruled"), [(FIGURES, True), (FIGURES, False), (PEOPLE, True)])
def test_a_table_whose_columns_stand_close_is_one(parse, rows, ruled):
    above = lines(["In thousands of euros, of which more is said below."], y=760)
    document, _ = parse(both(above, drawn_narrow(rows, ruled=ruled)))
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    assert document.text.split("\n\n")[1].split("\n") == [head, "|-|-|-|", *body]


def test_prose_that_ends_in_figures_is_no_table(parse):
    years = lines(
        ["They came in the years 1902 1903", "and then again in 1904 1905", "and did not leave before 1911 1912"]
    )
    assert "|" not in parse(years)[0].text


def test_a_box_around_prose_and_boxes_of_a_diagram_are_no_tables(parse):
    prose = "some words of prose that fill\nthe box from side to side"
    boxed = grid([[prose, "", ""]], missing=[("v", 0, 1), ("v", 0, 2)], height=60)
    diagram = grid([["Start", "", ""], ["", "Middle", ""], ["", "", "End"], ["", "", ""]])
    for drawing in (boxed, diagram):
        assert "|" not in parse(drawing)[0].text


COLUMNS = [Column(100, 130), Column(200, 230), Column(300, 330), Column(400, 430)]


def test_a_header_between_two_columns_stands_over_both():
    assert assign_header([(150, 180, False), (350, 380, False)], COLUMNS) == [(0, 2), (2, 4)]


def test_as_many_headers_as_columns_take_one_each_even_when_set_off_to_a_side():
    headers = [(90, 110, False), (190, 210, False), (290, 310, False), (410, 445, False)]
    assert assign_header(headers, COLUMNS) == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_header_over_the_last_columns_alone_leaves_the_first_without():
    assert assign_header([(340, 390, False)], COLUMNS) == [(2, 4)]
