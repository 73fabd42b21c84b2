"""The quick calls of pdfium say what pypdfium2's own say."""

import ctypes
import io

import pypdfium2
import pypdfium2.raw as pdfium_c
import pytest

from ingest.parse.pdf_calls import (
    Colours,
    char_boxes,
    font_names,
    handle,
    kind_of,
    object_boxes,
    page_objects,
    render_mode,
    text_object,
)
from tests.support.drawn_pdfs import both, lines, pdf


def drawing(canvas):
    canvas.setFillColorRGB(0.2, 0.4, 0.6, alpha=0.5)
    canvas.rect(100, 300, 80, 40, fill=1, stroke=0)
    canvas.rect(200, 300, 80, 40, fill=0, stroke=1)
    canvas.line(100, 200, 400, 200)


@pytest.fixture
def opened():
    data = pdf(both(lines(["Plain words"]), lines(["Bold words"], y=700, font="Helvetica-Bold", size=18), drawing))
    document = pypdfium2.PdfDocument(io.BytesIO(data))
    page = document[0]
    textpage = page.get_textpage()
    yield page, textpage
    textpage.close()
    page.close()
    document.close()


def test_boxes_of_characters_are_those_of_pypdfium2(opened):
    _, textpage = opened
    expected = []
    for index in range(textpage.count_chars()):
        rect = pdfium_c.FS_RECTF()
        assert pdfium_c.FPDFText_GetLooseCharBox(textpage, index, rect)
        expected.append((rect.left, rect.bottom, rect.right, rect.top))
    assert len(expected) > 20
    assert char_boxes(textpage, range(len(expected))) == expected
    assert char_boxes(textpage, [len(expected) - 1, 0]) == [expected[-1], expected[0]], "in the order asked for"
    assert char_boxes(textpage, []) == []


def test_a_character_that_is_not_there_has_no_box(opened):
    _, textpage = opened
    assert char_boxes(textpage, [0, 10_000])[1] is None
    assert text_object(handle(textpage), 10_000) is None


def test_fonts_are_named(opened):
    _, textpage = opened
    text = textpage.get_text_range()
    assert font_names(textpage, [text.index("Plain"), text.index("Bold")]) == [b"Helvetica", b"Helvetica-Bold"]
    assert font_names(textpage, [10_000]) == [b""]


def test_objects_are_those_of_pypdfium2(opened):
    page, textpage = opened
    own = [item for item in page.get_objects() if item.type == pdfium_c.FPDF_PAGEOBJ_PATH]
    paths = page_objects(page, pdfium_c.FPDF_PAGEOBJ_PATH, 1000)
    assert len(paths) == len(own) == 3
    assert paths == [ctypes.cast(item.raw, ctypes.c_void_p).value for item in own]
    assert object_boxes(paths) == [tuple(item.get_bounds()) for item in own]
    assert page_objects(page, pdfium_c.FPDF_PAGEOBJ_PATH, 0) == []
    words = text_object(handle(textpage), 0)
    assert words is not None
    assert kind_of(words) == pdfium_c.FPDF_PAGEOBJ_TEXT
    assert render_mode(words) == pdfium_c.FPDF_TEXTRENDERMODE_FILL


def test_how_paths_are_drawn(opened):
    page, _ = opened
    filled, outlined, line = page_objects(page, pdfium_c.FPDF_PAGEOBJ_PATH, 1000)
    colours = Colours()
    assert colours.fill(filled) == (51, 102, 153, 128), "0.2, 0.4 and 0.6 of 255, half opaque"
    assert [colours.path_mode(item) for item in (filled, outlined, line)] == [
        (True, False),
        (False, True),
        (False, True),
    ]
