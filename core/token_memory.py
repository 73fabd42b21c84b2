"""Token vectors of texts that were read just now: a passage is read once for all sentences and questions that come to it.

Those who read know nothing of it: they ask an encoder, as ever, for all that they need at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from core.around import AroundEncoder
from core.array_memory import ArrayMemory
from core.protocols import Encoder
from core.types import Vectors

MEMORY_BYTES = 32 << 20  # about 100 passages of 200 word pieces


class TokenMemory(AroundEncoder):
    """An ``Encoder`` that remembers the token vectors of the one that it is given; all else it hands on. Thread-safe.

    What was not read yet is read in one call, so that the encoder can spread it over its threads. Texts themselves are not
    kept, only their hashes.

    Args:
        inner: makes the vectors.
        memory_bytes: of token vectors, those used last; 0 keeps none.
    """

    def __init__(self, inner: Encoder, memory_bytes: int = MEMORY_BYTES) -> None:
        super().__init__(inner)
        self._memory = ArrayMemory[bytes](memory_bytes)

    def forget(self) -> None:
        """Remembers nothing of before any more."""
        self._memory.clear()

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Per text (n_tokens, dim), not to be written to."""
        keys = [hashlib.blake2b(t.encode("utf-8", "surrogatepass"), digest_size=16).digest() for t in texts]
        found: dict[bytes, Vectors] = {}
        unread: dict[bytes, str] = {}
        for key, text in zip(keys, texts, strict=True):
            known = self._memory.get(key)
            if known is None:
                unread[key] = text
            else:
                (found[key],) = known
        if unread:
            for key, vectors in zip(unread, self._around.encode_tokens(list(unread.values())), strict=True):
                # A copy of its own, where the encoder gave a piece of a batch: that would be kept whole.
                own = np.array(vectors) if vectors.base is not None else vectors
                self._memory.put(key, own)
                found[key] = own
        return [found[key] for key in keys]
