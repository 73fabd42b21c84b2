"""Why a hit stands where it stands: its way through the stages, the terms and tokens that matched, and what came near.

Only draws what the API said; every word of a document is made inert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from app import replies
from app.ui import look
from app.ui.inert import inert_html
from core.wording import plural

STAGE_WORDS: Mapping[str, str] = {
    "bm25": "Words (BM25)",
    "tfidf": "Words (TF-IDF)",
    "dense": "Meaning (dense)",
    "whole": "Has it whole",
    "fused": "Fused",
    "late": "Late interaction",
    "cross": "Cross-encoder",
    "rerank": "Reranked",
    "mmr": "Spread (MMR)",
}
_ORDER = tuple(STAGE_WORDS)
_REASONS: Mapping[str, str] = {
    "rank": "too low",
    "rerank": "reranked",
    "parent": "read with a hit",
    "duplicate": "said already",
    "per-document": "enough of this document",
    "mmr": "much like a hit",
    "filter": "filtered out",
}
_MOST = 12  # terms and tokens of a hit


def way_html(hit: replies.Hit, hits: Sequence[replies.Hit]) -> str:
    """The waterfall: stage after stage the rank, the score, and the score against the best of this list."""
    steps = []
    for stage in sorted(hit["parts"], key=lambda s: (_ORDER.index(s) if s in _ORDER else len(_ORDER), s)):
        part = hit["parts"][stage]
        scores = [part["score"], *(h["parts"][stage]["score"] for h in hits if stage in h["parts"])]
        steps.append(
            f'<li><span class="ob-way-stage">{inert_html(STAGE_WORDS.get(stage, stage))}</span>'
            f'<span class="ob-way-rank">rank {part["rank"]:,}</span>'
            f'<span class="ob-muted">{part["score"]:.3f}</span>{_bar(part["score"], min(0.0, *scores), max(scores))}</li>'
        )
    return f'<ol class="ob-way">{"".join(steps)}</ol>' if steps else ""


def why(hit: replies.Hit) -> None:
    """An expander with the sum behind the score, matched terms and best-matching tokens; nothing if none was asked for."""
    explanation = hit.get("explanation")
    if explanation is None:
        return
    parts = [_sum_html(explanation), _terms_html(explanation), _tokens_html(explanation)]
    if any(parts):
        with st.expander("Why this one", icon=":material/query_stats:"):
            st.html(f'<div class="ob-why">{"".join(parts)}</div>')


def near_misses(reply: replies.SearchReply) -> None:
    """What was nearly shown, each with its reason, and what the stages took."""
    missed = reply.get("near_misses", [])
    if missed:
        st.subheader("Nearly found", anchor=False)
        st.html(f'<div class="ob-misses">{"".join(_miss_html(miss, missed, reply) for miss in missed)}</div>')
    stages = reply.get("stages", [])
    if stages:
        steps = [
            f"{STAGE_WORDS.get(s['name'], s['name'])}: {plural(s['candidates'], 'candidate')}, "
            f"{1000 * s['seconds']:.1f} ms"
            for s in stages
        ]
        kept = " · from the cache" if reply.get("cached") else ""
        look.muted(" → ".join(steps) + f" · all {1000 * reply.get('seconds', 0.0):.1f} ms{kept}")


def _bar(score: float, low: float, high: float) -> str:
    share = round(100 * (score - low) / (high - low)) if high > low else 100 if score > 0 else 0
    return f'<span class="ob-meter"><span style="width:{max(0, min(share, 100))}%"></span></span>'


def _sum_html(explanation: replies.Explanation) -> str:
    total = explanation["fused_score"]
    if total is None:
        return ""
    rows = "".join(
        f"<tr><td>{inert_html(STAGE_WORDS.get(p['stage'], p['stage']))}</td>"
        f"<td>{_number(p['score'])} of {p['low']:.3f} … {p['high']:.3f}</td>"
        f"<td>{p['weight']:g} · {p['normalised']:.4f}</td><td>{p['contribution']:.4f}</td></tr>"
        for p in explanation["fused"]
    )
    return (
        '<h5>The sum</h5><div class="ob-scroll" tabindex="0"><table class="ob-parts"><tr><th>list</th><th>score</th>'
        f"<th>weight · scaled</th><th>gives</th></tr>{rows}"
        f"<tr><td>Fused</td><td></td><td></td><td><b>{total:.4f}</b></td></tr></table></div>"
    )


def _number(score: float | None) -> str:
    return "not found" if score is None else f"{score:.3f}"


def _terms_html(explanation: replies.Explanation) -> str:
    terms, total = explanation["terms"], explanation["terms_score"]
    if not terms or total is None:
        return ""
    best = max(t["contribution"] for t in terms)
    rows = "".join(
        f"<tr><td>{inert_html(t['term'])}</td><td>{t['idf']:.2f}</td><td>{t['tf']:g}</td><td>{t['contribution']:.3f}</td>"
        f"<td>{_bar(t['contribution'], 0.0, best)}</td></tr>"
        for t in terms[:_MOST]
    )
    more = f" and {len(terms) - _MOST} more" if len(terms) > _MOST else ""
    return (
        '<h5>Matched words</h5><div class="ob-scroll" tabindex="0"><table class="ob-parts"><tr><th>word</th><th>rarity (idf)</th>'
        f"<th>times</th><th>gives</th><th></th></tr>{rows}</table></div>"
        f'<div class="ob-muted">{total:.3f} together{more}</div>'
    )


def _tokens_html(explanation: replies.Explanation) -> str:
    tokens = explanation["tokens"]
    if not tokens:
        return ""
    pairs = "".join(
        f'<li style="--ob-like:{round(100 * max(0.0, t["cosine"]))}%"><span>{inert_html(t["token"])}</span> '
        f"<b>{inert_html(t['match'])}</b> <span>{t['cosine']:.2f}</span></li>"
        for t in tokens[: 2 * _MOST]
    )
    return f'<h5>Best-matching tokens</h5><ul class="ob-tokens">{pairs}</ul>'


def _miss_html(miss: replies.NearMiss, missed: Sequence[replies.NearMiss], reply: replies.SearchReply) -> str:
    where = " · ".join(part for part in (miss["collection"], f"page {miss['page']}" if miss["page"] else "") if part)
    said = " ".join(miss["text"].split())[:160]
    badge = inert_html(_REASONS.get(miss["reason"]["code"], miss["reason"]["code"]))
    return (
        f'<div class="ob-miss"><div class="ob-hit-title">{inert_html(miss["title"])} <span class="ob-badge">{badge}</span>'
        f'</div><div class="ob-muted">{inert_html(where)}</div><div class="ob-reason-text">{inert_html(miss["reason"]["message"])}'
        f'</div><div class="ob-muted">{inert_html(said)} …</div>{way_html(miss, [*reply["hits"], *missed])}</div>'
    )
