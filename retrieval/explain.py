"""Why a search found what it found: the numbers behind each hit, and what was nearly found.

It reads what the search noted down, and asks the store for every passage that the search itself did not return, as
the person who asks: what they may not read is not mentioned. Nothing here ranks anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.protocols import Encoder, SparseIndex
from core.types import WHOLE, Having, Hit, StagePart, Where
from retrieval.fuse import Ranked
from retrieval.hybrid import EngineRetriever
from retrieval.search_record import NEAR_MISSES, Cut, CutCode, Fusion, SearchRecord, Stage, found_id
from retrieval.sparse.weights import TermWeight, WeighsTerms
from retrieval.tiers import whole_parts
from retrieval.token_matches import TokenMatch, token_matches

TOKENS_FOR = 20  # hits whose tokens are compared: reading 1,000 tokens takes a fifth of a second on two cores
_OF_EACH_STAGE = 3
_OWN_STAGES = frozenset({"bm25", "tfidf", "dense", "fused", "mmr", WHOLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedPart:
    """What one list gave to the fused score: ``contribution = weight · normalised``; for RRF 1 / (k + rank).

    ``rank`` and ``score`` are None where the list lacks the hit. ``low`` and ``high`` are the list's own. The stage "whole"
    is no list: its score is the tier of ``retrieval.tiers``, and counts as it is.
    """

    stage: str
    rank: int | None
    score: float | None
    low: float
    high: float
    normalised: float
    weight: float
    contribution: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Of one hit. ``fused`` is empty where nothing was fused; ``tokens`` where they were not asked for."""

    fused: tuple[FusedPart, ...]
    fused_score: float | None  # the sum of the contributions
    terms: tuple[TermWeight, ...]
    tokens: tuple[TokenMatch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A passage that was nearly shown. ``gap`` is how much its score lacks to the last hit's, where that decided.

    ``by_rank`` is the rank of the hit that it lost to; ``fields`` are the filters that it does not pass.
    """

    hit: Hit
    code: CutCode
    message: str
    gap: float | None = None
    by_rank: int | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """``explanations`` are one per hit, in their order."""

    explanations: tuple[Explanation, ...]
    near_misses: tuple[NearMiss, ...]
    stages: tuple[Stage, ...]


def explain(
    query: str,
    hits: Sequence[Hit],
    where: Where,
    retriever: EngineRetriever,
    record: SearchRecord,
    encoder: Encoder,
    seconds: float,
) -> Explained:
    """
    Args:
        hits: what was shown.
        retriever: the one at the bottom of what was searched with, which filled ``record``.
        seconds: that the whole search took, what wraps the retriever included.
    """
    rows = [record.rows.get(found_id(hit)) for hit in hits]
    index: object = _term_index(retriever)
    asked = [row for row in rows if row is not None]
    known = record.allowed
    terms = index.explain(query, asked, known) if isinstance(index, WeighsTerms) and asked and known else {}
    read = [(hit.matched or hit.chunk) for hit in hits[:TOKENS_FOR]]
    tokens = [
        tuple(replace(m, start=m.start + chunk.start, end=m.end + chunk.start) for m in matches)
        for chunk, matches in zip(read, token_matches(query, [c.text for c in read], encoder), strict=True)
    ]
    explanations = []
    for i, row in enumerate(rows):
        parts = fused_parts(row, record.lists, record.fusion) if row is not None else ()
        explanations.append(
            Explanation(
                fused=parts,
                fused_score=sum(p.contribution for p in parts) if parts else None,
                terms=tuple(terms.get(row, ())) if row is not None else (),
                tokens=tokens[i] if i < len(tokens) else (),
            )
        )
    return Explained(
        explanations=tuple(explanations),
        near_misses=(*_near_misses(hits, where, retriever, record), *_filtered(query, hits, where, retriever)),
        stages=stages_of(hits, retriever, record, seconds),
    )


def stages_of(
    hits: Sequence[Hit], retriever: EngineRetriever, record: SearchRecord, seconds: float
) -> tuple[Stage, ...]:
    """The stages of a search with their times, in their order; arguments as for ``explain``."""
    return (*record.stages, *_wrapped(hits, retriever, record, seconds))


def fused_parts(row: int, lists: Mapping[str, Ranked], fusion: Fusion | None) -> tuple[FusedPart, ...]:
    """What each list gave to the fused score of ``row``; nothing where nothing was fused."""
    if fusion is None:
        return ()
    parts = []
    for stage, whole in lists.items():
        if stage == "fused":
            continue
        ranked = whole[: fusion.depth]
        at = next((i for i, (r, _) in enumerate(ranked) if r == row), None)
        score = None if at is None else ranked[at][1]
        values = [s for _, s in ranked]
        low, high = (min(values), max(values)) if values else (0.0, 0.0)
        match fusion.kind:
            case "convex":
                weight = fusion.weights[stage]
                normalised = 0.0 if score is None else 1.0 if high == low else (score - low) / (high - low)
            case "rrf":
                weight = 1.0
                normalised = 0.0 if at is None else 1.0 / (fusion.rrf_k + at + 1)
        parts.append(
            FusedPart(
                stage=stage,
                rank=None if at is None else at + 1,
                score=score,
                low=low,
                high=high,
                normalised=normalised,
                weight=weight,
                contribution=weight * normalised,
            )
        )
    if fusion.having.tiers:
        parts.append(_whole_part(row, fusion.having))
    return tuple(parts)


def _whole_part(row: int, having: Having) -> FusedPart:
    """What having it whole gave."""
    part = whole_parts(having).get(row)
    tier = having.tiers.get(row, 0.0)
    return FusedPart(
        stage=WHOLE,
        rank=None if part is None else part.rank,
        score=None if part is None else tier,
        low=0.0,
        high=max(having.tiers.values()),
        normalised=tier,
        weight=having.worth,
        contribution=having.worth * tier,
    )


def _term_index(retriever: EngineRetriever) -> SparseIndex | None:
    if retriever.ranking.name in ("dense", "late"):
        return None
    return retriever.engine.sparse_index(retriever.sparse, needed=False)


def _wrapped(hits: Sequence[Hit], retriever: EngineRetriever, record: SearchRecord, seconds: float) -> list[Stage]:
    """What wraps the indexes' ranking and is told from what it left in the hits: reranking."""
    own = _own_stages(retriever)
    names = list(dict.fromkeys(name for hit in hits for name in hit.parts if name not in own))
    spread = sum(stage.seconds for stage in record.stages if stage.name in ("per document", "mmr"))
    if not names:
        return []
    took = max(0.0, seconds - record.seconds - spread)
    return [Stage(name=" + ".join(names), candidates=len(record.found), seconds=took)]


def _own_stages(retriever: EngineRetriever) -> frozenset[str]:
    """What is no reranking. Late interaction is a reranker's stage, unless it is what finds."""
    return _OWN_STAGES | {retriever.ranking.name}


def _near_misses(hits: Sequence[Hit], where: Where, retriever: EngineRetriever, record: SearchRecord) -> list[NearMiss]:
    shown = {found_id(hit): hit for hit in hits}
    told: dict[str, NearMiss] = {}
    weakest = min((hit.score for hit in hits), default=0.0)
    cuts = {found_id(cut.hit): cut for cut in record.cuts}
    spread = any(cut.code == "mmr" for cut in record.cuts) or (hits and hits[-1].source == "mmr")
    after = {found_id(hit): hit for hit in record.reranked}
    own = {retriever.ranking.source, "mmr"}
    reranked = bool(hits) and (hits[0].source not in own or set(hits[0].parts) - _own_stages(retriever))

    def add(hit: Hit) -> None:
        key = found_id(hit)
        if key in shown or key in told:
            return
        if key in cuts:
            told[key] = _of_cut(cuts[key], shown)
        elif reranked:
            told[key] = _not_reranked_up(after.get(key, hit), weakest, len(hits), record, spread=bool(spread))
        else:
            told[key] = _too_low(hit, weakest, len(hits), spread=bool(spread))

    # What would have been shown but for one of the rules that follow the ranking.
    for cut in [c for c in record.cuts if not hits or c.hit.score >= weakest][:NEAR_MISSES]:
        add(cut.hit)
    for hit in [h for h in (*(record.reranked or record.found), *record.beyond) if found_id(h) not in shown][
        :NEAR_MISSES
    ]:
        add(hit)
    for hit in _best_of_stages(where, retriever, record, {*shown, *told}):
        row = record.rows.get(found_id(hit))
        better = record.merged.get(row) if row is not None else None
        if better is None:
            add(hit)
        elif by := next((h for h in hits if record.rows.get(found_id(h)) == better), None):
            message = f"it is read as part of number {by.rank}, which was found better"
            told[found_id(hit)] = NearMiss(hit=hit, code="parent", message=message, by_rank=by.rank)
    return list(told.values())


def _best_of_stages(where: Where, retriever: EngineRetriever, record: SearchRecord, known: set[str]) -> list[Hit]:
    """The best of each single list that were not shown, as hits with what each stage said of them."""
    known_rows = {row for key, row in record.rows.items() if key in known}
    wanted: dict[int, None] = {}
    for stage, ranked in record.lists.items():
        if stage != "fused":
            best = [row for row, _ in ranked[:NEAR_MISSES] if row not in known_rows]
            wanted.update(dict.fromkeys(best[:_OF_EACH_STAGE]))
    passages = retriever.engine.store.chunks_by_row(where.principal, list(wanted))
    places = {
        stage: {row: StagePart(rank=i, score=score) for i, (row, score) in enumerate(ranked, start=1) if row in wanted}
        for stage, ranked in record.lists.items()
    }
    found = []
    for row in wanted:
        if row not in passages:
            continue
        passage = passages[row]
        parts = {stage: of_rows[row] for stage, of_rows in places.items() if row in of_rows}
        final = parts.get("fused") or next(iter(parts.values()))
        hit = Hit(
            chunk=passage.parent or passage.chunk,
            title=passage.title,
            collection=passage.collection,
            score=final.score,
            rank=final.rank,
            source=retriever.ranking.source,
            parts=parts,
            pages=passage.pages,
            matched=passage.chunk if passage.parent else None,
            uri=passage.uri,
        )
        record.rows[found_id(hit)] = row
        found.append(hit)
    return found


def _of_cut(cut: Cut, shown: Mapping[str, Hit]) -> NearMiss:
    by = shown.get(cut.by or "")
    other = f"number {by.rank}" if by else "a better hit that is not shown either"
    match cut.code:
        case "duplicate":
            message = f"{other} says the same, in a document that is nearly the same"
        case "per-document":
            message = f"its document has {int(cut.value or 0)} better hits already, which is as many as are let through"
        case "mmr":
            message = f"it is much like {other} (cosine {cut.value or 0.0:.2f}), and others add more"
        case _:
            message = "it was left out"
    return NearMiss(hit=cut.hit, code=cut.code, message=message, by_rank=by.rank if by else None)


def _not_reranked_up(hit: Hit, weakest: float, k: int, record: SearchRecord, *, spread: bool) -> NearMiss:
    """Of a search that was reranked. ``hit`` is as it was afterwards, if the reranker has read it, else as it was found."""
    before, gap = record.before.get(found_id(hit)), weakest - hit.score
    if before is None:
        if record.reranked:
            message = f"it was number {hit.rank}, and reranking reads the first {len(record.before)}"
            return NearMiss(hit=hit, code="rank", message=message)
        put = f", which put it below place {k}" if hit.rank <= k else " already"
        message = f"it was number {hit.rank} before reranking{put}"
        return NearMiss(hit=hit, code="rerank" if hit.rank <= k else "rank", message=message)
    places = f"number {before} before reranking, number {hit.rank} after it"
    if gap < 0 or spread:
        return NearMiss(hit=hit, code="rank", message=f"{places}: others were chosen before it for the {k} places")
    less = f"{gap:.4f} less than" if gap > 0 else "the same as"
    code: CutCode = "rerank" if before <= k else "rank"
    return NearMiss(hit=hit, code=code, message=f"{places}: its score is {less} that of the last hit", gap=gap)


def _too_low(hit: Hit, weakest: float, k: int, *, spread: bool) -> NearMiss:
    gap = weakest - hit.score
    if gap < 0 or spread:
        return NearMiss(hit=hit, code="rank", message=f"others were chosen before it for the {k} places", gap=None)
    stages = {name: part for name, part in hit.parts.items() if name != WHOLE}
    best = min((p.rank, name) for name, p in stages.items() if name != "fused" or len(stages) == 1)
    told = f"number {best[0]} by {best[1]}, but " if hit.source == "fused" else ""
    less = f"{gap:.4f} less than" if gap > 0 else "the same as"
    message = f"{told}number {hit.rank} in all: its score is {less} that of the last hit"
    return NearMiss(hit=hit, code="rank", message=message, gap=gap)


def _filtered(query: str, hits: Sequence[Hit], where: Where, retriever: EngineRetriever) -> list[NearMiss]:
    """What would have been among the best without the filters, as far as the person may read it."""
    if not where.filters:
        return []
    everything = replace(where, filters={})
    plain = replace(retriever, record=None, collapse=False)
    shown = {found_id(hit) for hit in hits}
    best = [h for h in plain.search(query, max(NEAR_MISSES, len(hits)), everything) if found_id(h) not in shown]
    failing = retriever.engine.store.failing_filters([h.chunk.doc_id for h in best], where.filters)
    misses = []
    for hit in best:
        if fields := failing.get(hit.chunk.doc_id):
            message = f"it would be number {hit.rank}, but does not pass the filter on {', '.join(fields)}"
            misses.append(NearMiss(hit=hit, code="filter", message=message, fields=fields))
    return misses[:NEAR_MISSES]
