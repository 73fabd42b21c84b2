"""PDFs drawn for the purpose: text in order, paragraphs, hyphens, headings, pages that are images, passwords, places."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from pypdf import PdfReader, PdfWriter
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont

from core.errors import EmptyDocument, Encrypted, InvalidRequest, NotFound, ParseFailed, TooLarge
from ingest.parse import ParseLimits, parse_file
from ingest.parse.pdf import iso_date, render_page, text_boxes
from ingest.parse.pdf_hyphens import Hyphens
from ingest.parse.pdf_places import align
from tests.support.drawn_pdfs import blank, both, image, lines, pdf

PROSE = [
    "The quick brown fox jumps over the lazy dog while the band plays on and on",
    "until the end of the evening, when everybody goes home by the way they came",
    "and sleeps.",
]


@pytest.fixture
def write(tmp_path):
    def write(data):
        path = tmp_path / "file.pdf"
        path.write_bytes(data)
        return path

    return write


@pytest.fixture
def parse(write):
    def parse(data, filename="file.pdf", password=None, limits=None):
        return parse_file(write(data), filename, limits or ParseLimits(), password=password)

    return parse


def test_wrapped_lines_become_paragraphs(parse):
    document = parse(pdf(lines([*PROSE, "", "A second paragraph stands apart."])))
    assert document.text == " ".join(PROSE) + "\n\nA second paragraph stands apart."


def test_rows_of_a_table_stay_rows(parse):
    rows = ["Net sales   $ 63,355   $ 63,948", "Services   19,604   17,486", "Total   82,959   81,434"]
    assert parse(pdf(lines(rows))).text.split("\n") == [" ".join(r.split()) for r in rows]


def test_two_columns_are_read_one_after_the_other(parse):
    left = ["The left column has lines", "of its own that go on to", "the foot of the page and"]
    right = ["then the right column takes", "up where the left one had", "ended, as books do."]
    document = parse(pdf(both(lines(left), lines(right, x=320))))
    assert document.text == " ".join(left + right)


def test_pages_know_where_they_lie(parse):
    document = parse(pdf(lines(["First page."]), blank, lines(["Third page."])))
    assert [(p.number, document.text[p.start : p.end]) for p in document.pages] == [
        (1, "First page."),
        (2, ""),
        (3, "Third page."),
    ]
    assert not document.partial, "a blank page loses nothing"


def test_metadata_and_title(parse):
    document = parse(pdf(lines(["x y z"]), title="A Study of Foxes", author="Ann Author"), "2022 fox.pdf")
    assert (document.title, document.metadata["author"]) == ("A Study of Foxes", "Ann Author")
    assert document.metadata["created"] == "2000-01-01T00:00:00+00:00"
    assert parse(pdf(lines(["x y z"]), title="untitled"), "2022 fox.pdf").title == "2022 fox"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("D:20220729060321-04'00'", "2022-07-29T06:03:21-04:00"),
        ("D:20220729", "2022-07-29"),
        ("D:20221025201815Z", "2022-10-25T20:18:15+00:00"),
        ("2022", "2022-01-01"),
        ("yesterday", "yesterday"),
    ],
)
def test_dates_are_iso(text, iso):
    assert iso_date(text) == iso


# ---------------------------------------------------------------- hyphens


def test_words_divided_at_line_ends_are_joined(parse):
    text = [
        "Retrieval can be implemented us-",
        "ing dense representations, and a dual-",
        "encoder framework is used. A dual-encoder is fine.",
    ]
    assert "implemented using dense representations, and a dual-encoder framework" in parse(pdf(lines(text))).text


@pytest.mark.parametrize(
    ("document", "before", "after", "expected"),
    [
        ("", "em", "beddings", ""),  # nothing known: joined
        ("the non-trivial case", "a non", "trivial one", "-"),  # seen with its hyphen
        ("a nontrivial case", "a non", "trivial one", ""),  # seen without
        ("the dual road; an encoder", "a dual", "encoder", "-"),  # both parts are words
        ("", "a Lucene", "BM25 system", "-"),  # a digit
        ("", "the Rhein", "Main area", "-"),  # a capital
        ("", "state-of-the", "art", "-"),  # hyphenated already
        ("", "high", "dimensional", "-"),  # a word that begins compounds
        ("", "see (", "here", "-"),  # not between letters
    ],
)
def test_a_hyphen_is_judged_by_the_rest_of_the_document(document, before, after, expected):
    assert Hyphens([document])(before, after) == expected


# ---------------------------------------------------------------- headings


def test_headings_from_the_look_of_lines(parse):
    page = both(
        lines(["The Whole Story"], size=20, font="Helvetica-Bold"),
        lines(["1 Beginnings"], y=720, size=14, font="Helvetica-Bold"),
        lines(PROSE, y=690),
        lines(["2 Ends"], y=600, size=14, font="Helvetica-Bold"),
        lines(PROSE, y=570),
    )
    document = parse(pdf(page))
    assert [(h.level, h.text) for h in document.headings] == [
        (1, "The Whole Story"),
        (2, "1 Beginnings"),
        (2, "2 Ends"),
    ]
    assert all(document.text[h.start :].startswith(h.text) for h in document.headings)


def test_headings_from_the_outline(parse):
    def first(canvas):
        canvas.bookmarkPage("a")
        canvas.addOutlineEntry("Chapter One", "a", 0)
        lines(["Chapter One", "", *PROSE])(canvas)

    def second(canvas):
        canvas.bookmarkPage("b")
        canvas.addOutlineEntry("Part of It", "b", 1)
        lines([*PROSE, "", "Part of It", "", *PROSE])(canvas)

    document = parse(pdf(first, second))
    assert [(h.level, h.text, document.text[h.start : h.start + 7]) for h in document.headings] == [
        (1, "Chapter One", "Chapter"),
        (2, "Part of It", "Part of"),
    ]


# ---------------------------------------------------------------- what cannot be read


def test_a_picture_alone_is_empty_and_says_why(parse):
    with pytest.raises(EmptyDocument) as caught:
        parse(pdf(image(), image()), "scan.pdf", limits=ParseLimits(ocr="off"))
    assert caught.value.message == "scan.pdf has no text: 2 of 2 pages are images and OCR is off (OPENBOOK_OCR)"


def test_a_stamp_on_a_scan_does_not_hide_that_it_is_one(parse):
    document = parse(pdf(lines(PROSE), both(image(), lines(["Page 2"]))), limits=ParseLimits(ocr="off"))
    message = "page 2 is mostly an image with 5 letters of text beside it and OCR is off (OPENBOOK_OCR)"
    assert [(w.page, w.code, w.lost, w.message) for w in document.warnings] == [(2, "page-is-image", True, message)]


def test_blank_pages_alone_are_empty(parse):
    with pytest.raises(EmptyDocument, match="blank"):
        parse(pdf(blank, blank))


def encrypted(algorithm, user, owner):
    writer = PdfWriter(PdfReader(io.BytesIO(pdf(lines(PROSE)))))
    writer.encrypt(user, owner, algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256"])
def test_encryption(parse, algorithm):
    locked = encrypted(algorithm, "sesame", "boss")
    with pytest.raises(Encrypted, match="opens only with its password"):
        parse(locked)
    with pytest.raises(Encrypted, match="not the right one"):
        parse(locked, password="wrong")
    assert parse(locked, password="sesame").text.startswith("The quick")
    assert parse(encrypted(algorithm, "", "boss")).text.startswith("The quick")


def test_garbage_after_the_signature_is_a_failed_parse(parse):
    with pytest.raises(ParseFailed, match="damaged or cut off") as caught:
        parse(b"%PDF-1.4\nthis is not a PDF at all\n", "broken.pdf")
    assert caught.value.message.startswith("broken.pdf is not a PDF that can be opened")


def test_a_truncated_file_is_read_as_far_as_it_goes_or_refused_with_a_reason(parse):
    whole = pdf(*[lines([f"This is page {i}.", *PROSE]) for i in range(20)])
    for share in (0.3, 0.6, 0.9, 0.99):
        try:
            document = parse(whole[: int(len(whole) * share)])
        except ParseFailed as e:
            assert "damaged" in e.message or "no text" in e.message
        else:
            assert "This is page" in document.text


def test_a_wrongly_named_pdf_is_read_with_a_warning(parse):
    document = parse(pdf(lines(PROSE)), "notes.txt")
    assert document.mime_type == "application/pdf"
    assert document.warnings[0].message == "it is named .txt, but it is a PDF and was read as that"


def test_too_many_pages_are_refused_before_they_are_read(parse):
    with pytest.raises(TooLarge, match="has 30 pages, over the limit of 20"):
        parse(pdf(*[blank] * 30), limits=ParseLimits(max_pages=20))


# ---------------------------------------------------------------- scripts


def test_cjk_text(parse):
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    text = "日本語の文章です。二つ目の文。"
    assert parse(pdf(lines([text], font="HeiseiMin-W3"))).text == text


# ---------------------------------------------------------------- places on the page


def page_of(document, number):
    span = document.pages[number - 1]
    return document.text[span.start : span.end]


def test_boxes_lie_on_the_words(parse, write):
    data = pdf(lines(["First line with fox in it", "and a second"], x=100, y=700, size=10, leading=20))
    path, document = write(data), parse(data)
    text = page_of(document, 1)
    start = text.index("fox")
    (x0, y0, x1, y1), *more = text_boxes(path, 1, start, start + 3, page_text=text)
    before = pdfmetrics.stringWidth("First line with ", "Helvetica", 10)
    width = pdfmetrics.stringWidth("fox", "Helvetica", 10)
    assert more == []
    assert x0 == pytest.approx(100 + before, abs=1.0)
    assert x1 == pytest.approx(100 + before + width, abs=1.0)
    assert y0 < 700 < y1 < 712


def test_a_passage_over_lines_and_a_joined_hyphen_has_a_box_per_line(parse, write):
    data = pdf(
        lines(
            [
                "Words are divided at the end of the line us-",
                "ing hyphens, and that makes it hard to find them",
                "again.",
            ],
            x=90,
            y=700,
            leading=14,
        )
    )
    path, document = write(data), parse(data)
    text = page_of(document, 1)
    start = text.index("line using hyphens")
    boxes = text_boxes(path, 1, start, start + len("line using hyphens"), page_text=text)
    assert len(boxes) == 2
    assert boxes[0][1] > boxes[1][1], "the first line is higher"
    assert boxes[1][0] == pytest.approx(90, abs=1.5)
    assert boxes[1][2] == pytest.approx(90 + pdfmetrics.stringWidth("ing hyphens", "Helvetica", 11), abs=1.5)


def test_without_the_stored_text_the_page_is_read_anew(parse, write):
    data = pdf(lines(["Ein Fuchs."], x=90, y=700))
    path = write(data)
    assert text_boxes(path, 1, 4, 9) == text_boxes(path, 1, 4, 9, page_text=page_of(parse(data), 1)) != []


def test_alignment_survives_what_cleaning_does():
    raw = "The ef\ufb01cient\r\nus\ufffeing cafe\u0301 10² \x02x"
    stored = "The efficient using café 10² x"
    places = align(stored, raw)
    for i, character in enumerate(stored):
        if not character.isspace():
            place = places[i]
            assert place is not None
            assert raw[place] in (character, "\ufb01") or character == "é", (i, character)


def test_alignment_finds_its_way_after_a_difference():
    places = align("alpha EXTRA words beta gamma delta epsilon", "alpha beta gamma delta epsilon")
    assert places[0] == 0
    assert places[len("alpha EXTRA words ")] == 6
    assert places[len("alpha EXTRA ")] is None


def test_a_page_image_shows_the_mark(parse, write):
    data = pdf(lines(["MARK THIS"], x=100, y=700, size=20))
    path, document = write(data), parse(data)
    boxes = text_boxes(path, 1, 0, 4, page_text=page_of(document, 1))
    plain = Image.open(io.BytesIO(render_page(path, 1, [], 600)))
    marked = Image.open(io.BytesIO(render_page(path, 1, boxes, 600)))
    assert plain.size == marked.size == (600, round(600 * A4[1] / A4[0]))
    scale = 600 / A4[0]
    at = (round((boxes[0][0] + 1) * scale), round((A4[1] - boxes[0][3] + 1) * scale))
    assert plain.getpixel(at) == (255, 255, 255)
    red, green, blue = marked.getpixel(at)
    assert blue < 200 < green <= red, "yellow"


def test_a_rotated_page_is_marked_where_it_is_shown(parse, write):
    def turned(canvas):
        lines(["MARK THIS"], x=100, y=700, size=20)(canvas)

    writer = PdfWriter(PdfReader(io.BytesIO(pdf(turned))))
    writer.pages[0].rotate(90)
    out = io.BytesIO()
    writer.write(out)
    data = out.getvalue()
    path, document = write(data), parse(data)
    boxes = text_boxes(path, 1, 0, 9, page_text=page_of(document, 1))
    image = Image.open(io.BytesIO(render_page(path, 1, boxes, 842)))
    assert image.size[0] > image.size[1]
    yellow = [
        (x, y)
        for x in range(0, image.size[0], 3)
        for y in range(0, image.size[1], 3)
        if image.getpixel((x, y))[2] < 200 < image.getpixel((x, y))[0]
    ]
    # Turned by 90° clockwise, y = 700 of 842 from the bottom is x = 700 from the left.
    assert yellow
    assert all(690 < x < 725 for x, _ in yellow)


def test_no_such_page_and_no_such_width(write):
    path = write(pdf(blank))
    with pytest.raises(NotFound, match="pages 1 to 1"):
        render_page(path, 2)
    with pytest.raises(InvalidRequest, match="16 to"):
        render_page(path, 1, [], 100_000)
