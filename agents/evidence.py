"""Passages as evidence: what a verifier is given of them, and which span of them a sentence rests on."""

from __future__ import annotations

from collections.abc import Sequence

from agents.lexical import sentence_terms, terms
from core.protocols import Retriever
from core.types import Citation, Hit, Where

_MAX_QUOTED_SENTENCES = 3
_MAX_DEPTH = 400  # hits looked through for other sources


def evidence_text(hit: Hit, text: str | None = None) -> str:
    """What the passage says to a verifier: title and headings, which name what "it" is, then its text."""
    head = " — ".join(part for part in (hit.title, *hit.chunk.heading_path) if part)
    return f"{head}\n\n{text or hit.chunk.text}"


def citation_for(hit: Hit, marker: int, start: int, quote: str) -> Citation:
    """A citation of the stored text ``quote`` that begins at document offset ``start``; not yet placed in an answer."""
    return Citation(
        marker=marker,
        chunk_id=hit.chunk.chunk_id,
        doc_id=hit.chunk.doc_id,
        title=hit.title,
        uri=hit.uri,
        collection=hit.collection if hit.uri else "",
        page=page_at(hit, start),
        start=start,
        end=start + len(quote),
        quote=quote,
        answer_start=0,
        answer_end=0,
    )


def page_at(hit: Hit, offset: int) -> int | None:
    """The page of a document offset within the passage, which may begin on an earlier page than its quote."""
    return next((p.number for p in hit.pages if p.start <= offset < p.end), hit.chunk.page)


def best_span(claim: str, text: str) -> tuple[int, int]:
    """The run of at most three sentences of ``text`` that shares most with ``claim``: F1 over distinct terms.

    Ties go to the shorter and earlier run; without any shared term it is the first sentence.
    """
    spans = [span for span, _ in sentence_terms(text)]
    if not spans:
        return 0, len(text)
    wanted = set(terms(claim))
    sets = [s for _, s in sentence_terms(text)]
    best, best_score = spans[0], 0.0
    for n in range(1, _MAX_QUOTED_SENTENCES + 1):
        for i in range(len(spans) - n + 1):
            run = frozenset[str]().union(*sets[i : i + n])
            score = _f1(wanted, run)
            if score > best_score + 1e-9:
                best, best_score = (spans[i][0], spans[i + n - 1][1]), score
    return best


def _f1(wanted: set[str], given: frozenset[str]) -> float:
    shared = len(wanted & given)
    return 2 * shared / (len(wanted) + len(given)) if shared else 0.0


def search_spread(retriever: Retriever, query: str, k: int, where: Where, per_source: int | None = None) -> list[Hit]:
    """The best ``k`` passages of which no document has more than ``per_source``, where several documents match.

    Looks deeper while one document fills the list, so that a flooded source cannot hide the others behind itself.

    Args:
        per_source: None is half of ``k``.
    """
    if per_source is None:
        per_source = max(1, (k + 1) // 2)
    depth = 2 * k
    while True:
        found = retriever.search(query, min(depth, _MAX_DEPTH), where)
        exhausted = len(found) < depth or depth >= _MAX_DEPTH
        kept = collapse(found, k, per_source)
        alone = len({h.chunk.doc_id for h in found}) == 1
        if exhausted or (len(kept) == k and not alone):
            return kept
        depth *= 4


def collapse(hits: Sequence[Hit], k: int, per_source: int) -> list[Hit]:
    """At most ``k`` hits: no text twice, and at most ``per_source`` of one document where there are several.

    Where all hits are of one document there is nothing to protect.
    """
    several = len({h.chunk.doc_id for h in hits}) > 1
    seen: set[str] = set()
    count: dict[str, int] = {}
    kept: list[Hit] = []
    for hit in hits:
        text = " ".join(terms(hit.chunk.text))
        n = count.get(hit.chunk.doc_id, 0)
        if text in seen or (several and n >= per_source):
            continue
        seen.add(text)
        count[hit.chunk.doc_id] = n + 1
        kept.append(hit)
        if len(kept) == k:
            break
    return kept
