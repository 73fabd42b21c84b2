"""Text in pictures, through tesseract's library: words with their places and how sure each one is.

It runs in the parsing child: nothing is started or written, the language data is only read. It knows pixels; what a
page of a PDF is, ``pdf_ocr`` knows. Without tesserocr or language data there is no reader, and ``missing_ocr`` says why.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.parse.document import ParseLimits

_PLACES = (  # where packages put the data: Debian 12 and 13, others, Homebrew
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tessdata",
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
)
_ENDING = ".traineddata"
_NO_LANGUAGES = frozenset(["osd", "equ"])  # data of that name holds no language
_MAX_LANGUAGES = 4  # of those installed, when none are asked for: each makes every page slower
_DOUBT = 75  # mean confidence under which a page may stand on its head
_MIN_ORIENTATION = 2.0  # of tesseract's score; the better reading of the two decides in the end
_MIN_SKEW = math.radians(0.75)  # less does no harm
_TOP_TO_BOTTOM = 2  # tesseract's WritingDirection
_SKEWED = math.radians(20)  # more is no skew


@dataclass(frozen=True, slots=True)
class OcrWord:
    """A word and its box in pixels of the picture that was given, y down; ``confidence`` is of 100."""

    text: str
    confidence: float
    left: float
    top: float
    right: float
    bottom: float


@dataclass(slots=True)
class OcrLine:
    """Words of one line. The box is of the upright, straightened picture, from its row's descent to its ascent."""

    words: list[OcrWord]
    spans: list[tuple[float, float]]  # (left, right) of each word in the upright picture
    left: float
    top: float
    right: float
    bottom: float
    paragraph: int = 0


@dataclass(slots=True)
class OcrPage:
    """What was read of one picture, lines in reading order.

    Args:
        width, height: of the upright picture, in pixels.
        angle: by how many degrees, counter-clockwise, the picture was turned to be upright.
    """

    width: int
    height: int
    lines: list[OcrLine] = field(default_factory=list)
    angle: float = 0.0
    turn: int = 0  # quarter turns, counter-clockwise, that the layout asks for
    skew: float = 0.0  # radians, counter-clockwise, that it asks for beside

    @property
    def confidence(self) -> float:
        """The mean over all words, each weighted with its length; 0 if there are none."""
        words = [w for line in self.lines for w in line.words]
        letters = sum(len(w.text) for w in words)
        return sum(w.confidence * len(w.text) for w in words) / letters if letters else 0.0

    @property
    def letters(self) -> int:
        return sum(c.isalnum() for line in self.lines for w in line.words for c in w.text)


def tessdata() -> Path | None:
    """The folder of the language data: that of TESSDATA_PREFIX and no other if it is set, else the first known one."""
    prefix = os.environ.get("TESSDATA_PREFIX")
    folders = [Path(prefix), Path(prefix) / "tessdata"] if prefix else [Path(p) for p in _PLACES]
    return next((f for f in folders if any(f.glob("*" + _ENDING))), None)


def installed_languages() -> list[str]:
    """Names of the languages whose data is there, as tesseract calls them: eng, fra, chi_sim."""
    folder = tessdata()
    names = sorted(p.name.removesuffix(_ENDING) for p in folder.glob("*" + _ENDING)) if folder else []
    return [n for n in names if n not in _NO_LANGUAGES]


def has_orientation() -> bool:
    """Whether there is data to tell which way is up."""
    folder = tessdata()
    return folder is not None and (folder / f"osd{_ENDING}").exists()


def chosen_languages(asked: str) -> list[str]:
    """Those of ``asked`` ("eng+deu") that are installed; for "" the installed ones, English first, four at most."""
    there = installed_languages()
    if asked:
        return [name for name in dict.fromkeys(n.strip() for n in asked.replace(",", "+").split("+")) if name in there]
    return sorted(there, key=lambda name: (name != "eng", name))[:_MAX_LANGUAGES]


def missing_ocr(asked: str) -> str:
    """Why there is no OCR and what to do about it, as the end of a sentence; "" if there is."""
    try:
        import tesserocr  # noqa: F401
    except ImportError:
        return "no OCR is installed: pip install tesserocr, apt install tesseract-ocr"
    if not installed_languages():
        prefix = os.environ.get("TESSDATA_PREFIX")
        if prefix:
            return f"no OCR is installed: TESSDATA_PREFIX is {prefix}, where no language data is"
        return "no OCR is installed: apt install tesseract-ocr"
    if not chosen_languages(asked):
        there = ", ".join(installed_languages())
        return f"OCR has no data for the languages {asked!r} (installed: {there}): apt install {debian_packages(asked)}"
    return ""


