"""Which character of a PDF page each character of its stored text came from.

Both are walked together (``align``). Before that is taken apart what does not stand in the text in the order of the page:
cells of tables, running heads and feet that were left out, and notes that were moved up before a paragraph that goes
on overleaf. It knows text, and of lines only which of them lie outermost.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ingest.parse.clean import LIGATURES
from ingest.parse.pdf_flow import notes_from
from ingest.parse.pdf_lines import Line

_LOOK_AHEAD = 400
_HYPHENS = frozenset("-\u00ad\u2010\ufffe\x02")
_OUTER = 6  # lines at the top of a page, and at its foot, that may be running


def page_places(
    stored: str,
    raw: str,
    tables: Sequence[tuple[str, Sequence[tuple[int, int, int]], Sequence[tuple[int, int]]]],
    lines: Sequence[Line] = (),
) -> list[int | None]:
    """For each code point of ``stored``, the text of a page, the index in ``raw`` that it came from: see ``align``.

    Args:
        tables: for each its Markdown, the (offset, length, index in ``raw``) of its words, and the ranges of ``raw``
            that it stands for. One that is not found in ``stored`` is aligned like other text.
        lines: of the page in reading order, tables in place of theirs; () for a page whose text is all there, in order.
    """
    found: list[tuple[int, Sequence[tuple[int, int, int]]]] = []
    rest, rest_raw = list(stored), list(raw)
    position = 0
    for markdown, words, ranges in tables:
        at = stored.find(markdown, position)
        if at < 0:
            continue
        position = at + len(markdown)
        found.append((at, words))
        _blank(rest, at, position)
        for a, b in ranges:
            _blank(rest_raw, a, b)
    left = _leave_out(rest, rest_raw, lines)
    notes = _take_notes(rest, rest_raw, left)
    places = align("".join(rest), "".join(rest_raw))
    for at, words in found:
        for offset, length, index in words:
            for k in range(length):
                places[at + offset + k] = min(index + k, len(raw) - 1)
    if notes is not None:
        (start, end), (first, last) = notes
        places[start:end] = [p if p is None else first + p for p in align(stored[start:end], raw[first:last])]
    return places


def _blank(characters: list[str], start: int, end: int) -> None:
    characters[start:end] = " " * (end - start)


def _leave_out(stored: Sequence[str], raw: list[str], lines: Sequence[Line]) -> list[Line]:
    """Blanks what was left out of ``stored`` as running: an outermost line that is not as often in it as in ``raw``.

    Returns:
        The other lines.
    """
    by_height = sorted((line for line in lines if line.placed), key=lambda line: -line.y1)
    outer = {id(line): line for line in (*by_height[:_OUTER], *by_height[: -_OUTER - 1 : -1])}
    text, before = _reduced("".join(stored))[0], _reduced("".join(raw))[0]
    gone: set[int] = set()
    # The longest first: its words may hold those of another.
    for line in sorted(outer.values(), key=lambda line: -len(line.text)):
        words = _reduced(line.text)[0]
        if words and text.count(words) < before.count(words):
            _blank(raw, line.start, line.end)
            before = _reduced("".join(raw))[0]
            gone.add(id(line))
    return [line for line in lines if id(line) not in gone]


def _take_notes(
    stored: list[str], raw: list[str], lines: Sequence[Line]
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Where the page's footnotes stand in ``stored`` and in ``raw``, both of which lose them; None if that is not certain."""
    notes = lines[notes_from(lines) :]
    if not notes:
        return None
    first, last = notes[0].start, notes[-1].end
    words = _reduced("".join(raw[first:last]))[0]
    text, at = _reduced("".join(stored))
    if not words or text.count(words) != 1:
        return None
    begin = text.index(words)
    start, end = at[begin], at[begin + len(words) - 1] + 1
    _blank(stored, start, end)
    _blank(raw, first, last)
    return (start, end), (first, last)


def align(stored: str, raw: str) -> list[int | None]:
    """For each code point of ``stored`` the index in ``raw`` it came from; None for white space and what is new.

    Both are reduced to what survives cleaning (no white space, no hyphens, ligatures and accents taken apart), then
    walked together. At a difference the nearest common stretch ahead is sought, so damage stays local.
    """
    a, a_at = _reduced(stored)
    b, b_at = _reduced(raw)
    places: list[int | None] = [None] * len(stored)
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            if places[a_at[i]] is None:
                places[a_at[i]] = b_at[j]
            i, j = i + 1, j + 1
            continue
        step = _resynchronise(a, b, i, j)
        if step is None:
            break
        i, j = step
    return places


def _resynchronise(a: str, b: str, i: int, j: int) -> tuple[int, int] | None:
    window_b = b[j : j + _LOOK_AHEAD]
    for skip in range(min(_LOOK_AHEAD, len(a) - i)):
        for length in (12, 4):
            probe = a[i + skip : i + skip + length]
            found = window_b.find(probe) if len(probe) == length or i + skip + length > len(a) else -1
            if probe and found >= 0:
                return i + skip, j + found
    return None


_UNSEEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ufeff]")


def _reduced(text: str) -> tuple[str, list[int]]:
    characters: list[str] = []
    places: list[int] = []
    for index, character in enumerate(text):
        if character in _HYPHENS or _UNSEEN.match(character):
            continue
        for part in LIGATURES.get(character) or unicodedata.normalize("NFD", character):
            characters.append(part)
            places.append(index)
    return "".join(characters), places
