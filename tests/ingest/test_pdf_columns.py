"""Pages of two columns are read column by column in whatever order they were drawn; tables, lists and forms row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingest.parse import ParseLimits, parse_file
from ingest.parse.document import ParsedDocument
from ingest.parse.pdf import text_boxes
from tests.support.drawn_pdfs import Draw, both, lines, pdf

LEFT = [
    "The harbour was built in 1871 by the widow",
    "of a captain, who left her a fortune and two",
    "old ships. It was deep enough for steamers,",
    "and before long they came from every coast",
    "of the country, with grain and with furni-",
    "ture that was sold at the quay.",
    "",
    "None of that is left today but for the wall on",
    "which the children sit in summer, and for the",
    "name of the inn, which is the Old Steamer.",
]
RIGHT = [
    "Trains reached the town in 1902. The last",
    "one leaves the station at a quarter past ten",
    "and is never late except on holidays, when",
    "nobody minds. There is a bus for those who",
    "miss it, and a bench for those who miss the",
    "bus as well.",
    "",
    "The station has a clock with a single hand",
    "and a dog who meets all that come by train,",
    "even those who have no wish to be met.",
]
READ = (
    "The harbour was built in 1871 by the widow of a captain, who left her a fortune and two old ships. It was deep "
    "enough for steamers, and before long they came from every coast of the country, with grain and with furniture "
    "that was sold at the quay.\n\nNone of that is left today but for the wall on which the children sit in summer, and "
    "for the name of the inn, which is the Old Steamer.\n\nTrains reached the town in 1902. The last one leaves the "
    "station at a quarter past ten and is never late except on holidays, when nobody minds. There is a bus for those who "
    "miss it, and a bench for those who miss the bus as well.\n\nThe station has a clock with a single hand and a dog who "
    "meets all that come by train, even those who have no wish to be met."
)


def row_by_row(*columns: tuple[float, list[str]], y: float = 700) -> Draw:
    """Each line of the first column, (x, its lines), with those beside it, before the next."""
    height = max(len(texts) for _, texts in columns)
    return both(
        *(lines([texts[n]], x=x, y=y - 13 * n) for n in range(height) for x, texts in columns if n < len(texts))
    )


def column_by_column(*columns: tuple[float, list[str]]) -> Draw:
    return both(*(lines(texts, x=x, y=700) for x, texts in columns))


@pytest.fixture
def parse(tmp_path: Path) -> Any:
    def parse(*drawings: Draw) -> ParsedDocument:
        (tmp_path / "file.pdf").write_bytes(pdf(both(*drawings)))
        return parse_file(tmp_path / "file.pdf", "file.pdf", ParseLimits())

    return parse


TITLE = lines(
    ["A town by the sea and how it came to have both a harbour and a station of its own, told anew"], x=100, y=740
)
FOOT = lines(
    ["All of it was told by those who have lived there since they were children or a little less."], x=100, y=500
)


@pytest.mark.parametrize(
    "drawn",
    [
        column_by_column((72, LEFT), (320, RIGHT)),
        column_by_column((320, RIGHT), (72, LEFT)),
        row_by_row((72, LEFT), (320, RIGHT)),
        row_by_row((72, LEFT), (420, RIGHT)),
    ],
    ids=["column by column", "the right one first", "row by row", "row by row, far apart"],
)
def test_a_page_reads_the_same_however_it_was_drawn(parse: Any, drawn: Draw) -> None:
    assert parse(drawn).text == READ
    first, *inner, last = parse(TITLE, drawn, FOOT).text.split("\n\n")
    assert (first[:21], "\n\n".join(inner), last[:18]) == ("A town by the sea and", READ, "All of it was told")


def test_three_columns_are_read_from_the_left(parse: Any) -> None:
    short = [
        ["the first of three columns", "has words of its own and", "they go on from line to", "line as words will do"]
    ]
    short += [
        [text.replace("first", "next") for text in short[0]],
        [text.replace("first", "last") for text in short[0]],
    ]
    text = parse(row_by_row((40, short[0]), (220, short[1]), (400, short[2]))).text
    assert " ".join(text.split()) == " ".join(line for column in short for line in column)


def test_a_passage_of_a_column_is_marked_where_it_was_drawn(parse: Any, tmp_path: Path) -> None:
    document = parse(row_by_row((72, LEFT), (320, RIGHT)))
    start = document.text.index("and a dog who meets")
    boxes = text_boxes(tmp_path / "file.pdf", 1, start, start + 13, page_text=document.text)
    assert len(boxes) == 1
    assert boxes[0][0] == pytest.approx(320, abs=1)
    assert boxes[0][1] < 700 - 8 * 13 + 3 < boxes[0][3]  # the ninth line


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (
            ["The state of the harbour and its walls", "How the railway came into the valley", "Those who have left us", "All the names again"],
            ["12", "27", "31", "44"],
        ),
        (
            ["Name of the person who asks for it", "Street and number of the house", "Place where you were born", "Date"],
            ["____________________", "____________________", "____________________", "____________________"],
        ),
        (
            ["Harbour wall", "Inn", "Station", "Old mill"],
            ["built by the widow of a captain", "open all year but for March", "has a clock with one hand", "burnt down"],
        ),
        (
            ["We train all who work for us", "All goods are seen by two people", "No child works for us", "Waste is brought back to us"],
            ["Of those in the north nearly all", "Since the law was made anew", "In none of our own houses", "By those who have bought from us"],
        ),
        (
            ["sales of all goods in the north", "sales of all goods in the south", "costs of the whole enterprise", "what is left of it"],
            ["1,204 of 1,300 in the plan", "2,410 of 2,200 in the plan", "3,020 of 3,000 in the plan", "594 of 500 in the plan"],
        ),
    ],
    ids=["a table of contents", "a form", "labels and what is said of them", "sentences in cells", "figures"],
)  # fmt: skip
def test_what_is_read_row_by_row_stays_so(parse: Any, left: list[str], right: list[str]) -> None:
    words = parse(row_by_row((72, left * 2), (320, right * 2))).text.replace("|", " ").split()
    assert [w for w in words if w.strip("-")] == " ".join(
        f"{a} {b}" for a, b in zip(left * 2, right * 2, strict=True)
    ).split()


def test_a_table_of_texts_that_is_drawn_cell_by_cell_stays_in_that_order(parse: Any) -> None:
    cells = [
        (LEFT[0:3], RIGHT[0:3]),
        (LEFT[3:6], RIGHT[3:6]),
        (LEFT[7:10], RIGHT[7:10]),
    ]
    drawn = [
        lines(texts, x=x, y=700 - 50 * n)
        for n, row in enumerate(cells)
        for x, texts in zip((72, 320), row, strict=True)
    ]
    text = " ".join(parse(*drawn).text.split())
    starts = [text.index(" ".join(texts[0].split()[:4])) for row in cells for texts in row]
    assert starts == sorted(starts)
