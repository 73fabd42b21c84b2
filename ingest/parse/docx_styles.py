"""What the styles and settings of a Word document say of its text: a heading, hidden, raised.

A style has what it says itself, or what the style that it is based on does.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HEADING_STYLE = re.compile(r"heading\s*([1-9])$", re.IGNORECASE)
_NEARLY_WHITE = re.compile(r"(?:[Ff][0-9A-Fa-f]){3}")  # each of red, green and blue at least 240 of 255


def heading_levels(package: Any) -> dict[str, int]:
    """The heading level of each paragraph style that has one, by its own name, its outline level or its base's."""
    levels: dict[str, int] = {}
    bases: dict[str, str] = {}
    for style in package.styles.element.iter(_W + "style"):
        style_id = style.get(_W + "styleId") or ""
        name = style.find(_W + "name")
        match = _HEADING_STYLE.match(name.get(_W + "val", "") if name is not None else "")
        outline = style.find(f"{_W}pPr/{_W}outlineLvl")
        if match:
            levels[style_id] = int(match.group(1))
        elif name is not None and name.get(_W + "val", "").lower() == "title":
            levels[style_id] = 1
        elif outline is not None and outline.get(_W + "val", "9").isdigit() and int(outline.get(_W + "val")) < 9:
            levels[style_id] = int(outline.get(_W + "val")) + 1
        base = style.find(_W + "basedOn")
        if base is not None:
            bases[style_id] = base.get(_W + "val") or ""
    own = frozenset(levels)
    for style_id in bases:
        if (found := _nearest(style_id, bases, own)) is not None:
            levels.setdefault(style_id, levels[found])
    return levels


def hiding_styles(package: Any) -> frozenset[str]:
    """The ids of the styles that hide what has them, by themselves or by the style that they are based on."""
    hiding: set[str] = set()
    bases: dict[str, str] = {}
    for style in package.styles.element.iter(_W + "style"):
        style_id = style.get(_W + "styleId") or ""
        if _vanishes(style.find(_W + "rPr")):
            hiding.add(style_id)
        base = style.find(_W + "basedOn")
        if base is not None and style.find(f"{_W}rPr/{_W}vanish") is None:
            bases[style_id] = base.get(_W + "val") or ""
    return frozenset(hiding | {style_id for style_id in bases if _nearest(style_id, bases, hiding) is not None})


def raising_styles(package: Any) -> frozenset[str]:
    """The ids of the styles that raise what has them, by themselves or by the style that they are based on."""
    raising: set[str] = set()
    bases: dict[str, str] = {}
    for style in package.styles.element.iter(_W + "style"):
        style_id = style.get(_W + "styleId") or ""
        align, base = style.find(f"{_W}rPr/{_W}vertAlign"), style.find(_W + "basedOn")
        if align is not None:
            raising |= {style_id} if align.get(_W + "val") == "superscript" else set()
        elif base is not None:
            bases[style_id] = base.get(_W + "val") or ""
    return frozenset(raising | {style_id for style_id in bases if _nearest(style_id, bases, raising) is not None})


def _nearest(style_id: str, bases: Mapping[str, str], having: Container[str]) -> str | None:
    """The first of a style and those that it is based on, one upon the other, that is among ``having``."""
    seen = {style_id}
    while style_id not in having:
        style_id = bases.get(style_id, "")
        if not style_id or style_id in seen:
            return None
        seen.add(style_id)
    return style_id


def _vanishes(properties: Any) -> bool | None:
    """What run properties say; None if they say nothing of it."""
    vanish = properties.find(_W + "vanish") if properties is not None else None
    return None if vanish is None else vanish.get(_W + "val", "true") not in ("0", "false", "off")


def is_hidden(run: Any, hiding_styles: frozenset[str]) -> bool:
    properties = run.find(_W + "rPr")
    vanishes = _vanishes(properties)
    if vanishes is None and hiding_styles:
        paragraph = next(run.iterancestors(_W + "p"), None)
        own = properties.find(_W + "rStyle") if properties is not None else None
        inherited = paragraph.find(f"{_W}pPr/{_W}pStyle") if paragraph is not None else None
        vanishes = any(s is not None and s.get(_W + "val") in hiding_styles for s in (own, inherited))
    if vanishes:
        return True
    if properties is None:
        return False
    size = properties.find(_W + "sz")
    if size is not None and size.get(_W + "val") in ("0", "1", "2"):  # half points
        return True
    color = properties.find(_W + "color")
    shaded = properties.find(_W + "shd") is not None or properties.find(_W + "highlight") is not None
    if color is None or not _NEARLY_WHITE.fullmatch(color.get(_W + "val", "")) or shaded:
        return False
    # White letters on a shaded paragraph or table cell are meant to be seen.
    return not any(
        a.find(f"{_W}pPr/{_W}shd") is not None or a.find(f"{_W}tcPr/{_W}shd") is not None for a in run.iterancestors()
    )
