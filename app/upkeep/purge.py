"""Deleting a document together with every trace of it: in conversations, in traces, in jobs, and in the files themselves.

A file beside the database (``purge.pending``) is there from before the deletion until its last byte is gone, so that a
purge that was interrupted is finished at the next start.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.chats import Chats
from app.eval_runs import EvalRuns
from app.eval_sets import EvalSets
from app.feedback import clean_reasons
from app.traces import Traces
from app.upkeep.scrub import NAMES, Scrub, own_words
from core.database import Database, compact
from core.errors import NotFound
from core.protocols import Tokenizer
from core.types import Principal
from ingest.ledger import Ledger
from ingest.ledger_listing import originals_of
from retrieval.access import readable_collections, require_role
from retrieval.collection_rows import made_at
from retrieval.engine import SearchEngine
from retrieval.files import fsync_path, storage_errors
from retrieval.generations import Generations
from retrieval.reading import no_document
from retrieval.records import Change
from retrieval.store import Store

PENDING_FILE = "purge.pending"
_UNSHOWN = "what people wrote of it that no kept run was shown: its text is gone, and was not there to be compared with"
# A run that was answering while the document was purged ends within this time.
_REMEMBERED_S = 3600.0
# What a run is given, as the conversation so far, is read at most this long before it is noted that it was asked for.
_READ_BEFORE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What was changed where, and where the document may still be."""

    doc_id: str
    deleted_before: bool  # then what kept runs were shown of it is what was looked for
    chats: int
    messages: int
    traces: int
    jobs: int
    original: str  # of all its versions that were still there: "removed" or "kept: …"
    remains: tuple[str, ...]


@dataclass(slots=True)
class _Recent:
    scrub: Scrub
    user_id: str  # who has purged it
    until: float
    ended: float | None = None  # from when on nothing that is read has it


