"""What an element's inline style, and simple rules of the page's own style sheets, say of it: is it hidden, is it raised.

It knows nothing of outside style sheets and scripts: whatever they hide is taken for shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

_WHITE = re.compile(r"(?:#fff(?:fff)?\b|white\b|rgba?\(\s*255\s*,\s*255\s*,\s*255)", re.IGNORECASE)
_ZERO = re.compile(r"0+(?:\.0+)?(?:px|pt|em|rem|%|vw)?$")
_RULE = re.compile(r"([^{}@]{1,300})\{([^{}]{0,1000})\}")
_MEDIA = re.compile(r"@(?:media|supports|page|font-face|keyframes)[^{}]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}?")
_SIMPLE_SELECTOR = re.compile(r"[a-z]*([.#][\w-]+)$", re.IGNORECASE)
_PASSAGES = frozenset(["p", "li", "table", "h1", "h2", "h3", "h4"])
_LOOKED_AT = 200  # elements
_UPWARDS = re.compile(r"-\d*\.?\d")


def is_hidden(node: Any, hiding: frozenset[str]) -> bool:
    """Whether ``node`` is left out: a browser would not show it, or programs that read aloud pass over it as decoration;
    ``hiding`` as of ``hiding_rules``."""
    if _is_unseen(node, hiding):
        return True
    return node.get("aria-hidden") == "true" and not _says_something(node, hiding)


def _says_something(node: Any, hiding: frozenset[str]) -> bool:
    """Whether what is kept from those who listen is for those who look: the text beside it is the other way round, as prices
    are written, or it is a part of the page, as all that lies behind an open dialog."""
    if any(other is not None and _is_unseen(other, hiding) for other in (node.getprevious(), node.getnext())):
        return True
    return any(element.tag in _PASSAGES for element in islice(node.iter("*"), _LOOKED_AT))


def _is_unseen(node: Any, hiding: frozenset[str]) -> bool:
    if node.get("hidden") is not None:
        return True
    style = node.get("style")
    if style:
        css = _declarations(style)
        if _hides(css) or (_WHITE.match(css.get("color", "")) and _on_white(node)):
            return True
    if not hiding:
        return False
    return "#" + node.get("id", "") in hiding or any("." + c in hiding for c in node.get("class", "").split())


def is_raised(node: Any) -> bool:
    """Whether its letters stand above the line: <sup>, or a style that says so, as filings have it."""
    if node.tag == "sup":
        return True
    style = node.get("style")
    if not style or ("super" not in style and "top" not in style):
        return False
    css = _declarations(style)
    if css.get("vertical-align") == "super":
        return True
    return css.get("position") == "relative" and _UPWARDS.match(css.get("top", "")) is not None


def hiding_rules(root: Any) -> frozenset[str]:
    """Class and id selectors (".x", "#y") that the page's own style sheets hide, media queries aside."""
    hiding: set[str] = set()
    for style in root.iter("style"):
        for selectors, body in _RULE.findall(_MEDIA.sub("", (style.text or "")[:200_000])):
            if _hides(_declarations(body)):
                for selector in selectors.split(","):
                    match = _SIMPLE_SELECTOR.fullmatch(selector.strip())
                    if match:
                        hiding.add(match.group(1))
    return frozenset(hiding)


def _declarations(style: str) -> dict[str, str]:
    pairs = (part.split(":", 1) for part in style.split(";") if ":" in part)
    return {name.strip().lower(): value.replace("!important", "").strip().lower() for name, value in pairs}


def _hides(css: Mapping[str, str]) -> bool:
    if css.get("display") == "none" or css.get("visibility") in ("hidden", "collapse"):
        return True
    if any(_ZERO.match(css.get(name, "1")) for name in ("font-size", "opacity")):
        return True
    if "hidden" in css.get("overflow", "") and any(
        _ZERO.match(css.get(n, "1")) for n in ("height", "max-height", "width")
    ):
        return True
    offset = re.match(r"-(\d+)", css.get("left", css.get("text-indent", css.get("top", ""))))
    return offset is not None and int(offset.group(1)[:6]) >= 999


def _on_white(node: Any) -> bool:
    """Whether the nearest inline background is white, or there is none and the page's own white shows through."""
    for element in (node, *node.iterancestors()):
        css = _declarations(element.get("style", ""))
        background = css.get("background-color", css.get("background", element.get("bgcolor", "")))
        if background and background != "transparent":
            return _WHITE.match(background) is not None
    return True
