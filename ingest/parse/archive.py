"""Looks through a zip archive before anything unpacks it: bombs, too many members, declared entities.

Sizes are counted while unpacking, since an archive lies about them.
"""

from __future__ import annotations

import re
import zipfile
import zlib

from core.errors import Encrypted, ParseFailed, TooLarge
from ingest.parse.document import ParseLimits
from ingest.parse.source import File

_BLOCK = 64 * 2**10
_RATIO_FROM = 2**20  # smaller members may be as repetitive as they like
_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_DOCTYPE_UTF16 = re.compile(b"<\x00!\x00[DE]\x00|\x00<\x00!\x00[DE]")


def check_archive(path: File, filename: str, limits: ParseLimits, *, doctypes: bool = False) -> None:
    """Unpacks every member once, keeping nothing.

    Args:
        doctypes: whether XML may declare a document type, as books' chapters do; the parser must not expand entities.

    Raises:
        TooLarge: over ``max_entries``, ``max_unpacked_bytes`` or ``max_unpacked_ratio``.
        Encrypted: a member has a password.
        ParseFailed: damaged, or XML that declares entities (no program writes that; attacks do).
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > limits.max_entries:
                raise _bomb(filename, f"{len(members):,} members, over the limit of {limits.max_entries:,}")
            unpacked = 0
            for member in members:
                if member.flag_bits & 1:
                    raise Encrypted(f"{filename} is encrypted: remove its password and try again")
                unpacked = _check_member(archive, member, filename, limits, unpacked, doctypes)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as e:
        raise ParseFailed(f"{filename} is damaged ({e}): save or download it again", code="damaged") from e


def _check_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, filename: str, limits: ParseLimits, before: int, doctypes: bool
) -> int:
    size = 0
    is_xml = not doctypes and member.filename.lower().endswith((".xml", ".rels"))
    tail = b""
    with archive.open(member) as stream:
        while block := stream.read(_BLOCK):
            size += len(block)
            if before + size > limits.max_unpacked_bytes:
                raise _bomb(filename, f"over {limits.max_unpacked_bytes // 2**20} MiB once unpacked")
            if size > _RATIO_FROM and size > limits.max_unpacked_ratio * max(member.compress_size, 1):
                raise _bomb(filename, f"packed more than {limits.max_unpacked_ratio}:1")
            if is_xml and (_DOCTYPE.search(tail + block) or _DOCTYPE_UTF16.search(tail + block)):
                raise ParseFailed(
                    f"{filename} declares XML entities in {member.filename}, which no word processor does: it was not read",
                    code="xml-entities",
                )
            tail = block[-16:]
    return before + size


def _bomb(filename: str, found: str) -> TooLarge:
    return TooLarge(f"{filename} is an archive with {found}: it was not unpacked", code="archive-too-large")
