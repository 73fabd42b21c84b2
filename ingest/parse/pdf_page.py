"""Where a passage lies on its page, and a picture of the page with the passage marked.

The stored text differs from what pdfium gives: lines are joined, hyphens and ligatures resolved. So the two are
aligned at the time of asking, character by character (``pdf_places``), rather than by a stored map: it stays right when a
later version of the parser joins lines in another way, and for text that the second reader got.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pypdfium2.raw as pdfium_c

from core.errors import InvalidRequest, NotFound
from ingest.parse.pdf_places import page_places

Box: TypeAlias = tuple[float, float, float, float]  # x0, y0, x1, y1 in PDF points, origin at the lower left

MAX_WIDTH_PX = 4000
_MAX_PIXELS = 40_000_000


def text_boxes(
    pdf_path: Path, page: int, start: int, end: int, *, page_text: str | None = None, password: str | None = None
) -> list[Box]:
    """One box per line of a passage.

    Args:
        page: 1-based.
        start, end: code points of ``page_text``; to go from offsets in the document subtract ``PageSpan.start``.
            What lies outside of the page is ignored, so a passage that runs over two pages is asked for twice.
        page_text: the stored text of the page, ``document.text[span.start:span.end]``. Without it the page is read
            anew; then offsets may be off by one per hyphen at a line end, since those are judged by the whole document.
        password: of an encrypted file; without it the empty password is tried.

    Returns:
        Boxes in user space of the page (before its rotation); [] for a page whose text is not in the file.
    """
    from ingest.parse.pdf import open_pdf, read_page_text

    with open_pdf(pdf_path, pdf_path.name, password) as document:
        pdf_page = _page(document, page)
        textpage = pdf_page.get_textpage()
        try:
            stored = read_page_text(document, page) if page_text is None else page_text
            rotation = pdfium_c.FPDFPage_GetRotation(pdf_page)
            return _boxes(pdf_page, textpage, stored, max(0, start), min(end, len(stored)), rotation)
        finally:
            textpage.close()
            pdf_page.close()


def render_page(
    pdf_path: Path, page: int, boxes: Sequence[Box] = (), width_px: int = 1000, *, password: str | None = None
) -> bytes:
    """A PNG of the page, ``width_px`` wide (the page as displayed, so after its rotation), with ``boxes`` marked."""
    from ingest.parse.page_image import png_with_marks
    from ingest.parse.pdf import open_pdf

    with open_pdf(pdf_path, pdf_path.name, password) as document:
        pdf_page = _page(document, page)
        try:
            image = _rendered(pdf_page, width_px)
            return png_with_marks(image, [_pixels(pdf_page, box, image.size) for box in boxes])
        finally:
            pdf_page.close()


def page_picture(pdf_path: Path, page: int, width_px: int, *, password: str | None = None) -> Any:
    """The page as displayed, as a PIL image ``width_px`` wide."""
    from ingest.parse.pdf import open_pdf

    with open_pdf(pdf_path, pdf_path.name, password) as document:
        pdf_page = _page(document, page)
        try:
            return _rendered(pdf_page, width_px)
        finally:
            pdf_page.close()


def check_width(width_px: int) -> None:
    if not 16 <= width_px <= MAX_WIDTH_PX:
        raise InvalidRequest(f"a width of {width_px} pixels is not possible: choose 16 to {MAX_WIDTH_PX}")


def _rendered(pdf_page: Any, width_px: int) -> Any:
    check_width(width_px)
    width, height = pdf_page.get_size()
    scale = width_px / max(width, 1.0)
    # A page of the height of a banner would need gigabytes.
    scale *= min(1.0, (_MAX_PIXELS / max(width * height * scale * scale, 1.0)) ** 0.5)
    return pdf_page.render(scale=scale).to_pil().copy()


def _page(document: Any, number: int) -> Any:
    if not 1 <= number <= len(document):
        raise NotFound(f"there is no page {number}: the document has pages 1 to {len(document)}")
    return document[number - 1]


def _pixels(page: Any, box: Box, size: tuple[int, int]) -> tuple[float, float, float, float]:
    import ctypes

    corners = []
    for x, y in ((box[0], box[1]), (box[2], box[3])):
        px, py = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDF_PageToDevice(page, 0, 0, size[0], size[1], 0, x, y, px, py)
        corners.append((px.value, py.value))
    (xa, ya), (xb, yb) = corners
    return min(xa, xb) - 1, min(ya, yb) - 1, max(xa, xb) + 1, max(ya, yb) + 1


def _boxes(page: Any, textpage: Any, page_text: str, start: int, end: int, rotation: int) -> list[Box]:
    from ingest.parse.pdf_hidden import seen_lines
    from ingest.parse.pdf_tables import find_tables, with_tables

    seen = seen_lines(page, textpage, rotation)
    text, indexes, lines = seen.text, seen.indexes, seen.lines
    tables = find_tables(textpage, lines, indexes, rotation) if "|-" in page_text else []
    ranges = [[(lines[n].start, lines[n].end) for n in table.lines] for table in tables]
    placed = [(t.markdown, t.places, r) for t, r in zip(tables, ranges, strict=True)]
    places = page_places(page_text, text, placed, with_tables(lines, tables))
    boxes: list[Box] = []
    for offset in range(start, end):
        place = places[offset]
        if place is None:
            continue
        box = _char_box(textpage, indexes[place] if indexes is not None else place)
        if box is not None:
            _extend(boxes, box)
    return boxes


def _char_box(textpage: Any, index: int) -> Box | None:
    rect = pdfium_c.FS_RECTF()
    if not pdfium_c.FPDFText_GetLooseCharBox(textpage, index, rect):
        return None
    box = (rect.left, rect.bottom, rect.right, rect.top)
    return box if box[2] > box[0] and box[3] > box[1] else None


def _extend(boxes: list[Box], box: Box) -> None:
    """Joins ``box`` to the last one if it goes on in the same line."""
    if boxes:
        x0, y0, x1, y1 = boxes[-1]
        height = max(y1 - y0, box[3] - box[1])
        same_line = min(y1, box[3]) - max(y0, box[1]) > 0.5 * min(y1 - y0, box[3] - box[1])
        near = -2 * height < box[0] - x1 < 3 * height or -2 * height < x0 - box[2] < 3 * height
        if same_line and near:
            boxes[-1] = (min(x0, box[0]), min(y0, box[1]), max(x1, box[2]), max(y1, box[3]))
            return
    boxes.append(box)
