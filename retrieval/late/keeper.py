"""The index of token vectors in service: loaded if its bytes are sound, kept up with, built anew when it has outgrown its codec.

Token vectors come from the store (``retrieval.late.stored``); reading a text for them takes a hundred times as long as adding a
vector, and compressing them is no small matter either, so none of it happens where documents are published or searched: one
thread of its own takes in what collections that ask for it have and the index lacks. Until it has, a search says so. A generation is a file and a manifest row with its SHA-256, written in this order; what was
added since is read again at the next start. Few passages are not compressed, nor written down.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.database import Database
from core.errors import Conflict, IndexDamaged, NotReady, RunCancelled, StorageFailed
from core.protocols import Encoder
from core.types import Allowed, Chunk, Vectors
from retrieval.catalogue import Catalogue
from retrieval.collection_rows import late_collections
from retrieval.files import sha256_of
from retrieval.generations import Generations
from retrieval.late import files
from retrieval.late.codec import MAX_CENTROIDS, sample_size, train
from retrieval.late.compressed import CompressedLateIndex
from retrieval.late.exact import FEW, ExactLateIndex
from retrieval.late.stored import StoredTokens
from retrieval.projection import read_chunks, read_documents
from retrieval.ranking import TokenSpace

logger = logging.getLogger(__name__)

_AT_ONCE = 16  # passages read together, between which the thread can be stopped and searches get their turn
_DOCUMENTS_AT_ONCE = 16
_FROM_ONE_DOCUMENT = 64  # passages of it that a codec is trained on, at most
_OUTGROWN = 4  # times as many tokens as a codec was trained for
_WAIT_S = 2.0  # that a search waits for a few passages that were added just now
_AWAITED = 64
_LEFT_OUT = 0.01  # share of what is searched that may still lack its token vectors
_KEPT_AT_ONCE = 4096  # passages
_UNSAVED = 64  # passages, or a twentieth of all: so many are rather read again than written


class LateKeeper:
    """``step`` is called by one thread; all else may be called from any.

    Args:
        encoder: reads passages and queries, whatever encoder made a collection's vectors.
        catalogue: says which rows are searched.
    """

    def __init__(self, encoder: Encoder, database: Database, generations: Generations, catalogue: Catalogue) -> None:
        self._encoder = encoder
        self._stored = StoredTokens(encoder, database)
        self._database = database
        self._generations = generations
        self._catalogue = catalogue
        self._index: CompressedLateIndex | ExactLateIndex | None = None
        self._loaded = False
        self._asked = threading.Event()  # something may be new
        self._caught_up = threading.Event()
        self._lacking = 0  # passages, as of the last look
        self._unsaved = 0
        self._renew = False
        self.building = False
        self.problems: list[str] = []

    @property
    def revision(self) -> str:
        """Names what reads and how it is compressed: a generation belongs to one."""
        return f"{self._encoder.revision}-late-{files.VERSION}"

    def rows(self) -> NDArray[np.int64]:
        """Every row whose tokens it has."""
        return np.empty(0, np.int64) if self._index is None else self._index.rows()

    @property
    def lacking(self) -> int:
        """Passages that are still to be read, as of the last look."""
        return self._lacking

    def wake(self) -> None:
        """Something was published, or a collection changed its mind. The caller wakes the thread."""
        self._caught_up.clear()
        self._asked.set()

    def remove(self, rows: list[int]) -> None:
        """Rows that no search can see any more."""
        if self._index is not None:
            self._index.remove(rows)

    def renew(self) -> None:
        """Write the next generation as soon as may be, so that nothing removed is left in the file."""
        self._renew = True
        self.wake()

    # ------------------------------------------------------------ searching

    def wait_for_a_few(self) -> None:
        """Waits a moment if little is lacking, so that what was added just now is found."""
        if self._lacking <= _AWAITED:
            self._caught_up.wait(_WAIT_S)

    def space(self, readable: Mapping[str, int], allowed: Allowed) -> TokenSpace:
        """What to search in.

        Args:
            readable: name → id of the collections that are searched.

        Raises:
            Conflict: one of them does not ask for token vectors; says how to.
            NotReady: too many passages are still to be read.
        """
        with self._database.read() as connection:
            asking = late_collections(connection)
        without = [name for name, number in readable.items() if number not in asking]
        if without:
            more = f" (nor for {len(without) - 1} more)" if len(without) > 1 else ""
            raise Conflict(
                f"late interaction is not switched on for the collection {without[0]!r}{more}: switch it on with "
                f"`openbook collections set {without[0]} --late`, or choose bm25, tfidf, dense or hybrid",
                code="late-off",
            )
        index, wanted = self._index, np.flatnonzero(allowed.rows)
        lacking = len(wanted) if index is None else int(np.count_nonzero(~index.holds(wanted)))
        if index is None or lacking > _LEFT_OUT * len(wanted):
            raise NotReady(
                f"{lacking:,} of {len(wanted):,} passages are still to be read token by token: try again in a moment, "
                "or search with hybrid",
                code="late-building",
            )
        return TokenSpace(encoder=self._encoder, index=index)

    # ------------------------------------------------------------ keeping up

    def open(self) -> None:
        """Takes the current generation into service, if it is sound."""
        manifest = self._generations.current("late", self.revision)
        if manifest is None:
            return
        try:
            index = files.load(self._generations.verify(manifest))
        except IndexDamaged as e:
            logger.error("the index of token vectors is damaged and is built anew: %s", e)
            self.problems.append(f"the index of token vectors was damaged and is built anew: {e}")
            return
        self._index = index

    def step(self, cancelled: Callable[[], bool]) -> bool:
        """Does what is due; False if nothing is.

        Raises:
            RunCancelled: ``cancelled()`` said so.
        """
        if not self._asked.is_set():
            return False
        self._asked.clear()
        try:
            moved = self._follow(cancelled)
        except BaseException:
            self._asked.set()
            raise
        if not self._asked.is_set():
            self._caught_up.set()
        return moved

    def close(self) -> None:
        """Writes down what was read since the last generation. After the last ``step``."""
        if self._unsaved:
            self._save()

    def _follow(self, cancelled: Callable[[], bool]) -> bool:
        wanted = self._wanted()
        if not len(wanted):
            return self._drop()
        if self._index is not None:
            self._let_go(self._index, wanted)
        lacking = wanted if self._index is None else wanted[~self._index.holds(wanted)]
        self._lacking = len(lacking)
        moved = len(lacking) > 0
        self.building = moved
        try:
            if self._index is None and len(wanted) < FEW:
                self._index = ExactLateIndex(self._stored.dim)
            if self._index is None or self._outgrown(self._index, len(wanted)):
                self._build(wanted, cancelled)
            else:
                self._read_into(self._index, lacking, cancelled)
        finally:
            self.building = False
        if self._renew or self._unsaved > max(_UNSAVED, len(wanted) // 20):
            self._save()
        return moved

    def _wanted(self) -> NDArray[np.int64]:
        with self._database.read() as connection:
            asking = late_collections(connection)
        if not asking:
            return np.empty(0, np.int64)
        return np.flatnonzero(self._catalogue.newest().allowed(tuple(asking)).rows)

    def _let_go(self, index: CompressedLateIndex | ExactLateIndex, wanted: NDArray[np.int64]) -> None:
        """Rows that no collection asks for any more, and what was deleted while its text was being read."""
        others = np.setdiff1d(index.rows(), wanted)
        index.remove(others.tolist())
        self._unsaved += len(others)

    def _drop(self) -> bool:
        """Nobody asks for token vectors any more: nothing of them is kept."""
        had, self._index = self._index is not None, None
        self._lacking = self._unsaved = 0
        self._renew = False
        self._generations.drop("late")
        return had

    @staticmethod
    def _outgrown(index: CompressedLateIndex | ExactLateIndex, n_wanted: int) -> bool:
        if isinstance(index, ExactLateIndex):
            return n_wanted >= FEW
        codec = index.codec
        if len(codec.centroids) >= MAX_CENTROIDS or not len(index):
            return not len(index)
        expected = index.n_tokens / len(index) * n_wanted
        return expected > _OUTGROWN * codec.trained_on

    # ------------------------------------------------------------ reading

    def _build(self, wanted: NDArray[np.int64], cancelled: Callable[[], bool]) -> None:
        """A codec from some of the passages, then all of them; what is in service meanwhile keeps up as well."""
        sample, per_passage = self._sample(wanted, cancelled)
        codec = train(sample, n_tokens=round(per_passage * len(wanted)))
        fresh = CompressedLateIndex(codec)
        old, self._index = self._index, self._index or fresh
        while True:
            self._read_into(fresh, wanted[~fresh.holds(wanted)], cancelled, old)
            if not self._asked.is_set():
                break
            self._asked.clear()
            wanted = self._wanted()
        self._let_go(fresh, wanted)  # ``remove`` went to the old one
        self._index = fresh
        self._unsaved = len(fresh)

    def _read_into(
        self,
        index: CompressedLateIndex | ExactLateIndex,
        rows: NDArray[np.int64],
        cancelled: Callable[[], bool],
        old: CompressedLateIndex | ExactLateIndex | None = None,
    ) -> None:
        for some, chunks in self._passages(rows):
            tokens = self._tokens(some, chunks, cancelled)
            index.add(some, tokens)
            if old is not None:
                new = ~old.holds(some)
                old.add(some[new], [t for t, n in zip(tokens, new.tolist(), strict=True) if n])
            self._unsaved += len(some)
            self._lacking = max(0, self._lacking - len(some))
            if index is self._index and self._unsaved >= _KEPT_AT_ONCE:
                self._save()  # so that a crash takes minutes of reading, not hours

    def _sample(self, wanted: NDArray[np.int64], cancelled: Callable[[], bool]) -> tuple[Vectors, float]:
        """Token vectors (n, dim) of passages drawn by chance, and how many a passage has on average."""
        parts: list[Vectors] = []
        n_passages = n_tokens = 0
        shuffled = np.random.default_rng(len(wanted)).permutation(wanted)
        for some, chunks in self._passages(shuffled, in_order=False, most=_FROM_ONE_DOCUMENT):
            for vectors in self._tokens(some, chunks, cancelled):
                parts.append(vectors.astype(np.float16))
                n_tokens += len(vectors)
                n_passages += 1
            if n_tokens >= sample_size(round(n_tokens / n_passages * len(wanted))):
                break
        return np.concatenate(parts).astype(np.float32), n_tokens / max(1, n_passages)

    def _tokens(self, rows: NDArray[np.int64], chunks: list[Chunk], cancelled: Callable[[], bool]) -> list[Vectors]:
        if cancelled():
            raise RunCancelled("taking in passages token by token was stopped")
        return self._stored.of(rows.tolist(), [c.text for c in chunks])

    def _passages(
        self, rows: NDArray[np.int64], *, in_order: bool = True, most: int | None = None
    ) -> Iterator[tuple[NDArray[np.int64], list[Chunk]]]:
        """The passages of ``rows`` that are still there, a few at a time; no transaction is open while they are used.

        Args:
            in_order: of their documents; else as ``rows`` are.
            most: of each document.
        """
        if not len(rows):
            return
        wanted = np.zeros(int(rows.max()) + 1, dtype=np.bool_)
        wanted[rows] = True
        with self._database.read() as connection:
            runs = read_documents(connection).holding(np.sort(rows))
        numbers = runs.doc_number
        if not in_order:
            numbers = numbers[np.random.default_rng(len(numbers)).permutation(len(numbers))]
        for start in range(0, len(numbers), _DOCUMENTS_AT_ONCE):
            with self._database.read() as connection:
                found = [
                    (row, chunk)
                    for batch in read_chunks(connection, numbers[start : start + _DOCUMENTS_AT_ONCE].tolist())
                    for row, chunk in zip(batch.rows, batch.chunks, strict=True)
                    if row < len(wanted) and wanted[row]
                ]
            if most is not None:
                by_document: dict[str, list[tuple[int, Chunk]]] = {}
                for row, chunk in found:
                    by_document.setdefault(chunk.doc_id, []).append((row, chunk))
                found = [pair for some in by_document.values() for pair in some[:: -(-len(some) // most)]]
            for at in range(0, len(found), _AT_ONCE):
                few = found[at : at + _AT_ONCE]
                yield np.array([row for row, _ in few], dtype=np.int64), [chunk for _, chunk in few]

    # ------------------------------------------------------------ writing

    def _save(self) -> None:
        renewed, self._renew = self._renew, False
        index = self._index
        if not isinstance(index, CompressedLateIndex):
            if renewed:
                self._generations.drop("late")  # of another encoder, or damaged: this one was never written
            return
        try:
            # After the flag was taken back: whatever goes from now on asks for another file.
            self._let_go(index, self._wanted())
            generation, path = self._generations.new_path("late", ".safetensors")
            change = self._catalogue.change
            files.save(index, path)
            self._record(index, generation, path, change)
            self._unsaved = 0
        except StorageFailed as e:
            logger.error("the index of token vectors could not be written and is kept in memory: %s", e)
            self.problems.append(f"the index of token vectors could not be written and is kept in memory: {e}")
            self._unsaved = 0  # tried again when there is more

    def _record(self, index: CompressedLateIndex, generation: int, path: Path, change: int) -> None:
        digest = sha256_of(path)
        with self._database.write() as connection:
            previous = self._generations.record(
                connection,
                "late",
                generation,
                path,
                revision=self.revision,
                covers_change=change,
                n_rows=len(index),
                sha256=digest,
            )
        self._generations.discard(previous)
