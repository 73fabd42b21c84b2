"""The text of a chunk as the encoder reads it: the chunk, with what it is about in front if so chosen.

The stored chunk is never changed: offsets and quotes are of the document alone.
"""

from __future__ import annotations

from typing import Literal

from core.protocols import Tokenizer
from core.types import Chunk

EmbedContext = Literal["none", "title", "headings"]

MAX_CONTEXT_TOKENS = 48
_SEPARATOR = " > "


def embedded_text(title: str, chunk: Chunk, how: EmbedContext, tokenizer: Tokenizer, room_tokens: int) -> str:
    """``title > heading > heading``, a newline, and the chunk; the context is cut to fit.

    Args:
        how: "none" gives the chunk alone, "title" leaves the headings out.
        room_tokens: how many pieces the encoder reads, special ones not counted; the chunk itself is never cut.
    """
    match how:
        case "none":
            return chunk.text
        case "title":
            context = title
        case "headings":
            context = _SEPARATOR.join([title, *chunk.heading_path])
    room = min(MAX_CONTEXT_TOKENS, room_tokens - chunk.n_tokens)
    if room <= 0 or not context:
        return chunk.text
    spans = tokenizer.spans(context)
    if len(spans) > room:
        context = context[: spans[room - 1][1]]
    return f"{context}\n{chunk.text}"
