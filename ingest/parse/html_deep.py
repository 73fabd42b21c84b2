"""Pages with more elements open at once than libxml2 builds a tree of (2,048): it stops there, and what follows is gone.

Such a page has opening tags that nothing closes, thousands of <font> or <div>, and looks as any other in a browser. Its tags are read
without a tree (which has no such bound), and beyond a depth those that say nothing about the text are left out of the tree.
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from ingest.parse.html_style import hiding_rules, is_hidden, is_raised

_DEEP, _DEEPEST = 1000, 2000  # a tree that is deeper takes lxml time that grows with the square of its depth
_LAYOUT = frozenset(["div", "center"])
_INLINE = frozenset([
    "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font", "i", "ins", "kbd", "label", "mark", "q", "s",
    "samp", "small", "span", "strike", "strong", "sub", "sup", "tt", "u", "var",
])  # fmt: skip
_STYLE = re.compile(r"<style\b[^>]{0,300}>\s*(?:<!--)?([^<]*)", re.IGNORECASE)


def was_cut_off(parser: Any) -> bool:
    """Whether a parser gave up before the end of the page."""
    return any(error.type == etree.ErrorTypes.ERR_RESOURCE_LIMIT for error in parser.error_log)


def parse_deep(source: str, unread: frozenset[str]) -> tuple[Any, bool]:
    """The tree of a page, however many elements are open at once, and whether its end was reached all the same.

    Args:
        unread: tags of which the text is no text of the page.
    """
    shallow: Any = _Shallow(unread, _rules(source))  # lxml's stubs want a target that hears of comments
    parser = etree.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, huge_tree=True, target=shallow)
    return etree.fromstring(source, parser=parser), not was_cut_off(parser)


def _rules(source: str) -> frozenset[str]:
    """As ``hiding_rules``, of a page that is not a tree yet."""
    page = etree.Element("html")
    for css in _STYLE.findall(source):
        etree.SubElement(page, "style").text = css
    return hiding_rules(page)


class _Shallow:
    """Builds a tree of the tags that it hears of; ``unread`` as of ``parse_deep``, ``hiding`` as of ``hiding_rules``.

    From ``_DEEP`` on a tag that only lays out or marks is left out, from ``_DEEPEST`` on any: what stands in it stays, between line
    breaks if it is a block. What hides its text, raises it or says what part of the page it is stays an element.
    """

    def __init__(self, unread: frozenset[str], hiding: frozenset[str]) -> None:
        # For HTML, which has names of tags and attributes that XML has not.
        self._html = etree.HTMLParser()
        self._builder = etree.TreeBuilder(parser=self._html)
        self._unread = unread
        self._hiding = hiding
        self._open: list[bool] = []  # of each open element, whether it is in the tree
        self._depth = 0  # of the tree, here

    def start(self, tag: str, attributes: dict[Any, Any]) -> None:
        bare = self._depth >= _DEEP and (tag in _LAYOUT or tag in _INLINE or self._depth >= _DEEPEST)
        kept = not bare or tag in self._unread or self._says_something(tag, attributes)
        self._open.append(kept)
        self._depth += kept
        if kept:
            self._builder.start(tag, attributes)
        else:
            self._break(tag)

    def end(self, tag: str) -> None:
        kept = self._open.pop()
        self._depth -= kept
        if kept:
            self._builder.end(tag)
        else:
            self._break(tag)

    def data(self, text: str) -> None:
        self._builder.data(text)

    def close(self) -> Any:
        return self._builder.close()

    def _break(self, tag: str) -> None:
        if tag not in _INLINE:
            self._builder.start("br", {})
            self._builder.end("br")

    def _says_something(self, tag: str, attributes: dict[Any, Any]) -> bool:
        if not attributes:
            return tag == "sup"
        element = self._html.makeelement(tag, dict(attributes))
        return "role" in attributes or is_hidden(element, self._hiding) or is_raised(element)
