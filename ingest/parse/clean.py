"""Text as it is stored: NFC, "\\n" line ends, nothing invisible that breaks a terminal, a tokenizer or UTF-8.

Never NFKC: it turns 10² into 102. Every function is linear and keeps every visible character.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePath

_NEWLINES = re.compile("\r\n?|[\x0b\x0c\x85\u2028]")
# C0 and C1 controls but tab and newline; byte order marks; noncharacters of the basic plane.
_JUNK = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufdd0-\ufdef\ufffe\uffff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")

_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,9}")

LIGATURES = {
    "\ufb00": "ff",
    "\ufb01": "fi",
    "\ufb02": "fl",
    "\ufb03": "ffi",
    "\ufb04": "ffl",
    "\ufb05": "st",  # long s and t; "ſt" would match no search
    "\ufb06": "st",
}
_LIGATURES = re.compile("[\ufb00-\ufb06]")


def clean(text: str) -> str:
    """Line ends, controls, lone surrogates (to U+FFFD) and NFC."""
    if "\r" in text or not text.isascii() or "\x0b" in text or "\x0c" in text:
        text = _NEWLINES.sub("\n", text).replace("\u2029", "\n\n")
    text = _JUNK.sub("", text)
    if not text.isascii():
        text = _SURROGATES.sub("\ufffd", text)
        text = unicodedata.normalize("NFC", text)
    return text


def expand_ligatures(text: str) -> str:
    """ "ﬁ" and its like, as typesetters draw them, become their letters."""
    return text if text.isascii() else _LIGATURES.sub(lambda m: LIGATURES[m.group()], text)


def plain_spaces(text: str) -> str:
    """No-break and typographic spaces become U+0020."""
    return text if text.isascii() else _SPACES.sub(" ", text)


def plain(text: str) -> str:
    """A piece of typeset text as it is stored: a soft hyphen that is drawn within a line is a hyphen."""
    if text.isascii() and text.isprintable():
        return text
    return clean(plain_spaces(expand_ligatures(text.replace("\u00ad", "-").replace("\t", " "))))


def one_line(text: str, limit: int = 300) -> str:
    """``text`` on one line, at most ``limit`` code points: for titles and messages."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def title_from_filename(filename: str) -> str:
    """The name without folder and extension; the whole name if nothing else is left."""
    path = PurePath(filename.replace("\\", "/"))
    stem = path.stem if _EXTENSION.fullmatch(path.suffix) else path.name
    return one_line(stem.strip(". ")) or one_line(filename) or "untitled"


def is_title(text: str) -> bool:
    """Whether a metadata title says something: not a number, a file name or a default of the program."""
    text = text.strip()
    if not 3 <= len(text) <= 300 or sum(c.isalpha() for c in text) < 3:
        return False
    lowered = text.lower()
    if lowered in _DEFAULT_TITLES or re.search(
        r"\.(docx?|pdf|indd|dvi|tex|rtf|txt|html?|pptx?|xlsx?|qxd|p65|ps|tif+)$", lowered
    ):
        return False
    return not lowered.startswith(("microsoft word -", "microsoft powerpoint -", "file:", "http:", "https:"))


_DEFAULT_TITLES = frozenset(
    ["untitled", "untitled document", "adobe photoshop pdf", "powerpoint presentation", "word document", "document",
     "document1", "slide 1", "title", "no title", "none", "null", "(anonymous)", "anonymous"]
)  # fmt: skip
