"""A picture of a page with passages marked, whatever the page came from: a PDF with text, a scan, an image file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ingest.parse.sniff import is_picture

MARK = (255, 214, 10, 96)  # a translucent yellow


def page_png(
    path: Path,
    number: int,
    page_text: str,
    passages: Sequence[Sequence[int]],
    width_px: int,
    *,
    password: str | None = None,
    words: str = "",
) -> bytes:
    """A PNG of page ``number`` (1-based), ``width_px`` wide.

    Args:
        page_text: the stored text of the page.
        passages: (start, end) in ``page_text``, to be marked.
        words: of a page that was read by OCR, the places of its words: see ``ocr_page.pack_words``.

    Raises:
        NotFound: there is no such page.
        InvalidRequest: the width is out of bounds.
    """
    if not words and not is_picture(path):
        from ingest.parse.pdf_page import render_page, text_boxes

        boxes = [
            box
            for start, end in passages
            for box in text_boxes(path, number, start, end, page_text=page_text, password=password)
        ]
        return render_page(path, number, boxes, width_px, password=password)
    from ingest.parse.ocr_page import WHOLE, passage_boxes, unpack_words

    image = _shown(path, number, width_px, password)
    placed = unpack_words(words) if words else []
    scale_x, scale_y = image.width / WHOLE, image.height / WHOLE
    marks = [
        (left * scale_x - 1, top * scale_y - 1, right * scale_x + 1, bottom * scale_y + 1)
        for start, end in passages
        for left, top, right, bottom in passage_boxes(placed, start, end)
    ]
    return png_with_marks(image, marks)


def _shown(path: Path, number: int, width_px: int, password: str | None) -> Any:
    if is_picture(path):
        from ingest.parse.picture import frame_image

        return frame_image(path, number, width_px)
    from ingest.parse.pdf_page import page_picture

    return page_picture(path, number, width_px, password=password)


def png_with_marks(image: Any, marks: Sequence[tuple[float, float, float, float]]) -> bytes:
    """``image`` as a PNG, with ``marks`` (left, top, right, bottom in its pixels) in translucent yellow."""
    from PIL import Image, ImageDraw

    if marks:
        image = image.convert("RGBA")
        layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
        draw = ImageDraw.Draw(layer)
        for mark in marks:
            draw.rectangle(mark, fill=MARK)
        image = Image.alpha_composite(image, layer)
    out = io.BytesIO()
    image.convert("RGB").save(out, "PNG", optimize=False)
    return out.getvalue()
