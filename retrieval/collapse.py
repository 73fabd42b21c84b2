"""Leaves out of a hit list what a better hit has said already, of a near-duplicate of its document.

Both must hold: the documents are near-duplicates, and the better hits of those have nearly all of the passage's words in
the same order. A passage that only one of two versions has is kept, however alike the versions are.

It knows passages and signatures; not where they are stored, nor how they were ranked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from core.types import Hit
from retrieval.search_record import Cut, found_id
from retrieval.signature import NEAR, Signature, similarity, words_of

SHINGLE_WORDS = 3
SAID = 0.8  # share of a passage's shingles that the better hits have


def collapse(
    hits: Sequence[Hit],
    doc_numbers: Sequence[int],
    signatures: Mapping[int, Signature],
    cuts: list[Cut] | None = None,
) -> list[Hit]:
    """The hits that are kept, in their order, ranked anew; each names the documents that it stands for.

    Args:
        doc_numbers: of each hit's document.
        signatures: of those documents, as far as there are any.
        cuts: gets what is left out, with the hit that has said it.
    """
    alike = _remembered(signatures)
    kept: list[tuple[Hit, int, frozenset[str]]] = []
    stands_for: list[dict[str, None]] = []
    for hit, number in zip(hits, doc_numbers, strict=True):
        said = shingles(hit.chunk.text)
        better = [i for i, (_, other, _) in enumerate(kept) if other != number and alike(other, number)]
        known: set[str] = set().union(*(kept[i][2] for i in better))
        if better and len(said & known) >= SAID * len(said):
            best = max(better, key=lambda i: len(said & kept[i][2]))  # the one that says most of it; first among equals
            stands_for[best][hit.chunk.doc_id] = None
            if cuts is not None:
                cuts.append(Cut(code="duplicate", hit=hit, by=found_id(kept[best][0])))
        else:
            kept.append((hit, number, said))
            stands_for.append({})
    return [
        replace(hit, rank=rank, duplicates=tuple(others))
        for rank, ((hit, _, _), others) in enumerate(zip(kept, stands_for, strict=True), start=1)
    ]


def shingles(text: str) -> frozenset[str]:
    """Its runs of three words; of a shorter text, the text."""
    found = list(words_of(text))
    n = max(1, len(found) - SHINGLE_WORDS + 1)
    return frozenset(" ".join(found[i : i + SHINGLE_WORDS]) for i in range(n))


def _remembered(signatures: Mapping[int, Signature]) -> Callable[[int, int], bool]:
    asked: dict[tuple[int, int], bool] = {}

    def alike(a: int, b: int) -> bool:
        key = (min(a, b), max(a, b))
        if key not in asked:
            both = a in signatures and b in signatures
            asked[key] = both and similarity(signatures[a], signatures[b]) >= NEAR
        return asked[key]

    return alike
