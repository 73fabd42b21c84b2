"""The functions of pdfium that are called thousands of times a page, in half the time that pypdfium2's own take.

pypdfium2 declares handles and places as typed pointers, for each of which ctypes makes an object and checks it. Here they
are whole numbers. What is called once a page is called through pypdfium2, as everywhere.

Boxes are (left, bottom, right, top) in PDF points, before the page's rotation. A handle is good for as long as the page,
or text page, that it was asked of is open: keep that while you keep the handle.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from itertools import repeat
from typing import Any, TypeAlias

import pypdfium2.raw as pdfium_c

Box: TypeAlias = tuple[float, float, float, float]
Colour: TypeAlias = tuple[int, int, int, int]  # red, green, blue and opacity, each of 255

_FLOAT = ctypes.sizeof(ctypes.c_float)
_INT = ctypes.sizeof(ctypes.c_uint)
_BOX_BYTES = 4 * _FLOAT
_FONT_NAME_BYTES = 128
_FOUR_FLOATS = struct.Struct("=4f")
_FOUR_INTS = struct.Struct("=4I")


def handle(thing: Any) -> int:
    """The address of a page or text page of pypdfium2, of a raw pointer, or of a function."""
    return ctypes.cast(getattr(thing, "raw", thing), ctypes.c_void_p).value or 0


def _by_numbers(function: Any, result: Any, *arguments: Any) -> Any:
    """``function`` of pypdfium2 with other types. It keeps the interpreter: letting go of it takes longer than the call."""
    return ctypes.PYFUNCTYPE(result, *arguments)(handle(function))


_P, _I = ctypes.c_void_p, ctypes.c_int
_loose_box = _by_numbers(pdfium_c.FPDFText_GetLooseCharBox, _I, _P, _I, _P)
_font_info = _by_numbers(pdfium_c.FPDFText_GetFontInfo, ctypes.c_ulong, _P, _I, _P, ctypes.c_ulong, _P)
_object_at = _by_numbers(pdfium_c.FPDFPage_GetObject, _P, _P, _I)
_bounds = _by_numbers(pdfium_c.FPDFPageObj_GetBounds, _I, _P, _P, _P, _P, _P)
_fill_colour = _by_numbers(pdfium_c.FPDFPageObj_GetFillColor, _I, _P, _P, _P, _P, _P)
_draw_mode = _by_numbers(pdfium_c.FPDFPath_GetDrawMode, _I, _P, _P, _P)
kind_of = _by_numbers(pdfium_c.FPDFPageObj_GetType, _I, _P)  # of a page object's handle
render_mode = _by_numbers(pdfium_c.FPDFTextObj_GetTextRenderMode, _I, _P)  # of a text object's handle
# (text page's handle, pdfium's index of a character) -> handle; None for a space or line end that pdfium put in
text_object = _by_numbers(pdfium_c.FPDFText_GetTextObject, _P, _P, _I)


def char_boxes(textpage: Any, indexes: Sequence[int]) -> list[Box | None]:
    """The box of each of these characters, as high as its font; None for one that has no place.

    Args:
        indexes: pdfium's, of the page's characters.
    """
    n = len(indexes)
    room = (ctypes.c_float * (4 * n))()
    begin = ctypes.addressof(room)
    known = list(
        map(_loose_box, repeat(handle(textpage)), indexes, range(begin, begin + n * _BOX_BYTES, _BOX_BYTES))
    )  # pdfium writes left, top, right, bottom
    return [
        (left, bottom, right, top) if ok else None
        for ok, (left, top, right, bottom) in zip(known, _FOUR_FLOATS.iter_unpack(room), strict=True)
    ]


def font_names(textpage: Any, indexes: Sequence[int]) -> list[bytes]:
    """The name of the font of each of these characters; b"" for one that has none, or one too long to be a name."""
    room, flags = ctypes.create_string_buffer(_FONT_NAME_BYTES), ctypes.c_int()
    arguments = (ctypes.addressof(room), _FONT_NAME_BYTES, ctypes.addressof(flags))
    whole = handle(textpage)
    return [room.value if 0 < _font_info(whole, index, *arguments) <= _FONT_NAME_BYTES else b"" for index in indexes]


def page_objects(page: Any, kind: int, most: int) -> list[int]:
    """The handles of the objects of one kind (``FPDF_PAGEOBJ_…``) that lie on the page itself, of its first ``most``."""
    count = min(pdfium_c.FPDFPage_CountObjects(page), most)
    items = list(map(_object_at, repeat(handle(page)), range(count)))
    return [item for item, found in zip(items, map(kind_of, items), strict=True) if found == kind]


def object_boxes(items: Sequence[int]) -> list[Box | None]:
    """Where page objects lie, by their handles; None for one that has no place."""
    n = len(items)
    room = (ctypes.c_float * (4 * n))()
    begin = ctypes.addressof(room)
    columns = (range(b, b + n * _BOX_BYTES, _BOX_BYTES) for b in range(begin, begin + _BOX_BYTES, _FLOAT))
    known = list(map(_bounds, items, *columns))
    return [box if ok else None for ok, box in zip(known, _FOUR_FLOATS.iter_unpack(room), strict=True)]


class Colours:
    """Asks how objects are filled and drawn."""

    def __init__(self) -> None:
        self._room = (ctypes.c_uint * 4)()
        self._at = tuple(range(ctypes.addressof(self._room), ctypes.addressof(self._room) + 4 * _INT, _INT))

    def fill(self, item: int) -> Colour | None:
        """The colour that a text or path object is filled with; None if it has none."""
        return _FOUR_INTS.unpack_from(self._room) if _fill_colour(item, *self._at) else None

    def path_mode(self, item: int) -> tuple[bool, bool]:
        """Whether a path is filled, and whether its outline is drawn."""
        if not _draw_mode(item, self._at[0], self._at[1]):
            return False, False
        return self._room[0] != 0, self._room[1] != 0
