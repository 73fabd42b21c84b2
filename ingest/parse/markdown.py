"""Markdown: the text is kept as it is but for comments; headings, title and front matter are noticed.

"# not a heading" in a code block is none. The scanner is our own: markdown-it reads 1 MB/s, and headings are all we need.
"""

from __future__ import annotations

import re

from core.errors import EmptyDocument
from ingest.parse.clean import is_title, one_line, title_from_filename
from ingest.parse.document import Heading, ParsedDocument, ParseLimits
from ingest.parse.hidden import hidden_warning
from ingest.parse.source import File
from ingest.parse.text import read_text

_FRONT_MATTER = re.compile(r"(---|\+\+\+)[ \t]*\n(.*?)\n\1[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_MATTER_FIELD = re.compile(r"([A-Za-z][\w-]{0,40})[ \t]*[:=][ \t]*(\S.*)")
_FRONT_MATTER_LIST = re.compile(r"([A-Za-z][\w-]{0,40})[ \t]*:")
_FRONT_MATTER_ITEM = re.compile(r"[ \t]*-[ \t]+(\S.*)")
_MAX_FRONT_MATTER = 20_000
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_CLOSING_HASHES = re.compile(r"(?:^|[ \t]+)#+$")
_UNDERLINE = re.compile(r" {0,3}([=-])\1*[ \t]*$")
_NOT_SETEXT = re.compile(r" {4}|\t| {0,3}(?:[-*+>][ \t]|\d{1,9}[.)][ \t]|[-*_=][ \t]*$|(?:[-*_][ \t]*){3,}$|\|)")
_HTML_BLOCK = re.compile(
    r" {0,3}</?(?:address|article|aside|blockquote|body|center|details|dialog|div|dl|fieldset|figure|footer|form|h[1-6]|"
    r"head|header|html|iframe|li|main|nav|ol|p|pre|script|section|style|summary|table|tbody|td|tr|ul)(?:[\s/>]|$)",
    re.IGNORECASE,
)
# Code first, so that what looks like a comment in it is none: fenced blocks, then spans of backticks within a paragraph.
_CODE_OR_COMMENT = re.compile(
    r"^ {0,3}(?P<fence>`{3,}|~{3,})[^\n]*\n(?:.*?\n)??(?: {0,3}(?P=fence)[`~]*[ \t]*$|\Z)|"
    r"(?<!`)(?P<ticks>`{1,3})(?!`)(?:(?!\n[ \t]*\n)[^`]|(?!(?P=ticks)(?!`))`){1,2000}?(?P=ticks)(?!`)|<!--",
    re.DOTALL | re.MULTILINE,
)
_WORDS_OF_A_COMMENT = 4  # one with fewer is for a program: "toc", "prettier-ignore"
_INLINE_MARKUP = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)|[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}|\{#[^{}]*\}\s*$|<[^<>]*>")


def parse_markdown(path: File, filename: str, limits: ParseLimits) -> ParsedDocument:
    text, encoding, warnings = read_text(path, filename, limits)
    text, comments = without_comments(text)
    if not text.strip():
        raise EmptyDocument(f"{filename} has no text but comments, which nobody is shown")
    metadata: dict[str, object] = {"encoding": encoding}
    front = _FRONT_MATTER.match(text[:_MAX_FRONT_MATTER])
    body_start = 0
    if front:
        body_start = front.end()
        metadata["front_matter"] = _front_matter(front.group(2))
    headings = find_headings(text, body_start)
    title = _title(metadata.get("front_matter"), headings)
    return ParsedDocument(
        text=text,
        title=title or title_from_filename(filename),
        mime_type="text/markdown",
        headings=headings,
        metadata=metadata,
        warnings=(*warnings, *hidden_warning(comments)),
    )


def _front_matter(text: str) -> dict[str, str]:
    """The fields of a front matter, each in one line; the items of a list that stands below its name with commas between."""
    found: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    name = ""  # of the list that is open
    for line in text.split("\n"):
        if match := _FRONT_MATTER_FIELD.fullmatch(line.rstrip()):
            name = ""
            found[match.group(1)] = one_line(match.group(2).strip("\"'"))
        elif match := _FRONT_MATTER_LIST.fullmatch(line.rstrip()):
            name = match.group(1)
        elif name and (match := _FRONT_MATTER_ITEM.fullmatch(line.rstrip())):
            lists.setdefault(name, []).append(match.group(1).strip("\"'"))
        elif line.strip() and not line.lstrip().startswith("#"):
            name = ""
    return found | {key: one_line(", ".join(items)) for key, items in lists.items()}


def without_comments(text: str) -> tuple[str, list[str]]:
    """``text`` without its HTML comments, which no reader of the page sees, and those that say something.

    What stands in code is no comment; one that is not closed is left as it is. A line that is a comment goes as a whole.
    """
    if "<!--" not in text:
        return text, []
    parts: list[str] = []
    said: list[str] = []
    last = position = 0
    while match := _CODE_OR_COMMENT.search(text, position):
        start, position = match.span()
        if match.group() != "<!--":
            continue
        closed = text.find("-->", position)
        if closed < 0:
            break
        words = text[position:closed].split()
        position = closed + 3
        if (not start or text[start - 1] == "\n") and text[position : position + 1] == "\n":
            position += 1
        parts.append(text[last:start])
        last = position
        if len(words) >= _WORDS_OF_A_COMMENT:
            said.append(" ".join(words))
    return "".join([*parts, text[last:]]), said


def _title(front_matter: object, headings: tuple[Heading, ...]) -> str:
    if isinstance(front_matter, dict) and is_title(front_matter.get("title", "")):
        return str(front_matter["title"])
    if headings and headings[0].level == min(h.level for h in headings):
        return headings[0].text
    return ""


def find_headings(text: str, body_start: int = 0) -> tuple[Heading, ...]:
    """ATX and setext headings of ``text[body_start:]`` that stand at the outermost level, with offsets into ``text``.

    A line scanner, linear in the text; the tests hold it against markdown-it. Where it differs: it takes a setext
    underline for one line of text alone, and ends an HTML block at the next blank line whatever its kind.
    """
    headings: list[Heading] = []
    fence = ""  # the fence that is open
    previous = ""  # the line before, if it may be the text of a setext heading
    paragraph = False  # whether the line before belongs to a paragraph
    comment = html = False
    position = body_start
    previous_start = body_start
    for line in text[body_start:].split("\n"):
        start, position = position, position + len(line) + 1
        if fence:
            if (match := _FENCE.match(line)) and match.group(1).startswith(fence) and not match.group(2).strip():
                fence = ""
            continue
        if comment:
            comment = "-->" not in line
            continue
        if html and line.strip():
            continue
        html = False
        if (match := _FENCE.match(line)) and ("`" not in match.group(2) or match.group(1)[0] == "~"):
            fence, previous, paragraph = match.group(1), "", False
            continue
        if line.lstrip().startswith("<!--"):
            comment, previous, paragraph = "-->" not in line, "", False
            continue
        if not paragraph and _HTML_BLOCK.match(line):
            html, previous = True, ""
            continue
        if match := _ATX.match(line):
            _add(headings, len(match.group(1)), match.group(2) or "", start)
            previous, paragraph = "", False
        elif previous and (match := _UNDERLINE.match(line)):
            _add(headings, 1 if match.group(1) == "=" else 2, previous, previous_start)
            previous, paragraph = "", False
        else:
            blank = not line.strip()
            # A line of a list, a quotation, a table or indented code is no heading, nor is a paragraph's second line.
            starts = not blank and not paragraph and not _NOT_SETEXT.match(line)
            previous, previous_start = (line, start) if starts else ("", start)
            paragraph = not blank
    return tuple(headings)


def _add(headings: list[Heading], level: int, content: str, start: int) -> None:
    content = one_line(_CLOSING_HASHES.sub("", content.strip()))
    title = one_line(_INLINE_MARKUP.sub(lambda m: m.group(1) or "", content)) or content
    if title:
        headings.append(Heading(level, title, start))
