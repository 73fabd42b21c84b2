"""Late interaction as a reranker: MaxSim over an encoder's token vectors."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.late_interaction import max_sim
from core.protocols import Encoder
from core.types import Hit, Vectors
from retrieval.late.reading import read_passages, read_query
from retrieval.rerank.order import Scores, check_rerank, ordered, passage_text

LATE = "late"
_CACHE_BYTES = 64 << 20  # about 400 passages of 200 word pieces


class LateInteractionReranker:
    """A ``core.protocols.Reranker`` over the encoder that searches, or any other. Thread-safe.

    A passage longer than the encoder's window is read to its end, window by window.
    Token vectors of passages are kept in a bounded cache as float16, by the encoder's revision and the text itself, so
    that a passage that is found again is not read again.
    """

    stage = LATE

    def __init__(self, encoder: Encoder, *, cache_bytes: int = _CACHE_BYTES) -> None:
        """
        Args:
            encoder: gives the token vectors of query and passages.
            cache_bytes: for token vectors; 0 keeps none.

        Raises:
            InvalidRequest: a negative number of bytes.
        """
        if cache_bytes < 0:
            raise InvalidRequest(f"cache_bytes={cache_bytes}: use 0 or more")
        self._encoder = encoder
        self._cache = _TokenCache(cache_bytes)

    def load(self) -> None:
        """Loads the encoder, which is shared with whoever gave it."""
        self._encoder.encode_tokens(["a"])

    def rerank(self, query: str, hits: Sequence[Hit], k: int) -> list[Hit]:
        """The best ``k`` of ``hits`` by MaxSim alone; raises InvalidRequest for an empty query or ``k`` below 1."""
        check_rerank(query, k)
        return ordered(hits, {LATE: self.score(query, hits)}, LATE, k)

    def score(self, query: str, hits: Sequence[Hit]) -> Scores:
        """(n,): MaxSim of the query's tokens over each passage's, divided by the number of query tokens; in [-1, 1]."""
        if not hits:
            return np.zeros(0)
        asked = read_query(self._encoder, query)
        tokens = self._tokens([passage_text(hit) for hit in hits])
        return np.array([max_sim(asked, t) for t in tokens]) / max(1, len(asked))

    def _tokens(self, texts: Sequence[str]) -> list[Vectors]:
        revision = self._encoder.revision
        found = {text: self._cache.get((revision, text)) for text in dict.fromkeys(texts)}
        new = [text for text, vectors in found.items() if vectors is None]
        for text, vectors in zip(new, read_passages(self._encoder, new), strict=True):
            kept = vectors.astype(np.float16)
            self._cache.put((revision, text), kept)
            found[text] = kept
        # Rounded alike whether it was in the cache or not, so that the same search gives the same scores.
        widened = {text: v.astype(np.float32) for text, v in found.items() if v is not None}
        return [widened[text] for text in texts]


class _TokenCache:
    """What was used last stays, within a number of bytes. Thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._kept: OrderedDict[tuple[str, str], NDArray[np.float16]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, str]) -> NDArray[np.float16] | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: tuple[str, str], vectors: NDArray[np.float16]) -> None:
        with self._lock:
            old = self._kept.pop(key, None)
            self._used += vectors.nbytes - (old.nbytes if old is not None else 0)
            self._kept[key] = vectors
            while self._used > self._limit:
                _, gone = self._kept.popitem(last=False)
                self._used -= gone.nbytes
