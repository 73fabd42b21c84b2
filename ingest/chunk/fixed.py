"""Fixed chunks: as many whole words as a token budget holds, with an overlap.

A chunk ends early, near the end of its budget, where a paragraph or a line ends, and always before a heading once
it is a quarter full. The size is a budget, not a target.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.protocols import Embed, Tokenizer
from core.types import Chunk, Document
from ingest.chunk.atoms import atoms
from ingest.chunk.build import build_chunks
from ingest.chunk.pack import boundaries, check_budget, pack
from ingest.parse.document import Heading

KIND = "fixed"
CHUNKER_VERSION = "5"


def chunk(
    document: Document,
    headings: Sequence[Heading],
    tokenizer: Tokenizer,
    max_tokens: int,
    overlap_tokens: int,
    embed: Embed | None = None,
) -> list[Chunk]:
    """The passages of ``document``.

    Args:
        headings: of the document, for ``heading_path`` and as places to begin anew.
        tokenizer: of the encoder that will read the chunks.
        max_tokens: the most word pieces of a chunk, special tokens not counted.
        overlap_tokens: the most word pieces that a chunk shares with the one before; smaller than ``max_tokens``.
        embed: not used; for chunkers that look at meaning.

    Returns:
        Chunks in order. Every character that is not white space is in one or more of them; offsets slice back.

    Raises:
        InvalidRequest: budget and overlap do not fit.
    """
    check_budget(max_tokens, overlap_tokens)
    found = atoms(document.text, tokenizer)
    units = boundaries(document.text, [(a.start, a.end, a.cost) for a in found], headings)
    ranges = pack(units, max_tokens, overlap_tokens)
    return build_chunks(document, headings, ranges, tokenizer, max_tokens, KIND, CHUNKER_VERSION)
