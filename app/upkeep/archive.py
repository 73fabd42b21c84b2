"""The file of a backup: a tar of plain files whose last member is a manifest with the SHA-256 of all others.

    openbook.db
    originals/ab/abcdef…      one per uploaded file
    prompts/…                 people's own, and one folder down those of one collection or set
    manifest.json             without it the archive is not whole

Reading trusts nothing: only these names, only plain files, each of the size and the bytes that the manifest says.
The archive knows nothing of what the files hold.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import tarfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from core.database import DATABASE_FILE
from core.errors import InvalidRequest, StorageFailed
from core.ids import COLLECTION_NAME
from retrieval.files import fsync_path, make_folder, sha256_of, storage_errors

FORMAT = 1
PROMPTS_FOLDER = "prompts"
MANIFEST_FILE = "manifest.json"
MAX_MANIFEST_BYTES = 1 << 30
_PIECE_BYTES = 1 << 20
_GZIP_LEVEL = 1  # most originals are packed already; the database gives most at the first level
_ORIGINAL = re.compile(r"originals/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_PROMPT = re.compile(rf"{PROMPTS_FOLDER}/(?:_?{COLLECTION_NAME.pattern}/)?[a-z0-9_]+\.[a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    name: str  # in the archive
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an archive holds. ``missing`` names originals that were lost or damaged when it was made."""

    openbook: str  # the version that made it
    made_at: str
    change: int  # the newest change of the database that is in it
    files: tuple[Entry, ...]
    missing: tuple[str, ...] = ()
    format: int = field(default=FORMAT)


# ---------------------------------------------------------------- writing


def archive_pieces(files: Sequence[tuple[Entry, Path]], manifest: Manifest) -> Generator[bytes, None, None]:
    """The archive, piece by piece.

    Raises:
        StorageFailed: a file has changed since its entry was made.
    """
    for entry, path in files:
        yield _header(entry.name, entry.size)
        left = entry.size
        with storage_errors(f"read {path}"), path.open("rb") as file:
            while left and (piece := file.read(min(left, _PIECE_BYTES))):
                left -= len(piece)
                yield piece
        if left:
            raise StorageFailed(f"{path} became shorter while it was copied: run `openbook verify`")
        yield _padding(entry.size)
    body = json.dumps(asdict(manifest), ensure_ascii=False, indent=1).encode()
    yield _header(MANIFEST_FILE, len(body))
    yield body + _padding(len(body))
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return b"\0" * (-size % tarfile.BLOCKSIZE)


def entry_of(name: str, path: Path) -> Entry:
    """Raises OSError where the file cannot be read."""
    return Entry(name=name, size=path.stat().st_size, sha256=sha256_of(path))


def write_archive(pieces: Iterator[bytes], path: Path, *, compress: bool) -> None:
    """Writes the pieces to ``path``, which must be new; only its owner may read it. Durable on return."""
    with storage_errors(f"write the backup {path}"):
        with path.open("xb") as file:
            path.chmod(0o600)
            if compress:
                with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_GZIP_LEVEL, filename="", mtime=0) as packed:
                    for piece in pieces:
                        packed.write(piece)
            else:
                for piece in pieces:
                    file.write(piece)
        fsync_path(path)


# ---------------------------------------------------------------- reading


def read_archive(path: Path, folder: Path | None) -> Manifest:
    """Reads a whole archive, checks every checksum, and unpacks it into ``folder`` (new or empty) unless that is None.

    Raises:
        InvalidRequest: there is no such file, or it is no backup.
        StorageFailed: it is cut off, changed or holds something that no backup does; or the disk is full.
    """
    found: dict[str, Entry] = {}
    manifest: Manifest | None = None
    try:
        with _opened(path) as file, tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                if manifest is not None:
                    raise _bad(path, f"{member.name!r} comes after the manifest")
                content = _content(archive, member, path)
                if member.name == MANIFEST_FILE:
                    manifest = _manifest(content.read(MAX_MANIFEST_BYTES), path)
                    continue
                _check_name(member, found, path)
                found[member.name] = _unpack(content, member, folder)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as e:
        if not found and manifest is None:
            raise InvalidRequest(f"{path} is not a backup of Openbook: {e}", code="not-a-backup") from e
        raise _bad(path, f"it is cut off or changed ({e})") from e
    if manifest is None:
        if not found:
            raise InvalidRequest(f"{path} is not a backup of Openbook: it is empty", code="not-a-backup")
        raise _bad(path, "it is cut off: its manifest is missing")
    _check_manifest(manifest, found, path)
    return manifest


