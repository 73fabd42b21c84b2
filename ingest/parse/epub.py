"""EPUB books: the chapters in the order of the spine, each read as HTML.

A chapter without a heading of its own gets the name it has in the table of contents. Books under a publisher's lock
(DRM) are refused; fonts that are merely scrambled do not matter.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from lxml import etree

from core.errors import EmptyDocument, Encrypted, ParseFailed
from ingest.parse.archive import check_archive
from ingest.parse.clean import is_title, one_line, title_from_filename
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.embedded import EmbeddedPictures
from ingest.parse.html import parse_html
from ingest.parse.kinds import MIME_TYPES
from ingest.parse.ooxml import local, read_xml
from ingest.parse.source import File, MemoryFile
from ingest.parse.writer import TextWriter

# XHTML may close any element at once; read as HTML an empty <title/> would swallow the chapter.
_CLOSED = re.compile(
    rb"<(?!(?:br|hr|img|input|link|meta|col|area|base|embed|param|source|track|wbr)\b)([A-Za-z][\w:-]{0,40})"
    rb"((?:\s[^<>]{0,2000})?)/>",
    re.IGNORECASE,
)
_IMAGE = re.compile(
    rb"<(?:img|image|svg:image)\b[^<>]{0,2000}?\b(?:xlink:)?(?:src|href)\s*=\s*([\"'])([^\"'<>]{1,1000})\1",
    re.IGNORECASE,
)
_FIELDS = {"creator": "author", "language": "language", "date": "date", "publisher": "publisher", "subject": "subject"}


def parse_epub(path: File, filename: str, limits: ParseLimits, pictures: EmbeddedPictures) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``; ``pictures`` reads those of the chapters.

    Raises:
        Encrypted: the book is under a publisher's lock.
    """
    check_archive(path, filename, limits, doctypes=True)
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return _parse(archive, filename, limits, pictures)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, etree.XMLSyntaxError) as e:
        raise ParseFailed(f"{filename} is a damaged EPUB book ({type(e).__name__}: {e})", code="damaged") from e


def _parse(archive: zipfile.ZipFile, filename: str, limits: ParseLimits, pictures: EmbeddedPictures) -> ParsedDocument:
    package_part = _package_part(archive, filename)
    package = read_xml(archive, package_part)
    folder = posixpath.dirname(package_part)
    members = frozenset(archive.namelist())
    chapters = list(_spine(package, folder))
    locked = _locked(archive) & set(chapters)
    if locked:
        raise Encrypted(f"{filename} is locked by its publisher (DRM): only the shop's own programs can read it")
    labels = _labels(archive, package, folder, members)
    writer = TextWriter(filename, limits)
    warnings: list[ParseWarning] = []
    for chapter in chapters:
        if chapter not in members:
            name = one_line(chapter, 100)
            warnings.append(ParseWarning("damaged", f"chapter {name} is named but not in the book", lost=True))
            continue
        source = archive.read(chapter)
        try:
            found = parse_html(MemoryFile(_CLOSED.sub(rb"<\1\2></\1>", source)), filename, limits)
        except EmptyDocument:  # a cover or a map: a picture
            found = None
        label = labels.get(chapter, "")
        texts = [
            text
            for part in _images(source, chapter)
            if part in members and (text := pictures.text(archive.read(part), f"in {one_line(label or chapter, 60)}"))
        ]
        pictures.end_part(len(found.text) if found is not None else 0)
        if label and (texts if found is None else not found.headings):
            writer.heading(1, label)
        if found is not None:
            writer.document(found)
            warnings += [w for w in found.warnings if w.lost or w.code == "hidden-text"]
        for text in texts:
            writer.block(text)
    if not writer.parts:
        if pictures.reason:
            raise EmptyDocument(f"{filename} has no text: {pictures.reason}", code="scanned")
        raise EmptyDocument(f"{filename} is an EPUB book without text ({len(chapters)} chapters)")
    warnings += pictures.warnings()
    metadata = {**_metadata(package), **pictures.metadata()}
    title = metadata.pop("title", "")
    return ParsedDocument(
        text=writer.text(),
        title=title
        if is_title(title)
        else writer.headings[0].text
        if writer.headings
        else title_from_filename(filename),
        mime_type=MIME_TYPES["epub"],
        headings=tuple(writer.headings),
        metadata=metadata,
        warnings=tuple(warnings),
    )


