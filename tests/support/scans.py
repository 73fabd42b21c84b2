"""Pictures of text, as scanners and cameras make them, drawn with the font that Pillow brings."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from ingest.parse.ocr import missing_ocr
from tests.support.drawn_pdfs import Draw

needs_ocr = pytest.mark.skipif(bool(missing_ocr("eng")), reason="no OCR with English is installed here")

LETTER = [
    "The harbour office was opened in March by the mayor",
    "and closed again before the summer had ended.",
    "Nobody could say why the keys were missing.",
]


def scan(
    texts: Sequence[str] = LETTER, *, turned: float = 0.0, size: int = 34, width: int = 1240, height: int = 600
) -> Any:
    """A grey picture of lines of text, as of a page at 150 dots per inch, turned counter-clockwise by degrees."""
    image = Image.new("L", (width, height), 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for n, text in enumerate(texts):
        draw.text((80, 80 + n * size * 1.6), text, fill=0, font=font)
    return image.rotate(turned, Image.Resampling.BICUBIC, expand=True, fillcolor=255) if turned else image


def saved(image: Any, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def scanned(image: Any) -> Draw:
    """A page that is filled with ``image``, its proportions kept."""

    def draw(canvas: Canvas) -> None:
        scale = min(A4[0] / image.width, A4[1] / image.height)
        width, height = image.width * scale, image.height * scale
        canvas.drawImage(ImageReader(image), 0, A4[1] - height, width, height)

    return draw
