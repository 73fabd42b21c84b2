"""Pictures within Word, PowerPoint, Excel, OpenDocument, rich text, EPUB and mail: read by OCR, or named with the reason why not."""

from __future__ import annotations

import io
import zipfile
from email.message import EmailMessage
from typing import Any

import docx
import openpyxl
import pytest
from openpyxl.drawing.image import Image as SheetImage
from PIL import Image
from pptx import Presentation

from core.errors import EmptyDocument
from ingest.parse import ParseLimits
from ingest.parse.document import AWAITS_OCR
from ingest.parse.embedded import READ_BY_OCR
from tests.support.scans import LETTER, needs_ocr, saved, scan

SENTENCE = "The harbour office was opened in March by the mayor"
READ = f"{READ_BY_OCR}\n{SENTENCE}"
OFF = ParseLimits(ocr="off")
NO_OCR = "OCR is off (OPENBOOK_OCR)"
LONG = "The keeper of the lighthouse counted the geese that came over the sea that evening."


@pytest.fixture(scope="module")
def picture() -> bytes:
    return saved(scan(LETTER[:1], height=220), "PNG")


def icon() -> bytes:
    return saved(Image.new("RGB", (64, 64), "red"), "PNG")


def word(*parts: str | bytes) -> bytes:
    source, out = docx.Document(), io.BytesIO()
    for part in parts:
        source.add_paragraph(part) if isinstance(part, str) else source.add_picture(io.BytesIO(part))
    source.save(out)
    return out.getvalue()


def deck(*slides: tuple[str, list[bytes]]) -> bytes:
    made, out = Presentation(), io.BytesIO()
    for title, pictures in slides:
        slide = made.slides.add_slide(made.slide_layouts[5])
        slide.shapes.title.text = title
        for data in pictures:
            slide.shapes.add_picture(io.BytesIO(data), 0, 0)
    made.save(out)
    return out.getvalue()


def workbook(*sheets: tuple[str, dict[str, str], dict[str, bytes]]) -> bytes:
    """Sheets of (name, cells by place, pictures by place)."""
    made, out = openpyxl.Workbook(), io.BytesIO()
    made.remove(made.worksheets[0])
    for name, cells, pictures in sheets:
        sheet = made.create_sheet(name)
        for place, text in cells.items():
            sheet[place] = text
        for place, data in pictures.items():
            sheet.add_image(SheetImage(io.BytesIO(data)), place)
    made.save(out)
    return out.getvalue()


def pict(data: bytes, *, binary: bool = False, kind: bytes = rb"\pngblip") -> bytes:
    body = rb"\bin%d " % len(data) + data if binary else data.hex().encode()
    return rb"{\pict{\*\picprop\shplid1025{\sp{\sn x}{\sv 00}}}\picw12\pich5" + kind + b"\n" + body + b"}"


def rich(*paragraphs: bytes) -> bytes:
    return rb"{\rtf1\ansi " + rb"\par ".join(paragraphs) + rb"\par}"


def packed(members: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def odt(picture: bytes, text: str = LONG) -> bytes:
    spaces = " ".join(
        f'xmlns:{p}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"'
        for p, n in (("office", "office"), ("text", "text"), ("draw", "drawing"))
    )
    frame = (
        '<draw:frame><draw:image xlink:href="Pictures/a.png" xmlns:xlink="http://www.w3.org/1999/xlink"/></draw:frame>'
    )
    body = f"<text:p>{text}{frame}</text:p>"
    content = f"<office:document-content {spaces}><office:body><office:text>{body}</office:text></office:body></office:document-content>"
    kind = "application/vnd.oasis.opendocument.text"
    return packed({"mimetype": kind, "content.xml": content, "Pictures/a.png": picture})


def epub(picture: bytes) -> bytes:
    container = '<container><rootfiles><rootfile full-path="b/book.opf"/></rootfiles></container>'
    book = (
        '<package><manifest><item id="a" href="t/a.xhtml"/><item id="b" href="t/b.xhtml"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
    )
    return packed(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "b/book.opf": book,
            "b/t/a.xhtml": '<html><body><img alt="" src="../i/a%20b.png"/></body></html>',
            "b/t/b.xhtml": f"<html><body><p>{LONG}</p></body></html>",
            "b/i/a b.png": picture,
        }
    )


def mail(picture: bytes, text: str = "See the picture.") -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.com", "Harbour"
    message.set_content(text)
    message.add_attachment(picture, maintype="image", subtype="png", filename="note.png")
    return message.as_bytes()


@needs_ocr
def test_a_picture_in_word_is_read_where_it_stands_and_once(parse_bytes: Any, picture: bytes) -> None:
    document = parse_bytes(word(LONG, picture, "After it.", picture, icon()), "a.docx")
    assert document.text == f"{LONG}\n\n{READ}\n\nAfter it."
    assert document.metadata["pictures"] == {"read": 1, "without_text": 0}
    assert document.warnings == ()


