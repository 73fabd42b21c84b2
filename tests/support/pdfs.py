"""PDF files that a test builds for itself."""

from __future__ import annotations

import io
from collections.abc import Sequence

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate


def pdf(pages: Sequence[Sequence[str]], *, title: str = "") -> bytes:
    """A PDF with one list of paragraphs per page."""
    out = io.BytesIO()
    style = getSampleStyleSheet()["BodyText"]
    story: list[object] = []
    for number, paragraphs in enumerate(pages):
        if number:
            story.append(PageBreak())
        story += [Paragraph(text, style) for text in paragraphs]
    SimpleDocTemplate(out, pagesize=A4, title=title, invariant=1).build(story)
    return out.getvalue()
