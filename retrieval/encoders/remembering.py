"""A question is read once: its vector finds, its token vectors rerank and mark, and both come from one pass.

Those who need one or the other know nothing of each other, nor of this: they ask their encoder, as ever.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.around import AroundEncoder
from core.array_memory import ArrayMemory
from core.protocols import QueryJointEncoder
from core.types import Vectors

_MEMORY_BYTES = 16 << 20  # about 500 questions of 20 word pieces


class RememberingEncoder(AroundEncoder):
    """The same vectors as the encoder that it is given, for which a question that was just asked costs nothing. Thread-safe.

    A question is what ``encode_queries`` is asked for alone; ``encode_tokens`` of that text is then there already.

    Args:
        inner: reads questions as it reads passages, so that one pass serves both.
        memory_bytes: of questions' vectors and token vectors; 0 remembers none.
    """

    def __init__(self, inner: QueryJointEncoder, memory_bytes: int = _MEMORY_BYTES) -> None:
        super().__init__(inner)
        self._inner = inner
        self._memory = ArrayMemory[str](memory_bytes)

    def load(self) -> None:
        """Loads the encoder; see there for what it raises."""
        self._inner.load()

    def forget(self) -> None:
        """Takes the next question as if none had been asked before, so that it can be timed."""
        self._memory.clear()

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """(n, dim)"""
        if len(texts) != 1:
            return self._inner.encode_queries(texts)
        found = self._memory.get(texts[0])
        if found is None:
            vectors, tokens = self._inner.encode_query_both(texts)
            found = vectors, tokens[0]
            self._memory.put(texts[0], *found)
        vector: Vectors = np.array(found[0])  # the caller's own
        return vector

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Per text (n_tokens, dim)."""
        found = self._memory.get(texts[0]) if len(texts) == 1 else None
        return self._inner.encode_tokens(texts) if found is None else [np.array(found[1])]

    def encode_both(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        """``encode_documents`` and ``encode_tokens`` of the same texts, in the time of one."""
        return self._inner.encode_both(texts)
