"""What stands on a page of a PDF beside its text: values of form fields, notes, and what was highlighted.

Hidden fields and annotations are left out, since nobody who looks at the page sees them; so are the values of fields
for passwords. Highlighted words are in the page's text already: they are repeated only where a comment quotes them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.parse.clean import clean, one_line
from ingest.parse.document import ParseWarning

_MAX_MARKS = 2000  # of one page
_MAX_OPTIONS = 500  # of a list in a form
_MAX_STRING = 2**17  # bytes of a value or a note
_MAX_QUADS = 100
_HIDDEN = pdfium_c.FPDF_ANNOT_FLAG_HIDDEN | pdfium_c.FPDF_ANNOT_FLAG_NOVIEW
_PASSWORD = 1 << 13  # flag of a text field (ISO 32000-1, table 228)
_UNCHECKED = frozenset(["", "Off"])
_CHECKED = frozenset(["Yes", "On", "1", "true", "True"])
_QUOTING = frozenset(
    [
        pdfium_c.FPDF_ANNOT_HIGHLIGHT,
        pdfium_c.FPDF_ANNOT_UNDERLINE,
        pdfium_c.FPDF_ANNOT_SQUIGGLY,
        pdfium_c.FPDF_ANNOT_STRIKEOUT,
    ]
)
_COMMENTING = _QUOTING | {
    pdfium_c.FPDF_ANNOT_TEXT, pdfium_c.FPDF_ANNOT_LINE, pdfium_c.FPDF_ANNOT_SQUARE, pdfium_c.FPDF_ANNOT_CIRCLE,
    pdfium_c.FPDF_ANNOT_POLYGON, pdfium_c.FPDF_ANNOT_POLYLINE, pdfium_c.FPDF_ANNOT_STAMP, pdfium_c.FPDF_ANNOT_CARET,
    pdfium_c.FPDF_ANNOT_INK,
}  # fmt: skip


class PageMarks:
    """Collects the marks of one page; ``notes`` and ``highlights`` are as of ``RawPage``."""

    def __init__(self, formenv: Any, page: Any, textpage: Any) -> None:
        self._formenv, self._page, self._textpage = formenv, page, textpage
        # (label, value) by the field's full name, of which a page may show several widgets; by number of one without a name.
        self._fields: dict[str | int, tuple[str, str]] = {}
        self._remarks: list[str] = []
        self.highlights: list[str] = []

    @property
    def notes(self) -> str:
        fields = "\n".join(f"{label}: {value}" for label, value in self._fields.values())
        return "\n\n".join(part for part in (fields, *self._remarks) if part)

    def read(self, number: int) -> ParseWarning | None:
        """Reads them; the warning says that there are too many."""
        count = pdfium_c.FPDFPage_GetAnnotCount(self._page)
        for index in range(min(count, _MAX_MARKS)):
            annotation = pdfium_c.FPDFPage_GetAnnot(self._page, index)
            if not annotation:
                continue
            try:
                if not pdfium_c.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
                    self._read(annotation, pdfium_c.FPDFAnnot_GetSubtype(annotation), index)
            finally:
                pdfium_c.FPDFPage_CloseAnnot(annotation)
        if count <= _MAX_MARKS:
            return None
        message = f"of the {count:,} annotations on page {number} the first {_MAX_MARKS:,} were read"
        return ParseWarning("annotations", message, number, True)

    def _read(self, annotation: Any, subtype: int, index: int) -> None:
        if subtype == pdfium_c.FPDF_ANNOT_WIDGET:
            if self._formenv is not None:
                self._read_field(annotation, index)
        elif subtype == pdfium_c.FPDF_ANNOT_FREETEXT:
            text = _key(annotation, b"Contents")
            if text:
                self._remarks.append(text)
        elif subtype in _COMMENTING:
            quote = self._quoted(annotation) if subtype in _QUOTING else ""
            comment, author = _key(annotation, b"Contents"), one_line(_key(annotation, b"T"), 100)
            if comment and _bare(comment) != _bare(quote):
                who = f" ({author})" if author else ""
                where = f" on “{quote}”" if quote else ""
                self._remarks.append(f"Note{who}{where}: {comment}")
            elif quote:
                self.highlights.append(quote)

    def _read_field(self, annotation: Any, index: int) -> None:
        environment = self._formenv
        kind = pdfium_c.FPDFAnnot_GetFormFieldType(environment, annotation)

        def ask(function: Callable[..., int]) -> str:
            return _string(lambda buffer, size: function(environment, annotation, buffer, size))

        name = ask(pdfium_c.FPDFAnnot_GetFormFieldName)
        # What a person is told of the field; several may be told the same.
        label = one_line(ask(pdfium_c.FPDFAnnot_GetFormFieldAlternateName) or name, 300) or "Field"
        value = ask(pdfium_c.FPDFAnnot_GetFormFieldValue)
        match kind:
            case _ if kind < 0:  # pdfium takes a field without a name for none: what it holds stands with its widget
                flags = ctypes.c_float()
                pdfium_c.FPDFAnnot_GetNumberValue(annotation, b"Ff", flags)
                label = one_line(_key(annotation, b"TU"), 300) or label
                value = "" if int(flags.value) & _PASSWORD else _key(annotation, b"V")
            case pdfium_c.FPDF_FORMFIELD_TEXTFIELD:
                if pdfium_c.FPDFAnnot_GetFormFieldFlags(environment, annotation) & _PASSWORD:
                    return
            case pdfium_c.FPDF_FORMFIELD_COMBOBOX | pdfium_c.FPDF_FORMFIELD_LISTBOX:
                value = ", ".join(self._selected(annotation)) or value
            case pdfium_c.FPDF_FORMFIELD_CHECKBOX:
                value = "no" if value in _UNCHECKED else "yes" if value in _CHECKED else value
            case pdfium_c.FPDF_FORMFIELD_RADIOBUTTON:
                value = "" if value in _UNCHECKED else value
            case _:  # a button to press, a signature
                return
        if value:
            self._fields.setdefault(name or index, (label, value))

    def _selected(self, annotation: Any) -> list[str]:
        environment = self._formenv

        def label(index: int) -> str:
            return _string(
                lambda buffer, size: pdfium_c.FPDFAnnot_GetOptionLabel(environment, annotation, index, buffer, size)
            )

        count = min(pdfium_c.FPDFAnnot_GetOptionCount(environment, annotation), _MAX_OPTIONS)
        return [label(i) for i in range(count) if pdfium_c.FPDFAnnot_IsOptionSelected(environment, annotation, i)]

    def _quoted(self, annotation: Any) -> str:
        """The words under the marked quadrilaterals, one of which covers one line."""
        points = pdfium_c.FS_QUADPOINTSF()
        parts = [
            self._under(points)
            for index in range(min(pdfium_c.FPDFAnnot_CountAttachmentPoints(annotation), _MAX_QUADS))
            if pdfium_c.FPDFAnnot_GetAttachmentPoints(annotation, index, points)
        ]
        return one_line(" ".join(parts), 2000)

    def _under(self, points: Any) -> str:
        xs, ys = (points.x1, points.x2, points.x3, points.x4), (points.y1, points.y2, points.y3, points.y4)
        margin = 0.2 * (max(ys) - min(ys))  # marks reach into the lines above and below
        box = (min(xs), max(ys) - margin, max(xs), min(ys) + margin)
        count = pdfium_c.FPDFText_GetBoundedText(self._textpage, *box, None, 0)
        if not 0 < count < _MAX_STRING:
            return ""
        buffer = (ctypes.c_ushort * (count + 1))()
        pdfium_c.FPDFText_GetBoundedText(self._textpage, *box, buffer, count)
        return bytes(buffer).decode("utf-16-le", "replace").replace("\0", "")


def _key(annotation: Any, key: bytes) -> str:
    return _string(lambda buffer, size: pdfium_c.FPDFAnnot_GetStringValue(annotation, key, buffer, size))


def _string(get: Callable[[Any, int], int]) -> str:
    """A string that pdfium hands out in UTF-16, asked twice: for its size in bytes, and for itself."""
    size = get(None, 0)
    if not 2 < size <= _MAX_STRING:
        return ""
    buffer = (ctypes.c_ushort * (size // 2 + 1))()
    get(buffer, size)
    return clean(bytes(buffer).decode("utf-16-le", "replace").replace("\0", "").replace("\r", "\n")).strip()


def _bare(text: str) -> str:
    return "".join(text.split())
