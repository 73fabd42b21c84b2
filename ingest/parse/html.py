"""HTML: the visible text with its blocks, headings and tables; scripts, styles, navigation and forms dropped, and of a
page that says which is its main part also the heads, feet and side columns around that.

What a browser would not show is left out and said in a warning: display:none, hidden, zero size, white on white, as inline
styles or as simple rules of the page's own style sheet; so is decoration (aria-hidden). It fetches nothing, so hiding by an
outside style sheet or a script is not noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from core.errors import EmptyDocument, ParseFailed
from core.wording import plural
from ingest.parse.clean import clean, expand_ligatures, is_title, one_line, plain_spaces, title_from_filename
from ingest.parse.document import Heading, ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.equation import mathml_text
from ingest.parse.hidden import hidden_warning
from ingest.parse.html_deep import parse_deep, was_cut_off
from ingest.parse.html_style import hiding_rules, is_hidden, is_raised
from ingest.parse.html_table import MAX_CELLS, read_table
from ingest.parse.raised import before_raised, raised_sign
from ingest.parse.source import File
from ingest.parse.tables import markdown_table
from ingest.parse.text import check_characters, decode
from ingest.parse.web_encoding import declared


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DROPPED = _names(
    "script style noscript template svg math iframe object embed applet head nav button select option input textarea "
    "canvas audio video map datalist dialog"
)
_BLOCKS = _names(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main ol p pre section summary table tbody td tfoot th thead "
    "tr ul"
)
_AROUND = _names("header footer aside")
_ROLES_AROUND = _names("banner contentinfo complementary search")
_LEAST_MAIN = 200  # characters: a main part with fewer is filled by a script, or is not what it says
_PARAGRAPHS = _BLOCKS - {"li", "dd", "dt", "tr", "td", "th", "tbody", "thead", "tfoot", "div", "summary"}
_HEADINGS = frozenset(["h1", "h2", "h3", "h4", "h5", "h6"])
_BACKTICKS = re.compile(r"`+")
_MAX_CODE_LINES = 100
_MAX_HIDDEN = 1000
_WORDS_OF_A_SENTENCE = 5
_MARK_DEPTH = 5
_LONG_ALTERNATIVE = 125  # characters: what screen readers and their guides take for the most


def parse_html(path: File, filename: str, limits: ParseLimits) -> ParsedDocument:
    source, encoding, warnings = _decode(path.read_bytes(), filename)
    check_characters(len(source) // 20, filename, limits)  # mark-up may weigh twenty times its text, not more
    root, cut_off = _parse(source, filename)
    writer = _Writer(filename, limits, hiding_rules(root), around_main=_around_main(root))
    body = root.find("body") if root.tag == "html" else root
    writer.element(root if body is None else body)
    text = writer.text()
    if not text:
        hidden = " (all of it is hidden)" if writer.hidden else ""
        raise EmptyDocument(f"{filename} is HTML without visible text{hidden}")
    title = one_line(plain_spaces("".join(root.xpath("string(.//title)"))))
    headings = tuple(writer.headings)
    return ParsedDocument(
        text=text,
        title=title if is_title(title) else headings[0].text if headings else title_from_filename(filename),
        mime_type="text/html",
        headings=headings,
        metadata={"encoding": encoding, **_meta(root)},
        warnings=(*warnings, *cut_off, *hidden_warning(writer.hidden), *_described(writer.described)),
    )


def _around_main(root: Any) -> frozenset[Any] | None:
    """What holds the part that the page says is its main one, up to ``root``; None if none is, or nothing is in it."""
    for part in root.iter("*"):
        if _is_main(part):
            texts = ((e.text or "") + "".join(c.tail or "" for c in e) for e in part.iter("*") if e.tag not in _DROPPED)
            enough = sum(len(text.strip()) for text in texts) >= _LEAST_MAIN
            return frozenset(part.iterancestors()) if enough else None
    return None


def _is_main(node: Any) -> bool:
    return bool(node.tag == "main" or node.get("role") == "main")


def _described(texts: list[str]) -> Iterable[ParseWarning]:
    if texts:
        said = f"{plural(len(texts), 'long description')} of pictures, which a browser does not show"
        message = (
            f"{said}, {'was' if len(texts) == 1 else 'were'} read, marked “[Image: …]”: “{one_line(texts[0], 160)}”"
        )
        yield ParseWarning("hidden-descriptions", message)


def _decode(data: bytes, filename: str) -> tuple[str, str, tuple[ParseWarning, ...]]:
    name = declared(data)
    if name is not None:
        try:
            return data.decode(name), name, ()
        except UnicodeDecodeError:
            pass  # a wrong label: what the bytes themselves say counts more
    return decode(data, filename)


def _parse(source: str, filename: str) -> tuple[Any, tuple[ParseWarning, ...]]:
    parser = etree.HTMLParser(no_network=True, remove_comments=True, remove_pis=True, huge_tree=True)
    source = re.sub(r"^\s*<\?xml[^>]*\?>", "", source)  # lxml refuses a declared encoding in a str
    source = expand_ligatures(clean(source))
    cut_off: tuple[ParseWarning, ...] = ()
    try:
        root = etree.fromstring(source, parser=parser)
        if was_cut_off(parser):
            root, whole = parse_deep(source, _DROPPED)
            if not whole:
                message = "the page is damaged: what follows some place in it could not be read"
                cut_off = (ParseWarning("damaged", message, lost=True),)
    except (etree.XMLSyntaxError, ValueError) as e:
        if "empty" in str(e).lower():
            raise EmptyDocument(f"{filename} is HTML without visible text") from e
        raise ParseFailed(f"{filename} is HTML that could not be understood ({e})") from e
    if root is None:
        raise EmptyDocument(f"{filename} is HTML without visible text")
    return root, cut_off


def _meta(root: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    language = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang")
    if language:
        found["language"] = one_line(language, 20)
    for name in ("author", "description", "date", "keywords"):
        values = root.xpath(
            ".//meta[translate(@name,'ABCDEFGHIJKLMNOPQRSTUVWXYZ','abcdefghijklmnopqrstuvwxyz')=$n]/@content", n=name
        )
        if values:
            found[name] = one_line(values[0])
    return found


# ---------------------------------------------------------------- writing


@dataclass(slots=True)
class _Writer:
    """Collects text with block structure. Walks without recursion: depth is the author's to choose, not ours."""

    filename: str
    limits: ParseLimits
    hiding: frozenset[str]
    around_main: frozenset[Any] | None = None
    in_main: int = 0
    parts: list[str] = field(default_factory=list)
    length: int = 0
    pending: str = ""  # white space owed before the next word
    headings: list[Heading] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    described: list[str] = field(default_factory=list)  # long texts that stand for pictures

    def text(self) -> str:
        return "".join(self.parts)

    def element(self, root: Any) -> None:
        skip_depth = 0  # inside something that is left out
        preformatted = 0
        fences: list[str] = []  # of the preformatted elements that are open
        open_headings: list[tuple[int, int]] = []  # (offset, index into parts) of each
        for event, node in etree.iterwalk(root, events=("start", "end")):
            tag = node.tag if isinstance(node.tag, str) else ""
            if event == "start":
                if skip_depth or self._left_out(node, tag):
                    skip_depth += 1
                    continue
                self.in_main += _is_main(node)
                if tag in _HEADINGS:
                    self._break("\n\n")
                    open_headings.append((self.length + len(self.pending) if self.parts else 0, len(self.parts)))
                elif tag in _BLOCKS:
                    self._break("\n\n" if tag in _PARAGRAPHS else "\n")
                elif tag == "br":
                    self._break("\n")
                elif tag == "img" and node.get("alt"):
                    self._alternative(node.get("alt"))
                if tag == "pre":
                    preformatted += 1
                    node.text = (node.text or "").removeprefix("\n")  # which no browser shows
                    fences.append("" if preformatted > 1 else _fence(node))
                    self._write(fences[-1])
                    self.pending = "\n" if fences[-1] else self.pending
                if tag == "li":
                    self._words("- ", False)
                if is_raised(node):
                    self._raised(node)
                self._words(node.text, preformatted > 0)
                continue
            if skip_depth:
                skip_depth -= 1
                if skip_depth:
                    continue
            else:
                self.in_main -= _is_main(node)
                if tag == "pre":
                    preformatted -= 1
                    self._close_fence(fences.pop())
                if tag in _HEADINGS:
                    self._close_heading(int(tag[1]), *open_headings.pop())
            if tag in _BLOCKS:
                self._break("\n\n" if tag in _PARAGRAPHS else "\n")
            if node is not root:
                self._words(node.tail, preformatted > 0)

    def _close_fence(self, fence: str) -> None:
        if fence and self.parts[-1] == fence:  # all that stands in it is hidden
            self.length -= len(self.parts.pop())
        elif fence:
            self.pending = "" if self.parts[-1].endswith("\n") else "\n"
            self._write(fence)

    def _raised(self, node: Any) -> None:
        """Writes what parts raised type from a number that it follows at once."""
        before = self.parts[-1] if self.parts and not self.pending else ""
        _write_degree(node, before)
        between = before_raised(before, _mark(node), node.tail or "")
        if between == " ":
            self._space()
        else:
            self._write(between)

    def _alternative(self, alt: str) -> None:
        """Writes what stands for a picture that is not seen: a sentence is marked as that."""
        words = alt.split()
        if len(words) < _WORDS_OF_A_SENTENCE:
            self._words(alt, False)
            return
        self._words(f" [Image: {' '.join(words)}]", False)
        if len(alt) > _LONG_ALTERNATIVE and len(self.described) < _MAX_HIDDEN:
            self.described.append(" ".join(words))

    def _left_out(self, node: Any, tag: str) -> bool:
        """Whether the element writes nothing more: dropped, hidden, or a table that has just been written."""
        if tag.rpartition(":")[2] == "math" and not is_hidden(node, self.hiding):
            self._words(mathml_text(node), False)
            return True
        if tag in _DROPPED or node.get("role") == "navigation" or self._is_around(node, tag):
            return True
        if is_hidden(node, self.hiding):
            self._remember_hidden(node)
            return True
        return tag == "table" and self._table(node)

    def _is_around(self, node: Any, tag: str) -> bool:
        """Whether it stands beside the page's main part. The head of an article within that is no head of the page."""
        if self.around_main is None or self.in_main:
            return False
        return (tag in _AROUND or node.get("role") in _ROLES_AROUND) and node not in self.around_main

    def _remember_hidden(self, node: Any) -> None:
        if len(self.hidden) < _MAX_HIDDEN:
            texts = (e.text or "" for e in node.iter("*") if e.tag not in _DROPPED)
            passage = " ".join(" ".join(texts).split())
            if passage:
                self.hidden.append(passage)

    def _close_heading(self, level: int, start: int, part: int) -> None:
        title = one_line("".join(self.parts[part:]))
        if title:
            self.headings.append(Heading(level, title, start))

    def _table(self, table: Any) -> bool:
        """Writes a table of data as Markdown rows; False for a table that only lays the page out."""
        if table.find(".//table") is not None or any(
            table.find(f".//{h}") is not None for h in ("h1", "h2", "h3", "ul")
        ):
            return False
        if sum(1 for _ in table.iter("td", "th")) > MAX_CELLS:
            return False
        rows: list[Any] = []
        for row in table.iter("tr"):
            if is_hidden(row, self.hiding):
                self._remember_hidden(row)
            else:
                rows.append(row)
        read = read_table(rows, self._cell, self.filename, self.limits)
        if read is None:
            return False
        caption = table.find("caption")
        captions = ["".join(caption.itertext("*"))] if caption is not None else []
        for text in (*captions, *read.captions):
            self._break("\n\n")
            self._words(text, False)
        self._break("\n\n")
        self._write(plain_spaces(markdown_table(read.rows, header=read.header)))
        self._break("\n\n")
        return True

    def _cell(self, cell: Any) -> str | None:
        """The text of a table's cell; None if it is not shown."""
        if is_hidden(cell, self.hiding):
            self._remember_hidden(cell)
            return None
        texts: list[str] = []
        skip = 0
        for event, node in etree.iterwalk(cell, events=("start", "end")):
            if event == "start":
                if skip:
                    skip += 1
                elif str(node.tag).rpartition(":")[2] == "math" and not is_hidden(node, self.hiding):
                    texts.append(mathml_text(node))
                    skip += 1
                elif node.tag in _DROPPED:
                    skip += 1
                elif is_hidden(node, self.hiding):
                    self._remember_hidden(node)
                    skip += 1
                else:
                    if node.tag == "br" or node.tag in _BLOCKS:
                        texts.append(" ")
                    if is_raised(node) and texts:
                        _write_degree(node, texts[-1])
                        texts.append(before_raised(texts[-1], _mark(node), node.tail or ""))
                    if node.text:
                        texts.append(node.text)
                continue
            skip = max(0, skip - 1)
            if not skip and node is not cell and node.tail:
                texts.append(node.tail)
        return " ".join("".join(texts).replace("\u00ad", "").split())

    def _words(self, text: str | None, preformatted: bool) -> None:
        if not text:
            return
        text = plain_spaces(text).replace("\u00ad", "")
        if preformatted:
            self._write(text)
            return
        words = " ".join(text.split())
        if text[0].isspace():
            self._space()
        if words:
            self._write(words)
            if text[-1].isspace():
                self._space()

    def _space(self) -> None:
        if self.parts and not self.pending and not self.parts[-1].endswith((" ", "\n")):
            self.pending = " "

    def _break(self, newline: str) -> None:
        if self.parts and len(newline) >= len(self.pending.replace(" ", "")):
            self.pending = newline

    def _write(self, text: str) -> None:
        if not text:
            return
        if self.pending and self.parts:
            self.parts.append(self.pending)
            self.length += len(self.pending)
        self.pending = ""
        self.parts.append(text)
        self.length += len(text)
        check_characters(self.length, self.filename, self.limits)


def _fence(pre: Any) -> str:
    """What stands above and below preformatted text of several lines, so that passages keep it whole; "" for other text.

    A page that is nothing else, as a letter or a standard of the early web, is no code.
    """
    text = "".join(pre.itertext("*"))
    lines = text.strip().count("\n") + 1 + sum(1 for _ in pre.iter("br", "div"))
    if lines < 2 or (lines > _MAX_CODE_LINES and pre.find(".//code") is None):
        return ""
    return "`" * max(3, 1 + max((len(run) for run in _BACKTICKS.findall(text)), default=0))


def _write_degree(node: Any, before: str) -> None:
    """Makes a raised "o" that stands for a degree one."""
    after = node.tail or ""
    for _ in range(_MARK_DEPTH):  # it may be that of a link in it
        if node.text or len(node) != 1 or node[0].tail:
            break
        node = node[0]
    if node.text and not len(node):
        node.text = raised_sign(before, node.text, after)


def _mark(node: Any) -> str:
    """How the text of a raised element begins: its own, or that of a link in it."""
    for _ in range(_MARK_DEPTH):
        if node.text and not node.text.isspace():
            return str(node.text)
        if not len(node):
            break
        node = node[0]
    return ""
