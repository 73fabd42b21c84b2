"""Markdown: the text is kept as it is; headings, title and front matter are noticed.

Only block structure is parsed (CommonMark), so that "# not a heading" in a code block is none.
"""

from __future__ import annotations

import re
from itertools import accumulate
from pathlib import Path

from ingest.parse.clean import is_title, one_line, title_from_filename
from ingest.parse.document import Heading, ParsedDocument, ParseLimits
from ingest.parse.text import read_text

_FRONT_MATTER = re.compile(r"(---|\+\+\+)[ \t]*\n(.*?)\n\1[ \t]*(?:\n|\Z)", re.DOTALL)
_FRONT_MATTER_FIELD = re.compile(r"([A-Za-z][\w-]{0,40})[ \t]*[:=][ \t]*(\S.*)")
_MAX_FRONT_MATTER = 20_000
_INLINE_MARKUP = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)|[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}|\{#[^{}]*\}\s*$|<[^<>]*>")


def parse_markdown(path: Path, filename: str, limits: ParseLimits) -> ParsedDocument:
    text, encoding, warnings = read_text(path, filename, limits)
    metadata: dict[str, object] = {"encoding": encoding}
    front = _FRONT_MATTER.match(text[:_MAX_FRONT_MATTER])
    body_start = 0
    if front:
        body_start = front.end()
        fields = (_FRONT_MATTER_FIELD.fullmatch(line.rstrip()) for line in front.group(2).split("\n"))
        metadata["front_matter"] = {m.group(1): one_line(m.group(2).strip("\"'")) for m in fields if m}
    headings = find_headings(text, body_start)
    title = _title(metadata.get("front_matter"), headings)
    return ParsedDocument(
        text=text,
        title=title or title_from_filename(filename),
        mime_type="text/markdown",
        headings=headings,
        metadata=metadata,
        warnings=warnings,
    )


def _title(front_matter: object, headings: tuple[Heading, ...]) -> str:
    if isinstance(front_matter, dict) and is_title(front_matter.get("title", "")):
        return str(front_matter["title"])
    if headings and headings[0].level == min(h.level for h in headings):
        return headings[0].text
    return ""


def find_headings(text: str, body_start: int = 0) -> tuple[Heading, ...]:
    """ATX and setext headings of ``text[body_start:]``, with offsets into ``text``."""
    from markdown_it import MarkdownIt

    # markdown-it counts lines by "\n" alone, as we do: the text is already clean.
    parser = MarkdownIt("commonmark").disable(["inline"])
    body = text[body_start:]
    line_starts = [0, *accumulate(len(line) + 1 for line in body.split("\n"))]
    headings = []
    tokens = parser.parse(body)
    for i, token in enumerate(tokens):
        if token.type == "heading_open" and token.map is not None and token.level == 0:
            title = one_line(_INLINE_MARKUP.sub(lambda m: m.group(1) or "", tokens[i + 1].content))
            if title:
                headings.append(Heading(int(token.tag[1:]), title, body_start + line_starts[token.map[0]]))
    return tuple(headings)