def debian_packages(asked: str) -> str:
    """Packages of the languages ``asked`` that are not installed: "tesseract-ocr-deu tesseract-ocr-chi-sim"."""
    there = installed_languages()
    names = [n.strip() for n in asked.replace(",", "+").split("+")]
    return " ".join(
        f"tesseract-ocr-{n.lower().replace('_', '-')}" for n in dict.fromkeys(names) if n and n not in there
    )


class OcrReader:
    """Reads the pictures of one file. Tesseract is loaded with the first; the reader is closed with the file."""

    def __init__(self, limits: ParseLimits, before: Callable[[int], None] = lambda _: None) -> None:
        """``before`` is called with 0, 1, … before each picture is read, and gives it its processor time."""
        self.limits = limits
        self.missing = "OCR is off (OPENBOOK_OCR)" if limits.ocr == "off" else missing_ocr(limits.ocr_languages)
        self.languages = "+".join(chosen_languages(limits.ocr_languages))
        self._before = before
        self._count = 0
        self._ends = 0.0  # when the time of the picture that is read is over
        self._api: Any = None
        self._osd: Any = None

    def close(self) -> None:
        for api in (self._api, self._osd):
            if api is not None:
                api.End()
        self._api = self._osd = None

    def refusal(self) -> str:
        """Why the next picture will not be read, as the end of a sentence; "" if it will."""
        if self.missing:
            return self.missing
        if self._count >= self.limits.ocr_max_pages:
            return f"of one file OCR reads {self.limits.ocr_max_pages} pages: raise ocr_max_pages in the settings, or split it"
        if self._count in self.limits.ocr_skip:
            self._count += 1
            return "OCR did not survive it"
        return ""

    def begin(self) -> None:
        """Says that the next picture is about to be read: rendering it counts as well."""
        self._before(self._count)
        self._count += 1

    def read(self, image: Any, dpi: int) -> OcrPage:
        """The text of a PIL image, turned and straightened as it needs; after ``begin``.

        Raises:
            RuntimeError: tesseract failed on it, could not be loaded, or took longer than ``ocr_page_s``.
        """
        image = image.convert("L")
        self._ends = time.monotonic() + self.limits.ocr_page_s
        found = self._recognise(image, dpi, 0.0)
        if found is None:
            raise RuntimeError(f"it takes longer than {self.limits.ocr_page_s:g} seconds")
        turn = found.turn
        if found.confidence < _DOUBT:
            turn = self._orientation(image, dpi) or turn
        if turn:
            found = _better(self._recognise(image, dpi, 90.0 * turn), found)
        if _MIN_SKEW < abs(found.skew) < _SKEWED:
            found = _better(self._recognise(image, dpi, found.angle + math.degrees(found.skew)), found)
        return found

    def _recognise(self, image: Any, dpi: int, angle: float) -> OcrPage | None:
        """One reading, the picture turned by ``angle`` degrees; None if the page's time is over before its end."""
        left_ms = int(1000 * (self._ends - time.monotonic()))
        if left_ms <= 0:
            return None
        api = self._tesseract()
        turned = _turned(image, angle)
        api.SetImage(turned)
        api.SetSourceResolution(dpi)
        page = OcrPage(turned.width, turned.height, angle=angle)
        try:
            if not api.Recognize(left_ms):
                return None
            _collect(api.GetIterator(), page, image.size)
        finally:
            api.Clear()
        return page

    def _orientation(self, image: Any, dpi: int) -> int:
        """Quarter turns, counter-clockwise, that make the picture upright; 0 if that cannot be told."""
        import tesserocr

        if self._osd is None:
            if not has_orientation():
                return 0
            self._osd = tesserocr.PyTessBaseAPI(path=str(tessdata()), lang="osd", psm=tesserocr.PSM.OSD_ONLY)
        self._osd.SetImage(image)
        self._osd.SetSourceResolution(dpi)
        try:
            told = self._osd.DetectOrientationScript()
        finally:
            self._osd.Clear()
        if not told or told["orient_conf"] < _MIN_ORIENTATION:
            return 0
        return int(told["orient_deg"]) // 90 % 4

    def _tesseract(self) -> Any:
        if self._api is None:
            import tesserocr

            self._api = tesserocr.PyTessBaseAPI(path=str(tessdata()), lang=self.languages, psm=tesserocr.PSM.AUTO)
        return self._api


