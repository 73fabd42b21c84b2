"""Pages of a PDF that are pictures: read by OCR, in the confined child too; and what is said where they are not."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageChops

from core.errors import EmptyDocument
from ingest.parse import ParseLimits, parse_file
from ingest.parse.document import AWAITS_OCR, OCR_WORDS
from ingest.parse.ocr_page import pack_words, passage_boxes, unpack_words
from ingest.parse.page_image import page_png
from ingest.parse.sandbox import Sandbox
from tests.support.drawn_pdfs import both, image, lines, pdf
from tests.support.scans import LETTER, needs_ocr, scan, scanned

PROSE = ["The quick brown fox jumps over the lazy dog while the band plays on and on", "until it sleeps."]
TEXT = " ".join(LETTER)


@pytest.fixture
def parse(tmp_path):
    def parse(data, filename="scan.pdf", limits=None):
        path = tmp_path / "file"
        path.write_bytes(data)
        return parse_file(path, filename, limits or ParseLimits())

    return parse


@pytest.fixture
def no_ocr(monkeypatch, tmp_path):
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path / "empty"))


# ---------------------------------------------------------------- with OCR


@needs_ocr
def test_a_scanned_page_is_read(parse):
    document = parse(pdf(lines(PROSE), scanned(scan())))
    assert document.text == " ".join(PROSE) + "\n\n" + TEXT
    assert not document.partial and document.warnings == ()
    assert list(document.metadata["ocr"]) == ["2"] and document.metadata["ocr"]["2"] > 80


@needs_ocr
@pytest.mark.parametrize(
    "degrees", [90, 270, 3, pytest.param(180, marks=pytest.mark.slow), pytest.param(-4, marks=pytest.mark.slow)]
)
def test_a_page_on_its_side_on_its_head_or_askew_is_read(degrees, parse):
    assert parse(pdf(scanned(scan(turned=degrees)))).text == TEXT


@needs_ocr
def test_words_know_their_place_on_the_page(parse, tmp_path):
    data = pdf(scanned(scan(turned=180)))
    document = parse(data)
    start = document.text.index("keys")
    words = document.metadata[OCR_WORDS]["1"]
    ((left, top, right, bottom),) = passage_boxes(unpack_words(words), start, start + 4)
    # Third line, right of its middle; the picture on its head fills the upper part of the page: left half, y from the top.
    assert 0 < left < right < 6500 and 0 < top < bottom < 4000
    path = tmp_path / "file"
    plain, marked = (
        Image.open(io.BytesIO(page_png(path, 1, document.text, passages, 800, words=words)))
        for passages in ([], [(start, start + 4)])
    )
    x0, y0, x1, y1 = ImageChops.difference(plain, marked).getbbox()
    assert (x0 + x1) / 2 / marked.width == pytest.approx((left + right) / 20_000, abs=0.01)
    assert (y0 + y1) / 2 / marked.height == pytest.approx((top + bottom) / 20_000, abs=0.01)
    under = plain.crop((x0, y0, x1, y1)).convert("L").getextrema()
    assert under[0] < 100, "there is ink under the mark"


@needs_ocr
def test_the_confined_child_reads_within_its_memory_and_time(tmp_path):
    path = tmp_path / "scan.pdf"
    path.write_bytes(pdf(scanned(scan()), scanned(scan(turned=90))))
    with Sandbox(ParseLimits(memory_bytes=768 * 2**20)) as sandbox:
        document = sandbox.parse(path, "scan.pdf")
    assert document.text == f"{TEXT}\n\n{TEXT}"


@needs_ocr
def test_a_page_that_takes_too_long_is_named_and_the_others_are_kept(parse):
    document = parse(pdf(lines(PROSE), scanned(scan(LETTER * 4, height=1700))), limits=ParseLimits(ocr_page_s=0.05))
    assert document.text.strip() == " ".join(PROSE)
    assert [(w.page, w.lost, w.message) for w in document.warnings] == [
        (2, True, "page 2 is an image that OCR could not read (it takes longer than 0.05 seconds)")
    ]


@needs_ocr
def test_ocr_ends_with_the_pages_that_it_may_read(parse):
    document = parse(pdf(scanned(scan()), scanned(scan())), limits=ParseLimits(ocr_max_pages=1))
    assert document.text.strip() == TEXT
    (warning,) = document.warnings
    assert warning.page == 2 and "of one file OCR reads 1 pages: raise ocr_max_pages" in warning.message


@needs_ocr
def test_a_picture_without_text_loses_nothing(parse):
    document = parse(pdf(lines(PROSE), image()))
    assert [(w.message, w.lost) for w in document.warnings] == [
        ("page 2 is an image in which OCR found no text", False)
    ]


@needs_ocr
def test_a_page_whose_picture_is_damaged_does_not_lose_the_others(parse):
    data = pdf(scanned(scan()), scanned(scan(LETTER[:2])))
    start = data.rindex(b"/Subtype /Image")
    at = data.index(b"stream", start) + 40
    document = parse(data[:at] + b"x" * 200 + data[at + 200 :])
    assert TEXT in document.text or " ".join(LETTER[:2]) in document.text
    assert all(w.page in (1, 2) for w in document.warnings)


@needs_ocr
def test_a_scan_with_a_stamp_is_read_as_a_whole(parse):
    document = parse(pdf(both(scanned(scan(height=1754)), lines(["Page 2"], y=60))))
    assert TEXT in document.text and "Page 2" in document.text and not document.partial


@needs_ocr
def test_a_table_on_a_scan_keeps_its_rows(parse):
    rows = ["Products   63355   63948", "Services   19604   17486", "Total   82959   81434"]
    text = parse(pdf(scanned(scan(rows, size=40)))).text
    assert [line.split()[-2:] for line in text.replace("|", " ").splitlines() if "8" in line or "6" in line] == [
        r.split()[-2:] for r in rows
    ]


# ---------------------------------------------------------------- without


def test_without_ocr_the_page_is_named_with_the_fix(parse, no_ocr, monkeypatch):
    monkeypatch.delenv("TESSDATA_PREFIX")
    monkeypatch.setattr("ingest.parse.ocr._PLACES", ())
    document = parse(pdf(lines(PROSE), lines(PROSE), scanned(scan())))
    assert [(w.page, w.lost, w.message) for w in document.warnings] == [
        (3, True, "page 3 is an image and no OCR is installed: apt install tesseract-ocr")
    ]
    assert document.metadata[AWAITS_OCR] == [3]


def test_without_ocr_a_scan_is_empty_and_says_why(parse, no_ocr):
    with pytest.raises(EmptyDocument, match="2 of 2 pages are images and no OCR is installed: TESSDATA_PREFIX is "):
        parse(pdf(scanned(scan()), scanned(scan())))


def test_ocr_can_be_off(parse):
    with pytest.raises(EmptyDocument, match="1 of 1 page is an image and OCR is off"):
        parse(pdf(scanned(scan())), limits=ParseLimits(ocr="off"))


@needs_ocr
def test_a_language_without_data_is_named_with_its_package(parse):
    with pytest.raises(
        EmptyDocument, match=r"no data for the languages 'xyz_abc' \(.*apt install tesseract-ocr-xyz-abc"
    ):
        parse(pdf(scanned(scan())), limits=ParseLimits(ocr_languages="xyz_abc"))


def test_a_child_that_dies_of_a_picture_reads_the_rest_without_it(tmp_path):
    """The misbehaving child kills itself over the first picture; the second time it is told to leave that out."""
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-")
    with Sandbox(ParseLimits(), module="tests.support.dying_reader") as sandbox:
        assert sandbox.parse(path, "a.pdf").text == "left out: [0, 1], ocr: off"


def test_places_of_words_survive_packing():
    words = [(0, 4, 100, 200, 300, 250), (5, 9, 310, 200, 400, 251), (12, 13, 90, 300, 95, 340)]
    assert unpack_words(pack_words(words)) == words
    assert unpack_words(pack_words([])) == []