class RecentPurges:
    """Keeps what was purged out of answers that were being made meanwhile and are stored only now.

    An answer that was asked for afterwards is left as it is: a file that came since may have the name and most of the words.
    Times are of ``time.monotonic``.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._recent: list[_Recent] = []

    def add(self, scrub: Scrub, user_id: str) -> None:
        """``user_id``: who purges it. It may be read until ``ended``."""
        with self._lock:
            self._forget()
            self._recent.append(_Recent(scrub, user_id, self._clock() + _REMEMBERED_S))

    def ended(self, scrub: Scrub) -> None:
        """From now on nobody finds it."""
        with self._lock:
            for recent in self._recent:
                if recent.scrub is scrub:
                    recent.ended = self._clock()

    def clean(self, value: Any, user_id: str, shown: Any = None, *, asked_at: float) -> Any:
        """``value``, JSON of a person, without what was purged since it was asked for, as far as it was shown to them or is
        purged by them.

        Args:
            shown: what says which documents were shown, where ``value`` does not.
            asked_at: when what made ``value`` began to read.
        """
        with self._lock:
            self._forget()
            recent = [r for r in self._recent if r.ended is None or asked_at - _READ_BEFORE_S <= r.ended]
        for r in recent:
            if r.user_id == user_id or r.scrub.touches(value) or r.scrub.touches(shown):
                value = r.scrub.clean(value)
        return value

    def _forget(self) -> None:
        now = self._clock()
        self._recent = [r for r in self._recent if r.until > now]


def purge(
    principal: Principal,
    doc_id: str,
    *,
    database: Database,
    store: Store,
    ledger: Ledger,
    chats: Chats,
    traces: Traces,
    eval_sets: EvalSets,
    eval_runs: EvalRuns,
    engine: SearchEngine,
    recent: RecentPurges,
    data_dir: Path,
) -> Purged:
    """Deletes a document for good. On return it is in no file of the data directory, but for what ``remains`` says.

    One that was deleted before, or an earlier text of one that was replaced, is not there to be compared with: in its place
    stands what kept runs and answers quote of it, which is all of it that they were shown.

    A document is known by the names of its collection and of its file, and both can be names of something else later. So what
    others were told before there was this collection is of another document, whatever it is called: it is neither read nor
    changed. Of one's own, all goes that has the name or the words.

    Raises:
        NotFound, Forbidden: as for deleting; of a document that was deleted before, as of its collection.
        StorageFailed: it is deleted, but the disk failed before its bytes were overwritten; the next start goes on.
    """
    subject = _subject(principal, doc_id, database, store, ledger)
    with database.read() as connection:
        since = made_at(connection, subject.collection)
        kept = [*traces.quoting(connection, doc_id, since), *chats.quoting(connection, doc_id, since)]
    quoted = list(dict.fromkeys(pair for value in kept for pair in own_words(value, doc_id)))
    scrub = Scrub(
        doc_id,
        "\n".join([subject.text, *(text for key, text in quoted if key not in NAMES)]),
        (subject.title, subject.uri, *(text for key, text in quoted if key in NAMES)),
        _Peculiar(store, doc_id, engine.encoder.tokenizer),
    )
    note_purge(data_dir)
    recent.add(scrub, principal.user_id)
    change: Change | None = None
    with database.write() as connection:
        # First of all, for it asks who may; what is unique to the document is then what no other has.
        if subject.is_there:
            change = store.delete_document(connection, principal, doc_id)
        else:
            require_role(connection, principal, subject.collection, ("owner", "editor"), attached=True)
        # Of other people only what was shown the document: the same words elsewhere are theirs, and how often they have
        # them is nobody's business.
        me = principal.user_id
        among = chats.concerned(connection, scrub.touches, me, since)
        runs, n_traces = traces.rewrite(connection, scrub.clean, scrub.touches, me, since)
        n_chats, n_messages = chats.rewrite(connection, scrub.text, scrub.clean, runs, among, me, since)
        clean_reasons(connection, scrub.text, among)
        of = readable_collections(connection, principal, [subject.collection], attached=True)[subject.collection]
        eval_sets.forget_document(connection, doc_id, scrub.clean, of)
        eval_runs.forget_answers(connection, of)
        # Also of versions that could not be read, were cancelled, wait, or are at work.
        files = {subject.sha256, *originals_of(connection, subject.collection, subject.uri)}
        n_jobs = ledger.forget_document(connection, subject.collection, subject.uri)
    if change is not None:
        engine.publish(change)
    recent.ended(scrub)
    store.remove_originals(sorted(files))
    wipe(database, engine, data_dir)
    return Purged(
        doc_id=doc_id,
        deleted_before=not subject.is_there,
        chats=n_chats,
        messages=n_messages,
        traces=n_traces,
        jobs=n_jobs,
        original=_original(store, files),
        remains=_remains(data_dir) if subject.is_there else (_UNSHOWN, *_remains(data_dir)),
    )


def note_purge(data_dir: Path) -> None:
    """Before anything is deleted: if it is interrupted, the next start ends it. Raises StorageFailed."""
    with storage_errors("note down the purge"):
        (data_dir / PENDING_FILE).touch()
        fsync_path(data_dir)


def wipe(database: Database, engine: SearchEngine, data_dir: Path) -> None:
    """After the deletion: leaves nothing of what was deleted in the files. Raises StorageFailed."""
    engine.forget_removed()
    compact(database)
    with storage_errors("end the purge"):
        (data_dir / PENDING_FILE).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """What is to be purged; of a document that was deleted before, as far as a job of it says."""

    collection: str
    uri: str
    sha256: str
    title: str = ""
    text: str = ""
    is_there: bool


def _subject(principal: Principal, doc_id: str, database: Database, store: Store, ledger: Ledger) -> _Subject:
    try:
        found = store.get_document(principal, doc_id)
    except NotFound:
        with database.read() as connection:
            named = ledger.named(connection, doc_id)
            if named is None:
                raise
            collection, uri, sha256 = named
            try:
                require_role(connection, principal, collection, ("owner", "editor"), attached=True)
            except NotFound:  # of a collection of somebody else's one does not learn that there was such a document
                raise no_document(doc_id) from None
        return _Subject(collection=collection, uri=uri, sha256=sha256, is_there=False)
    return _Subject(
        collection=found.collection,
        uri=found.uri,
        sha256=found.sha256,
        title=found.title,
        text=found.text,
        is_there=True,
    )


class _Peculiar:
    """Whether a word is one that the encoder's tokenizer has to spell out and that no other document has."""

    def __init__(self, store: Store, doc_id: str, tokenizer: Tokenizer) -> None:
        self._store = store
        self._doc_id = doc_id
        self._tokenizer = tokenizer

    def __call__(self, word: str) -> bool:
        if len(word) < 4 or self._tokenizer.count([word])[0] < 2:
            return False
        return not self._store.says(word, but=self._doc_id)


def _original(store: Store, files: Iterable[str]) -> str:
    if all(store.originals.size(sha256) is None for sha256 in files):
        return "removed"
    return "kept: another document, or a file that waits, has the same bytes"


def _remains(data_dir: Path) -> tuple[str, ...]:
    old = sorted(path.name for path in data_dir.glob("before-restore-*"))
    return (
        "backups that were taken before",
        *(f"{data_dir / name}, which a restore put aside: delete it if you need it no more" for name in old),
    )


def finish_purge(database: Database, data_dir: Path) -> None:
    """Ends a purge that was interrupted; at start, before anything is open. The caller holds the lock."""
    pending = data_dir / PENDING_FILE
    if not pending.exists():
        return
    generations = Generations(database, data_dir / "indexes")
    with database.write() as connection:
        generations.forget_all(connection)
    generations.sweep()
    compact(database)
    with storage_errors("end the purge"):
        pending.unlink(missing_ok=True)


def purged_json(done: Purged) -> Mapping[str, Any]:
    remains: Sequence[str] = list(done.remains)
    return {
        "purged": done.doc_id,
        "deleted_before": done.deleted_before,
        "chats": done.chats,
        "messages": done.messages,
        "traces": done.traces,
        "jobs": done.jobs,
        "original": done.original,
        "remains": remains,
    }
