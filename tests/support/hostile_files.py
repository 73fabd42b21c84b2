"""Files made to break a parser, built anew for each test: bombs, cycles, lies about their kind, things without end."""

from __future__ import annotations

import base64
import io
import zipfile
import zlib

from tests.support.zips import zip_of


def raw_pdf(*objects: bytes, root: bytes = b"1 0 R") -> bytes:
    """A PDF of the given object bodies, numbered from 1."""
    out = b"%PDF-1.7\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % o for o in offsets)
    return out + b"trailer\n<< /Size %d /Root %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, root, table)


def stream(data: bytes, more: bytes = b"") -> bytes:
    packed = zlib.compress(data, 9)
    return b"<< /Length %d /Filter /FlateDecode %s >>\nstream\n%s\nendstream" % (len(packed), more, packed)


CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def page_with(content: bytes, *more: bytes, resources: bytes = b"/Font << /F 5 0 R >>") -> bytes:
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << " + resources + b" >> >>"
    )
    return raw_pdf(CATALOG, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page, content, FONT, *more)


def cyclic_pages() -> bytes:
    return raw_pdf(CATALOG, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 1000000 >>")


def cyclic_tree() -> bytes:
    return raw_pdf(
        CATALOG,
        b"<< /Type /Pages /Kids [3 0 R] /Count 5 >>",
        b"<< /Type /Pages /Parent 2 0 R /Kids [2 0 R] /Count 5 >>",
    )


def stream_bomb() -> bytes:
    """1.5 GB of drawing instructions in 1.5 MB."""
    inner = zlib.compress(b"0 0 m\n" * (2**20), 9)
    packed = zlib.compress(inner * 20, 9)
    body = b"<< /Length %d /Filter [/FlateDecode /FlateDecode] >>\nstream\n%s\nendstream" % (len(packed), packed)
    return page_with(body)


def text_bomb() -> bytes:
    return page_with(
        stream(b"BT /F 1 Tf " + b"(" + b"A" * 200 + b") Tj " * 1 + b"(AAAAAAAAAAAAAAAAAAAA) Tj " * 400_000 + b" ET")
    )


def self_calling_form() -> bytes:
    form = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >> /Length 8 >>\nstream\n/X Do /X Do\nendstream"
    return page_with(stream(b"/X Do"), form, resources=b"/XObject << /X 6 0 R >>")


def giant_image() -> bytes:
    picture = stream(
        b"\0" * 10_000,
        b"/Type /XObject /Subtype /Image /Width 100000 /Height 100000 /BitsPerComponent 8 /ColorSpace /DeviceRGB",
    )
    return page_with(stream(b"600 0 0 800 0 0 cm /I Do"), picture, resources=b"/XObject << /I 6 0 R >>")


def deep_array() -> bytes:
    return page_with(stream(b"[" * 200_000 + b"]" * 200_000 + b" TJ"))


def nested_dictionary() -> bytes:
    return raw_pdf(
        CATALOG, b"<< /Type /Pages /Kids [] /Count 0 /X " + b"<< /X " * 50_000 + b"1" + b" >>" * 50_000 + b" >>"
    )


def endless_outline() -> bytes:
    catalog = b"<< /Type /Catalog /Pages 2 0 R /Outlines 4 0 R >>"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"
    outlines = b"<< /First 5 0 R /Last 5 0 R /Count 1 >>"
    item = b"<< /Title (x) /Parent 4 0 R /Next 5 0 R /First 5 0 R /Dest [3 0 R /Fit] >>"
    return raw_pdf(catalog, b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>", page, outlines, item)


def many_pages() -> bytes:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>"
    kids = b" ".join(b"%d 0 R" % (i + 3) for i in range(5000))
    return raw_pdf(CATALOG, b"<< /Type /Pages /Kids [" + kids + b"] /Count 5000 >>", *[page] * 5000)


def html_of(body: str) -> bytes:
    return ("<!doctype html><html><body>" + body + "</body></html>").encode()


def docx_of(document: bytes, **members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", b"<Types/>")
        archive.writestr("word/document.xml", document)
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def sheet_of(inner: bytes) -> bytes:
    """A workbook whose only sheet holds this."""
    members = {
        "[Content_Types].xml": b"<Types/>",
        "xl/workbook.xml": b"<workbook xmlns:r='r'><sheets><sheet name='S' r:id='s'/></sheets></workbook>",
        "xl/_rels/workbook.xml.rels": (
            b"<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>"
            b"<Relationship Id='s' Type='x/worksheet' Target='sheet.xml'/></Relationships>"
        ),
        "xl/sheet.xml": b"<worksheet><sheetData>" + inner + b"</sheetData></worksheet>",
    }
    return zip_of(members)


def deck_of(slide: bytes) -> bytes:
    members = {
        "[Content_Types].xml": b"<Types/>",
        "ppt/presentation.xml": b"<p><sldIdLst xmlns:r='r'>" + b"<sldId r:id='s'/>" * 500 + b"</sldIdLst></p>",
        "ppt/_rels/presentation.xml.rels": (
            b"<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>"
            b"<Relationship Id='s' Type='x/slide' Target='slide.xml'/></Relationships>"
        ),
        "ppt/slide.xml": b"<sld><cSld><spTree>" + slide + b"</spTree></cSld></sld>",
    }
    return zip_of(members)


def odf_of(kind: str, body: bytes) -> bytes:
    content = b"<c xmlns:t='t'><body><" + kind.encode() + b">" + body + b"</" + kind.encode() + b"></body></c>"
    return zip_of({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content})


def mail_of(parts: bytes, count: int) -> bytes:
    head = b"From: a@b\nSubject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n"
    return head + (b"--x\n" + parts + b"\n") * count + b"--x--\n"


def ole_in_a_circle() -> bytes:
    """A compound file whose table of sectors points at itself."""
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + b"\x3e\x00\x03\x00\xfe\xff\x09\x00\x06\x00" + bytes(10)
    table = (1).to_bytes(4, "little") + bytes(4) + bytes(4) + (4096).to_bytes(4, "little") + bytes(4) * 4
    sectors = bytes(4) * 109
    return (head + table + sectors).ljust(512, b"\0") + bytes(512) + "__substg1.0".encode("utf-16-le").ljust(512, b"\0")


HOSTILE = {
    "pages that are their own children": cyclic_pages,
    "a page tree in a circle": cyclic_tree,
    "a stream bomb": stream_bomb,
    "a form that draws itself": self_calling_form,
    "a giant image": giant_image,
    "a deep array": deep_array,
    "a deep dictionary": nested_dictionary,
    "an endless outline": endless_outline,
    "five thousand pages": many_pages,
    "a PDF signature and nothing": lambda: b"%PDF-1.7\n",
    "a PDF signature and noise": lambda: b"%PDF-1.7\n" + bytes(range(256)) * 4000,
    "a PDF whose table of objects points nowhere": lambda: raw_pdf(CATALOG)[:-60] + b"startxref\n99999999\n%%EOF",
    "a zip in name only": lambda: b"PK\x03\x04" + b"\xff" * 5000,
    "a docx of noise": lambda: docx_of(b"\x00\xff" * 5000),
    "a docx with deep XML": lambda: docx_of(b"<w:x xmlns:w='w'>" * 100_000),
    "a docx full of nothing": lambda: docx_of(b"<x/>", bomb=b"\0" * (8 * 2**20)),
    "a zip in a zip": lambda: docx_of(docx_of(docx_of(b"<x/>"))),
    "a sheet of a million empty rows": lambda: sheet_of(b"<row r='9'/>" * 1_000_000),
    "a sheet of a million empty cells": lambda: sheet_of(b"<row>" + b"<c/>" * 1_000_000 + b"</row>"),
    "a sheet along the diagonal": lambda: sheet_of(b"".join(b"<row><c r='%s%d'><v>1</v></c></row>" % (chr(65 + i % 26).encode() * (1 + i // 26 % 3), i + 1) for i in range(60_000))),
    "a sheet with rows in a billion": lambda: sheet_of(b"<row r='999999999'><c r='ZZZZZZZ1'><v>1</v></c></row>" * 1000),
    "a sheet with deep XML": lambda: sheet_of(b"<row>" * 100_000),
    "a sheet of numbers without end": lambda: sheet_of(b"<row><c><v>" + b"9" * 5_000_000 + b"</v></c></row>"),
    "a sheet of dates beyond time": lambda: sheet_of(b"<row><c s='0'><v>1e308</v></c><c t='s'><v>-1</v></c></row>" * 1000),
    "a deck with deep groups": lambda: deck_of(b"<grpSp>" * 100_000),
    "a deck of one slide many times": lambda: deck_of(b"<sp><txBody><p><r><t>word</t></r></p></txBody></sp>" * 500),
    "a deck of shapes without end": lambda: deck_of(b"<sp/>" * 100_000),
    "an open spreadsheet repeated without end": lambda: odf_of("spreadsheet", b"<table name='S'>" + b"<table-row t:number-rows-repeated='99999999999'><table-cell t:number-columns-repeated='99999999999'/></table-row>" * 1000 + b"</table>"),
    "an open text of nested lists": lambda: odf_of("text", b"<list><list-item>" * 100 + b"<p>x</p>" + b"</list-item></list>" * 100),
    "an open text of spaces": lambda: odf_of("text", b"<p>" + b"<s t:c='99999999'/>" * 50_000 + b"x</p>"),
    "a book without chapters": lambda: zip_of({"mimetype": "application/epub+zip", "a.opf": b"<package/>"}),
    "a book whose package is entities": lambda: zip_of({"mimetype": "application/epub+zip", "a.opf": b"<!DOCTYPE p [<!ENTITY a '" + b"x" * 10_000 + b"'>]><package>" + b"&a;" * 100_000 + b"</package>"}),
    "mail of ten thousand parts": lambda: mail_of(b"Content-Type: text/plain\n\nx", 10_000),
    "mail of a thousand attached messages": lambda: mail_of(b"Content-Type: message/rfc822\n\nSubject: y\n\nz", 1000),
    "mail in mail in mail": lambda: b"From: a@b\nSubject: s\nMIME-Version: 1.0\nMessage-ID: 1\n" + b"Content-Type: message/rfc822\n\n" * 5000,
    "mail of nested boundaries": lambda: b"From: a@b\nSubject: s\nMIME-Version: 1.0\nMessage-ID: 1\n" + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(3000)),
    "mail with an attached bomb": lambda: mail_of(b"Content-Type: application/zip\nContent-Disposition: attachment; filename=b.docx\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(docx_of(b"<x/>", bomb=b"\0" * (8 * 2**20))), 20),
    "mail with an endless header": lambda: b"From: a@b\nMessage-ID: 1\nTo: x\nSubject: " + b"=?utf-8?Q?a?= " * 200_000 + b"\n\nx",
    "an Outlook message in a circle": ole_in_a_circle,
    "an Outlook message of noise": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(range(256)) * 4000 + "__substg1.0".encode("utf-16-le"),
    "an old workbook of noise": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "Workbook".encode("utf-16-le") + bytes(range(256)) * 4000,
    "CSV of quotes": lambda: b'"' * 3_000_001,
    "CSV of commas": lambda: b"," * 3_000_000 + b"x",
    "CSV of a line per letter": lambda: b"a,b\n\n" * 300_000,
    "JSON of brackets": lambda: b"[" * 500_000,
    "JSON of escapes": lambda: b'["' + b"\\u0041" * 500_000 + b'"]',
    "JSON of unlike records": lambda: b"[" + b",".join(b'{"k%d": 1}' % i for i in range(100_000)) + b"]",
    "XML that laughs": lambda: b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY l0 'lol'>" + b"".join(b"<!ENTITY l%d '%s'>" % (i, b"&l%d;" % (i - 1) * 10) for i in range(1, 12)) + b"]><a>&l11;</a>",
    "XML that reads a file": lambda: b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><a>&f;</a>",
    "XML of attributes": lambda: b"<?xml version='1.0'?><a " + b" ".join(b"a%d='x'" % i for i in range(100_000)) + b"/>",
    "RTF of braces": lambda: b"{\\rtf1 " + b"{" * 1_000_000,
    "RTF of letters in hexadecimal": lambda: b"{\\rtf1 " + b"\\'41" * 500_000 + b"}",
    "RST of lines": lambda: b"=\na\n" * 500_000,
    "HTML that is all open tags": lambda: html_of("<b><i>" * 300_000),
    "HTML of one endless attribute": lambda: html_of("<a href='" + "x" * 3_000_000),
    "HTML with a million entities": lambda: html_of("&amp;&lt;&#x41;&bogus;" * 250_000),
    "HTML of a table without end": lambda: html_of("<table>" + "<tr><td>a<td>b" * 30_000),
    "HTML of nested tables": lambda: html_of("<table><tr><td>" * 5000 + "core"),
    "HTML with a hostile style sheet": lambda: html_of("<style>" + "a{" * 100_000 + "</style>" + "@media " * 1000 + "text"),
    "Markdown of brackets": lambda: b"# t\n" + b"[" * 200_000 + b"](" * 100_000,
    "Markdown of quotes": lambda: b"> " * 50_000 + b"x",
    "Markdown of lists": lambda: b"".join(b" " * (2 * i) + b"- x\n" for i in range(2000)),
    "Markdown of emphasis": lambda: b"*_" * 300_000,
    "Markdown front matter without end": lambda: b"---\n" + b"a: b\n" * 200_000,
    "one line of four million letters": lambda: b"x" * 4_000_000,
    "marks on one letter": lambda: b"a" + "\u0301".encode() * 2_000_000,
    "four million line ends": lambda: b"\n" * 4_000_000 + b"x",
    "text that claims to be UTF-16": lambda: b"\xff\xfe" + b"\xd8\xd8" * 500_000,
    "every byte": lambda: bytes(range(256)) * 10_000,
    "half a surrogate pair": lambda: b"\xed\xa0\x80" * 1000 + b" text",
    "direction overrides": lambda: ("\u202e" * 1000 + "txt.exe").encode(),
}  # fmt: skip
NAMES = {
    "PDF": "a.pdf",
    "page": "a.pdf",
    "stream": "a.pdf",
    "form": "a.pdf",
    "docx": "a.docx",
    "zip": "a.docx",
    "sheet": "a.xlsx",
    "deck": "a.pptx",
    "open text": "a.odt",
    "book": "a.epub",
    "mail": "a.eml",
    "Outlook": "a.msg",
    "CSV": "a.csv",
    "JSON": "a.json",
    "XML that": "a.xml",
    "XML of": "a.xml",
    "RTF": "a.rtf",
    "RST": "a.rst",
    "HTML": "a.html",
    "Markdown": "a.md",
}


def name_of(what: str) -> str:
    """A file name that fits what the file claims to be."""
    return next((name for key, name in NAMES.items() if key in what), "a.txt")
