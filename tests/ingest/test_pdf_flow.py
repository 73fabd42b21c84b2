"""PDFs over several pages: paragraphs go on over the break, running heads and feet and footnotes do not part them."""

from pathlib import Path

import pytest
from reportlab.pdfbase import pdfmetrics

from ingest.parse.document import ParseLimits
from ingest.parse.pdf import parse_pdf, text_boxes
from tests.support.drawn_pdfs import both, lines, pdf

# Sixteen lines of one width, no full stop at a line end, and the words of each page told apart by a letter.
WORDS = "the river ran on below the hill and past the mill of"


def full(letter, n=16, first="", last=""):
    """Lines that fill a column; ``first`` and ``last`` stand in place of the first and the last."""
    rows = [f"{letter}{i:02} {WORDS}" for i in range(n)]
    rows[0], rows[-1] = first or rows[0], last or rows[-1]
    return rows


def page(body, *, head=(), foot=(), notes=()):
    """Body from y = 700 down, a head at 780, notes in small type from 130, a foot at 40."""
    draws = [lines(head, y=780)] if head else []
    draws += [lines(body, y=700)]
    draws += [lines(notes, y=130, size=8, leading=10)] if notes else []
    draws += [lines(foot, y=40)] if foot else []
    return both(*draws)


@pytest.fixture
def read(tmp_path: Path):
    path = tmp_path / "book.pdf"

    def read(*pages):
        path.write_bytes(pdf(*pages))
        return parse_pdf(path, path.name, ParseLimits()), path

    return read


def of_page(document, number):
    span = document.pages[number - 1]
    return document.text[span.start : span.end]


def test_a_paragraph_that_goes_on_overleaf_is_one(read):
    document, _ = read(*(page(full(letter, first="" if letter == "a" else f"and so {WORDS}")) for letter in "ab"))
    assert f"a15 {WORDS} and so {WORDS} b01" in document.text
    one, two = document.pages
    assert (one.end + 1, document.text[one.end]) == (two.start, " "), "each page is a piece of the text"
    assert of_page(document, 2).startswith("and so")


def test_a_sentence_that_ends_with_its_page_ends_the_paragraph(read):
    document, _ = read(page(full("a", last="a15 the river ran on below the hill and past the mill.")), page(full("b")))
    assert "past the mill.\n\nb00" in document.text


def test_a_list_and_a_heading_overleaf_begin_a_paragraph(read):
    item, _ = read(page(full("a")), page(full("b", first="• a river that ran on below the hill and past the mill")))
    assert "\n\n• a river" in item.text
    heading, _ = read(page(full("a")), page(full("b", first="Rivers and mills")))
    assert "\n\nRivers and mills" in heading.text


@pytest.mark.parametrize(("rest", "between"), [("went home.", " "), ("Ouse it went.", "\n\n"), ("A title", "\n\n")])
def test_a_single_line_overleaf(read, rest, between):
    document, _ = read(page(full("a")), page([rest]))
    assert document.text.endswith(f"{WORDS}{between}{rest}")


def test_a_word_divided_by_the_page_is_whole(read):
    document, _ = read(
        page(full("a", last="a15 the river ran on below the hill and past the mi-")),
        page(full("b", first="llstone and the weir, where the water fell and was")),
    )
    assert "past the millstone and the weir" in document.text.replace("\n", " ")
    assert document.pages[0].end == document.pages[1].start


def test_running_heads_and_feet_part_no_paragraph(read):
    document, _ = read(
        *(
            page(full(letter), head=["The Book of Rivers"], foot=[f"Chapter 3 | page {n}"])
            for n, letter in enumerate("abcde", 11)
        )
    )
    assert document.text.count("The Book of Rivers") == 1
    assert document.text.startswith("The Book of Rivers\n\na00"), "on the first page it parts nothing"
    assert document.text.endswith("\n\nChapter 3 | page 15"), "the foot parts a paragraph on every page but the last"
    assert f"a15 {WORDS} b00" in document.text
    assert f"d15 {WORDS} e00" in document.text
    assert document.metadata["running_heads"] == "The Book of Rivers · Chapter 3 | page 11–15"
    assert all(text in document.text for text in full("c"))


def test_a_running_head_stays_where_it_parts_nothing(read):
    """What it says of a page, whose report it is of, is searched for."""
    pages = [page(full(letter, last=f"{letter}15 ended."), head=["The Book of Rivers"]) for letter in "abcd"]
    document, _ = read(*pages)
    assert document.text.count("The Book of Rivers\n\n") == 4
    assert not any(heading.text == "The Book of Rivers" for heading in document.headings)


def test_page_numbers_alone_go_to_the_metadata(read):
    document, _ = read(*(page(full(letter), foot=[str(n)]) for n, letter in enumerate("abcd", 7)))
    assert document.metadata["running_heads"] == "7–10"
    assert not any(line in ["7", "8", "9", "10"] for line in document.text.split("\n"))


