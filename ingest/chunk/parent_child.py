"""Parent-child chunks: small children are searched, the larger parents around them are read.

A small passage says one thing, so its vector is a sharp one; alone it says too little to answer from. Parents are
whole sentences packed to the budget, as those of ``sentence`` without an overlap: a document is cut into them once, so
nothing is read twice. Each parent is cut again into children of a quarter of the budget, whole sentences as well.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace

from core.protocols import Embed, Tokenizer
from core.types import Chunk, Document
from ingest.chunk.atoms import atoms
from ingest.chunk.build import build_chunks
from ingest.chunk.pack import Unit, boundaries, check_budget, pack
from ingest.chunk.sentence import sentence_units
from ingest.parse.document import Heading

KIND = "child"
PARENT_KIND = "parent"
CHUNKER_VERSION = "3"
CHILDREN_PER_PARENT = 4  # in tokens: how many full children fill a parent


def child_tokens(max_tokens: int) -> int:
    """The budget of a child where a parent has ``max_tokens``."""
    return max(1, max_tokens // CHILDREN_PER_PARENT)


def chunk(
    document: Document,
    headings: Sequence[Heading],
    tokenizer: Tokenizer,
    max_tokens: int,
    overlap_tokens: int,
    embed: Embed | None = None,
) -> list[Chunk]:
    """The children alone; see ``cut``."""
    return cut(document, headings, tokenizer, max_tokens, overlap_tokens)[0]


def cut(
    document: Document, headings: Sequence[Heading], tokenizer: Tokenizer, max_tokens: int, overlap_tokens: int
) -> tuple[list[Chunk], list[Chunk]]:
    """(children, parents), both in order. Neither overlap; every child lies within the parent that it names.

    Args:
        max_tokens: the most word pieces of a parent; a child has at most ``child_tokens(max_tokens)``, unless it is a
            single sentence that is longer.
        overlap_tokens: only checked, as every chunker does.

    Raises:
        InvalidRequest: budget and overlap do not fit.
    """
    check_budget(max_tokens, overlap_tokens)
    text = document.text
    found = atoms(text, tokenizer)
    units = boundaries(text, sentence_units(text, found, headings, max_tokens), headings)
    packed = pack(units, max_tokens, 0)
    parents = build_chunks(document, headings, packed, tokenizer, max_tokens, PARENT_KIND, CHUNKER_VERSION)
    ranges = [r for inside in _within(units, parents) for r in pack(inside, child_tokens(max_tokens), 0)]
    children = build_chunks(document, headings, ranges, tokenizer, max_tokens, KIND, CHUNKER_VERSION)
    starts = [p.start for p in parents]
    return [replace(c, parent_id=parents[bisect_right(starts, c.start) - 1].chunk_id) for c in children], parents


def _within(units: Sequence[Unit], parents: Sequence[Chunk]) -> list[list[Unit]]:
    """The units of each parent; one that lies across the end of a parent is cut there."""
    groups: list[list[Unit]] = []
    first = 0
    for parent in parents:
        group: list[Unit] = []
        while first < len(units) and units[first].end <= parent.start:
            first += 1
        i = first
        while i < len(units) and units[i].start < parent.end:
            unit = units[i]
            start, end = max(unit.start, parent.start), min(unit.end, parent.end)
            group.append(unit if (start, end) == (unit.start, unit.end) else unit._replace(start=start, end=end))
            i += 1
        groups.append(group)
    return groups
