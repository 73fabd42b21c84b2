"""A retriever that asks another one for more than is wanted, and has the best of it put in a better order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from core.errors import InvalidRequest, NotReady
from core.protocols import Reranker, Retriever, expanding
from core.types import Hit, Where
from retrieval.ranking import MAX_K, check_query
from retrieval.rerank.order import SPELT, UNREAD
from retrieval.search_record import SearchRecord, found_id
from retrieval.tiers import tiered_hits, without_tiers


class RerankingRetriever:
    """A ``core.protocols.Retriever``. Who may see what is settled by the retriever within. Thread-safe as both are.

    What stands first by the words that a query wants whole still does afterwards (``retrieval.tiers``).

    Where the reranker has not read the candidates and may not stop to read them, or cannot read the query, they stay as
    they were found: their ``source`` is the stage that found them, and ``tell`` hears why.
    """

    def __init__(
        self,
        retriever: Retriever,
        reranker: Reranker,
        depth: int = 20,
        tell: Callable[[str], None] = lambda why: None,
        record: SearchRecord | None = None,
    ) -> None:
        """
        Args:
            retriever: finds the candidates.
            reranker: orders the first ``depth`` of them.
            depth: in [1, 1000]. With a larger ``k`` the rest keeps the order in which it was found.
            tell: is told why a search was not reranked.
            record: is told in which order all candidates are afterwards.

        Raises:
            InvalidRequest: a depth out of range.
        """
        if not 1 <= depth <= MAX_K:
            raise InvalidRequest(f"rerank depth {depth} is out of range: use 1 to {MAX_K}")
        self._retriever = retriever
        self._reranker = reranker
        self._depth = depth
        self._tell = tell
        self._record = record

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        """The best ``k`` passages that ``where`` lets its principal see; raises as the retriever within."""
        check_query(query, k)
        return self._in_order(query, self._retriever.search(query, max(k, self._depth), where), k)

    def search_expanded(self, query: str, passages: Sequence[str], k: int, where: Where) -> list[Hit]:
        """The same where candidates are looked for near ``passages`` too; they are ordered by ``query`` alone.

        Raises:
            InvalidRequest: the retriever within has no vectors to look near.
        """
        check_query(query, k)
        found = expanding(self._retriever).search_expanded(query, passages, max(k, self._depth), where)
        return self._in_order(query, found, k)

    def _in_order(self, query: str, found: list[Hit], k: int) -> list[Hit]:
        try:
            head = tiered_hits(self._reranker.rerank(query, without_tiers(found[: self._depth]), self._depth))
        except NotReady as e:
            if e.code not in (UNREAD, SPELT):
                raise
            self._tell(e.message)
            return found[:k]
        every = head + _below(head, found[self._depth :])
        if self._record is not None:
            self._record.reranked[:] = every
            self._record.before = {found_id(hit): hit.rank for hit in found[: self._depth]}
        return every[:k]


def _below(head: list[Hit], rest: list[Hit]) -> list[Hit]:
    """``rest`` in its order under ``head``: its scores shifted so that the first is the lowest of ``head``."""
    if not rest or not head:
        return rest
    shift = head[-1].score - rest[0].score
    return [replace(hit, rank=rank, score=hit.score + shift) for rank, hit in enumerate(rest, start=len(head) + 1)]
