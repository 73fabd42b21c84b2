"""What OCR read of a page, as the lines that the PDF reader joins into paragraphs; and where its words lie, packed.

A page of OCR text has no characters that could be asked for their place later, so the boxes of its words are kept with
the document, about 5 bytes a word: see ``pack_words``. They are fractions of the page as it is shown, so they
serve a page of a PDF and a picture alike.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeAlias

import numpy as np

from core.errors import ParseFailed
from ingest.parse.ocr import OcrLine, OcrPage
from ingest.parse.pdf_lines import Line

# start and end in the page's text; left, top, right, bottom in 1/10,000 of the shown page, y down
PlacedWord: TypeAlias = tuple[int, int, int, int, int, int]

WHOLE = 10_000
_FIELDS = 6
_POINTS = 72.0
_MAX_PACKED = 2**20  # characters, of one page
_SPECK = 60  # confidence under which a line without a letter or a digit is dirt


@dataclass(slots=True)
class ReadPage:
    """``text`` is the page line by line; ``words`` are boxes of its words, their offsets in ``text``."""

    text: str
    lines: list[Line]
    words: list[PlacedWord]


def read_lines(page: OcrPage, dpi: int, size: tuple[int, int]) -> ReadPage:
    """Makes lines of ``page``.

    Args:
        dpi: of the picture that was read: the lines lie in points.
        size: its width and height in pixels, before it was turned.
    """
    parts: list[str] = []
    lines: list[Line] = []
    words: list[PlacedWord] = []
    offset = 0
    for line in page.lines:
        if _is_dirt(line):
            continue
        texts = [w.text for w in line.words]
        starts = list(accumulate((len(t) + 1 for t in texts), initial=offset))[:-1]
        text = " ".join(texts)
        lines.append(_placed(line, text, offset, starts, page.height, _POINTS / dpi))
        for start, word in zip(starts, line.words, strict=True):
            box = (
                _part(word.left, size[0]),
                _part(word.top, size[1]),
                _part(word.right, size[0]),
                _part(word.bottom, size[1]),
            )
            words.append((start, start + len(word.text), *box))
        parts.append(text)
        offset += len(text) + 1
    for upper, lower in pairwise(lines):
        _divided(upper, lower)
    return ReadPage("\n".join(parts), lines, words)


def _is_dirt(line: OcrLine) -> bool:
    return not any(c.isalnum() for w in line.words for c in w.text) and all(w.confidence < _SPECK for w in line.words)


def _placed(line: OcrLine, text: str, offset: int, starts: Sequence[int], height: int, scale: float) -> Line:
    spans = tuple((start, x0 * scale, x1 * scale) for start, (x0, x1) in zip(starts, line.spans, strict=True))
    y0, y1 = (height - line.bottom) * scale, (height - line.top) * scale
    return Line(
        text, offset, offset + len(text), False,
        x0=min(s[1] for s in spans), x1=max(s[2] for s in spans), y0=y0, y1=y1, size=max(y1 - y0, 0.1),
        placed=y1 > y0, words=spans,
    )  # fmt: skip


def _divided(line: Line, following: Line) -> None:
    """Takes a hyphen at the end of ``line`` for a division, as pdfium does, if a small letter follows it."""
    if line.text[-1:] in "-\u2010" and line.text[-2:-1].isalpha() and following.text[:1].islower():
        line.text = line.text[:-1]
        line.hyphen = True


def _part(value: float, whole: int) -> int:
    return min(max(round(value * WHOLE / max(whole, 1)), 0), WHOLE)


def stored_words(words: Sequence[PlacedWord], places: Sequence[int | None]) -> list[PlacedWord]:
    """``words`` with their offsets in the page's stored text.

    Args:
        words: with offsets in the text that was read, in order.
        places: for each code point of the stored text the index in the text that was read: see ``pdf_places.align``.
    """
    word_at = np.full(max((w[1] for w in words), default=0) + 1, -1, dtype=np.int64)
    for n, word in enumerate(words):
        word_at[word[0] : word[1]] = n
    found: list[PlacedWord] = []
    last = -1
    for offset, place in enumerate(places):
        n = int(word_at[place]) if place is not None and place < len(word_at) else -1
        if n >= 0 and n == last:
            found[-1] = (found[-1][0], offset + 1, *words[n][2:])
        elif n >= 0:
            found.append((offset, offset + 1, *words[n][2:]))
        last = n if place is not None else last  # white space within a word that cleaning split does not end it
    return found


def pack_words(words: Sequence[PlacedWord]) -> str:
    """``words`` as a string for JSON: differences from word to word, column by column, deflated."""
    table = np.array(words, dtype=np.int64).reshape(-1, _FIELDS)
    table[:, 1] -= table[:, 0]
    table[:, 4:6] -= table[:, 2:4]
    columns = np.diff(table, axis=0, prepend=np.zeros((1, _FIELDS), dtype=np.int64)).astype("<i4")
    # The low bytes of all differences stand together, and so do the high ones, which are nearly all alike.
    data = np.ascontiguousarray(columns.T).view(np.uint8).reshape(_FIELDS, -1, 4)
    return base64.b85encode(zlib.compress(np.ascontiguousarray(data.transpose(0, 2, 1)).tobytes(), 9)).decode("ascii")


def unpack_words(packed: str) -> list[PlacedWord]:
    """What ``pack_words`` was given.

    Raises:
        ParseFailed: it is nothing that ``pack_words`` made.
    """
    if len(packed) > _MAX_PACKED:
        raise ParseFailed("the places of the words of this page are damaged: ingest the document again")
    try:
        opened = zlib.decompressobj().decompress(base64.b85decode(packed), 100 * _MAX_PACKED)
        data = np.frombuffer(opened, dtype=np.uint8).reshape(_FIELDS, 4, -1).transpose(0, 2, 1)
    except (ValueError, zlib.error) as e:
        raise ParseFailed("the places of the words of this page are damaged: ingest the document again") from e
    table = np.cumsum(np.ascontiguousarray(data).view("<i4").reshape(_FIELDS, -1).T.astype(np.int64), axis=0)
    table[:, 4:6] += table[:, 2:4]
    table[:, 1] += table[:, 0]
    return [tuple(row) for row in table.tolist()]


def passage_boxes(words: Sequence[PlacedWord], start: int, end: int) -> list[tuple[int, int, int, int]]:
    """Boxes (left, top, right, bottom) of a passage of the stored page text, words of one line joined."""
    boxes: list[tuple[int, int, int, int]] = []
    for word_start, word_end, *box in words:
        if word_end <= start or word_start >= end:
            continue
        left, top, right, bottom = box
        if boxes:
            x0, y0, x1, y1 = boxes[-1]
            height = max(y1 - y0, bottom - top)
            beside = min(y1, bottom) - max(y0, top) > 0.5 * min(y1 - y0, bottom - top)
            if beside and -2 * height < left - x1 < 3 * height:
                boxes[-1] = (min(x0, left), min(y0, top), max(x1, right), max(y1, bottom))
                continue
        boxes.append((left, top, right, bottom))
    return boxes
