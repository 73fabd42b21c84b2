"""Text of a PDF page that a person who looks at the page does not see.

Hidden is what is drawn invisibly (render mode 3, or with no colour to speak of), what lies outside of the page, what is
smaller than a point, and light letters on a ground as light, which is seen on a picture of the page. Not hidden is the text layer of a
scan, which is invisible by design and lies on its picture. Letters under something that was drawn over them are not noticed.

Pages have thousands of characters, and nearly all have none of this: so ``may_hide`` asks one character in 24 and the
lines, which are known, and only a page that gives a reason is gone through, text object by text object.
"""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Any, Literal

import pypdfium2.raw as pdfium_c

from ingest.parse.pdf_calls import (
    Box,
    Colours,
    char_boxes,
    handle,
    object_boxes,
    page_objects,
    render_mode,
    text_object,
)
from ingest.parse.pdf_columns import in_columns
from ingest.parse.pdf_lines import Line, page_characters, page_lines, turned
from ingest.parse.pdf_raised import raised_places, with_marks
from ingest.parse.pdf_rtl import has_rtl, reading_order

_FILLED_MODES = (
    pdfium_c.FPDF_TEXTRENDERMODE_FILL,
    pdfium_c.FPDF_TEXTRENDERMODE_FILL_CLIP,
)
_INVISIBLE_MODES = (pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium_c.FPDF_TEXTRENDERMODE_CLIP)
_FAINT = 8  # of 255 of opacity
_LIGHT = 200  # of 255 of each of red, green and blue: lighter text is looked at
_DARK = 150  # of 255 of one of them: light letters are read on it
_OPAQUE = 200  # of 255
_TINY = 1.0  # points
_SAMPLE_EVERY = 24  # characters: an order is longer
_STRIDE = 64  # characters that are looked ahead for the end of a text object
_LOOK_DPI = 144
_INSET = 3  # pixels
_MAX_LOOK_PIXELS = 4_000_000
_CONTRAST = (
    24  # of 255 between the lightest and the darkest of a piece of the page: with less there is nothing to be read
)
_MAX_OBJECTS = 5000
_MAX_DEPTH = 5
_MAX_COMPARED = 200  # pieces, each with every area of the page
_APART = 4  # characters between two passages; nearer ones are the words of one
_LEAST_LETTERS = 3  # of a passage
_SCAN = 0.5  # of the page: a picture that covers so much is a scan of it


@dataclass(frozen=True, slots=True)
class _Piece:
    """Characters of one text object: ``start`` to ``end`` are pdfium's indexes."""

    start: int
    end: int
    item: int  # its handle


@dataclass(frozen=True, slots=True)
class SeenLines:
    """What is seen of a page: ``text`` and ``indexes`` as of ``page_characters``, its lines, and passages that are not seen."""

    text: str
    indexes: Sequence[int] | None
    lines: list[Line]
    hidden: list[str]


def seen_lines(page: Any, textpage: Any, rotation: int) -> SeenLines:
    """Reads the characters and lines of a page, in reading order (``pdf_columns``), without those that are hidden, and with
    what parts raised type from a figure (``pdf_raised``).

    Args:
        page, textpage: of pdfium.
        rotation: of the page, in quarter turns clockwise.
    """
    text, indexes = page_characters(textpage)
    if has_rtl(text):
        text, indexes = reading_order(text, indexes, lambda i: _left(textpage, i))
    lines = page_lines(textpage, text, indexes, rotation)
    passages: list[str] = []
    if lines and may_hide(page, textpage, lines, rotation):
        hidden, passages = _passages(text, indexes, hidden_ranges(page, textpage))
        if hidden:
            kept = [position for position in range(len(text)) if position not in hidden]
            indexes = [position if indexes is None else indexes[position] for position in kept]
            text = "".join(text[position] for position in kept)
            lines = page_lines(textpage, text, indexes, rotation)
    columns = None if has_rtl(text) else in_columns(textpage, text, indexes, lines, rotation)
    if columns is not None:
        text, indexes = columns
        lines = page_lines(textpage, text, indexes, rotation)
    marks = raised_places(textpage, text, indexes, lines, rotation)
    if marks:
        text, indexes = with_marks(text, indexes, marks)
        lines = page_lines(textpage, text, indexes, rotation)
    return SeenLines(text, indexes, lines, passages)


def _passages(
    text: str, indexes: Sequence[int] | None, ranges: Sequence[tuple[int, int]]
) -> tuple[set[int], list[str]]:
    """The places in ``text`` of what lies in ``ranges`` (of pdfium's indexes), and what stands there, in passages.

    What has hardly a letter is none: a white bullet, a full stop that is drawn small.
    """
    starts = [start for start, _ in ranges]
    groups: list[list[int]] = []
    for position in range(len(text)):
        index = position if indexes is None else indexes[position]
        at = bisect_right(starts, index) - 1
        if at >= 0 and index < ranges[at][1]:
            if not groups or position - groups[-1][-1] > _APART:
                groups.append([])
            groups[-1].append(position)
    told = [g for g in groups if sum(text[p].isalnum() for p in g) >= _LEAST_LETTERS]
    passages = []
    for group in told:
        pieces = [text[group[0]]]
        for before, position in pairwise(group):
            pieces.append(text[position] if position == before + 1 else f" {text[position]}")
        passages.append(" ".join("".join(pieces).split()))
    return {position for group in told for position in group}, passages