@needs_ocr
def test_a_word_document_of_a_picture_alone_is_its_text(parse_bytes: Any, picture: bytes) -> None:
    assert parse_bytes(word(picture), "a.docx").text == READ


@needs_ocr
def test_a_picture_in_a_table_of_word_follows_the_table(parse_bytes: Any, picture: bytes) -> None:
    source, out = docx.Document(), io.BytesIO()
    cells = source.add_table(1, 2).row_cells(0)
    cells[0].text = "Note"
    cells[1].paragraphs[0].add_run().add_picture(io.BytesIO(picture))
    source.save(out)
    assert parse_bytes(out.getvalue(), "a.docx").text.endswith(f"\n\n{READ}")


@needs_ocr
def test_pictures_of_slides_follow_the_texts_of_their_slide(parse_bytes: Any, picture: bytes) -> None:
    document = parse_bytes(deck(("One", [picture]), ("Two", [])), "a.pptx")
    assert document.text == f"One\n\n{READ}\n\nTwo"
    assert [document.text[p.start : p.end] for p in document.pages] == [f"One\n\n{READ}", "\n\nTwo"[2:]]


@needs_ocr
def test_pictures_in_opendocument_epub_and_mail_are_read(parse_bytes: Any, picture: bytes) -> None:
    assert parse_bytes(odt(picture), "a.odt").text == f"{LONG}\n\n{READ}"
    assert parse_bytes(epub(picture), "a.epub").text == f"{READ}\n\n{LONG}"
    document = parse_bytes(mail(picture), "a.eml")
    assert document.text.endswith(f"See the picture.\n\nnote.png\n\n{READ}")
    assert document.metadata["attachments_read"] == 1


@needs_ocr
def test_pictures_on_sheets_of_excel_follow_the_cells_from_top_to_bottom(parse_bytes: Any, picture: bytes) -> None:
    other = saved(scan(LETTER[1:2], height=220), "PNG")
    sheets = ("Visits", {"A1": "Geese"}, {"C30": picture, "C3": other}), ("Plan", {}, {"A1": picture, "B9": icon()})
    document = parse_bytes(workbook(*sheets), "a.xlsx")
    first, _, after = document.text.partition(f"\n\n{READ_BY_OCR}\n")
    assert first == "Visits\n\nGeese"
    assert after.endswith(f"\n\n{READ}") and after != READ, "the picture of row 3 comes before that of row 30"
    assert document.metadata["pictures"] == {"read": 2, "without_text": 0}, "and is read once"
    assert document.warnings == ()


@needs_ocr
def test_a_workbook_of_a_picture_alone_is_its_text(parse_bytes: Any, picture: bytes) -> None:
    assert parse_bytes(workbook(("Scan", {}, {"A1": picture})), "a.xlsx").text == f"Scan\n\n{READ}"


@needs_ocr
@pytest.mark.parametrize("binary", [False, True])
def test_a_picture_in_rich_text_is_read_where_it_stands(parse_bytes: Any, picture: bytes, binary: bool) -> None:
    document = parse_bytes(
        rich(LONG.encode(), b"See " + pict(picture, binary=binary) + b"here.", b"After it."), "a.rtf"
    )
    assert document.text == f"{LONG}\n\nSee here.\n\n{READ}\n\nAfter it."


@needs_ocr
def test_the_second_version_of_a_picture_in_rich_text_is_no_other_picture(parse_bytes: Any, picture: bytes) -> None:
    """Word writes each as it is, and once more as a drawing for programs of before."""
    drawing = pict(b"\x01\x00\x09\x00" * 40, kind=rb"\wmetafile8")
    twice = rb"{\*\shppict" + pict(picture) + rb"}{\nonshppict" + drawing + rb"}"
    shape = rb"{\shp{\*\shpinst{\sp{\sn pib}{\sv " + pict(picture) + rb"}}}{\shprslt" + drawing + rb"}}"
    for written in (twice, shape):
        document = parse_bytes(rich(LONG.encode(), written), "a.rtf")
        assert (document.text, document.warnings) == (f"{LONG}\n\n{READ}", ())


@needs_ocr
def test_a_picture_in_a_table_of_rich_text_follows_the_table(parse_bytes: Any, picture: bytes) -> None:
    row = rb"\trowd\cellx1000\cellx2000\intbl Note\cell " + pict(picture) + rb"seen\cell\row"
    document = parse_bytes(rich(row + rb"\pard", b"After it."), "a.rtf")
    assert document.text == f"| Note | seen |\n\n{READ}\n\nAfter it."