def test_roman_page_numbers_count_as_well(read):
    numbers = ["viii", "ix", "x", "xi"]
    document, _ = read(*(page(full(a), foot=[f"Preface {n}"]) for a, n in zip("abcd", numbers, strict=True)))
    assert document.metadata["running_heads"] == "Preface viii–xi"


def test_heads_that_change_sides_are_found(read):
    document, _ = read(
        *(page(full(letter), head=["Left title" if n % 2 else "Right title"]) for n, letter in enumerate("abcdefgh"))
    )
    assert document.text.count("Left title") <= 1
    assert document.text.count("Right title") == 1
    assert document.metadata["running_heads"] == "Right title · Left title"


@pytest.mark.parametrize(
    ("why", "heads"),
    [
        ("two pages are not many", ["Rivers", "Rivers", "Mills", "Weirs"]),
        ("numbers that do not go up with the pages are content", ["Flow 12", "Flow 48", "Flow 31", "Flow 77"]),
    ],
)
def test_what_does_not_return_page_after_page_stays(read, why, heads):
    document, _ = read(*(page(full(letter), head=[head]) for letter, head in zip("abcd", heads, strict=True)))
    assert [document.text.count(head) for head in heads] == [heads.count(head) for head in heads], why
    assert "running_heads" not in document.metadata


def test_a_line_that_returns_within_the_text_stays(read):
    """The first line of each page is the same, and the text follows it as its other lines do."""
    document, _ = read(*(page(["Chorus of the river", *full(letter)]) for letter in "abcd"))
    assert document.text.count("Chorus of the river") == 4


def test_a_large_title_on_every_page_stays(read):
    slides = [both(lines(["Results"], y=780, size=24), lines(full(letter), y=700)) for letter in "abcd"]
    document, _ = read(*slides)
    assert document.text.count("Results") == 4


def test_pages_with_nothing_but_a_head_keep_it(read):
    document, _ = read(*(lines(["For your notes"], y=780) for _ in range(4)))
    assert document.text.count("For your notes") == 4


def test_notes_at_the_foot_come_before_the_paragraph_that_goes_on_overleaf(read):
    document, _ = read(
        page(
            [
                *full("a", 6, last="a05 ended here."),
                "",
                *full("b", 8, first="b00 a mill1 ran on below the hill and past the mill of"),
            ],
            notes=["1 Built in 1650, and burnt", "down twice."],
        ),
        page(full("c")),
    )
    text = of_page(document, 1)
    assert "ended here.\n\n1 Built in 1650, and burnt down twice.\n\nb00 a mill1 ran on" in text
    assert f"b07 {WORDS} c00" in document.text


def test_notes_stay_at_the_foot_where_the_paragraph_ends(read):
    document, _ = read(
        page(full("a", last="a15 the river ran on to a mill.1"), notes=["1 Built in 1650."]), page(full("b"))
    )
    assert of_page(document, 1).endswith("to a mill.1\n\n1 Built in 1650.")


def test_raised_marks_that_are_drawn_last_are_no_notes(read):
    marks = lines(["1"], x=300, y=650, size=6)
    document, _ = read(both(lines(full("a"), y=700), marks), page(full("b")))
    assert of_page(document, 1).endswith("1"), "they stay where the program drew them"


def test_notes_below_a_paragraph_of_three_pages_part_it_rather_than_change_pages(read):
    document, _ = read(page(full("a")), page(full("b"), notes=["1 Built in 1650."]), page(full("c")))
    assert f"a15 {WORDS} b00" in document.text
    assert f"b15 {WORDS}\n\n1 Built in 1650.\n\nc00" in document.text


def test_marks_on_the_page_image_stay_exact(read):
    """Left out: a head and a foot that begin as text does. Moved up: the note."""
    document, path = read(
        *(
            page(
                [
                    *full(letter, 6, last=f"{letter}05 ended."),
                    "",
                    *full(letter.upper(), 8, first="Fall over ran on below the hill and past the mill of"),
                ],
                head=["Fall of the year"],
                foot=[f"b00 the {n}"],
                notes=[f"1 Fall of the mill {letter}."],
            )
            for n, letter in enumerate("abcd", 1)
        )
    )
    text = of_page(document, 2)
    assert "Fall of the year" not in text
    for words, y in (
        ("b00 the", 700),
        ("Fall over", 700 - 7 * 13),
        ("1 Fall of the mill b.", 130),
        ("B07", 700 - 14 * 13),
    ):
        start = text.index(words)
        ((x0, y0, x1, y1),) = text_boxes(path, 2, start, start + len(words), page_text=text)
        size = 8 if y == 130 else 11
        assert (x0, x1) == pytest.approx((72, 72 + pdfmetrics.stringWidth(words, "Helvetica", size)), abs=1.0), words
        assert y0 < y < y1, words