def _left(textpage: Any, index: int) -> float | None:
    (box,) = char_boxes(textpage, [index])
    return None if box is None else box[0]


def may_hide(page: Any, textpage: Any, lines: Sequence[Line], rotation: int) -> bool:
    """Whether there is a reason to look for hidden text on a page with these lines."""
    left, bottom, right, top = turned(*shown_box(page), rotation)
    for line in lines:
        if not line.placed or line.size < 2 * _TINY or line.y1 < bottom or line.y0 > top:
            return True
        # The line of a right-to-left script is mirrored, and whether this is one the line does not say.
        if (line.x1 < left or line.x0 > right) and (-line.x0 < left or -line.x1 > right):
            return True
    kinds = _sampled(textpage)
    if kinds == {"invisible"}:  # a scan with a text layer, most likely
        return not _is_scan(shown_box(page), _pictures(page))
    return not kinds <= {"seen"}


def _sampled(textpage: Any) -> set[str]:
    """How characters here and there are drawn; it stops where that differs."""
    colours = Colours()
    kinds: set[str] = set()
    sample = map(text_object, repeat(handle(textpage)), range(0, textpage.count_chars(), _SAMPLE_EVERY))
    for item in dict.fromkeys(sample):
        if item:
            kinds.add(_drawn(item, colours))
            if len(kinds) > 1 or "light" in kinds:
                break
    return kinds


def hidden_ranges(page: Any, textpage: Any) -> list[tuple[int, int]]:
    """Ranges of pdfium's character indexes that are not seen, in order, apart from each other.

    Args:
        page, textpage: of pdfium.
    """
    unseen: list[_Piece] = []
    invisible: list[_Piece] = []
    light: list[_Piece] = []
    box, colours = shown_box(page), Colours()
    seen = False  # whether anything on the page was seen at once
    pieces = list(_pieces(textpage))
    for piece, place in zip(pieces, _boxes(pieces, textpage), strict=True):
        if place is not None and _is_off_or_tiny(piece, place, textpage, box):
            unseen.append(piece)
            continue
        match _drawn(piece.item, colours):
            case "invisible":
                invisible.append(piece)
            case "light":
                light.append(piece)
            case _:
                seen = True
    if invisible:
        pictures = _pictures(page)
        # What OCR read of a picture lies on its letters; of a page that is a scan and nothing else that is not asked.
        layered = light if seen or not _is_scan(box, pictures) else []
        for piece, place in zip(invisible, _boxes(invisible, textpage), strict=True):
            (layered if _lies_on(place, pictures) else unseen).append(piece)
    if light:
        doubtful = [p for p, dark in zip(light, _on_dark(page, textpage, light), strict=True) if not dark]
        unseen += _without_contrast(page, textpage, doubtful) if doubtful else ()
    return sorted((piece.start, piece.end) for piece in unseen)


def _pieces(textpage: Any) -> Iterator[_Piece]:
    whole, count = handle(textpage), textpage.count_chars()
    start = 0
    while start < count:
        item = text_object(whole, start)
        if not item:  # a space or a line end that pdfium put in
            start += 1
            continue
        end, stride = start + 1, _STRIDE
        # Many programs draw each letter by itself: then no look further ahead is needed.
        following = text_object(whole, end) if end < count else None
        if following and following != item:
            stride = 0
        while end < count and stride:
            ahead = min(end + stride, count) - 1
            if text_object(whole, ahead) == item:
                end = ahead + 1
            else:
                stride //= 2
        yield _Piece(start, end, item)
        start = end


def _drawn(item: int, colours: Colours) -> Literal["seen", "invisible", "light"]:
    mode = render_mode(item)
    if mode in _INVISIBLE_MODES:
        return "invisible"
    if mode not in _FILLED_MODES:
        return "seen"  # outlines alone
    colour = colours.fill(item)
    if colour is None:
        return "seen"
    if colour[3] < _FAINT:
        return "invisible"
    return "light" if min(colour[:3]) >= _LIGHT else "seen"


def shown_box(page: Any) -> Box:
    """(left, bottom, right, top) of the part of the page that is shown, before its rotation."""
    rect = pdfium_c.FS_RECTF()
    if pdfium_c.FPDF_GetPageBoundingBox(page, rect):
        return rect.left, rect.bottom, rect.right, rect.top
    width, height = page.get_size()
    return 0.0, 0.0, width, height


def _is_off_or_tiny(piece: _Piece, box: Box, textpage: Any, shown: Box) -> bool:
    if box[2] < shown[0] or box[0] > shown[2] or box[3] < shown[1] or box[1] > shown[3]:
        return True
    # The box of a character is as high as its font, and on a line that runs upwards as wide.
    return min(box[2] - box[0], box[3] - box[1]) < _TINY and pdfium_c.FPDFText_GetFontSize(textpage, piece.start) > 0


