"""Stored token vectors of what was found, and the background work of making those that are not there, a few passages at a time.

Most passages have theirs from the pass that made their vectors (``ingest.pipeline``). What is left for this thread was stored
before there were token vectors, or by another encoder, or before its collection was to keep any, or is damaged. Of a
document only the passages are read that have none, or none that can be believed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from core.database import Database
from core.errors import RunCancelled, StorageFailed
from core.protocols import Encoder
from core.types import Hit
from retrieval.late.packed import Packed
from retrieval.late.reading import packed_revision, read_packed
from retrieval.projection import read_chunks
from retrieval.search_record import found_id
from retrieval.token_rows import (
    count_tokens,
    is_searched,
    mistrust,
    next_without,
    note_tokens,
    put_tokens,
    tokens_of,
    tokens_of_rows,
)

logger = logging.getLogger(__name__)

_AT_ONCE = 16  # passages between which the thread can be stopped and searches get their turn


class TokenFiller:
    """``step`` is called by one thread; all else may be called from any.

    Args:
        encoder: loaded; reads passages and queries, whatever encoder made a collection's vectors.
    """

    def __init__(self, encoder: Encoder, database: Database) -> None:
        self._encoder = encoder
        self._database = database
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._mistrusted: set[str] = set()
        self.filled = 0  # documents since the start: searches of before may have a better order now
        self.busy = False

    def wake(self) -> None:
        """Something was published, or a collection changed its mind. The caller wakes the thread."""
        self._asked.set()

    def kept(self, encoder: Encoder, hits: Sequence[Hit]) -> Mapping[str, Packed]:
        """What is stored of passages, by ``found_id``, of those that this encoder made; damaged ones are made anew soon.

        For hits that the person has been given: it does not ask again who may read them.
        """
        ids, doc_ids = [found_id(hit) for hit in hits], list({hit.chunk.doc_id for hit in hits})
        with self._database.read() as connection:
            found = tokens_of(connection, packed_revision(encoder), encoder.dim, ids, doc_ids)
        if found.damaged:
            logger.error(
                "stored token vectors of %d documents (%s, …) are damaged: they are read from the text now and made anew",
                len(found.damaged),
                min(found.damaged),
            )
            self._mistrust(found.damaged)
        return found.of_chunks

    def counts(self) -> tuple[int, int]:
        """Searched passages that have token vectors, and those that should and have none yet."""
        with self._database.read() as connection:
            return count_tokens(connection, packed_revision(self._encoder))

    def step(self, cancelled: Callable[[], bool]) -> bool:
        """Reads one document's passages; False if none lacks token vectors.

        Raises:
            RunCancelled: ``cancelled()`` said so; what has been read of the document stays.
        """
        if not self._asked.is_set():
            return False
        self._asked.clear()
        self._note_mistrusted()
        revision = packed_revision(self._encoder)
        with self._database.read() as connection:
            doc_number = next_without(connection, revision)
        self.busy = doc_number is not None
        if doc_number is None:
            return False
        self._asked.set()  # there may be more, and what fails is tried again
        with self._database.read() as connection:
            passages = [
                pair
                for batch in read_chunks(connection, [doc_number])
                for pair in zip(batch.rows, batch.chunks, strict=True)
            ]
        for start in range(0, len(passages), _AT_ONCE):
            if cancelled():
                raise RunCancelled("reading passages token by token was stopped")
            some = passages[start : start + _AT_ONCE]
            with self._database.read() as connection:
                sound = tokens_of_rows(connection, revision, self._encoder.dim, [row for row, _ in some])
            lacking = [(row, chunk.text) for row, chunk in some if row not in sound]
            packed = read_packed(self._encoder, [text for _, text in lacking])
            with self._database.write() as connection:
                if not is_searched(connection, doc_number):
                    return True  # it was deleted or replaced meanwhile, or its collection keeps none any more
                put_tokens(connection, revision, zip((row for row, _ in lacking), packed, strict=True))
                # Until the last ones are there it has none that all have: those of before are being replaced.
                note_tokens(connection, doc_number, revision if start + _AT_ONCE >= len(passages) else None)
        self.filled += 1
        return True

    def _mistrust(self, doc_ids: Iterable[str]) -> None:
        with self._lock:
            self._mistrusted.update(doc_ids)
        self._asked.set()

    def _note_mistrusted(self) -> None:
        with self._lock:
            doc_ids, self._mistrusted = self._mistrusted, set()
        if not doc_ids:
            return
        try:
            with self._database.write() as connection:
                mistrust(connection, doc_ids)
        except StorageFailed:
            self._mistrust(doc_ids)
            raise
