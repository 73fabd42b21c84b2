"""What is in a zip archive of documents: which members are read, which are not and why, and their bytes.

Runs in the parsing child. Names of members are never used as paths; sizes are counted while unpacking, since an archive
lies about them. A member that is bad in itself is left out with its reason; an archive over a limit is refused as a whole.
"""

from __future__ import annotations

import lzma
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import EmptyDocument, OpenbookError, ParseFailed, TooLarge
from ingest.parse.document import ParseLimits
from ingest.parse.source import File, size_of

BLOCK_BYTES = 256 * 2**10
_RATIO_FROM = 2**20  # smaller members may be as repetitive as they like
_MAX_NAME = 400  # code points; longer ones are cut at their beginning by whoever names a document
_UTF8_FLAG, _ENCRYPTED_FLAGS = 0x800, 0x1 | 0x40 | 0x2000
_UNICODE_PATH = 0x7075  # the extra field in which Info-ZIP keeps a name as UTF-8
_IGNORED = frozenset(["__macosx", "thumbs.db", "desktop.ini"])  # what operating systems add unasked
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_DRIVE = re.compile(r"[A-Za-z]:")
_METHODS = {6: "implode", 9: "deflate64", 93: "zstd", 95: "xz", 97: "wavpack", 98: "ppmd", 99: "AES encryption"}
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, NotImplementedError, RuntimeError,
    struct.error, UnicodeError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """``index`` is its place in the archive's directory; ``name`` has "/" between folders; ``size`` was counted."""

    index: int
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Survey:
    members: tuple[Member, ...]
    skipped: tuple[tuple[str, str], ...]  # (name, reason)


class _Skip(Exception):
    """A member is not read, for this reason."""


def survey(path: File, filename: str, limits: ParseLimits) -> Survey:
    """Unpacks every member once, keeping nothing.

    Raises:
        TooLarge: over ``max_entries`` or ``max_unpacked_bytes``, or the whole over ``max_unpacked_ratio``.
        EmptyDocument: no file is in it.
        ParseFailed: damaged.
    """
    members: list[Member] = []
    skipped: list[tuple[str, str]] = []
    taken: set[str] = set()
    unpacked = 0
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
            if len(infos) > limits.max_entries:
                raise _too_large(
                    filename, f"{len(infos):,} entries, over the limit of {limits.max_entries:,}: split it"
                )
            for index, info in enumerate(infos):
                shown, name = _name(info)
                if info.is_dir() or _is_ignored(shown):
                    continue
                size = 0
                try:
                    _check(info, name)
                    if name in taken:
                        raise _Skip("the archive has another file of this name")
                    for block in _blocks(archive, info, limits, size_of(path)):
                        size += len(block)
                        _check_total(unpacked + size, size_of(path), filename, limits)
                except _Skip as e:
                    skipped.append((shown, str(e)))
                else:
                    taken.add(name)
                    members.append(Member(index, name, size))
                unpacked += size
    except OpenbookError:
        raise
    except _BROKEN as e:
        raise ParseFailed(f"{filename} is damaged ({e}): save or download it again", code="damaged") from e
    if not members and not skipped:
        raise EmptyDocument(f"{filename} is an archive without a file in it")
    return Survey(tuple(members), tuple(skipped))


def read_member(path: File, filename: str, index: int, limits: ParseLimits) -> Iterator[bytes]:
    """The bytes of one member that ``survey`` found, in pieces. Raises ParseFailed if it is damaged after all."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            total = 0
            for block in _blocks(archive, archive.infolist()[index], limits, size_of(path)):
                total += len(block)
                _check_total(total, size_of(path), filename, limits)
                yield block
    except (_Skip, IndexError) as e:
        raise ParseFailed(f"{filename}: {e}", code="damaged") from e
    except _BROKEN as e:
        raise ParseFailed(f"{filename} is damaged ({e}): save or download it again", code="damaged") from e


def _blocks(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: ParseLimits, archive_bytes: int
) -> Iterator[bytes]:
    packed = min(max(info.compress_size, 1), archive_bytes)
    size = 0
    try:
        with archive.open(info) as stream:
            while block := stream.read(BLOCK_BYTES):
                size += len(block)
                if size > _RATIO_FROM and size > limits.max_unpacked_ratio * packed:
                    raise _Skip(f"it is packed more than {limits.max_unpacked_ratio}:1, as bombs are")
                yield block
    except NotImplementedError as e:
        method = _METHODS.get(info.compress_type, f"number {info.compress_type}")
        raise _Skip(f"it is packed by a method that is not read ({method}): pack it again as deflate") from e
    except _BROKEN as e:
        raise _Skip(f"it is damaged ({e})") from e
    if size != info.file_size:
        raise _Skip(f"it is damaged: {info.file_size:,} bytes were announced, and {size:,} are there")


def _check(info: zipfile.ZipInfo, name: str) -> None:
    """Raises _Skip for what is no plain file of a plain name."""
    if info.flag_bits & _ENCRYPTED_FLAGS:
        raise _Skip("it is encrypted: pack it again without a password")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        raise _Skip("it is a link to another file, and links are not followed")
    if kind not in (0, stat.S_IFREG):
        raise _Skip("it is a device or a pipe, not a file")
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        raise _Skip("its name points out of the archive")
    if not name or len(name) > _MAX_NAME:
        raise _Skip(
            f"its name has {len(name):,} characters, over the limit of {_MAX_NAME}" if name else "it has no name"
        )


def _name(info: zipfile.ZipInfo) -> tuple[str, str]:
    """(how it is shown, how it is named): the name as UTF-8 if it is or has one, else in the old IBM encoding."""
    text = info.orig_filename
    if not info.flag_bits & _UTF8_FLAG:
        raw = text.encode("cp437", "replace")
        text = _unicode_path(info.extra, raw) or _utf8(raw) or text
    text = unicodedata.normalize("NFC", text.partition("\x00")[0])
    text = _UNPRINTABLE.sub("", text).replace("\\", "/")
    shown = text if len(text) <= _MAX_NAME else "…" + text[-_MAX_NAME // 2 :]
    absolute = "/" if text.startswith("/") else ""
    return shown or "(no name)", absolute + "/".join(
        p for p in (p.strip() for p in text.split("/")) if p not in ("", ".")
    )


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        body, extra = extra[4 : 4 + length], extra[4 + length :]
        # Version 1, and made for this very name: whoever renamed the member since may not have known of the field.
        if kind == _UNICODE_PATH and len(body) > 5 and body[0] == 1 and body[1:5] == struct.pack("<L", zlib.crc32(raw)):
            return _utf8(body[5:])
    return None


def _utf8(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _is_ignored(name: str) -> bool:
    parts = [p for p in name.split("/") if p not in ("", ".", "..")]
    return any(p.startswith(".") for p in parts) or any(p.lower() in _IGNORED for p in parts)


def _check_total(unpacked: int, archive_bytes: int, filename: str, limits: ParseLimits) -> None:
    if unpacked > limits.max_unpacked_bytes:
        found = f"over {limits.max_unpacked_bytes // 2**20} MiB once unpacked: split it"
        raise _too_large(filename, found)
    if unpacked > _RATIO_FROM and unpacked > limits.max_unpacked_ratio * archive_bytes:
        raise _too_large(filename, f"more than {limits.max_unpacked_ratio} times its size once unpacked")


def _too_large(filename: str, found: str) -> TooLarge:
    return TooLarge(f"{filename} is an archive with {found}; nothing of it was read", code="archive-too-large")
