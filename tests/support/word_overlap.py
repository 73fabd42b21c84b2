"""A retriever and a verifier that count shared words: small enough to reckon by hand, and real to their protocols."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from core.settings import Settings
from core.types import Chunk, Hit, Verdict, Where


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


class OverlapRetriever:
    """Scores a passage by how many words of the query it has; passages without any are not found."""

    def __init__(self, passages: Sequence[tuple[str, str]]) -> None:
        self.passages = passages  # (doc_id, text)

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        scored = [(len(words(query) & words(text)), doc_id, text) for doc_id, text in self.passages]
        found = sorted((s for s in scored if s[0]), key=lambda s: -s[0])[:k]
        return [hit(doc_id, text, float(score), rank) for rank, (score, doc_id, text) in enumerate(found, start=1)]


def build_by_sentence(_settings: Settings, corpus: Iterable[object]) -> OverlapRetriever:
    """Each sentence of a corpus document is a passage of it."""
    return OverlapRetriever([(d.doc_id, s) for d in corpus for s in d.text.split(".") if s.strip()])  # type: ignore[attr-defined]


def hit(doc_id: str, text: str, score: float, rank: int) -> Hit:
    chunk = Chunk(
        chunk_id=f"c-{doc_id}-{rank}", doc_id=doc_id, text=text, start=0, end=len(text), n_tokens=len(text.split())
    )
    return Hit(chunk=chunk, title="", collection="corpus", score=score, rank=rank, source="overlap")


class OverlapVerifier:
    """Supported where the evidence has all words of the claim; the score is the share that it has.

    A claim that ends in ":" claims nothing; one with the word "unreadable" can't be judged.
    """

    def __init__(self) -> None:
        self.checks: list[tuple[str, tuple[str, ...]]] = []

    def check(self, claim: str, evidence: Sequence[str]) -> Verdict:
        self.checks.append((claim, tuple(evidence)))
        if claim.endswith(":"):
            return Verdict(label="not_a_claim", score=0.0, reason="a heading")
        if "unreadable" in words(claim):
            return Verdict(label="unverified", score=0.0, reason="cannot be read")
        wanted = words(claim)
        share = len(wanted & words(" ".join(evidence))) / len(wanted)
        return Verdict(label="supported" if share == 1 else "unsupported", score=share, reason="")