def _opened(path: Path) -> IO[bytes]:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        return cast("IO[bytes]", gzip.open(path, "rb")) if packed else path.open("rb")
    except OSError as e:
        raise InvalidRequest(f"cannot read {path}: {e.strerror}", code="not-a-backup") from e


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> IO[bytes]:
    if not member.isreg() or member.issparse():
        raise _bad(path, f"{member.name!r} is not a plain file (a link, a folder or a device)")
    content = archive.extractfile(member)
    if content is None:
        raise _bad(path, f"{member.name!r} is not a plain file")
    return content


def _check_name(member: tarfile.TarInfo, found: dict[str, Entry], path: Path) -> None:
    known = member.name == DATABASE_FILE or _ORIGINAL.fullmatch(member.name) or _PROMPT.fullmatch(member.name)
    if not known:
        raise _bad(path, f"it holds {member.name!r}, which no backup does")
    if member.name in found:
        raise _bad(path, f"it holds {member.name!r} twice")


def _unpack(content: IO[bytes], member: tarfile.TarInfo, folder: Path | None) -> Entry:
    """The member's entry; its bytes go to the folder, durable but for the folders' names."""
    digest, size = hashlib.sha256(), 0
    with storage_errors(f"unpack {member.name}"):
        if folder is None:
            while piece := content.read(_PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
        else:
            target = folder / member.name
            if member.size > shutil.disk_usage(folder).free:
                raise StorageFailed(f"the disk is full: {member.name} needs {member.size:,} bytes", code="disk-full")
            make_folder(target.parent)
            with target.open("xb") as file:
                target.chmod(0o600)
                while piece := content.read(_PIECE_BYTES):
                    digest.update(piece)
                    size += len(piece)
                    file.write(piece)
            fsync_path(target)
            fsync_path(target.parent)
    return Entry(name=member.name, size=size, sha256=digest.hexdigest())


def _manifest(body: bytes, path: Path) -> Manifest:
    try:
        found: dict[str, Any] = json.loads(body)
        if found["format"] != FORMAT:
            raise InvalidRequest(
                f"{path} is of format {found['format']}, this version reads {FORMAT}: "
                f"use Openbook {found.get('openbook', '(unknown)')}",
                code="not-a-backup",
            )
        return Manifest(
            openbook=str(found["openbook"]),
            made_at=str(found["made_at"]),
            change=int(found["change"]),
            files=tuple(
                Entry(name=str(f["name"]), size=int(f["size"]), sha256=str(f["sha256"])) for f in found["files"]
            ),
            missing=tuple(map(str, found["missing"])),
        )
    except (ValueError, KeyError, TypeError) as e:
        raise _bad(path, f"its manifest cannot be read ({e!r})") from e


def _check_manifest(manifest: Manifest, found: dict[str, Entry], path: Path) -> None:
    wanted = {entry.name: entry for entry in manifest.files}
    if lost := sorted(wanted.keys() - found.keys()):
        raise _bad(path, f"it lacks {lost[0]}" + (f" and {len(lost) - 1:,} more" if len(lost) > 1 else ""))
    if strange := sorted(found.keys() - wanted.keys()):
        raise _bad(path, f"its manifest does not name {strange[0]}")
    if DATABASE_FILE not in found:
        raise _bad(path, f"it has no {DATABASE_FILE}")
    for name, entry in found.items():
        original = _ORIGINAL.fullmatch(name)
        if entry != wanted[name] or (original is not None and entry.sha256 != original[2]):
            raise _bad(path, f"the bytes of {name} are not those of its manifest")


def _bad(path: Path, why: str) -> StorageFailed:
    return StorageFailed(
        f"the backup {path} cannot be trusted: {why}; nothing was restored: take another backup", code="bad-backup"
    )
