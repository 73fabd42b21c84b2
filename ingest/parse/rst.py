"""reStructuredText: the text is kept as it is but for comments; headings and title are noticed.

A line scanner like that for Markdown; the tests hold it against docutils.
"""

from __future__ import annotations

import re

from core.errors import EmptyDocument
from ingest.parse.clean import one_line, title_from_filename
from ingest.parse.document import Heading, ParsedDocument, ParseLimits
from ingest.parse.hidden import hidden_warning
from ingest.parse.kinds import MIME_TYPES
from ingest.parse.literal import literal_blocks
from ingest.parse.source import File
from ingest.parse.text import read_text

_LINE = re.compile(r"([!-/:-@\[-`{-~])\1*[ \t]*$")  # one punctuation mark, repeated
# What docutils takes for something else than a paragraph, whose first line alone may be a title.
_NOT_TITLE = re.compile(
    r"[-*+•‣⁃](?:\s|$)|\.\.(?:\s|$)|__(?:\s|$)|>>>(?:\s|$)|\|(?:\s|$)|:(?![: ])[^:]*(?<! ):(?:\s|$)|"
    r"\+[-=]|=+(?:\s+=+)+\s*$"
)
# Not a directive ("name::"), a target, a footnote, a citation, a substitution.
_COMMENT = re.compile(r"\s*\.\.[ \t]+(?!(?:_|\[|\|)|[\w.+:-]+::(?:\s|$))\S")
_WORDS_OF_A_COMMENT = 4  # one with fewer is for a program, or a licence's name
_ROLE = re.compile(r":[\w.+:-]+:`([^`<]*?)(?:\s*<[^`]*>)?`")
_MARKUP = re.compile(r"`([^`<]+?)\s*<[^`>]*>`__?|(?<!\w)(?:\*\*|``|[*`])(?=\S)|(?<=\S)(?:\*\*|``|[*`])_{0,2}(?!\w)")


def parse_rst(path: File, filename: str, limits: ParseLimits) -> ParsedDocument:
    """See ``ingest.parse.file.parse_file``."""
    text, encoding, warnings = read_text(path, filename, limits)
    text, comments = without_comments(text)
    if not text.strip():
        raise EmptyDocument(f"{filename} has no text but comments, which nobody is shown")
    headings = find_headings(text)
    return ParsedDocument(
        text=text,
        title=headings[0].text if headings and headings[0].level == 1 else title_from_filename(filename),
        mime_type=MIME_TYPES["rst"],
        headings=headings,
        metadata={"encoding": encoding},
        warnings=(*warnings, *hidden_warning(comments)),
    )


def without_comments(text: str) -> tuple[str, list[str]]:
    """``text`` without its comments, which no reader of the page sees, and those that say something.

    A comment is explicit markup ("..") that is nothing else, with the lines below it that are indented further. An empty
    one is left: it only parts what stands around it. What stands in code is none.
    """
    if ".. " not in text:
        return text, []
    kept: list[str] = []
    said: list[str] = []
    depth = -1  # of the comment that is open
    lines = text.split("\n")
    code = {n for first, last in literal_blocks(lines) for n in range(first, last)}
    for n, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if depth >= 0 and (not line.strip() or indent > depth):
            said[-1] += f" {line.strip()}" if line.strip() else ""
            if line.strip():
                continue
        elif n not in code and _COMMENT.match(line):
            depth = indent
            said.append(line.strip()[2:].strip())
            continue
        else:
            depth = -1
        kept.append(line)
    return "\n".join(kept), [passage for passage in said if len(passage.split()) >= _WORDS_OF_A_COMMENT]


def find_headings(text: str) -> tuple[Heading, ...]:
    """Section titles with offsets into ``text``; a title with a line above it begins at that line.

    Levels follow the order in which the styles (mark, with or without a line above) first appear. Where it differs
    from docutils: a style out of order is taken as a level of its own instead of an error.
    """
    headings: list[Heading] = []
    styles: list[str] = []
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    free = True  # whether a title may begin here: not within a paragraph
    i = 0
    while i < len(lines):
        line = lines[i]
        if not line.strip():
            free = True
            i += 1
            continue
        if not free:
            i += 1
            continue
        mark, following = _LINE.match(line), lines[i + 1] if i + 1 < len(lines) else ""
        over = mark and following.strip() and i + 2 < len(lines) and lines[i + 2].rstrip() == line.rstrip()
        if over and not (len(following.rstrip()) > len(line.rstrip()) and len(line.rstrip()) < 4):
            _add(headings, styles, line[0] * 2, following, starts[i])
            i += 3
        elif mark and following.strip() and len(line.rstrip()) >= 4:
            i += 1  # a line over something without the line below: docutils reports it and goes on
            free = False
        elif mark and not following.strip() and len(line.rstrip()) >= 4:
            i += 1  # a transition
        elif _is_title(line, following):
            _add(headings, styles, following[0], line, starts[i])
            i += 2
        else:
            free = False
            i += 1
    return tuple(headings)


def _is_title(line: str, following: str) -> bool:
    if line[0].isspace() or _NOT_TITLE.match(line) or not _LINE.match(following):
        return False
    length = len(following.rstrip())
    return length >= len(line.rstrip()) or length >= 4


def _add(headings: list[Heading], styles: list[str], style: str, content: str, start: int) -> None:
    if style not in styles:
        styles.append(style)
    plain = _MARKUP.sub(lambda m: m.group(1) or "", _ROLE.sub(lambda m: m.group(1), content))
    title = one_line(plain) or one_line(content)
    if title:
        headings.append(Heading(styles.index(style) + 1, title, start))
