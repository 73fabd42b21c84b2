"""Which chunker, under which version."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple, Protocol

from core.protocols import Embed, Tokenizer
from core.types import Chunk, Document
from ingest.chunk import fixed, parent_child, semantic, sentence
from ingest.parse.document import PARSER_VERSION, Heading

ChunkerName = Literal["fixed", "sentence", "semantic", "parent-child"]


class Chunker(Protocol):
    """See ``ingest.chunk.fixed.chunk``; ``embed`` is for those that look at meaning, the others ignore it."""

    def __call__(
        self,
        document: Document,
        headings: Sequence[Heading],
        tokenizer: Tokenizer,
        max_tokens: int,
        overlap_tokens: int,
        embed: Embed | None = None,
    ) -> list[Chunk]: ...


class Cut(NamedTuple):
    """``chunks`` are indexed. ``parents`` are read in their place; empty where each chunk is read itself."""

    chunks: list[Chunk]
    parents: list[Chunk]


def chunker(name: ChunkerName, semantic_percentile: float = semantic.PERCENTILE) -> Chunker:
    """The chunker; of ``parent-child`` the children (``cut`` gives the parents, too)."""
    match name:
        case "fixed":
            return fixed.chunk
        case "sentence":
            return sentence.chunk
        case "semantic":
            return partial(semantic.chunk, percentile=semantic_percentile)
        case "parent-child":
            return parent_child.chunk


def cut(
    name: ChunkerName,
    document: Document,
    headings: Sequence[Heading],
    tokenizer: Tokenizer,
    max_tokens: int,
    overlap_tokens: int,
    embed: Embed | None = None,
    semantic_percentile: float = semantic.PERCENTILE,
) -> Cut:
    """All that is made of ``document``; arguments and errors as of the chunker."""
    if name == "parent-child":
        return Cut(*parent_child.cut(document, headings, tokenizer, max_tokens, overlap_tokens))
    chosen = chunker(name, semantic_percentile)
    return Cut(chosen(document, headings, tokenizer, max_tokens, overlap_tokens, embed), [])


def chunker_version(
    name: ChunkerName,
    max_tokens: int,
    overlap_tokens: int,
    embed_context: str = "none",
    semantic_percentile: float = semantic.PERCENTILE,
    pii: str = "",
) -> str:
    """Names everything but the encoder that decides what the chunks of given bytes are, and what is encoded of them.

    ``pii`` names how personal data were treated; "" where they were left alone.
    """
    match name:
        case "fixed":
            how = f"{fixed.CHUNKER_VERSION}-{max_tokens}-{overlap_tokens}"
        case "sentence":
            how = f"{sentence.CHUNKER_VERSION}-{max_tokens}-{overlap_tokens}"
        case "semantic":
            how = f"{semantic.CHUNKER_VERSION}-{max_tokens}-p{semantic_percentile:g}"
        case "parent-child":
            how = f"{parent_child.CHUNKER_VERSION}-{max_tokens}-{parent_child.child_tokens(max_tokens)}"
    context = "" if embed_context == "none" else f"-{embed_context}"
    return f"{name}{how}-parse{PARSER_VERSION}{f'-{pii}' if pii else ''}{context}"