def _better(new: OcrPage | None, old: OcrPage) -> OcrPage:
    if new is None:
        return old
    return new if new.confidence * new.letters**0.5 >= old.confidence * old.letters**0.5 else old


def _turned(image: Any, angle: float) -> Any:
    from PIL import Image

    return image if not angle else image.rotate(angle, Image.Resampling.BILINEAR, expand=True, fillcolor=255)


def _collect(iterator: Any, page: OcrPage, size: tuple[int, int]) -> None:
    """Puts the words of ``iterator`` into ``page``; ``size`` is that of the picture before it was turned."""
    import tesserocr

    level = tesserocr.RIL
    text_blocks = {
        tesserocr.PT.FLOWING_TEXT, tesserocr.PT.HEADING_TEXT, tesserocr.PT.PULLOUT_TEXT, tesserocr.PT.TABLE,
        tesserocr.PT.VERTICAL_TEXT, tesserocr.PT.CAPTION_TEXT, tesserocr.PT.EQUATION, tesserocr.PT.INLINE_EQUATION,
    }  # fmt: skip
    turns: Counter[int] = Counter()
    slopes: list[tuple[float, float]] = []  # of the lines: (radians, length)
    is_text, turn, paragraph = False, 0, 0
    if iterator is None:
        return
    while True:
        if iterator.IsAtBeginningOf(level.BLOCK):
            is_text = iterator.BlockType() in text_blocks
            _, direction, _, _ = iterator.Orientation()
            # Lines that run down the page: the top of their letters points to the right, unless they stand that way
            # by nature, as Chinese may. Then the turned page reads worse, and ``_better`` keeps the first reading.
            turn = 1 if direction == _TOP_TO_BOTTOM else 0
        if iterator.IsAtBeginningOf(level.PARA):
            paragraph += 1
        if iterator.IsAtBeginningOf(level.TEXTLINE) and is_text:
            page.lines.append(_line(iterator, level.TEXTLINE, paragraph))
            baseline = iterator.Baseline(level.TEXTLINE)
            if baseline and not turn:
                (x0, y0), (x1, y1) = baseline
                slopes.append((math.atan2(y1 - y0, x1 - x0), math.hypot(x1 - x0, y1 - y0)))
        if is_text and not iterator.Empty(level.WORD):
            _add_word(iterator, level.WORD, page, size)
            letters = len(page.lines[-1].words[-1].text) if page.lines[-1].words else 0
            turns[turn] += letters
        if not iterator.Next(level.WORD):
            break
    page.lines = [line for line in page.lines if line.words]
    page.turn = turns.most_common(1)[0][0] if turns else 0
    page.skew = _middle(slopes)


def _middle(weighted: list[tuple[float, float]]) -> float:
    """The weighted median of (value, weight); 0 of nothing."""
    half = sum(weight for _, weight in weighted) / 2
    for value, weight in sorted(weighted):
        half -= weight
        if half <= 0:
            return value
    return 0.0


def _line(iterator: Any, level: int, paragraph: int) -> OcrLine:
    left, top, right, bottom = iterator.BoundingBox(level) or (0, 0, 0, 0)
    row, baseline = iterator.RowAttributes(), iterator.Baseline(level)
    if row and baseline and row["row_height"] > 0:
        # All lines of one size get one height, whether or not they have an "f" or a "g".
        bottom = (baseline[0][1] + baseline[1][1]) / 2 + abs(row["descenders"])
        top = bottom - row["row_height"]
    return OcrLine([], [], left, top, right, bottom, paragraph)


def _add_word(iterator: Any, level: int, page: OcrPage, size: tuple[int, int]) -> None:
    text = iterator.GetUTF8Text(level).strip()
    box = iterator.BoundingBox(level)
    if not text or box is None:
        return
    corners = [_back(x, y, page, size) for x in (box[0], box[2]) for y in (box[1], box[3])]
    xs, ys = [c[0] for c in corners], [c[1] for c in corners]
    word = OcrWord(text, float(iterator.Confidence(level)), min(xs), min(ys), max(xs), max(ys))
    page.lines[-1].words.append(word)
    page.lines[-1].spans.append((box[0], box[2]))


def _back(x: float, y: float, page: OcrPage, size: tuple[int, int]) -> tuple[float, float]:
    """A point of the turned picture in the picture as it was given."""
    angle = math.radians(page.angle)
    dx, dy = x - page.width / 2, y - page.height / 2
    return (
        size[0] / 2 + dx * math.cos(angle) - dy * math.sin(angle),
        size[1] / 2 + dx * math.sin(angle) + dy * math.cos(angle),
    )
