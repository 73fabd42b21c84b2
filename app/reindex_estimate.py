"""What making a collection anew would come to, before it is begun: which settings change, which documents are read again, how long.

Nothing is loaded and nothing is changed. The time goes by how long these very documents took to come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.pipelines import Encoders, pipeline_of, with_pipeline
from core.database import Database
from core.settings import Settings
from core.types import Principal
from ingest.ledger_listing import seconds_of_documents
from ingest.pipeline import version_of
from retrieval import editions
from retrieval.access import require_role
from retrieval.collection_rows import pii_of
from retrieval.sizes import DocumentSize, sizes_of

_ENCODER = ("encoder_runtime", "encoder_model", "encoder_precision")
# As docs/bench/chunkers.md measured it against fixed: every sentence is encoded once more to find where the subject changes.
SLOWER: Mapping[str, float] = {"semantic": 3.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """``changes``: setting → (as it is, as it would be). ``seconds`` is None where nobody can know."""

    changes: Mapping[str, tuple[Any, Any]]
    documents: int
    again: int  # documents that would be read again; the others are made so already
    characters: int  # of those
    chunks: int  # that these have now, kept beside the new ones for a way back
    seconds: float | None


def estimate(
    settings: Settings,
    database: Database,
    encoders: Encoders,
    principal: Principal,
    collection: str,
    changes: Mapping[str, Any],
) -> Estimate:
    """What ``Reindexing.start`` would begin, with the same arguments.

    Raises:
        NotFound, Forbidden: no such collection for this person, or only to be read.
        InvalidRequest: a value that does not fit.
    """
    with database.read() as connection:
        require_role(connection, principal, collection, ("owner", "editor"))
        serving = with_pipeline(settings, editions.pipeline_of(connection, collection))
        chosen = with_pipeline(serving, changes)
        sizes = sizes_of(connection, collection)
        took = seconds_of_documents(connection, collection)
        pii = pii_of(connection, collection)
    now, then = pipeline_of(serving), pipeline_of(chosen)
    changed = {key: (now[key], then[key]) for key in then if now[key] != then[key]}
    if changed.keys() & set(_ENCODER):  # it may not even be on this machine yet
        return _of(changed, sizes, sizes, None)
    encoder = encoders.get(serving)
    wanted = (encoder.revision, version_of(chosen, encoder, pii=pii))
    unlike = [size for size in sizes if (size.encoder_revision, size.chunker_version) != wanted]
    known = [size for size in sizes if took.get(size.doc_id)]
    read = sum(size.characters for size in known)
    seconds: float | None = 0.0
    if unlike:
        rate = sum(took[size.doc_id] for size in known) / read if read else None
        slower = SLOWER.get(chosen.chunker, 1.0) / SLOWER.get(serving.chunker, 1.0)
        characters = sum(size.characters for size in unlike)
        # Several are worked on side by side, and each says how long it took.
        seconds = None if rate is None else rate * characters * slower / settings.ingest_workers
    return _of(changed, sizes, unlike, seconds)


def _of(
    changes: Mapping[str, tuple[Any, Any]], sizes: list[DocumentSize], again: list[DocumentSize], seconds: float | None
) -> Estimate:
    return Estimate(
        changes=changes,
        documents=len(sizes),
        again=len(again),
        characters=sum(size.characters for size in again),
        chunks=sum(size.chunks for size in again),
        seconds=seconds,
    )


def estimate_json(found: Estimate) -> dict[str, Any]:
    return {
        "changes": {key: {"is": now, "would_be": then} for key, (now, then) in found.changes.items()},
        "documents": found.documents,
        "again": found.again,
        "characters": found.characters,
        "chunks": found.chunks,
        "seconds": None if found.seconds is None else round(found.seconds, 1),
    }