def _boxes(pieces: Sequence[_Piece], textpage: Any) -> list[Box | None]:
    """Of the first and the last character of each together."""
    ends = char_boxes(textpage, [index for piece in pieces for index in (piece.start, piece.end - 1)])
    return [
        (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])) if a and b else None
        for a, b in zip(ends[::2], ends[1::2], strict=True)
    ]


def _pictures(page: Any) -> list[Box]:
    """Where its pictures lie; for one within a group of drawings, where the group lies."""
    found: list[Box] = []
    handle = page.raw
    for n in range(min(pdfium_c.FPDFPage_CountObjects(handle), _MAX_OBJECTS)):
        item = pdfium_c.FPDFPage_GetObject(handle, n)
        kind = pdfium_c.FPDFPageObj_GetType(item)
        if kind == pdfium_c.FPDF_PAGEOBJ_IMAGE or (kind == pdfium_c.FPDF_PAGEOBJ_FORM and _holds_picture(item)):
            bounds = _bounds(item)
            if bounds is not None:
                found.append(bounds)
    return found


def _holds_picture(form: Any, depth: int = 0) -> bool:
    for n in range(min(pdfium_c.FPDFFormObj_CountObjects(form), _MAX_OBJECTS)):
        inner = pdfium_c.FPDFFormObj_GetObject(form, n)
        kind = pdfium_c.FPDFPageObj_GetType(inner)
        if kind == pdfium_c.FPDF_PAGEOBJ_IMAGE:
            return True
        if kind == pdfium_c.FPDF_PAGEOBJ_FORM and depth < _MAX_DEPTH and _holds_picture(inner, depth + 1):
            return True
    return False


def _lies_on(box: Box | None, pictures: Sequence[Box]) -> bool:
    if box is None:
        return True
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return any(_holds(picture, x, y) for picture in pictures)


def _is_scan(shown: Box, pictures: Sequence[Box]) -> bool:
    area = max((shown[2] - shown[0]) * (shown[3] - shown[1]), 1.0)
    return any((right - left) * (top - bottom) > _SCAN * area for left, bottom, right, top in pictures)


def _on_dark(page: Any, textpage: Any, pieces: Sequence[_Piece]) -> list[bool]:
    """For each piece whether the last area that was filled below it is dark, as of a table's head: so that is seen without
    a picture of the page, which takes longer than all else."""
    boxes = _boxes(pieces, textpage)
    dark = [False] * len(pieces)
    if len(pieces) > _MAX_COMPARED:
        return dark
    paths, colours = page_objects(page, pdfium_c.FPDF_PAGEOBJ_PATH, _MAX_OBJECTS), Colours()
    for path, bounds in zip(paths, object_boxes(paths), strict=True):
        colour = colours.fill(path)
        if bounds is None or colour is None or not colours.path_mode(path)[0]:
            continue
        is_dark = colour[3] > _OPAQUE and min(colour[:3]) < _DARK
        for i, box in enumerate(boxes):
            if box is not None and _holds(bounds, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2):
                dark[i] = is_dark
    return dark


def _bounds(item: Any) -> Box | None:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not pdfium_c.FPDFPageObj_GetBounds(item, left, bottom, right, top):
        return None
    return left.value, bottom.value, right.value, top.value


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _without_contrast(page: Any, textpage: Any, pieces: Sequence[_Piece]) -> Iterator[_Piece]:
    """Those of ``pieces`` of which nothing is to be seen on a picture of the page."""
    width, height = page.get_size()
    scale = min(_LOOK_DPI / 72, (_MAX_LOOK_PIXELS / max(width * height, 1.0)) ** 0.5)
    image = page.render(scale=scale, grayscale=True, may_draw_forms=False, draw_annots=False).to_pil().convert("L")
    for piece, box in zip(pieces, _boxes(pieces, textpage), strict=True):
        if box is None:
            continue
        (x0, y0), (x1, y1) = (_pixel(page, image.size, x, y) for x, y in ((box[0], box[1]), (box[2], box[3])))
        left, top, right, bottom = min(x0, x1), min(y0, y1), max(x0, x1) + 1, max(y0, y1) + 1
        # Not what stands beside it: the boxes of neighbours touch.
        dx, dy = min(_INSET, (right - left) // 4), min(_INSET, (bottom - top) // 4)
        left, top, right, bottom = left + dx, top + dy, right - dx, bottom - dy
        shown = image.crop((max(left, 0), max(top, 0), min(right, image.width), min(bottom, image.height)))
        if not shown.width or not shown.height:
            continue
        darkest, lightest = shown.getextrema()
        if lightest - darkest < _CONTRAST:
            yield piece


def _pixel(page: Any, size: tuple[int, int], x: float, y: float) -> tuple[int, int]:
    px, py = ctypes.c_int(), ctypes.c_int()
    pdfium_c.FPDF_PageToDevice(page, 0, 0, size[0], size[1], 0, x, y, px, py)
    return px.value, py.value
