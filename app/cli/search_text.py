"""What was found, as lines for a terminal."""

from __future__ import annotations

from app.replies import Explanation, Hit, NearMiss, SearchReply

_SHOWN = 300  # characters of a passage
_MOST = 8  # terms and tokens of a hit


def hit_text(hit: Hit) -> str:
    """A hit on a few lines: its place, what each stage said if that was asked for, the words."""
    page = f", page {hit['page']}" if hit["page"] else ""
    alike = f"   [stands for {n} documents]" if (n := hit.get("stands_for", 1)) > 1 else ""
    lines = [f"{hit['rank']:>3}. {hit['title']}{page}   {hit['score']:.4f}{alike}"]
    if explanation := hit.get("explanation"):
        stages = [f"{name}: rank {p['rank']}, {p['score']:.4f}" for name, p in hit["parts"].items()]
        lines += ["   ".join(stages), *_why(explanation)]
    lines.append(_words(hit))
    return "\n     ".join(lines) + "\n"


def summary_text(reply: SearchReply) -> str:
    """What was nearly found, and how long each stage took."""
    lines = ["Nearly found:"] if reply.get("near_misses") else []
    for miss in reply.get("near_misses", []):
        lines += [f"   - {_name(miss)}: {miss['reason']['message']}"]
    took = "   ".join(
        f"{s['name']} {s['candidates']:,} in {1000 * s['seconds']:.1f} ms" for s in reply.get("stages", [])
    )
    kept = ", from the cache" if reply.get("cached") else ""
    lines.append(f"Stages: {took}   (all {1000 * reply.get('seconds', 0.0):.1f} ms{kept})")
    return "\n".join(lines)


def _why(explanation: Explanation) -> list[str]:
    lines = []
    if explanation["fused"] and explanation["fused_score"] is not None:
        sums = " + ".join(f"{p['weight']:g}·{p['normalised']:.4f} ({p['stage']})" for p in explanation["fused"])
        lines.append(f"fused {explanation['fused_score']:.4f} = {sums}")
    if explanation["terms"] and explanation["terms_score"] is not None:
        terms = [
            f"{t['term']} {t['contribution']:.2f} (idf {t['idf']:.2f}, {t['tf']:g}×)"
            for t in explanation["terms"][:_MOST]
        ]
        lines.append(f"terms {explanation['terms_score']:.2f} = {' + '.join(terms)}")
    best = sorted(explanation["tokens"], key=lambda t: -t["cosine"])[:_MOST]
    if best:
        lines.append("tokens " + ", ".join(f"{t['token']} ≈ {t['match']} {t['cosine']:.2f}" for t in best))
    return lines


def _words(hit: Hit) -> str:
    """The beginning of the passage, or what is around its best sentence, which stands between marks."""
    text, span = hit["text"], hit.get("highlight")
    if span is None:
        flat = " ".join(text.split())
        return f"{flat[:_SHOWN]}{'…' if len(flat) > _SHOWN else ''}"
    start, end = span["start"] - hit["start"], span["end"] - hit["start"]
    room = max(0, _SHOWN - (end - start)) // 2
    # What the room before leaves goes to what comes after.
    before = text[max(0, start - room) : start]
    after = text[end : end + _SHOWN - (end - start) - len(before)] if end - start < _SHOWN else ""
    left, right = "…" if start > len(before) else "", "…" if end + len(after) < len(text) else ""
    return " ".join(f"{left}{before}»{text[start:end]}«{after}{right}".split())


def _name(miss: NearMiss) -> str:
    page = f", page {miss['page']}" if miss["page"] else ""
    return f"{miss['title']}{page} ({miss['score']:.4f})"
