"""EPUB books: spine order, names from the table of contents, locks."""

from __future__ import annotations

import pytest

from core.errors import EmptyDocument, Encrypted, ParseFailed, TooLarge
from ingest.parse import ParseLimits
from tests.support.zips import unzipped, zip_of

CONTAINER = "<container><rootfiles><rootfile full-path='OPS/book.opf'/></rootfiles></container>"
XHTML = (
    '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "xhtml11.dtd">'
    '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script/></head><body>{}</body></html>'
)


def book(spine: dict[str, str], *, more: dict[str, str] | None = None, items: str = "") -> bytes:
    manifest = "".join(f"<item id='{n}' href='{n}.xhtml' media-type='application/xhtml+xml'/>" for n in sorted(spine))
    references = "".join(f"<itemref idref='{n}'/>" for n in spine)
    package = (
        "<package xmlns='http://www.idpf.org/2007/opf' xmlns:dc='http://purl.org/dc/elements/1.1/'><metadata>"
        "<dc:title>A Long Walk</dc:title><dc:creator>Ann Lee</dc:creator><dc:creator>Bo Ek</dc:creator>"
        "<dc:language>en</dc:language></metadata>"
        f"<manifest>{manifest}{items}</manifest><spine>{references}</spine></package>"
    )
    chapters = {f"OPS/{n}.xhtml": XHTML.format(body) for n, body in spine.items()}
    head = {"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "OPS/book.opf": package}
    return zip_of({**head, **chapters, **(more or {})})


def test_chapters_come_in_the_order_of_the_spine(parse_bytes):
    document = parse_bytes(book({"b": "<h1>One</h1><p>first</p>", "a": "<h1>Two</h1><p>second</p>"}), "walk.epub")
    assert document.text == "One\n\nfirst\n\nTwo\n\nsecond"
    assert [document.text[h.start :].split("\n")[0] for h in document.headings] == ["One", "Two"]
    assert document.title == "A Long Walk"
    assert document.metadata == {"author": "Ann Lee, Bo Ek", "language": "en"}


def test_a_chapter_without_a_heading_gets_its_name_from_the_contents(parse_bytes):
    ncx = (
        "<ncx><navMap><navPoint><navLabel><text>The Start</text></navLabel><content src='a.xhtml#x'/></navPoint>"
        "</navMap></ncx>"
    )
    items = "<item id='ncx' href='toc.ncx' media-type='application/x-dtbncx+xml'/>"
    document = parse_bytes(book({"a": "<p>text</p>"}, more={"OPS/toc.ncx": ncx}, items=items), "a.epub")
    assert document.text == "The Start\n\ntext"


def test_elements_closed_at_once_swallow_nothing(parse_bytes):
    assert parse_bytes(book({"a": "<p><a id='x'/>seen<i/> also<br/>here</p>"}), "a.epub").text == "seen also\nhere"


def test_a_locked_book_is_refused_and_scrambled_fonts_are_no_lock(parse_bytes):
    def encryption(algorithm: str, part: str) -> dict[str, str]:
        xml = (
            f"<encryption><EncryptedData><EncryptionMethod Algorithm='{algorithm}'/><CipherData>"
            f"<CipherReference URI='{part}'/></CipherData></EncryptedData></encryption>"
        )
        return {"META-INF/encryption.xml": xml}

    spine = {"a": "<p>text</p>"}
    with pytest.raises(Encrypted, match="DRM"):
        parse_bytes(
            book(spine, more=encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OPS/a.xhtml")), "a.epub"
        )
    fonts = encryption("http://www.idpf.org/2008/embedding", "OPS/font.otf")
    assert parse_bytes(book(spine, more=fonts), "a.epub").text == "text"


def test_a_missing_chapter_makes_the_book_partial(parse_bytes):
    members = unzipped(book({"a": "<p>here</p>"}, items="<item id='gone' href='gone.xhtml'/>"))
    members["OPS/book.opf"] = members["OPS/book.opf"].replace(b"</spine>", b"<itemref idref='gone'/></spine>")
    document = parse_bytes(zip_of(members), "a.epub")
    assert document.partial
    assert "OPS/gone.xhtml is named but not in the book" in document.warnings[0].message


def test_a_chapter_that_is_named_a_thousand_times_is_read_once(parse_bytes):
    members = unzipped(book({"a": "<p>once</p>"}))
    members["OPS/book.opf"] = members["OPS/book.opf"].replace(b"</spine>", b"<itemref idref='a'/>" * 1000 + b"</spine>")
    assert parse_bytes(zip_of(members), "a.epub").text == "once"


def test_entities_in_the_package_are_not_expanded(parse_bytes):
    members = unzipped(book({"a": "<p>text</p>"}))
    bomb = b"<!DOCTYPE p [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '" + b"&a;" * 1000 + b"'>]>"
    members["OPS/book.opf"] = bomb + members["OPS/book.opf"].replace(b"A Long Walk", b"&b;")
    document = parse_bytes(zip_of(members), "a.epub")
    assert "aaaa" not in document.title


def test_a_book_of_pictures_is_empty(parse_bytes):
    with pytest.raises(EmptyDocument, match="1 chapters"):
        parse_bytes(book({"a": "<img src='x.png'/>"}), "a.epub")


def test_a_book_without_a_package_is_damaged(parse_bytes):
    with pytest.raises(ParseFailed, match="no list of its chapters"):
        parse_bytes(zip_of({"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER}), "a.epub")


def test_limits_hold(parse_bytes):
    with pytest.raises(TooLarge):
        parse_bytes(book({"a": "<p>" + "word " * 500 + "</p>"}), "a.epub", ParseLimits(max_characters=100))
