"""One small file of each kind that can be built here, each holding the word "kept", for tests over all kinds."""

from __future__ import annotations

import io
import json
import struct
from email.message import EmailMessage
from typing import Any

import docx
import openpyxl
import pptx

from tests.ingest.test_parse_epub import book
from tests.support.drawn_pdfs import lines, pdf
from tests.support.zips import zip_of

_ODF = (
    '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:text><text:p>kept</text:p>'
    "</office:text></office:body></office:document-content>"
)


def _saved(document: Any) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _word() -> bytes:
    document = docx.Document()
    document.add_paragraph("kept")
    return _saved(document)


def _sheet() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["kept", 1])
    return _saved(book)


def _deck() -> bytes:
    deck = pptx.Presentation()
    deck.slides.add_slide(deck.slide_layouts[1]).shapes.title.text = "kept"
    return _saved(deck)


def _mail() -> bytes:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["Message-ID"], mail["To"] = "news", "a@b.c", "<1>", "d@e.f"
    mail.set_content("kept")
    mail.add_attachment(_word(), maintype="application", subtype="octet-stream", filename="inner.docx")
    return mail.as_bytes()


def biff(*cells: tuple[int, int, str | float]) -> bytes:
    """A sheet as Excel 4 wrote it: records of a number, a length and a body, without a container."""
    out = struct.pack("<HHHHH", 0x0409, 6, 0, 0x0010, 0)
    for row, column, value in cells:
        head = struct.pack("<HHH", row, column, 0)
        if isinstance(value, str):
            body = head + struct.pack("<H", len(value)) + value.encode("cp1252")
            out += struct.pack("<HH", 0x0204, len(body)) + body
        else:
            out += struct.pack("<HH", 0x0203, 14) + head + struct.pack("<d", value)
    return out + struct.pack("<HH", 0x000A, 0)


def every_kind() -> dict[str, bytes]:
    """File name → content; Outlook messages and old workbooks are missing, since nothing here writes their container."""
    return {
        "a.pdf": pdf(lines(["kept"])),
        "a.docx": _word(),
        "a.xlsx": _sheet(),
        "a.pptx": _deck(),
        "a.odt": zip_of({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": _ODF}),
        "a.epub": book({"a": "<p>kept</p>"}),
        "a.eml": _mail(),
        "a.rtf": rb"{\rtf1 kept\par}",
        "a.html": b"<!doctype html><p>kept",
        "a.md": b"# kept",
        "a.rst": b"kept\n====\n",
        "a.csv": b"kept,b\n1,2\n",
        "a.json": json.dumps({"kept": 1}).encode(),
        "a.xml": b"<?xml version='1.0'?><a>kept</a>",
        "a.py": b"kept = 1\n",
        "a.txt": b"kept",
    }
