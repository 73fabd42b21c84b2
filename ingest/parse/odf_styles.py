"""What the styles of an OpenDocument file say of what has them: hidden, invisible, raised.

Source: OASIS OpenDocument 1.3 part 3, 20.4 (text:display), 20.403 (style:text-position), 19.517 (style:parent-style-name).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingest.parse.ooxml import attribute


def hidden_styles(content: Any) -> frozenset[str]:
    """The names of styles that hide a sheet or a slide."""
    hidden = set()
    for style in content.iter("{*}style"):
        for properties in style:
            if attribute(properties, "display") == "false" or attribute(properties, "visibility") == "hidden":
                hidden.add(attribute(style, "name"))
    return frozenset(hidden)


def raising_styles(content: Any) -> frozenset[str]:
    """The names of styles that raise what has them: by position "super 58%" or "33% 58%"."""
    raising = set()
    for style in content.iter("{*}style"):
        for properties in style:
            position = attribute(properties, "text-position")
            if position.startswith("super") or (position[:1].isdecimal() and position.split("%")[0].strip("0")):
                raising.add(attribute(style, "name"))
    return frozenset(raising)


def vanishing_styles(*roots: Any) -> frozenset[tuple[str, str]]:
    """(family, name) of the styles whose text is not shown, by themselves or by the style that they are based on.

    Args:
        roots: of content.xml and styles.xml; None for what is not there.
    """
    says: dict[tuple[str, str], bool] = {}
    bases: dict[tuple[str, str], tuple[str, str]] = {}
    for style in _styles(roots):
        family = attribute(style, "family")
        key = family, attribute(style, "name")
        for properties in style.iterfind("{*}text-properties"):
            if display := attribute(properties, "display"):
                says[key] = display == "none"
        if base := attribute(style, "parent-style-name"):
            bases[key] = family, base
    return frozenset(key for key in {*says, *bases} if _nearest(key, says, bases))


def _styles(roots: tuple[Any, ...]) -> Iterator[Any]:
    for root in roots:
        if root is not None:
            yield from root.iter("{*}style")


def _nearest(
    key: tuple[str, str], says: dict[tuple[str, str], bool], bases: dict[tuple[str, str], tuple[str, str]]
) -> bool:
    seen = {key}
    while key not in says:
        if key not in bases or bases[key] in seen:
            return False
        key = bases[key]
        seen.add(key)
    return says[key]
