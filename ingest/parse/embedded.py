"""Pictures within documents of other kinds: read by OCR where they may hold text, named where they could not be read.

What is read stands in the text where the picture stands, after a line that says so (``READ_BY_OCR``). Icons are passed
over, a picture that is used again is read once, and a photograph without text is nothing that was lost. The bounds are those of scanned
pages: so many of one file, so long for each, so many pixels.
It knows pictures and OCR, not the formats that hold them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from core.errors import EmptyDocument, OpenbookError
from core.wording import not_read, plural
from ingest.parse.clean import one_line
from ingest.parse.document import AWAITS_OCR, ParseLimits, ParseWarning
from ingest.parse.kinds import NAMES
from ingest.parse.sniff import picture_kind
from ingest.parse.source import MemoryFile

if TYPE_CHECKING:  # loaded with the first picture
    from ingest.parse.ocr import OcrReader

READ_BY_OCR = "Picture, read by OCR:"

_LEAST_SIDE = 32  # pixels: lower than a line of small print
_LEAST_PIXELS = 20_000  # icons, bullets and rules have fewer; a button with a word on it, too
_MOST_PIXELS = 40_000_000
_SURE = 50  # mean confidence under which OCR saw letters in a photograph
_BARE = 50  # a part with fewer characters of its own is its picture, as a page of a PDF is
_MAX_NAMED = 10
_OTHER_KINDS = ((b"GIF8", "a GIF"), (b"BM", "a BMP"), (b"\x01\x00\x00\x00", "an EMF drawing"),
                (b"\xd7\xcd\xc6\x9a", "a WMF drawing"), (b"\x01\x00\x09\x00", "a WMF drawing"),
                (b"<svg", "an SVG drawing"), (b"<?xml", "an SVG drawing"))  # fmt: skip


@dataclass(slots=True)
class _Unread:
    where: str
    reason: str
    lost: bool = False


class EmbeddedPictures:
    """The pictures of one document.

    Args:
        ocr: gives the file's reader, which is made when it is first asked for.
        progressed: called after each picture.
    """

    def __init__(self, limits: ParseLimits, ocr: Callable[[], OcrReader], progressed: Callable[[], None]) -> None:
        self._limits = limits
        self._ocr = ocr
        self._progressed = progressed
        self._known: dict[bytes, str] = {}  # what is wrong with each, by its digest; "" if nothing is
        self._unread: list[_Unread] = []
        self._ended = 0
        self._awaits_ocr = False
        self.read = 0
        self.without_text = 0
        self.icons = 0

    def text(self, data: bytes, where: str = "") -> str:
        """The text of a picture with the line before it; "" if there is none, or if it was read before.

        Args:
            where: names the part that holds it, as after "picture": "on slide 3". "" for documents without parts.
        """
        digest = hashlib.sha256(data).digest()
        if digest in self._known:
            if self._known[digest]:
                self._unread.append(_Unread(where, self._known[digest]))
            return ""
        self._known[digest] = ""
        try:
            found = self._read(data)
        except OpenbookError as e:
            self._known[digest] = e.message
            self._unread.append(_Unread(where, e.message))
            return ""
        self._progressed()
        return f"{READ_BY_OCR}\n{found}" if found else ""

    def missing(self, where: str = "") -> None:
        """A picture that the document names and does not hold."""
        self._unread.append(_Unread(where, "the file does not hold it"))

    def end_part(self, characters: int, *, bare: int = _BARE) -> None:
        """Says that a part with so many characters beside its pictures is over: if these are fewer than ``bare``, then a
        picture that was not read is a loss."""
        for unread in self._unread[self._ended :]:
            unread.lost = characters < bare
        self._ended = len(self._unread)

    @property
    def reason(self) -> str:
        """Why a document with nothing but pictures has no text, as the end of "it has no text: "; "" without pictures."""
        if self._unread:
            return "; ".join(w.message for w in self.warnings())
        if self.without_text:
            return f"OCR found none in its {plural(self.without_text, 'picture')}"
        return f"{plural(self.icons, 'picture')} too small to hold any" if self.icons else ""

    def metadata(self) -> dict[str, Any]:
        """What became of them, for ``ParsedDocument.metadata``; {} if there were none of a sensible size."""
        told: dict[str, Any] = {}
        if self.read or self.without_text:
            told["pictures"] = {"read": self.read, "without_text": self.without_text}
        if self._awaits_ocr:
            told[AWAITS_OCR] = True
        return told

    def warnings(self) -> Iterator[ParseWarning]:
        """One for each reason, naming the parts."""
        by_reason: dict[tuple[str, bool], list[str]] = {}
        for unread in self._unread:
            by_reason.setdefault((unread.reason, unread.lost), []).append(unread.where)
        for (reason, lost), places in by_reason.items():
            named = [where for where in dict.fromkeys(places) if where]
            listed = ", ".join(named[:_MAX_NAMED]) + (
                f" and {len(named) - _MAX_NAMED} more" if len(named) > _MAX_NAMED else ""
            )
            if len(places) == 1 and named:
                said = f"picture {listed} was not read"
            else:
                said = not_read(len(places), "picture") + (f" ({listed})" if listed else "")
            yield ParseWarning("pictures", f"{said}: {reason}", lost=lost)

    def _read(self, data: bytes) -> str:
        """Raises OpenbookError with the reason, as the end of a sentence, if it could not be read."""
        kind = picture_kind(data[:16])
        if kind is None:
            other = next(
                (name for signature, name in _OTHER_KINDS if data.lstrip()[:8].lower().startswith(signature.lower())),
                "",
            )
            raise EmptyDocument(f"it is {other}, which is not read" if other else "it is of no kind that is read")
        from ingest.parse.pdf_ocr import WITHOUT_TEXT
        from ingest.parse.picture import PictureKind, parse_picture, picture_size

        file = MemoryFile(data)
        width, height = picture_size(file, "it")
        if min(width, height) < _LEAST_SIDE or width * height < _LEAST_PIXELS:
            self.icons += 1
            return ""
        if width * height > _MOST_PIXELS:
            raise EmptyDocument(
                f"it has {width:,} × {height:,} pixels, over the limit of {_MOST_PIXELS // 10**6} million"
            )
        missing = self._ocr().missing
        if missing:
            self._awaits_ocr = True
            raise EmptyDocument(missing)
        try:
            found = parse_picture(cast(PictureKind, kind), file, "it", self._limits, self._progressed, self._ocr)
        except EmptyDocument as e:
            if e.code == WITHOUT_TEXT or "no sense" in e.message:
                self.without_text += 1
                return ""
            raise EmptyDocument(one_line(e.message.partition(NAMES[kind])[2]).removeprefix("and ") or e.message) from e
        sure = min((int(c) for c in dict(found.metadata.get("ocr") or {}).values()), default=0)
        if sure < _SURE:
            self.without_text += 1
            return ""
        self.read += 1
        return found.text
