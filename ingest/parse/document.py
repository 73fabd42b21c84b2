"""What a parser hands over, and the limits it works under.

Imports only the standard library: the parsing child starts in a tenth of a second because of it (``core.types``
brings numpy). ``Page`` has the fields of ``core.types.PageSpan``; the pipeline turns one into the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

# Changes whenever the same bytes would give another text: part of the pipeline's version.
PARSER_VERSION = "8"
# Metadata: by page, where the words that OCR read lie on it (``ocr_page.pack_words``). For page images, not for people:
# a key with "_" before it stays out of what is told of a document.
OCR_WORDS = "_ocr_words"
# Metadata: pages that were not read since there was no OCR. With one, the same bytes are worth reading again.
AWAITS_OCR = "awaits_ocr"


class Page(NamedTuple):
    """Where one page lies in the text; ``number`` is 1-based. A page without text has ``start == end``."""

    number: int
    start: int
    end: int


class Heading(NamedTuple):
    """A heading: ``level`` 1 is the outermost, ``start`` is the code point where it (or its section) begins."""

    level: int
    text: str
    start: int


class ParseWarning(NamedTuple):
    """Something a person should know. ``lost`` says that content could not be read: the document is partial."""

    code: str
    message: str
    page: int | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDocument:
    """A file as it was understood.

    ``text`` has "\\n" line ends, is NFC, and holds no NUL, surrogate or control character other than "\\n" and "\\t".
    ``pages`` is empty for kinds without pages, else in order. ``metadata`` is JSON-shaped.
    """

    text: str
    title: str
    mime_type: str
    pages: tuple[Page, ...] = ()
    headings: tuple[Heading, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[ParseWarning, ...] = ()

    @property
    def partial(self) -> bool:
        return any(w.lost for w in self.warnings)

    def to_wire(self) -> dict[str, Any]:
        """A JSON-shaped value that ``from_wire`` reads back."""
        return {
            "text": self.text,
            "title": self.title,
            "mime_type": self.mime_type,
            "pages": [list(p) for p in self.pages],
            "headings": [list(h) for h in self.headings],
            "metadata": dict(self.metadata),
            "warnings": [list(w) for w in self.warnings],
        }

    @classmethod
    def from_wire(cls, value: Mapping[str, Any]) -> ParsedDocument:
        return cls(
            text=value["text"],
            title=value["title"],
            mime_type=value["mime_type"],
            pages=tuple(Page(*p) for p in value["pages"]),
            headings=tuple(Heading(*h) for h in value["headings"]),
            metadata=value["metadata"],
            warnings=tuple(ParseWarning(*w) for w in value["warnings"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseLimits:
    """Hard bounds of one file. All are counted while reading, so that a bomb is noticed before it goes off."""

    max_file_bytes: int = 100 * 2**20
    max_pages: int = 2000
    max_characters: int = 20_000_000
    max_unpacked_bytes: int = 100 * 2**20  # of an archive, all members together
    max_unpacked_ratio: int = 100  # unpacked : packed, once more than 1 MiB is unpacked
    max_entries: int = 1000  # members of an archive
    timeout_s: float = 120.0  # wall clock, all in all
    stall_s: float = 8.0  # processor time without progress: per page, or per file and its size (see ``cpu_allowance``)
    memory_bytes: int = 416 * 2**20  # that the child may write to; with its libraries it stays under 512 MiB
    ocr: Literal["auto", "off"] = "auto"
    ocr_languages: str = ""  # "eng+deu"; "": what is installed
    ocr_max_pages: int = 200  # of one file; each adds ``ocr_page_s`` to its wall clock
    ocr_page_s: float = 120.0  # of one page; a page takes 4 on a quiet machine, and 30 beside four other jobs
    ocr_skip: tuple[int, ...] = ()  # pictures, counted from 0, that are not read: the child died of them before

    def cpu_allowance(self, size_bytes: int) -> float:
        """Processor seconds for a file that is read in one go: 2 more for each MiB."""
        return self.stall_s + 2.0 * size_bytes / 2**20

    def to_wire(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_wire(cls, value: Mapping[str, Any]) -> ParseLimits:
        return cls(**{**value, "ocr_skip": tuple(value["ocr_skip"])})
