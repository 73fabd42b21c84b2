"""Pictures within Word, PowerPoint, OpenDocument, EPUB and mail: read by OCR, or named with the reason why not."""

from __future__ import annotations

import io
import zipfile
from email.message import EmailMessage
from typing import Any

import docx
import pytest
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
    (warning,) = parse_bytes(epub(picture), "a.epub", OFF).warnings
    assert warning.message == f"picture in b/t/a.xhtml was not read: {NO_OCR}" and warning.lost
    (warning,) = parse_bytes(mail(picture), "a.eml", OFF).warnings
    assert warning.message == f"picture note.png was not read: {NO_OCR}" and not warning.lost


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.odt"])
def test_nothing_but_a_picture_without_ocr_is_no_empty_success(parse_bytes: Any, picture: bytes, name: str) -> None:
    data = {"a.docx": word(picture), "a.pptx": deck(("", [picture])), "a.odt": odt(picture, "")}[name]
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
