"""Image files as documents: each frame is a page whose text OCR reads.

Only the four kinds below are opened, whatever else Pillow knows. How large a picture will be is looked at before it is
unpacked: a few kilobytes may promise gigabytes.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from core.errors import EmptyDocument, NotFound, OpenbookError, ParseFailed, TooLarge
from ingest.parse.clean import title_from_filename
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.kinds import MIME_TYPES, NAMES
from ingest.parse.ocr import OcrReader
from ingest.parse.pdf_headings import headings_from_lines
from ingest.parse.pdf_join import RawPage, join_pages
from ingest.parse.pdf_ocr import WITHOUT_TEXT, read_looked_at
from ingest.parse.source import File
from ingest.parse.text import check_characters

PictureKind = Literal["png", "jpeg", "tiff", "webp"]

_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
_MAX_PIXELS = 80_000_000  # of a frame in grey: A3 at 600 dots per inch has 70 million
_MAX_UNPACKED_BYTES = 208 * 2**20  # of a frame: 54 million pixels in colour, which take four bytes each
_ONE_BYTE = frozenset(["1", "L", "P"])
_DEEP = frozenset(["I", "F", "I;16", "I;16B", "I;16L", "I;16N"])
_ORIENTATION = 0x0112  # tag of Exif
_READ_PIXELS = 20_000_000  # a larger picture is made smaller for OCR
_DPI = 300
_SCREEN_DPI = 150  # taken where a picture does not say: letters of screens and photographs are small
_MAX_GROWTH = 3.0
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, TypeError)


def parse_picture(
    kind: PictureKind,
    file: File,
    filename: str,
    limits: ParseLimits,
    progressed: Callable[[], None],
    ocr: Callable[[], OcrReader],
) -> ParsedDocument:
    """The text in a picture; see ``parse_file``.

    Raises:
        EmptyDocument: OCR found no text, or there is no OCR; the message says which.
        TooLarge: more pixels or frames than are read.
        ParseFailed: damaged.
    """
    reader = ocr()
    pages: list[RawPage] = []
    characters = 0
    with _opened(file, filename) as image:
        for number in _frames(image, filename, limits):
            problem = ParseWarning("page-is-image", f"page {number} is an image", number, True)
            page = RawPage(number, "", [], problem, is_image=True)
            try:
                _check_size(image, filename)
            except TooLarge as e:
                if number == 1:
                    raise
                page.problem = ParseWarning("page-too-large", e.message, number, True)
            else:
                read_looked_at(page, reader, lambda: _for_ocr(image))
            characters += len(page.text)
            check_characters(characters, filename, limits)
            pages.append(page)
            progressed()
    if not any(page.lines for page in pages):
        raise _empty(kind, filename, pages)
    joined = join_pages(pages)
    return ParsedDocument(
        text=joined.text,
        title=title_from_filename(filename),
        mime_type=MIME_TYPES[kind],
        pages=tuple(joined.spans),
        headings=headings_from_lines(joined.lines, joined.line_starts, joined.lines),
        metadata={"page_count": len(pages), **joined.ocr_metadata(pages)},
        warnings=tuple(page.problem for page in pages if page.problem),
    )


def frame_image(file: File, number: int, width_px: int) -> Any:
    """Frame ``number`` (1-based) as a PIL image in RGB, upright, ``width_px`` wide.

    Raises:
        NotFound: there is no such frame.
    """
    from PIL import Image

    from ingest.parse.pdf_page import check_width

    check_width(width_px)
    with _opened(file, "the picture") as image:
        try:
            image.seek(number - 1)
        except EOFError as e:
            raise NotFound(f"there is no page {number}") from e
        _check_size(image, "the picture")
        if image.format == "JPEG":
            image.draft("RGB", (width_px, 1))
        elif image.mode in ("RGB", "RGBA", "L") and image.width >= 4 * width_px:
            image.thumbnail((2 * width_px, image.height), Image.Resampling.BOX)
        shown = _upright(image, grey=False).convert("RGB")
    height = max(1, round(shown.height * width_px / shown.width))
    if height > 10 * width_px + 1000:  # a banner
        raise NotFound(f"page {number} is too long to be shown")
    return shown.resize((width_px, height), Image.Resampling.BILINEAR, reducing_gap=2.0)


def picture_size(file: File, filename: str) -> tuple[int, int]:
    """(width, height) in pixels that a picture says it has; nothing of it is unpacked.

    Raises:
        ParseFailed, TooLarge: as of ``parse_picture``.
    """
    with _opened(file, filename) as image:
        return image.width, image.height


@contextmanager
def _opened(file: File, filename: str) -> Iterator[Any]:
    from PIL import Image, UnidentifiedImageError

    with file.open("rb") as data, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's word on sizes and on odd tags: sizes are checked here
        try:
            with Image.open(data, formats=_FORMATS) as image:
                yield image
        except OpenbookError:
            raise
        except Image.DecompressionBombError as e:
            raise TooLarge(f"{filename} is larger than pictures that are read: {e}", code="image-too-large") from e
        except UnidentifiedImageError as e:  # its message names the file on this disk
            raise ParseFailed(
                f"{filename} is a picture too damaged to be opened: download it again", code="damaged"
            ) from e
        except _BROKEN as e:
            raise ParseFailed(
                f"{filename} is a damaged picture ({e}): save or download it again", code="damaged"
            ) from e


def _frames(image: Any, filename: str, limits: ParseLimits) -> Iterator[int]:
    """Goes through the frames, of WebP and PNG (which may be animated) the first alone."""
    yield 1
    if image.format != "TIFF":
        return
    for number in range(2, limits.max_pages + 2):
        try:
            image.seek(number - 1)
        except EOFError:
            return
        if number > limits.max_pages:
            raise TooLarge(
                f"{filename} has more than {limits.max_pages:,} pages: split it, or raise max_pages in the settings",
                code="too-many-pages",
            )
        yield number


def _check_size(image: Any, filename: str) -> None:
    pixels = image.width * image.height
    limit = min(_MAX_PIXELS, _MAX_UNPACKED_BYTES // _bytes_per_pixel(image))
    if pixels > limit:
        raise TooLarge(
            f"{filename} has {image.width:,} × {image.height:,} pixels, over the limit of {limit // 10**6} million: "
            f"make it smaller{'' if image.mode in _ONE_BYTE else ', or grey'}",
            code="image-too-large",
        )


def _bytes_per_pixel(image: Any) -> int:
    """At the worst moment of reading it."""
    if image.mode in _DEEP:
        return 10  # it passes through 32 bits twice
    return 1 if image.mode in _ONE_BYTE and "transparency" not in image.info else 4


def _upright(image: Any, *, grey: bool) -> Any:
    """The frame as it is to be seen: turned as its camera says, on white where it is transparent."""
    from PIL import Image, ImageOps

    turned = image if image.getexif().get(_ORIENTATION, 1) in (0, 1) else ImageOps.exif_transpose(image)
    if turned.mode in _DEEP:  # Pillow would cut them off at 255
        values = turned if turned.mode == "F" else turned.convert("I").convert("F")
        low, high = (float(v) for v in values.getextrema() if not isinstance(v, tuple))
        scale = 255.0 / max(high - low, 1.0)
        return values.point(lambda v: v * scale - low * scale).convert("L")
    if "transparency" in turned.info:
        turned = turned.convert("RGBA")
    if "A" in turned.getbands():
        kind = "L" if grey or turned.mode == "LA" else "RGB"
        return Image.composite(turned.convert(kind), Image.new(kind, turned.size, "white"), turned.getchannel("A"))
    return turned.convert("L" if grey else "RGB")


def _for_ocr(image: Any) -> tuple[Any, int]:
    """The picture in grey, of a size that OCR reads well, and its dots per inch."""
    from PIL import Image

    dpi = _dpi(image)
    if image.format == "JPEG":
        image.draft("L", image.size)  # its colours are never unpacked
    grey = _upright(image, grey=True)
    scale = min(max(_DPI / dpi, 1.0), _MAX_GROWTH)
    scale = min(scale, (_READ_PIXELS / (grey.width * grey.height)) ** 0.5)
    if abs(scale - 1.0) > 0.05:
        size = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
        grey = grey.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
        dpi = round(dpi * scale)
    return grey, max(dpi, 70)


def _dpi(image: Any) -> int:
    """What the picture says of itself if that can be true of a page, else a guess."""
    try:
        said = float(max(image.info.get("dpi", (0, 0))))
    except (TypeError, ValueError, ZeroDivisionError):
        said = 0.0
    # 72 and 96 are what programs write that know nothing; a page is at least two inches wide.
    if 100 <= said <= 1200 and 2 <= image.width / said <= 60:
        return round(said)
    return _SCREEN_DPI if max(image.size) < 2000 else _DPI


def _empty(kind: PictureKind, filename: str, pages: list[RawPage]) -> EmptyDocument:
    problem = pages[0].problem
    reason = problem.message.partition("is an image")[2].strip() if problem is not None else ""
    if not reason and problem is not None:
        return EmptyDocument(f"{filename} has no text: {problem.message}", code="scanned")
    if problem is not None and not problem.lost:
        return EmptyDocument(f"{filename} is {NAMES[kind]} {reason}", code=WITHOUT_TEXT)
    return EmptyDocument(f"{filename} is {NAMES[kind]} {reason or 'without text'}", code="scanned")
