"""Late interaction as a reranker: MaxSim over an encoder's token vectors, stored ones where there are any."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from core.array_memory import ArrayMemory
from core.errors import InvalidRequest, NotReady
from core.late_interaction import question_tokens
from core.legible import reads
from core.protocols import Encoder
from core.reach import Reach, reach_of
from core.types import Hit
from models.packaged import MINILM
from retrieval.late.packed import Packed, max_sims, mean_max_sims
from retrieval.late.reading import packed_revision, read_packed, read_query
from retrieval.rerank.likeness import Matrix, features, shipped
from retrieval.rerank.order import UNREAD, Scores, check_rerank, ordered, passage_text
from retrieval.search_record import found_id
from retrieval.sparse.analyse import Analyser

LATE = "late"
# w of the mix in a language that the packaged encoder reads and has not learnt: chosen on xquad train, docs/decisions/0264.
_READ_WEIGHT = 0.15
_LOOKED_AT = 5  # passages, of which the language is told
_CACHE_BYTES = 64 << 20  # about 5,000 passages of 200 word pieces

# (encoder, hits) → the stored token vectors of those hits' passages that have any of this encoder's, by ``found_id``.
KeptTokens: TypeAlias = Callable[[Encoder, Sequence[Hit]], Mapping[str, Packed]]


def nothing_kept(encoder: Encoder, hits: Sequence[Hit]) -> Mapping[str, Packed]:
    """Where no token vectors are stored."""
    del encoder, hits
    return {}


class LateInteractionReranker:
    """A ``core.protocols.Reranker`` over the encoder that searches, or any other. Thread-safe.

    What is not stored is read, a passage longer than the encoder's window to its end, and kept in a bounded cache by the
    text itself. Stored, cached or just read, token vectors have one form, and a passage has one score.
    """

    stage = LATE

    def __init__(self, encoder: Encoder, kept: KeptTokens = nothing_kept, *, cache_bytes: int = _CACHE_BYTES) -> None:
        """
        Args:
            encoder: gives the token vectors of queries, and of passages that have none stored.
            kept: looks up what is stored.
            cache_bytes: for token vectors of passages that were read; 0 keeps none.

        Raises:
            InvalidRequest: a negative number of bytes.
        """
        if cache_bytes < 0:
            raise InvalidRequest(f"cache_bytes={cache_bytes}: use 0 or more")
        self._encoder = encoder
        self._kept = kept
        self._cache = ArrayMemory[tuple[str, str]](cache_bytes)
        self._most_unread: int | None = None
        self._analyser = Analyser()

    def within(self, unread_tokens: int) -> LateInteractionReranker:
        """The same, with the same cache, that raises rather than read more than so many word pieces for one query."""
        bounded = copy.copy(self)
        bounded._most_unread = unread_tokens
        return bounded

    def mixing_weight(self, query: str, hits: Sequence[Hit]) -> float | None:
        """Little where the packaged encoder reads a language that it has not learnt, else None: decision 0264."""
        return _READ_WEIGHT if self._reach(query, hits) == "read" else None

    def weighed(self, query: str, hits: Sequence[Hit]) -> tuple[Scores, Scores | None]:
        """``score``, and the order that was fitted of that and other likenesses: decision 0265; None where none was fitted.

        Raises:
            NotReady: as ``score``.
        """
        if (
            not hits
            or self._reach(query, hits) != "english"
            or not self._encoder.revision.startswith(shipped().encoder)
        ):
            return self.score(query, hits), None
        vectors, weights = question_tokens(query, self._encoder)
        best = max_sims(vectors, self._tokens(hits))  # (n, n_query_tokens)
        return best.mean(axis=1).astype(np.float64), shipped()(features(query, hits, best, weights, self._analyser))

    def likenesses(self, query: str, hits: Sequence[Hit]) -> Matrix:
        """(n, len(FEATURES)): what ``weighed`` weighs, for fitting."""
        vectors, weights = question_tokens(query, self._encoder)
        return features(query, hits, max_sims(vectors, self._tokens(hits)), weights, self._analyser)

    def _reach(self, query: str, hits: Sequence[Hit]) -> Reach | None:
        """None for another encoder than the packaged one."""
        if not self._encoder.revision.startswith(MINILM.name):
            return None
        return reach_of(query, (passage_text(hit) for hit in hits[:_LOOKED_AT]), self._encoder.tokenizer)

    def load(self) -> None:
        """Loads the encoder, which is shared with whoever gave it."""
        self._encoder.encode_tokens(["a"])

    def reads(self, query: str) -> bool:
        """Whether the encoder reads ``query`` as more than letters."""
        return reads(self._encoder.tokenizer, query)

    def rerank(self, query: str, hits: Sequence[Hit], k: int) -> list[Hit]:
        """The best ``k`` of ``hits`` by MaxSim alone; raises InvalidRequest for an empty query or ``k`` below 1."""
        check_rerank(query, k)
        return ordered(hits, {LATE: self.score(query, hits)}, LATE, k)

    def score(self, query: str, hits: Sequence[Hit]) -> Scores:
        """(n,): MaxSim of the query's tokens over each passage's, divided by the number of query tokens; about in [-1, 1].

        Raises:
            NotReady: more is unread than ``within`` allows; code ``UNREAD``.
        """
        if not hits:
            return np.zeros(0)
        passages = self._tokens(hits)
        return mean_max_sims(read_query(self._encoder, query), passages)

    def _tokens(self, hits: Sequence[Hit]) -> list[Packed]:
        revision = packed_revision(self._encoder)
        found = dict(self._kept(self._encoder, hits))
        unread: dict[str, list[str]] = {}  # text → chunk_ids
        for hit in hits:
            key, text = found_id(hit), passage_text(hit)
            if key in found:
                continue
            cached = self._cache.get((revision, text))
            if cached is not None:
                (found[key],) = cached
            else:
                unread.setdefault(text, []).append(key)
        self._check(list(unread), len(hits))
        for (text, keys), packed in zip(unread.items(), read_packed(self._encoder, list(unread)), strict=True):
            self._cache.put((revision, text), packed)
            found.update(dict.fromkeys(keys, packed))
        return [found[found_id(hit)] for hit in hits]

    def _check(self, unread: list[str], n_hits: int) -> None:
        if self._most_unread is None or not unread:
            return
        pieces = sum(self._encoder.tokenizer.count(unread))
        if pieces > self._most_unread:
            raise NotReady(
                f"not reranked: {len(unread)} of {n_hits} candidates have no token vectors yet, and reading their {pieces:,} "
                f"word pieces would take longer than a search may (rerank_unread_tokens = {self._most_unread:,})",
                code=UNREAD,
            )
