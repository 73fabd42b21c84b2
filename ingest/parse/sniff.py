"""What a file is, told from its content. The name decides only between kinds of text (Markdown, CSV, source code …).

It knows signatures, not structure: a file that sniffs as PDF may still be broken.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import PurePath

from core.errors import Encrypted, ParseFailed, UnsupportedType
from ingest.parse.kinds import BINARY_EXTENSIONS, EXTENSIONS, NAMES, READS, TEXTUAL, Kind
from ingest.parse.source import File

HEAD_BYTES = 8192
ZIP_ARCHIVE = "zip-archive"  # the code of the error for an archive of other files: whoever gets it may open that

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"GIF87a", "a GIF image"), (b"GIF89a", "a GIF image"),
    (b"\x1f\x8b", "a gzip archive"), (b"BZh", "a bzip2 archive"), (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"), (b"Rar!\x1a\x07", "a RAR archive"), (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"\x7fELF", "a Linux program"), (b"MZ", "a Windows program"), (b"SQLite format 3\x00", "an SQLite database"),
    (b"%!PS", "a PostScript document"), (b"OggS", "an Ogg recording"),
    (b"ID3", "an MP3 recording"), (b"fLaC", "a FLAC recording"), (b"RIFF", "a RIFF file (WAV or AVI)"),
    (b"\x00\x00\x01\x00", "an icon"), (b"wOFF", "a font"), (b"wOF2", "a font"),
)  # fmt: skip
_PICTURES: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"II*\x00", "tiff"), (b"MM\x00*", "tiff"),
)  # fmt: skip
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP_KINDS: tuple[tuple[str, str], ...] = (
    ("META-INF/MANIFEST.MF", "a Java archive"),
    ("AndroidManifest.xml", "an Android package"),
)
_ODF_KINDS: tuple[tuple[str, Kind], ...] = (("spreadsheet", "ods"), ("presentation", "odp"), ("text", "odt"))
_OLE_KINDS: tuple[tuple[str, Kind], ...] = (("__substg1.0", "msg"), ("Workbook", "xls"), ("Book", "xls"))
_OLE_REFUSED = (
    ("WordDocument", "an old Word document (.doc)", "save it as .docx"),
    ("PowerPoint Document", "an old PowerPoint presentation (.ppt)", "save it as .pptx"),
)
_HTML_SURE = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL
)
_HTML_TAG = re.compile(
    r"</?(?:html|head|body|title|meta|div|p|h[1-6]|table|ul|ol|article|section|span|a)\b[^<>]*>", re.IGNORECASE
)
_MAIL_HEADER = re.compile(
    r"(?:return-path|received|delivered-to|mime-version|message-id|from|to|date|subject|x-[\w-]+):", re.IGNORECASE
)
_MACHINE_HEADER = re.compile(r"^(?:mime-version|message-id|received):", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sniffed:
    kind: Kind
    mismatch: str = ""  # "named report.txt, but it is a PDF", if the name promises another kind


def sniff(path: File, filename: str) -> Sniffed:
    """Tells the kind of the file at ``path``, which a person calls ``filename``.

    Raises:
        UnsupportedType: it is something that is not read; the message says what it is and what is read.
        Encrypted: it is an encrypted Office document.
        ParseFailed: it is a damaged zip archive.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    kind = _kind(path, filename, head)
    extension = PurePath(filename).suffix.lower()
    promised = EXTENSIONS.get(extension)
    wrong = extension in BINARY_EXTENSIONS
    if promised is not None and promised != kind:
        wrong = not (promised in TEXTUAL and kind in TEXTUAL - {"html"})
    return Sniffed(kind, f"it is named {extension}, but it is {NAMES[kind]} and was read as that" if wrong else "")


def _kind(path: File, filename: str, head: bytes) -> Kind:
    stripped = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\x00")
    if stripped.startswith(b"%PDF-"):
        return "pdf"
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        return _zip_kind(path, filename)
    if head.startswith(_OLE):
        return _ole_kind(path, filename)
    picture = picture_kind(head)
    if picture is not None:
        return picture
    if stripped.startswith(b"{\\rtf"):
        return "rtf"
    for signature, name in _SIGNATURES:
        if head.startswith(signature) and not (signature in (b"MZ", b"BZh", b"ID3", b"RIFF") and _is_text(head)):
            raise _unsupported(filename, name)
    if head[4:8] == b"ftyp":
        raise _unsupported(filename, "a video or HEIC image (MP4 family)")
    if 0 <= head.find(b"%PDF-") < 1024 and (b" obj" in head or not _is_text(head)):
        return "pdf"
    if not _is_text(head):
        raise _unsupported(filename, "a binary file of unknown kind")
    return _text_kind(filename, head)


def is_picture(path: File) -> bool:
    """Whether the file is an image of a kind that is read."""
    with path.open("rb") as file:
        return picture_kind(file.read(16)) is not None


def picture_kind(head: bytes) -> Kind | None:
    """The kind of image that a file is of which these are the first 16 bytes; None if of none that is read."""
    if head.startswith(b"RIFF"):
        return "webp" if head[8:12] == b"WEBP" else None
    return next((kind for signature, kind in _PICTURES if head.startswith(signature)), None)


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return True
    if head.count(0) * 200 > len(head):  # a stray NUL is no reason to refuse a text
        return looks_wide(head) is not None
    # ESC appears in ISO-2022 texts; the others only in binaries.
    controls = sum(1 for b in head if b < 32 and b not in b"\t\n\r\x0b\x0c\x1b\x08\x1a")
    return controls * 50 <= len(head)


