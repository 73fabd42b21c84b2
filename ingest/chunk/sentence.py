"""Sentence chunks: whole sentences packed to a token budget; the overlap is whole sentences, too.

Sentences are those of ``core.text``. One that is longer than the budget is cut between words, as ``fixed`` would.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from core.protocols import Embed, Tokenizer
from core.text import sentence_spans
from core.types import Chunk, Document
from ingest.chunk.atoms import Atom, atoms, cost_of
from ingest.chunk.build import build_chunks
from ingest.chunk.pack import boundaries, check_budget, pack
from ingest.parse.document import Heading

KIND = "sentence"
CHUNKER_VERSION = "5"


def chunk(
    document: Document,
    headings: Sequence[Heading],
    tokenizer: Tokenizer,
    max_tokens: int,
    overlap_tokens: int,
    embed: Embed | None = None,
) -> list[Chunk]:
    """See ``ingest.chunk.fixed.chunk``; only the places to cut differ."""
    check_budget(max_tokens, overlap_tokens)
    found = atoms(document.text, tokenizer)
    ranges = sentence_units(document.text, found, headings, max_tokens)
    units = boundaries(document.text, ranges, headings)
    packed = pack(units, max_tokens, overlap_tokens)
    return build_chunks(document, headings, packed, tokenizer, max_tokens, KIND, CHUNKER_VERSION)


def sentence_units(
    text: str, found: Sequence[Atom], headings: Sequence[Heading], max_tokens: int
) -> list[tuple[int, int, int]]:
    """(start, end, cost) of each sentence, or of each of its words if it is over the budget.

    Only where sentences begin is taken from ``sentence_spans``: words group themselves between two beginnings, so
    nothing can fall through.
    """
    starts = sorted({start for start, _ in sentence_spans(text)} | {h.start for h in headings})
    groups: list[tuple[int, int, int]] = []
    index = 0
    for _, until in pairwise([-1, *starts, len(text) + 1]):
        first = index
        while index < len(found) and found[index].start < until:
            index += 1
        words = found[first:index]
        cost = cost_of(words)
        if cost > max_tokens:
            groups += [(a.start, a.end, a.cost) for a in words]
        elif words:
            groups.append((words[0].start, words[-1].end, cost))
    return groups
