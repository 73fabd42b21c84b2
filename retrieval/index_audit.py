"""Do the index files hold what the database says? For a data directory that no engine has open.

An index may be behind the database by what was written since its manifest: that is caught up with at the next start
and no fault. What its manifest says it covers must be in it, whole.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from core.errors import IndexDamaged, StorageFailed
from core.findings import Finding
from retrieval.dense.hnsw import HnswIndex
from retrieval.generations import Generations, Manifest
from retrieval.late.files import load as load_late
from retrieval.projection import read_documents, read_removals, read_vectors
from retrieval.sparse.tantivy import TantivyIndex
from retrieval.tables import editions, index_manifests
from retrieval.terms import REVISION

REBUILD = "it is removed, and built anew from the database at the next start"


def audit_indexes(connection: Connection, generations: Generations) -> tuple[int, list[Finding]]:
    """
    Returns:
        How many generations there are, and what is wrong with them.
    """
    manifests = [Manifest(**row._mapping) for row in connection.execute(select(index_manifests))]
    found = []
    for manifest in manifests:
        try:
            if manifest.kind == "dense":
                _check_dense(connection, generations.verify(manifest), manifest)
            elif manifest.kind == "late":
                load_late(generations.verify(manifest))  # what it lacks is read at the next start
            elif manifest.revision.startswith(REVISION):  # another analysis of text is built anew anyway
                _check_sparse(connection, generations.folder / manifest.name, manifest)
        except (IndexDamaged, StorageFailed) as e:
            message = e.message.removesuffix(". Delete the folder to build it anew")
            found.append(Finding(code="index-damaged", subject=manifest.name, message=message, fix=REBUILD))
    return len(manifests), found


def _check_dense(connection: Connection, path: Path, manifest: Manifest) -> None:
    graph = HnswIndex.load(path)
    covered = _covered(connection, manifest.covers_change)
    lacking = np.setdiff1d(covered, graph.rows())
    # Rows of another encoder are not in a graph of this one.
    mine = [(rows, vectors) for rows, vectors in read_vectors(connection, manifest.revision, graph.dim) if len(rows)]
    known = np.concatenate([rows for rows, _ in mine]) if mine else np.empty(0, dtype=np.int64)
    if len(lost := np.intersect1d(lacking, known)):
        raise IndexDamaged(f"{path} lacks {len(lost):,} passages that its manifest says are in it")
    for rows, vectors in mine:
        inside = np.isin(rows, graph.rows())
        other = int(np.count_nonzero(~graph.holds(rows[inside], vectors[inside])))
        if other:
            raise IndexDamaged(f"{path} has other vectors than the database for {other:,} passages")


def _check_sparse(connection: Connection, path: Path, manifest: Manifest) -> None:
    if not path.is_dir():
        raise IndexDamaged(f"{path} is named in a manifest but is not there")
    index = TantivyIndex(path)
    try:
        held = index.rows()
    finally:
        index.close()
    if len(lost := np.setdiff1d(_covered(connection, manifest.covers_change), held)):
        raise IndexDamaged(f"{path} lacks {len(lost):,} passages that its manifest says are in it")
    leaving = [np.arange(first, first + n) for _, first, n in read_removals(connection, manifest.covers_change)]
    # What was prepared for a switch that a crash prevented is taken out at the next start.
    waiting = [read_documents(connection, edition_id=e).rows for e in connection.scalars(select(editions.c.edition_id))]
    explained = np.concatenate([read_documents(connection).rows, *waiting, *leaving])
    if len(extra := np.setdiff1d(held, explained)):
        raise IndexDamaged(f"{path} holds {len(extra):,} passages that are in no document")


def _covered(connection: Connection, change: int) -> NDArray[np.int64]:
    """The rows of the documents that were there at ``change`` and still are."""
    now, since = read_documents(connection), read_documents(connection, change)
    return np.setdiff1d(now.rows, since.rows)
