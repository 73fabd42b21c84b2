"""The index files under ``indexes/``: caches, each named by a manifest row that is written last.

A file without a manifest row was never finished, or is no longer used, and is swept at start. A file whose bytes are
not those of its manifest is not loaded. Everything here can be deleted and is then built again from the database.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from core.clock import now_iso
from core.database import Database
from core.errors import IndexDamaged
from retrieval.files import make_folder, sha256_of, storage_errors
from retrieval.tables import index_manifests

logger = logging.getLogger(__name__)

Kind = Literal["dense", "sparse", "late"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of one generation. ``sha256`` is "" for a folder, whose files carry their own checksums."""

    kind: Kind
    generation: int
    name: str
    sha256: str
    size: int
    revision: str
    covers_change: int
    n_rows: int
    created_at: str


class Generations:
    """Names, records and removes the generations in ``folder``."""

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self.folder = folder

    def current(self, kind: Kind, revision: str) -> Manifest | None:
        """The newest generation of ``kind`` that was built for ``revision``."""
        query = (
            select(index_manifests)
            .where(index_manifests.c.kind == kind, index_manifests.c.revision == revision)
            .order_by(index_manifests.c.generation.desc())
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _manifest(row)

    def new_path(self, kind: Kind, suffix: str = "") -> tuple[int, Path]:
        """Number and place for a generation that is about to be built; whatever lies there is removed."""
        query = select(func.max(index_manifests.c.generation)).where(index_manifests.c.kind == kind)
        with self._database.read() as connection:
            generation = (connection.execute(query).scalar() or 0) + 1
        with storage_errors("make room for an index"):
            make_folder(self.folder)
            path = self.folder / f"{kind}-{generation:06d}{suffix}"
            _remove(path)
        return generation, path

    def verify(self, manifest: Manifest) -> Path:
        """The file of a manifest, its bytes checked. Raises IndexDamaged."""
        path = self.folder / manifest.name
        try:
            size, digest = path.stat().st_size, sha256_of(path)
        except OSError as e:
            raise IndexDamaged(f"{path} is named in a manifest but cannot be read: {e}") from e
        if size != manifest.size or digest != manifest.sha256:
            raise IndexDamaged(
                f"{path} has {size:,} bytes with SHA-256 {digest[:12]}…, "
                f"its manifest says {manifest.size:,} and {manifest.sha256[:12]}…"
            )
        return path

    def record(
        self,
        connection: Connection,
        kind: Kind,
        generation: int,
        path: Path,
        *,
        revision: str,
        covers_change: int,
        n_rows: int,
        sha256: str = "",
    ) -> list[str]:
        """Names a finished generation as the current one; the others of its kind lose their rows.

        Returns:
            The names of the others, for ``discard`` after COMMIT.
        """
        others = select(index_manifests.c.name).where(index_manifests.c.kind == kind)
        previous = list(connection.scalars(others))
        connection.execute(delete(index_manifests).where(index_manifests.c.kind == kind))
        connection.execute(
            insert(index_manifests).values(
                kind=kind,
                generation=generation,
                name=path.name,
                sha256=sha256,
                size=path.stat().st_size if sha256 else 0,
                revision=revision,
                covers_change=covers_change,
                n_rows=n_rows,
                created_at=now_iso(),
            )
        )
        return previous

    def discard(self, names: Sequence[str]) -> None:
        """Removes files that lost their manifest rows. What cannot be removed is logged and swept at the next start."""
        for name in names:
            try:
                _remove(self.folder / name)
            except OSError as e:
                logger.warning("the unused index %s could not be removed: %s", name, e)

    def cover(self, connection: Connection, kind: Kind, generation: int, covers_change: int, n_rows: int) -> None:
        """Notes how far a generation that is written in place has come."""
        which = (index_manifests.c.kind == kind, index_manifests.c.generation == generation)
        connection.execute(update(index_manifests).where(*which).values(covers_change=covers_change, n_rows=n_rows))

    def forget(self, connection: Connection, name: str) -> None:
        """Takes back the manifest of one file; ``sweep`` then removes it."""
        connection.execute(delete(index_manifests).where(index_manifests.c.name == name))

    def forget_kind(self, connection: Connection, kind: Kind) -> list[str]:
        """Takes back the manifests of one kind; returns the names of the files, for ``discard`` after COMMIT."""
        names = list(connection.scalars(select(index_manifests.c.name).where(index_manifests.c.kind == kind)))
        connection.execute(delete(index_manifests).where(index_manifests.c.kind == kind))
        return names

    def drop(self, kind: Kind) -> bool:
        """Forgets a kind and removes its files, which nobody has open; False if there were none. Raises StorageFailed."""
        with self._database.write() as connection:
            names = self.forget_kind(connection, kind)
        self.discard(names)
        return bool(names)

    def forget_all(self, connection: Connection) -> None:
        """Takes back every manifest: the files are gone or not to be trusted, and are built anew."""
        connection.execute(delete(index_manifests))

    def sweep(self) -> None:
        """Removes every file that no manifest names."""
        if not self.folder.is_dir():
            return
        with self._database.read() as connection:
            named = set(connection.scalars(select(index_manifests.c.name)))
        self.discard([path.name for path in self.folder.iterdir() if path.name not in named])


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _manifest(row: Row[Any]) -> Manifest:
    return Manifest(**row._mapping)
