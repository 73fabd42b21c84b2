"""PDFs for tests, drawn with reportlab."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

Draw = Callable[[Canvas], None]


def pdf(*pages: Draw, title: str = "", author: str = "", encrypt: object = None, invariant: int = 1) -> bytes:
    """A PDF whose pages are drawn by the given functions."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, encrypt=encrypt, invariant=invariant)
    if title:
        canvas.setTitle(title)
    if author:
        canvas.setAuthor(author)
    for draw in pages:
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def lines(
    texts: Sequence[str],
    *,
    x: float = 72,
    y: float = 760,
    size: float = 11,
    leading: float = 13,
    font: str = "Helvetica",
) -> Draw:
    """Lines from the top; an empty one leaves a gap."""

    def draw(canvas: Canvas) -> None:
        at = y
        canvas.setFont(font, size)
        for text in texts:
            if text:
                canvas.drawString(x, at, text)
            at -= leading

    return draw


def both(*draws: Draw) -> Draw:
    def draw(canvas: Canvas) -> None:
        for one in draws:
            one(canvas)

    return draw


def image(width: int = 400, height: int = 500) -> Draw:
    """A picture that fills the page, as a scan does."""

    def draw(canvas: Canvas) -> None:
        canvas.drawImage(ImageReader(Image.new("L", (width, height), 200)), 0, 0, *A4)

    return draw


def blank(canvas: Canvas) -> None:
    pass