def test_a_drawing_alone_in_rich_text_is_named(parse_bytes: Any) -> None:
    drawing = rb"{\nonshppict" + pict(b"\x01\x00\x09\x00" * 40, kind=rb"\wmetafile8") + rb"}"
    (warning,) = parse_bytes(rich(LONG.encode(), drawing), "a.rtf").warnings
    assert warning.message == "1 picture was not read: it is a WMF drawing, which is not read"


@needs_ocr
def test_a_picture_without_text_is_nothing_lost_but_alone_no_document(parse_bytes: Any) -> None:
    plain = saved(Image.linear_gradient("L"), "PNG")
    document = parse_bytes(word(LONG, plain), "a.docx")
    assert (document.text, document.warnings) == (LONG, ())
    assert document.metadata["pictures"] == {"read": 0, "without_text": 1}
    with pytest.raises(EmptyDocument, match=r"a\.docx has no text: OCR found none in its 1 picture"):
        parse_bytes(word(plain), "a.docx")


def test_without_ocr_each_part_says_which_pictures_were_not_read(parse_bytes: Any, picture: bytes) -> None:
    other = saved(Image.new("L", (300, 200), 255), "PNG")
    document = parse_bytes(deck((LONG, [picture]), ("Two", [other, icon()]), (LONG, [picture])), "a.pptx", OFF)
    assert [(w.message, w.lost) for w in document.warnings] == [
        (f"2 pictures were not read (on slide 1, on slide 3): {NO_OCR}", False),
        (f"picture on slide 2 was not read: {NO_OCR}", True),
    ], "a slide with hardly a word is its picture"
    assert document.partial and document.metadata[AWAITS_OCR]
    for name, data in (("a.docx", word(LONG, picture)), ("a.odt", odt(picture))):
        document = parse_bytes(data, name, OFF)
        assert [(w.message, w.lost) for w in document.warnings] == [(f"1 picture was not read: {NO_OCR}", False)]
    (warning,) = parse_bytes(rich(LONG.encode(), pict(picture)), "a.rtf", OFF).warnings
    assert warning.message == f"1 picture was not read: {NO_OCR}" and not warning.lost
    sheets = ("Note", {"A1": LONG}, {"A3": picture}), ("Scan", {"A1": "b"}, {"A3": picture})
    document = parse_bytes(workbook(*sheets), "a.xlsx", OFF)
    assert [(w.message, w.lost) for w in document.warnings] == [
        (f"picture on sheet Note was not read: {NO_OCR}", False),
        (f"picture on sheet Scan was not read: {NO_OCR}", True),
    ]
    (warning,) = parse_bytes(epub(picture), "a.epub", OFF).warnings
    assert warning.message == f"picture in b/t/a.xhtml was not read: {NO_OCR}" and warning.lost
    (warning,) = parse_bytes(mail(picture), "a.eml", OFF).warnings
    assert warning.message == f"picture note.png was not read: {NO_OCR}" and not warning.lost


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.odt", "a.xlsx", "a.rtf"])
def test_nothing_but_a_picture_without_ocr_is_no_empty_success(parse_bytes: Any, picture: bytes, name: str) -> None:
    data = {
        "a.docx": word(picture),
        "a.pptx": deck(("", [picture])),
        "a.odt": odt(picture, ""),
        "a.xlsx": workbook(("Scan", {}, {"A1": picture})),
        "a.rtf": rich(pict(picture)),
    }[name]
    with pytest.raises(EmptyDocument, match=r"has no text: .*was not read: OCR is off") as e:
        parse_bytes(data, name, OFF)
    assert e.value.code == "scanned"


def test_what_is_no_picture_that_is_read_is_named_by_its_kind(parse_bytes: Any) -> None:
    data = mail(saved(Image.new("P", (400, 300)), "GIF"))
    (warning,) = parse_bytes(data, "a.eml", OFF).warnings
    assert warning.message == "picture note.png was not read: it is a GIF, which is not read"
    huge = saved(Image.new("1", (8000, 6000)), "PNG")
    (warning,) = parse_bytes(word(LONG, huge), "a.docx", OFF).warnings
    assert "it has 8,000 × 6,000 pixels, over the limit of 40 million" in warning.message


@needs_ocr
def test_pictures_after_the_most_that_ocr_reads_are_named(parse_bytes: Any, picture: bytes) -> None:
    other = saved(scan(LETTER[1:2], height=220), "PNG")
    document = parse_bytes(word(LONG, picture, other), "a.docx", ParseLimits(ocr_max_pages=1))
    assert READ in document.text
    (warning,) = document.warnings
    assert warning.message.startswith("1 picture was not read: of one file OCR reads 1 pages: raise ocr_max_pages")