def _images(source: bytes, chapter: str) -> Iterator[str]:
    """The parts of the pictures that a chapter shows, each once."""
    seen: set[str] = set()
    for match in _IMAGE.finditer(source):
        href = unquote(match.group(2).decode("utf-8", "replace").split("#")[0])
        part = posixpath.normpath(posixpath.join(posixpath.dirname(chapter), href))
        if part not in seen:
            seen.add(part)
            yield part


def _package_part(archive: zipfile.ZipFile, filename: str) -> str:
    container = read_xml(archive, "META-INF/container.xml")
    roots = container.iter("{*}rootfile") if container is not None else ()
    for root in roots:
        part = unquote(root.get("full-path", ""))
        if part in archive.namelist():
            return part
    found = next((n for n in archive.namelist() if n.lower().endswith(".opf")), "")
    if not found:
        raise ParseFailed(f"{filename} is a damaged EPUB book: it has no list of its chapters", code="damaged")
    return found


def _items(package: Any, folder: str) -> dict[str, tuple[str, str, str]]:
    """Id → (part, media type, properties) of the manifest."""
    return {
        item.get("id", ""): (
            posixpath.normpath(posixpath.join(folder, unquote(item.get("href", "")))),
            item.get("media-type", ""),
            item.get("properties", ""),
        )
        for item in package.iterfind("{*}manifest/{*}item")
    }


def _spine(package: Any, folder: str) -> Iterator[str]:
    """The parts to read, in order, each once; the table of contents is left out."""
    items = _items(package, folder)
    seen: set[str] = set()
    for reference in package.iterfind("{*}spine/{*}itemref"):
        part, media_type, properties = items.get(reference.get("idref", ""), ("", "", ""))
        if part and part not in seen and "nav" not in properties.split() and "svg" not in media_type:
            seen.add(part)
            yield part


def _locked(archive: zipfile.ZipFile) -> set[str]:
    """Parts that are encrypted, but for those whose scrambling is public (fonts)."""
    root = read_xml(archive, "META-INF/encryption.xml")
    locked: set[str] = set()
    for data in root.iter("{*}EncryptedData") if root is not None else ():
        method = data.find("{*}EncryptionMethod")
        algorithm = method.get("Algorithm", "") if method is not None else ""
        if not algorithm.startswith(("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")):
            locked |= {posixpath.normpath(unquote(r.get("URI", ""))) for r in data.iter("{*}CipherReference")}
    return locked


def _labels(archive: zipfile.ZipFile, package: Any, folder: str, members: frozenset[str]) -> dict[str, str]:
    """What the tables of contents (EPUB 3's and 2's) call each part."""
    labels: dict[str, str] = {}
    for part, media_type, properties in _items(package, folder).values():
        nav = "nav" in properties.split()
        if part not in members or not (nav or "ncx" in media_type):
            continue
        try:
            root = read_xml(archive, part)
        except etree.XMLSyntaxError:  # the chapters can be read without it
            continue
        for element in root.iter("{*}a" if nav else "{*}navPoint"):
            source = element.get("href", "") if nav else _first(element, "content", "src")
            text = "".join(element.itertext("*")) if nav else _label_text(element)
            target = posixpath.normpath(posixpath.join(posixpath.dirname(part), unquote(source.split("#")[0])))
            if text.strip():
                labels.setdefault(target, one_line(text))
    return labels


def _first(element: Any, name: str, attribute: str) -> str:
    return next((str(e.get(attribute, "")) for e in element if local(e.tag) == name), "")


def _label_text(point: Any) -> str:
    label = point.find("{*}navLabel/{*}text")
    return label.text or "" if label is not None else ""


def _metadata(package: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for element in package.find("{*}metadata") if package.find("{*}metadata") is not None else ():
        name = local(element.tag)
        text = one_line("".join(element.itertext("*")))
        if name == "title" and text:
            found.setdefault("title", text)
        elif name in _FIELDS and text:
            key = _FIELDS[name]
            found[key] = f"{found[key]}, {text}" if key in found and key in ("author", "subject") else text
    return found
