"""Which chunker, under which version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from core.protocols import Tokenizer
from core.types import Chunk, Document
from ingest.chunk import fixed, sentence
from ingest.parse.document import PARSER_VERSION, Heading

ChunkerName = Literal["fixed", "sentence"]


class Chunker(Protocol):
    def __call__(
        self,
        document: Document,
        headings: Sequence[Heading],
        tokenizer: Tokenizer,
        max_tokens: int,
        overlap_tokens: int,
    ) -> list[Chunk]: ...


def chunker(name: ChunkerName) -> Chunker:
    match name:
        case "fixed":
            return fixed.chunk
        case "sentence":
            return sentence.chunk


def chunker_version(name: ChunkerName, max_tokens: int, overlap_tokens: int, embed_context: str = "none") -> str:
    """Names everything but the encoder that decides what the chunks of given bytes are, and what is encoded of them."""
    version = {"fixed": fixed.CHUNKER_VERSION, "sentence": sentence.CHUNKER_VERSION}[name]
    context = "" if embed_context == "none" else f"-{embed_context}"
    return f"{name}{version}-{max_tokens}-{overlap_tokens}-parse{PARSER_VERSION}{context}"
