"""Untrusted text, made harmless. The one place where text becomes HTML or Markdown for the page.

Answers, quotes, titles and file names come from documents and models, and either may be hostile: showing them
must fetch nothing, link nowhere and run nothing. So nothing of theirs is ever passed on as markup:

    inert_text(text)        control and bidi-override characters made visible as U+FFFD
    inert_html(text)        ... and escaped, for our own HTML
    inert_markdown(text)    ... and escaped, for places where Streamlit reads Markdown (labels, captions)
    answer_html(...)        an answer: our own small set of tags around escaped text, with chips and verdicts

The browser sanitises once more (st.html runs DOMPurify), but nothing here leans on that.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.types import VerdictLabel
from core.wording import VERDICT_MARKS

# C0 and C1 controls but tab and newline; bidi embeddings, overrides and isolates; our own two marks.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ue000\ue001\ufdd0-\ufdef\ufffe\uffff]")
# Everything that any Markdown dialect of Streamlit reads: CommonMark and GFM punctuation, and ":" of :material/…:,
# :red[…] and emoji, "$" of maths, "@" of autolinked addresses.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:$@&=^\"'/%])")
# Streamlit turns these into links, icons and emoji after unescaping, so an escape is not enough; an invisible
# word joiner (U+2060) in the middle is.
_JOINTS = re.compile(r"(?i)(w)(?=ww)|(:)(?=[\w/+-])|(@)(?=[\w-])")
_MARKER = re.compile(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")
_MARKERS_BEHIND = re.compile(rf"(?:[ \t]*{_MARKER.pattern})+")
_OPEN, _CLOSE = "\ue000", "\ue001"  # private marks around the number of a sentence that ends here
_ENDING = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_MARK = re.compile(rf"{_OPEN}(?P<ending>\d+){_CLOSE}|\[(?P<markers>\d{{1,3}}(?:\s*[,;]\s*\d{{1,3}})*)\]")
_CLOSERS = "*_`~|"
_TAGS = frozenset(
    ["p", "ul", "ol", "li", "strong", "em", "s", "blockquote", "table", "thead", "tbody", "tr", "th", "td"]
)
MAX_MARKDOWN_CHARACTERS = 100_000  # longer answers are shown as they stand

VERDICTS: Mapping[VerdictLabel, tuple[str, str]] = {
    "supported": (VERDICT_MARKS["supported"], "supported by what it cites"),
    "partial": (VERDICT_MARKS["partial"], "supported only in part"),
    "contradicted": (VERDICT_MARKS["contradicted"], "contradicted by what it cites"),
    "unsupported": (VERDICT_MARKS["unsupported"], "not supported by any passage"),
    "not_a_claim": ("", ""),
    "unverified": ("", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A sentence of an answer: where it ends (code points), what was found of it, and the chips it should show."""

    start: int
    end: int
    verdict: VerdictLabel
    reason: str = ""
    markers: tuple[int, ...] = ()


def inert_text(text: str) -> str:
    """Makes characters that hide or reorder text visible; keeps tabs and line breaks."""
    return _CONTROL.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def inert_html(text: str) -> str:
    return html.escape(inert_text(text), quote=True)


def inert_markdown(text: str) -> str:
    """``text`` as it stands, for a Markdown reader: no markup in it has any effect.

    Line breaks become spaces, since a label has one line and a new line could begin a block. Leading and
    trailing blanks go, since four of them would begin a code block. Entities cannot form: "&" is escaped.
    """
    line = " ".join(inert_text(text).split())
    line = _JOINTS.sub("\\g<0>\u2060", line)
    return _MARKDOWN.sub(r"\\\1", line)


def passage_html(text: str, start: int, end: int, *, around: int = 240) -> str:
    """The passage ``text[start:end]`` marked within its surroundings, cut at words.

    Args:
        text: the whole stored text of a document.
        start, end: the passage, as half-open code point offsets; clipped to the text.
        around: how many code points to show on either side.
    """
    start, end = max(0, min(start, len(text))), max(0, min(end, len(text)))
    left, right = max(0, start - around), min(len(text), end + around)
    before, after = text[left:start], text[end:right]
    if left:
        before = "… " + (before.partition(" ")[2] or before)
    if right < len(text):
        after = (after.rpartition(" ")[0] or after) + " …"
    return f'<div class="ob-passage" tabindex="0">{inert_html(before)}<mark>{inert_html(text[start:end])}</mark>{inert_html(after)}</div>'


def answer_html(
    text: str,
    *,
    scope: str,
    markdown: bool,
    titles: Mapping[int, str] | None = None,
    sentences: Sequence[Checked] = (),
    streaming: bool = False,
) -> str:
    """An answer as HTML of ours: paragraphs, lists, emphasis, code, tables; no link, image or raw HTML.

    Args:
        text: the answer, untrusted.
        scope: names the message; a chip of marker n carries ``data-ob-cite="{scope}:{n}"``.
        markdown: whether the text is Markdown (a model wrote it) or to be shown as it stands (quotes).
        titles: marker → what the chip says of its source; a [n] in the text without an entry stays plain text.
        sentences: verdicts to show where each sentence ends.
        streaming: adds the caret.
    """
    writer = _Writer(scope=scope, titles=dict(titles or {}), extra=_extra_markers(text, sentences), sentences=sentences)
    marked = _with_endings(text, sentences)
    if markdown and len(text) <= MAX_MARKDOWN_CHARACTERS:
        body = "".join(writer.block(token) for token in _parser().parse(marked))
    else:
        body = "".join(f"<p>{writer.text(part)}</p>" for part in re.split(r"\n{2,}", marked) if part.strip())
    if streaming:
        caret = '<span class="ob-caret" aria-hidden="true"></span>'
        body = f"{body.removesuffix('</p>')}{caret}</p>" if body.endswith("</p>") else body + caret
    kind = "" if markdown else " ob-verbatim"
    return f'<div class="ob-answer{kind}">{body}</div>'


