"""What Excel and PowerPoint files have in common: parts of a zip archive, relationships, core properties.

XML is read without entities, DTDs and network; depth and size of a text are bounded by libxml2's defaults.
"""

from __future__ import annotations

import posixpath
import zipfile
from typing import IO, Any

from lxml import etree

from ingest.parse.clean import one_line

_REL = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"


def local(tag: Any) -> str:
    """An element's name without its namespace (the strict and the transitional dialect differ in that); "" for others."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Any, name: str, default: str = "", *, namespaced: bool = False) -> str:
    """An attribute by its local name, whatever its namespace; with ``namespaced`` it must have one.

    Walks the names: lxml's ``attrib.items()`` takes the square of an element's attributes.
    """
    for key in element.keys():  # noqa: SIM118  an element is no dictionary: its items are its children
        if local(key) == name and (key.startswith("{") or not namespaced):
            return str(element.get(key))
    return default


def read_xml(archive: zipfile.ZipFile, name: str) -> Any:
    """The root element of a part, or None if the archive has no such part.

    Raises:
        lxml.etree.XMLSyntaxError: it is not XML.
    """
    try:
        data = archive.read(name)
    except KeyError:
        return None
    return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))


def stream_xml(stream: IO[bytes], tags: tuple[str, ...] | None = None) -> Any:
    """(event, element) at each end of an element, while reading."""
    return etree.iterparse(stream, events=("end",), tag=tags, resolve_entities=False, no_network=True, load_dtd=False)


def forget(element: Any) -> None:
    """Frees an element that has been read, and what came before it."""
    element.clear(keep_tail=False)
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def relationships(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """Id → (kind, part name) of what a part refers to within the package."""
    folder, name = posixpath.split(part)
    root = read_xml(archive, posixpath.join(folder, "_rels", name + ".rels"))
    found: dict[str, tuple[str, str]] = {}
    for rel in root.iter(_REL) if root is not None else ():
        if rel.get("TargetMode") != "External":
            target = rel.get("Target", "")
            path = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            found[rel.get("Id", "")] = (rel.get("Type", "").rpartition("/")[2], path)
    return found


def core_properties(archive: zipfile.ZipFile) -> dict[str, str]:
    """Title, author, subject, keywords, language, created, modified: those that are there."""
    try:
        root = read_xml(archive, "docProps/core.xml")
    except etree.XMLSyntaxError:  # malformed properties are as good as none
        return {}
    names = {"creator": "author"}
    wanted = ("title", "creator", "subject", "keywords", "language", "created", "modified")
    found = {}
    for element in root if root is not None else ():
        name = local(element.tag)
        if name in wanted and element.text and element.text.strip():
            found[names.get(name, name)] = one_line(element.text)
    return found