def looks_wide(head: bytes) -> str | None:
    """The UTF-16 or UTF-32 flavour of ``head`` (no byte order mark), told from where its NULs lie; else None."""
    n = len(head) // 4 * 4
    if n < 4:
        return None
    nuls = [head[i:n:4].count(0) / (n / 4) for i in range(4)]
    if min(nuls[1:]) > 0.9 and nuls[0] < 0.1:
        return "utf-32-le"
    if min(nuls[:3]) > 0.9 and nuls[3] < 0.1:
        return "utf-32-be"
    if min(nuls[1], nuls[3]) > 0.4 and max(nuls[0], nuls[2]) < 0.1:
        return "utf-16-le"
    if min(nuls[0], nuls[2]) > 0.4 and max(nuls[1], nuls[3]) < 0.1:
        return "utf-16-be"
    return None


def _text_kind(filename: str, head: bytes) -> Kind:
    text = head.decode(looks_wide(head) or _bom_encoding(head) or "utf-8", "replace").lstrip("\ufeff")
    if _HTML_SURE.match(text):
        return "html"
    promised = EXTENSIONS.get(PurePath(filename).suffix.lower())
    if promised == "html" and _HTML_TAG.search(text):  # a part of a page, as exports and mail programs save it
        return "html"
    start = text.lstrip()
    if promised not in ("markdown", "rst", "code", "json", "csv") and start.startswith("<"):
        if _HTML_TAG.match(start) and len(_HTML_TAG.findall(text)) >= 4:
            return "html"
        if start.startswith("<?xml") or promised == "xml":
            return "xml"
    if _is_mail(start, promised == "eml"):
        return "eml"
    return promised if promised in TEXTUAL and promised not in ("html", "xml") else "text"


def _is_mail(start: str, promised: bool) -> bool:
    """Whether text begins with the header of a message: four fields and one that people do not write, or a name's word."""
    lines = start.splitlines()[:12]
    fields = {m.group().lower() for line in lines if (m := _MAIL_HEADER.match(line))}
    if promised:
        return len(fields) >= 1
    return len(fields) >= 4 and re.search(_MACHINE_HEADER, start) is not None


def _bom_encoding(head: bytes) -> str | None:
    for bom, encoding in (
        (b"\xff\xfe\x00\x00", "utf-32"),
        (b"\x00\x00\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if head.startswith(bom):
            return encoding
    return None


def _zip_kind(path: File, filename: str) -> Kind:
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            mimetype = archive.read("mimetype")[:100].decode("latin-1") if _small(archive, "mimetype") else ""
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as e:
        raise ParseFailed(
            f"{filename} is a damaged zip archive ({e}): it may be cut off; save or download it again", code="damaged"
        ) from e
    if "word/document.xml" in names or ("[Content_Types].xml" in names and any(n.startswith("word/") for n in names)):
        return "docx"
    if mimetype.startswith("application/epub") or "META-INF/container.xml" in names:
        return "epub"
    if mimetype.startswith("application/vnd.oasis"):
        for marker, kind in _ODF_KINDS:
            if marker in mimetype:
                return kind
        raise _unsupported(filename, "an OpenDocument file that holds neither text, sheets nor slides")
    if "xl/workbook.bin" in names:
        raise _unsupported(filename, "a binary Excel workbook (.xlsb)", "save it as .xlsx")
    # A folder that somebody packed may be called xl or ppt, too: an office file says what its parts are.
    parts = "[Content_Types].xml" in names
    if "xl/workbook.xml" in names or (parts and any(n.startswith("xl/") for n in names)):
        return "xlsx"
    if "ppt/presentation.xml" in names or (parts and any(n.startswith("ppt/") for n in names)):
        return "pptx"
    for prefix, name in _ZIP_KINDS:
        if any(n.startswith(prefix) for n in names):
            raise _unsupported(filename, name)
    raise UnsupportedType(f"{filename} is a zip archive: {READS}", code=ZIP_ARCHIVE)


def _small(archive: zipfile.ZipFile, member: str) -> bool:
    try:
        return archive.getinfo(member).file_size <= 1000
    except KeyError:
        return False


def _ole_kind(path: File, filename: str) -> Kind:
    names = _ole_names(path)
    for marker, kind in _OLE_KINDS:
        if any(name.startswith(marker) for name in names):
            return kind
    if "EncryptedPackage" in names:
        raise Encrypted(f"{filename} is an Office document with a password: remove the password and try again")
    for marker, name, fix in _OLE_REFUSED:
        if marker in names:
            raise _unsupported(filename, name, fix)
    raise _unsupported(filename, "an old Office document (OLE2)")


def _ole_names(path: File) -> set[str]:
    """The names of the outermost streams; of a file too damaged for a directory, those that its bytes mention."""
    import olefile

    try:
        with path.open("rb") as file, olefile.OleFileIO(file) as ole:
            return {entry[0] for entry in ole.listdir(streams=True, storages=True)}
    except (OSError, ValueError, IndexError, struct.error, RecursionError):
        with path.open("rb") as file:
            content = file.read(4 * 2**20)
        mentioned = ["EncryptedPackage", *(m for m, _, _ in _OLE_REFUSED), *(m for m, _ in _OLE_KINDS)]
        found = [m for m in mentioned if m.encode("utf-16-le") in content]
        return set(found[:1])


def _unsupported(filename: str, found: str, fix: str = "") -> UnsupportedType:
    return UnsupportedType(
        f"{filename} is {found}, which is not read: {fix}" if fix else f"{filename} is {found}: {READS}"
    )
