"""Mends what ``verify`` finds, on a data directory that no server uses.

What is a cache is removed and built anew; what can be made again from the text or from the original is made again; what
is lost is left as it is, and said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from app.upkeep.opened import Opened
from app.upkeep.verify import Report, Verified, verify
from core.errors import OpenbookError
from core.findings import Finding
from core.integrity import rebuild_database_indexes, remove_unreachable_rows
from core.protocols import Encoder
from core.types import Chunk, Principal
from ingest.chunk.choose import ChunkerName
from ingest.embed_text import EmbedContext, embedded_text
from ingest.ledger_audit import repair_job
from ingest.pipeline import SPECIAL_TOKENS
from retrieval.editions import abandon
from retrieval.files import sha256_of
from retrieval.generations import Generations
from retrieval.mend import drop_copy, encode_again, mark_damaged
from retrieval.token_audit import drop_wrong_tokens

BuildEncoder = Callable[[], Encoder]


@dataclass(slots=True)
class Repaired:
    """``jobs`` wait to be worked on: each reads a document again."""

    mended: list[Finding] = field(default_factory=list)
    left: list[Finding] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    waiting: set[str] = field(default_factory=set)  # documents that are to be read again

    def json(self) -> dict[str, Any]:
        return {
            "ok": not self.left,
            "mended": [asdict(f) for f in self.mended],
            "left": [asdict(f) for f in self.left],
            "jobs": self.jobs,
        }


def repair(here: Opened, build_encoder: BuildEncoder, report: Report = lambda share, doing: None) -> Repaired:
    """Verifies, mends, and verifies again. The caller holds the lock.

    Args:
        build_encoder: called only if vectors have to be made again.
    """
    done = Repaired()
    # Twice: what hides behind a broken reference or a damaged document shows once that is mended.
    for _ in range(2):
        before = verify(here.store, here.data_dir, stopped=True, report=report)
        tried = _mend(here, before, build_encoder, done)
        if not tried:
            break
    after = verify(here.store, here.data_dir, stopped=True, report=report)
    done.left = [
        replace(f, fix=LOST, repairable=False) if f.code in _READ_AGAIN else f
        for f in after.findings
        if f.subject not in done.waiting
    ]
    still = {(f.code, f.subject) for f in done.left}
    done.mended = [f for f in done.mended if (f.code, f.subject) not in still]
    return done


_READ_AGAIN = ("text-damaged", "chunks-damaged", "document-damaged")
LOST = "its original is lost, too: upload the same file again, or restore a backup with `openbook restore`"


def _mend(here: Opened, found: Verified, build_encoder: BuildEncoder, done: Repaired) -> bool:
    encoder: list[Encoder] = []

    def loaded() -> Encoder:
        if not encoder:
            encoder.append(build_encoder())
        return encoder[0]

    seen = {(f.code, f.subject) for f in done.mended}
    todo = [f for f in found.findings if f.repairable and (f.code, f.subject) not in seen]
    unreadable = {f.subject for f in todo if f.code in _READ_AGAIN}
    for finding in todo:
        if finding.code == "vectors-damaged" and finding.subject in unreadable:
            continue  # its vectors are made with its new passages
        if _mend_one(here, finding, loaded, done):
            done.mended.append(finding)
    return bool(todo)


def _mend_one(here: Opened, finding: Finding, encoder: BuildEncoder, done: Repaired) -> bool:
    match finding.code:
        case "database-index":
            rebuild_database_indexes(here.database)
        case "reference-broken":
            remove_unreachable_rows(here.database)
        case "original-orphan":
            here.store.sweep_originals()
        case "index-damaged":
            _forget_index(here, finding.subject)
        case "vectors-damaged":
            with here.database.write() as connection:
                made = encode_again(connection, finding.subject, encoder(), _text_of(encoder()))
            return made or _read_again(here, finding, done)
        case "tokens-damaged":
            with here.database.write() as connection:
                drop_wrong_tokens(connection, finding.subject)
        case "copy-damaged":
            with here.database.write() as connection:
                drop_copy(connection, int(finding.subject))
        case "edition-state":
            with here.database.write() as connection:
                abandon(connection, int(finding.subject))
        case "text-damaged" | "chunks-damaged" | "document-damaged":
            return _read_again(here, finding, done)
        case code if code.startswith("job-"):
            with here.database.write() as connection:
                repair_job(connection, here.ledger, finding)
        case _:
            return False
    return True


def _forget_index(here: Opened, name: str) -> None:
    generations = Generations(here.database, here.data_dir / "indexes")
    with here.database.write() as connection:
        generations.forget(connection, name)
    generations.sweep()


def _text_of(encoder: Encoder) -> Callable[[str, Chunk, str], str]:
    def text_of(title: str, chunk: Chunk, chunker_version: str) -> str:
        room = encoder.max_tokens - SPECIAL_TOKENS
        return embedded_text(title, chunk, _embed_context(chunker_version), encoder.tokenizer, room)

    return text_of


def _embed_context(chunker_version: str) -> EmbedContext:
    """See ``ingest.chunk.choose.chunker_version``, which ends with it."""
    if chunker_version.endswith("-title"):
        return "title"
    return "headings" if chunker_version.endswith("-headings") else "none"


def _read_again(here: Opened, finding: Finding, done: Repaired) -> bool:
    """Marks a document and gives it a job, if its original is whole."""
    if finding.subject in done.waiting:
        return True
    with here.database.write() as connection:
        marked = mark_damaged(connection, finding.subject)
        if marked is None:
            return True
        if not _is_whole(here, marked.sha256):
            return False
        owner = Principal(user_id=marked.owner_id)
        known = here.store.get_document_info(owner, finding.subject).metadata.get("source")
        job = here.ledger.add(
            connection,
            principal=owner,
            collection=marked.collection,
            file=marked.uri,
            uri=marked.uri,
            sha256=marked.sha256,
            size=marked.size,
            chunker=_chunker(marked.chunker_version),
            # A page stays one of its URL, under the name that says what it is. It was a document, and is not to be opened.
            origin={**known, "of_index": False} if known else {},
        )
    done.jobs.append(job.job_id)
    done.waiting.add(finding.subject)
    return True


def _chunker(chunker_version: str) -> str:
    """Its name; "", which is as its collection has it, of a document that was marked before and never read."""
    names: tuple[ChunkerName, ...] = ("fixed", "sentence", "semantic", "parent-child")
    return next((name for name in names if chunker_version.startswith(name)), "")


def _is_whole(here: Opened, sha256: str) -> bool:
    try:
        path: Path = here.store.originals.path(sha256)
        return sha256_of(path) == sha256
    except (OpenbookError, OSError):
        return False
