"""Which pictures stand on a sheet of an Excel workbook, from top to bottom. It reads the drawings, not the pictures."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import Any

from ingest.parse.ooxml import attribute, local, read_xml, relationships

_LAST = 2**31  # where an anchor does not say its row


def pictures_of_sheet(archive: zipfile.ZipFile, part: str) -> list[str]:
    """The parts of the pictures of the sheet ``part``, in the order of their rows and columns; each once.

    Raises:
        lxml.etree.XMLSyntaxError: a drawing is not XML.
    """
    found: dict[str, None] = {}
    for kind, drawing in relationships(archive, part).values():
        if kind != "drawing" or (root := read_xml(archive, drawing)) is None:
            continue
        related = relationships(archive, drawing)
        for anchor in sorted(root, key=_place):
            for blip in _blips(anchor):
                kind, target = related.get(attribute(blip, "embed", namespaced=True), ("", ""))
                if kind == "image":
                    found[target] = None
    return list(found)


def _place(anchor: Any) -> tuple[int, int]:
    """(row, column) of the upper left corner, from 0."""
    corner = anchor.find("{*}from") if isinstance(anchor.tag, str) else None
    said = [corner.findtext("{*}" + name, "").strip() if corner is not None else "" for name in ("row", "col")]
    row, column = (int(s) if s.isdecimal() and len(s) < 10 else _LAST for s in said)
    return row, column


def _blips(anchor: Any) -> Iterator[Any]:
    return (e for e in anchor.iter() if local(e.tag) == "blip")