def _with_endings(text: str, sentences: Sequence[Checked]) -> str:
    """``text`` made inert, with the number of each sentence in private marks at its end.

    The mark goes before closing punctuation of Markdown: behind ``**`` it would keep the emphasis from closing, and
    behind the last ``|`` of a row it would be a cell too many.
    """
    pieces, last = [], 0
    for index, sentence in enumerate(sentences):
        cut = _end(text, sentence)
        while cut > last and (text[cut - 1] in _CLOSERS or text[cut - 1].isspace()):
            cut -= 1
        if cut <= last:
            continue
        pieces.append(f"{inert_text(text[last:cut])}{_OPEN}{index}{_CLOSE}")
        last = cut
    pieces.append(inert_text(text[last:]))
    return "".join(pieces)


def _end(text: str, sentence: Checked) -> int:
    """Where a sentence ends, the markers written behind its full stop included."""
    end = min(sentence.end, len(text))
    behind = _MARKERS_BEHIND.match(text, end)
    return behind.end() if behind else end


def _extra_markers(text: str, sentences: Sequence[Checked]) -> list[tuple[int, ...]]:
    """Per sentence, the markers that it cites but does not write."""
    extra = []
    for sentence in sentences:
        written = {
            n for match in _MARKER.finditer(text[sentence.start : _end(text, sentence)]) for n in _numbers(match[1])
        }
        extra.append(tuple(n for n in sentence.markers if n not in written))
    return extra


def _numbers(listed: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", listed)]


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 20})
    parser.enable(["table", "strikethrough"])
    # "code" too: an indented line of an answer is no program. "entity": what it stands for is not what it says.
    parser.disable(
        ["link", "image", "autolink", "html_inline", "html_block", "reference", "code", "lheading", "entity"]
    )
    return parser


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writer:
    """Writes tokens as HTML: tags come from the tables below, everything else is escaped."""

    scope: str
    titles: Mapping[int, str]
    extra: Sequence[tuple[int, ...]]
    sentences: Sequence[Checked]

    def block(self, token: Token) -> str:
        match token.type:
            case "inline":
                return "".join(self.inline(child) for child in token.children or ())
            case "fence":
                code, endings = self._without_endings(token.content)
                return f'<pre tabindex="0"><code>{html.escape(code)}</code></pre>{endings}'
            case "hr":
                return "<hr>"
            case "heading_open":
                return '<p class="ob-heading">'
            case "heading_close":
                return "</p>"
            case "ordered_list_open":
                start = token.attrGet("start")
                return f'<ol start="{start}">' if isinstance(start, int) else "<ol>"
        if token.hidden or token.tag not in _TAGS:
            return self.text(token.content)
        return f"<{token.tag}>" if token.nesting == 1 else f"</{token.tag}>"

    def inline(self, token: Token) -> str:
        match token.type:
            case "code_inline":
                code, endings = self._without_endings(token.content)
                return f"<code>{html.escape(code)}</code>{endings}"
            case "softbreak" | "hardbreak":
                return "<br>"
        if token.tag in _TAGS:
            return f"<{token.tag}>" if token.nesting == 1 else f"</{token.tag}>"
        return self.text(token.content)

    def text(self, content: str) -> str:
        out, last = [], 0
        for match in _MARK.finditer(content):
            out.append(html.escape(content[last : match.start()]))
            if match["ending"] is not None:
                out.append(self._ending(int(match["ending"])))
            else:
                out.append(self._chips(_numbers(match["markers"])) or html.escape(match[0]))
            last = match.end()
        out.append(html.escape(content[last:]))
        return "".join(out)

    def _without_endings(self, content: str) -> tuple[str, str]:
        endings = "".join(self._ending(int(m[1])) for m in _ENDING.finditer(content))
        return _ENDING.sub("", content), endings

    def _ending(self, index: int) -> str:
        glyph, meaning = VERDICTS.get(self.sentences[index].verdict, ("", ""))
        chips = self._chips(list(self.extra[index]))
        if not glyph:
            return chips
        why = html.escape(f"{meaning}: {reason}" if (reason := inert_text(self.sentences[index].reason)) else meaning)
        return (
            f'{chips}<span class="ob-verdict ob-{self.sentences[index].verdict}" role="img" '
            f'aria-label="{why}" title="{why}">{glyph}</span>'
        )

    def _chips(self, markers: Sequence[int]) -> str:
        """Nothing unless every marker is known: "[2019]" in a text is no citation."""
        if not markers or any(n not in self.titles for n in markers):
            return ""
        return "".join(
            f'<button type="button" class="ob-chip" data-ob-cite="{html.escape(self.scope)}:{n}" '
            f'title="{inert_html(self.titles[n])}" aria-label="Source {n}: {inert_html(self.titles[n])}">{n}</button>'
            for n in markers
        )
