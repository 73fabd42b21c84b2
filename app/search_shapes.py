"""What was found, as JSON: hits in the shape that is fixed, and beside it what explains them."""

from __future__ import annotations

import dataclasses

from app.searching import Found
from app.shapes import Json, hit_json
from retrieval.explain import Explanation, NearMiss
from retrieval.query_cache import CacheCounts


def found_json(found: Found, *, cached: bool, counts: CacheCounts | None) -> Json:
    """With an explanation, also stages, near misses, and how often the cache has known the answer (None: not said)."""
    hits = []
    for i, (hit, span) in enumerate(zip(found.hits, found.highlights, strict=True)):
        shape = hit_json(hit)
        if span is not None:
            shape["highlight"] = {"start": span[0], "end": span[1]}
        if found.explained is not None:
            shape["explanation"] = explanation_json(found.explained.explanations[i])
        hits.append(shape)
    shape = {"hits": hits, **({"notes": list(found.notes)} if found.notes else {})}
    if found.explained is None:
        return shape
    return {
        **shape,
        "near_misses": [near_miss_json(miss) for miss in found.explained.near_misses],
        "stages": [dataclasses.asdict(stage) for stage in found.explained.stages],
        "seconds": found.seconds,
        "cached": cached,
        "cache": dataclasses.asdict(counts) if counts is not None else None,
    }


def explanation_json(explanation: Explanation) -> Json:
    return {
        "fused": [dataclasses.asdict(part) for part in explanation.fused],
        "fused_score": explanation.fused_score,
        "terms": [dataclasses.asdict(term) for term in explanation.terms],
        "terms_score": sum(t.contribution for t in explanation.terms) if explanation.terms else None,
        "tokens": [dataclasses.asdict(match) for match in explanation.tokens],
    }


def near_miss_json(miss: NearMiss) -> Json:
    reason = {
        "code": miss.code,
        "message": miss.message,
        "gap": miss.gap,
        "by_rank": miss.by_rank,
        "fields": list(miss.fields),
    }
    return {**hit_json(miss.hit), "reason": reason}
