"""Whole documents, for tools that look around in what a search has found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.types import Hit, Where


class Library(Protocol):
    """Synchronous and thread-safe, as retrievers are."""

    def passages(self, doc_id: str, where: Where) -> Sequence[Hit]:
        """All passages of a document in reading order; none where it is not there, or not to be seen by who asks."""
        ...


class NoLibrary:
    """Where nothing but search results can be read."""

    def passages(self, doc_id: str, where: Where) -> Sequence[Hit]:
        del doc_id, where
        return ()
