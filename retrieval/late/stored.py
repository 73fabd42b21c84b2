"""Token vectors of stored passages, for an index of them: from the store, read from the text only where it has none.

What had to be read is stored, where the passage's collection keeps token vectors, so that no passage is read twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.database import Database
from core.protocols import Encoder
from core.types import Vectors
from retrieval.late.packed import Packed, unpack_pooled
from retrieval.late.reading import packed_revision, read_packed, token_dim
from retrieval.token_rows import keep_tokens, tokens_of_rows


class StoredTokens:
    """
    Args:
        encoder: loaded; reads what is not stored.
    """

    def __init__(self, encoder: Encoder, database: Database) -> None:
        self._encoder = encoder
        self._database = database
        self._dim: int | None = None

    @property
    def dim(self) -> int:
        """Of token vectors, which need not be that of the encoder's other vectors."""
        if self._dim is None:
            self._dim = token_dim(self._encoder)
        return self._dim

    def of(self, rows: Sequence[int], texts: Sequence[str]) -> list[Vectors]:
        """Per passage (⌈n_tokens / POOLING⌉, dim): pooled, and as near to what was read as the packed form is.

        Args:
            rows: of the passages.
            texts: theirs, in the same order.
        """
        revision = packed_revision(self._encoder)
        with self._database.read() as connection:
            found = tokens_of_rows(connection, revision, self.dim, rows)
        lacking = [(row, text) for row, text in zip(rows, texts, strict=True) if row not in found]
        if lacking:
            read = read_packed(self._encoder, [text for _, text in lacking])
            made: dict[int, Packed] = {row: packed for (row, _), packed in zip(lacking, read, strict=True)}
            with self._database.write() as connection:
                keep_tokens(connection, revision, made)
            found |= made
        return [unpack_pooled(found[row], self.dim) for row in rows]
