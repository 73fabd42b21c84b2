"""The text of what Word and PowerPoint draw: paragraphs of shapes, the numbers of charts, the labels of diagrams (SmartArt).

It knows the elements (DrawingML), not the files that they lie in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ingest.parse.equation import equation_text
from ingest.parse.number_format import plain_number
from ingest.parse.ooxml import local
from ingest.parse.raised import joined_runs
from ingest.parse.tables import markdown_table

_WHITE_SPACE = {"tab": "\t", "br": "\n"}


def diagram_blocks(root: Any) -> Iterator[str]:
    """The labels of a diagram's data part, each as an item; ``root`` may be None."""
    for body in root.iter("{*}t") if root is not None else ():
        if len(body):
            yield "\n".join(f"- {text}" for text in paragraphs(body))


def chart_blocks(root: Any) -> Iterator[str]:
    """A chart's title, and its numbers as a table; ``root``, of its part, may be None."""
    if root is None:
        return
    title = root.find("{*}chart/{*}title")
    if title is not None:
        yield " ".join(paragraphs(title))
    table: dict[str, dict[int, str]] = {}
    labels: dict[int, str] = {}
    for number, series in enumerate(root.iter("{*}ser")):
        name = " ".join(_points(series.find("{*}tx")).values()) or f"series {number + 1}"
        for key in ("cat", "xVal"):
            labels = labels or _points(series.find("{*}" + key))
        for key in ("val", "yVal"):
            table.setdefault(name, {}).update(_points(series.find("{*}" + key)))
    points = sorted({i for values in table.values() for i in values})
    rows = [["", *table], *([labels.get(i, ""), *(v.get(i, "") for v in table.values())] for i in points)]
    yield markdown_table(rows)


def paragraphs(element: Any, *, bullets: bool = False) -> list[str]:
    """The paragraphs with text anywhere below ``element``; those of a list with "- " and their depth."""
    found: list[tuple[int, bool, str]] = []
    for paragraph in element.iter("{*}p"):
        parts: list[tuple[str, bool]] = []  # each with whether it is raised
        walk = [iter(paragraph)]
        while walk:
            node = next(walk[-1], None)
            name = local(node.tag) if node is not None else ""
            if node is None:
                walk.pop()
            elif name == "t":
                parts.append((node.text or "", _is_raised(node)))
            elif name == "oMath":
                parts.append((equation_text(node), False))
            else:
                parts.append((_WHITE_SPACE.get(name, ""), False))
                walk.append(iter(node))
        text = joined_runs(parts).strip()
        if not text:
            continue
        properties = paragraph.find("{*}pPr")
        level, plain, bullet = 0, False, False
        if properties is not None:
            depth = properties.get("lvl", "0")
            level = int(depth) if depth in tuple("012345678") else 0
            plain = properties.find("{*}buNone") is not None
            bullet = properties.find("{*}buChar") is not None or properties.find("{*}buAutoNum") is not None
        found.append((level, bullet or (bullets and not plain), text))
    if len(found) == 1 and bullets:
        return [found[0][2]]
    return ["  " * level + "- " + text if bullet else text for level, bullet, text in found]


def _is_raised(text: Any) -> bool:
    """Whether the run of an ``a:t`` stands above its line: its baseline is in thousandths of a per cent of the type."""
    run = text.getparent()
    properties = run.find("{*}rPr") if run is not None else None
    baseline = properties.get("baseline", "") if properties is not None else ""
    return re.fullmatch(r"\d{1,6}%?", baseline) is not None and baseline.strip("0%") != ""


def _points(element: Any) -> dict[int, str]:
    """Index → value of a chart's cached data."""
    found: dict[int, str] = {}
    for point in element.iter("{*}pt") if element is not None else ():
        value = point.find("{*}v")
        index = point.get("idx", "")
        if value is not None and value.text and index.isdecimal() and len(index) < 8:
            found[int(index)] = _number(value.text)
    return found


def _number(text: str) -> str:
    try:
        return plain_number(float(text))
    except ValueError:
        return text
