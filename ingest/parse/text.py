"""Plain text in any encoding."""

from __future__ import annotations

import re

from core.errors import EmptyDocument, ParseFailed, TooLarge
from ingest.parse.clean import clean, title_from_filename
from ingest.parse.code_page import latin_page
from ingest.parse.cyrillic_page import cyrillic_page
from ingest.parse.document import ParsedDocument, ParseLimits, ParseWarning
from ingest.parse.sniff import HEAD_BYTES, looks_wide
from ingest.parse.source import File

_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_DETECT_BYTES = 256 * 2**10
_DETECT_BEFORE = 1000
_EVIDENCE = 3  # of another page in a text that is nearly ASCII: one byte may be damage
_LETTERS_BYTES = 32 * 2**10
_SPARSE = 50  # bytes for each one beyond ASCII
_JAPANESE_ESCAPE = re.compile(rb"\x1b\$[@B]")
_ESCAPED = re.compile(rb"\x1b(\$[@B]|\([BJI])")
_DAMAGED = 10  # characters for each one that could not be read: with more of those it is no Japanese
_BEYOND_ASCII = bytes(range(0x80, 0x100))
_THREE_BEYOND_ASCII = re.compile(rb"[\x80-\xff]{3}")
# A capital or a figure within a word is another letter in another encoding: "company’s" of a Macintosh is "companyÕs".
_NOT_WESTERN = re.compile(r"[a-z][À-ÖØ-Þ][a-z]|[^\W\d_][²³¹¼½¾¤][^\W\d_]")


def decode(data: bytes, filename: str) -> tuple[str, str, tuple[ParseWarning, ...]]:
    """``data`` as text, the encoding used, and what was lost.

    A byte order mark decides; then the pattern of NULs (UTF-16/32 without a mark);
    ISO-2022-JP by its escapes; then UTF-8 if it fits exactly; then the code page whose letters fit a language of Latin letters; then
    windows-1252 if other letters are as few as in English and can be its own; then the page in which it has words of Cyrillic
    letters; then charset-normalizer's guess on 256 KiB.

    Raises:
        ParseFailed: no encoding fits.
    """
    for bom, encoding in _BOMS:
        if data.startswith(bom):
            return _replacing(data, encoding)
    wide = looks_wide(data[:HEAD_BYTES])
    if wide:
        return _replacing(data, wide)
    if _JAPANESE_ESCAPE.search(data) and (japanese := _iso_2022_jp(data)) is not None:
        return japanese, "iso-2022-jp", _lost(japanese, "iso-2022-jp")
    try:
        return data.decode("utf-8"), "utf-8", ()
    except UnicodeDecodeError as e:
        first = e.start
    if _is_damaged_utf8(data):
        return _replacing(data, "utf-8")
    # What comes before the first such byte says nothing.
    start = max(0, first - _DETECT_BEFORE)
    fit = latin_page(data[start : start + _LETTERS_BYTES])
    sparse = _is_sparse_western(data)
    if fit is not None and (not sparse or (fit.known and fit.beyond_ascii >= _EVIDENCE)):
        return _replacing(data, fit.page)
    if sparse:
        return _replacing(data, "windows-1252")
    if cyrillic := cyrillic_page(data[start : start + _LETTERS_BYTES]):
        return _replacing(data, cyrillic)
    from charset_normalizer import from_bytes

    best = from_bytes(data[start : start + _DETECT_BYTES]).best()
    if best is None:
        raise ParseFailed(
            f"{filename} looks like text, but in no known encoding: save it as UTF-8 and try again", code="bad-encoding"
        )
    return _replacing(data, best.encoding)


def _iso_2022_jp(data: bytes) -> str | None:
    """``data`` with its escapes resolved, signs of Windows (①, 髙) included, which Python's own codec refuses, and U+FFFD for what is
    damaged; None if it is something else, as the output of a terminal."""
    if not data.isascii():
        return None
    pieces = _ESCAPED.split(data)
    texts = [pieces[0].decode("ascii")]
    for escape, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if escape.startswith(b"$"):
            pairs = piece.translate(None, b"\r\n")
            if not all(0x21 <= b <= 0x7E for b in pairs):
                return None
            # The same table in another order is that of windows-932, which has the signs of Windows as well.
            texts.append(_shifted(pairs).decode("cp932", "replace"))
            texts.append("\ufffd" * (len(pairs) % 2) + "\n" * piece.count(b"\n"))
        elif escape == b"(I":  # half-width katakana
            texts.append(bytes(b + 0x80 if b > 0x20 else b for b in piece).decode("cp932", "replace"))
        else:
            texts.append(piece.decode("ascii"))
    text = "".join(texts)
    return None if text.count("\ufffd") * _DAMAGED > len(text) else text


def _shifted(pairs: bytes) -> bytes:
    """Pairs of JIS X 0208 as Shift JIS has them: 94 × 94 places become 188 in each of 47 rows."""
    out = bytearray()
    for first, second in zip(pairs[::2], pairs[1::2], strict=False):
        row = (first - 0x21) // 2
        out.append(row + (0x81 if row < 31 else 0xC1))
        out.append(second + 0x7E if first % 2 == 0 else second + 0x1F + (second >= 0x60))
    return bytes(out)


def _is_damaged_utf8(data: bytes) -> bool:
    """Whether more characters of several bytes fit than bytes do not: hardly any other text looks like that."""
    text = data.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    return len(text) - len(text.encode("ascii", "ignore")) > 2 * bad


def _is_sparse_western(data: bytes) -> bool:
    """Whether bytes beyond ASCII are few, stand alone and could be letters of windows-1252, or are not all in it: too little to
    guess from, and of all texts that are nearly ASCII most are in this one. A guess at another encoding may take the next letter."""
    wide = len(data) - len(data.translate(None, _BEYOND_ASCII))
    if wide * _SPARSE > len(data) or _THREE_BEYOND_ASCII.search(data):
        return False
    return not _NOT_WESTERN.search(data.decode("windows-1252", "replace"))


def _replacing(data: bytes, encoding: str) -> tuple[str, str, tuple[ParseWarning, ...]]:
    text = data.decode(encoding, "replace")
    return text, encoding, _lost(text, encoding)


def _lost(text: str, encoding: str) -> tuple[ParseWarning, ...]:
    lost = text.count("\ufffd")
    if not lost:
        return ()
    message = f"{lost} characters could not be read as {encoding} and are shown as \ufffd"
    return (ParseWarning("undecodable", message, lost=True),)


def read_text(path: File, filename: str, limits: ParseLimits) -> tuple[str, str, tuple[ParseWarning, ...]]:
    """The cleaned text of a textual file, its encoding, and warnings.

    Raises:
        EmptyDocument: nothing but white space.
        TooLarge: over ``max_characters``.
    """
    text, encoding, warnings = decode(path.read_bytes(), filename)
    check_characters(len(text), filename, limits)
    text = clean(text)
    if not text.strip():
        raise EmptyDocument(f"{filename} holds nothing but white space")
    return text, encoding, warnings


def check_characters(count: int, filename: str, limits: ParseLimits) -> None:
    if count > limits.max_characters:
        raise TooLarge(
            f"{filename} has more than {limits.max_characters:,} characters of text: "
            "split it, or raise max_characters in the settings",
            code="too-many-characters",
        )


def parse_text(path: File, filename: str, limits: ParseLimits) -> ParsedDocument:
    text, encoding, warnings = read_text(path, filename, limits)
    return ParsedDocument(
        text=text,
        title=title_from_filename(filename),
        mime_type="text/plain",
        metadata={"encoding": encoding},
        warnings=warnings,
    )
