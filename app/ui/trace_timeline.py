"""A recorded run as a line of time: what it thought and did, and what it asked of models, searches and the verifier.

It knows the shape of a trace and makes HTML of it; every word of a document or a model is made inert.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.ui.inert import inert_html
from core.wording import plural, shortened

STEP_WORDS: Mapping[str, str] = {
    "plan": "Thought",
    "act": "Did",
    "observe": "Saw",
    "reflect": "Judged",
    "expand": "Tried",
    "answer": "Answered",
}
_CALL_WORDS: Mapping[str, str] = {
    "model": "Model",
    "search": "Search",
    "document": "Document",
    "verdict": "Check",
    "tools": "Tools",
    "tool": "Tool",
    "consent": "Consent",
}
MOST_EVENTS = 300  # more than that nobody reads; the exports have all
MOST_CHARACTERS = 6000  # of one input or output
_FIRST = ("answer", "abstained", "reason")  # what people look for in a difference
_LINE = 110  # characters of an event that is folded

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEvent:
    """One line of the timeline; times in seconds from the beginning of the run. ``parts`` are what is folded: label, text."""

    kind: str
    what: str
    started_s: float
    duration_s: float
    aside: str = ""
    parts: tuple[tuple[str, str], ...] = ()
    is_call: bool = False
    failed: bool = False


def events_of(trace: Json) -> list[TraceEvent]:
    """Steps and recorded calls in the order in which they began; counts of tokens are left out."""
    steps = [_step(step) for step in trace["steps"]]
    calls = [_call(call) for call in trace.get("calls") or () if call["kind"] != "count"]
    return sorted([*steps, *calls], key=lambda e: (e.started_s, e.is_call))


def timeline_html(trace: Json) -> str:
    """The whole run, each line to be unfolded by itself."""
    events = events_of(trace)
    whole_s = max([float(trace.get("duration_s") or 0), *(e.started_s + e.duration_s for e in events)], default=0.0)
    lines = "".join(_event_html(event, whole_s) for event in events[:MOST_EVENTS])
    left = len(events) - MOST_EVENTS
    more = f'<p class="ob-muted">{plural(left, "more line")}: the exports have all of them.</p>' if left > 0 else ""
    return f'<ol class="ob-timeline">{lines}</ol>{more}'


def seconds_text(seconds: float) -> str:
    """``3 ms``, ``0.25 s``, ``12.3 s``."""
    if seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:,.1f} s"


# ------------------------------------------------------------ one line


def _event_html(event: TraceEvent, whole_s: float) -> str:
    left = 100 * event.started_s / whole_s if whole_s else 0.0
    width = 100 * event.duration_s / whole_s if whole_s else 0.0
    took = " · ".join(part for part in (seconds_text(event.duration_s), event.aside) if part)
    classes = " ".join(
        name for name, holds in (("ob-event-call", event.is_call), ("ob-event-failed", event.failed)) if holds
    )
    lane = (
        f'<span class="ob-lane"><span style="left:{min(left, 99.5):.1f}%;width:{max(width, 0.5):.1f}%"></span></span>'
    )
    head = (
        f'<span class="ob-event-kind">{inert_html(event.kind)}</span>'
        f'<span class="ob-event-what">{inert_html(shortened(event.what, _LINE))}</span>'
        f'<span class="ob-event-took">{inert_html(took)}</span>{lane}'
    )
    body = "".join(f"<dt>{inert_html(label)}</dt><dd>{_text(text)}</dd>" for label, text in event.parts if text)
    at = f'<dt>Began</dt><dd class="ob-muted">after {inert_html(seconds_text(event.started_s))}</dd>'
    return f'<li class="{classes}"><details><summary>{head}</summary><dl>{at}{body}</dl></details></li>'


def _text(text: str) -> str:
    shown = text[:MOST_CHARACTERS]
    left = len(text) - len(shown)
    more = f'\n<span class="ob-muted">… and {left:,} more characters, in the exports</span>' if left else ""
    return f'<div class="ob-said" tabindex="0">{inert_html(shown)}{more}</div>'


def _step(step: Json) -> TraceEvent:
    call = step.get("tool_call")
    did = f"{call['name']} {_arguments(call)}".strip() if call else ""
    what = did or step.get("thought") or step.get("observation") or step.get("error") or ""
    tokens = step["usage"]["prompt_tokens"] + step["usage"]["completion_tokens"]
    return TraceEvent(
        kind=STEP_WORDS.get(step["kind"], step["kind"]),
        what=what,
        started_s=float(step["started_s"]),
        duration_s=float(step["duration_s"]),
        aside=plural(tokens, "token") if tokens else "",
        parts=(
            ("Thought", step.get("thought") or ""),
            ("Did", f"{call['name']}\n{_shown(call['arguments'])}" if call else ""),
            ("Saw", step.get("observation") or ""),
            ("Failed", step.get("error") or ""),
        ),
        failed=bool(step.get("error")),
    )


def _arguments(call: Json) -> str:
    return ", ".join(v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in call["arguments"].values())


def _call(call: Json) -> TraceEvent:
    kind, request, response = call["kind"], call["request"], call["response"]
    error = (response.get("error") or {}).get("message", "") if isinstance(response, Mapping) else ""
    what, aside, asked, heard = "", "", _shown(request), _shown(response)
    match kind:
        case "model":
            heard = _model_said(response)
            what = heard or error
            usage = response.get("usage") or {}
            if usage:
                aside = f"{usage['prompt_tokens']:,} → {plural(usage['completion_tokens'], 'token')}"
            asked = _model_asked(request)
        case "search" | "document":
            what = request.get("query") or request.get("document", "")
            hits = response.get("hits", [])
            aside = plural(len(hits), "passage")
            heard = "\n\n".join(_hit(hit) for hit in hits)
        case "verdict":
            what = request["claim"]
            aside = str(response["label"]).replace("_", " ")
            asked = request["claim"]
            heard = f"{aside}, {response['score']:.2f}\n{response.get('reason', '')}".strip()
        case "tool":
            what = str(request.get("name") or next(iter(request.values()), ""))
        case _:
            what = shortened(asked, _LINE)
    return TraceEvent(
        kind=_CALL_WORDS.get(kind, kind),
        what=what,
        started_s=float(call["started_s"]),
        duration_s=float(call["duration_s"]),
        aside=aside,
        parts=(("Asked", asked), ("Heard", heard), ("Failed", error)),
        is_call=True,
        failed=bool(error),
    )


def _model_asked(request: Json) -> str:
    said = "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in request["messages"])
    tools = f"\n\n[tools] {', '.join(request['tools'])}" if request.get("tools") else ""
    params = ", ".join(f"{k} {v}" for k, v in request["params"].items() if v not in (None, [], "", False))
    return f"{said}{tools}\n\n[parameters] {params}"


def _model_said(response: Json) -> str:
    text = "".join(piece for piece, _ in response.get("pieces", ()))
    calls = "\n".join(f"{c['name']}({_shown(c['arguments'])})" for c in response.get("tool_calls", ()))
    return "\n".join(part for part in (text, calls) if part)


def _hit(hit: Json) -> str:
    page = f", page {hit['page']}" if hit.get("page") else ""
    return f"{hit['rank']}. {hit['title']}{page} · {hit['score']:.3f}\n{hit['text']}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


# ------------------------------------------------------------ what differs


def differences_html(found: Sequence[Json], sides: tuple[str, str] = ("was", "is")) -> str:
    """What ``app.trace_diff`` found, the answers first, each with both ``sides``."""
    found = sorted(found, key=lambda one: one["at"] not in _FIRST)
    rows = "".join(
        f'<div class="ob-change"><div class="ob-change-at">{inert_html(str(one["at"]))}</div>'
        f'<div class="ob-was"><span class="ob-change-side">{sides[0]}</span>{_side(one["was"])}</div>'
        f'<div class="ob-is"><span class="ob-change-side">{sides[1]}</span>{_side(one["is"])}</div></div>'
        for one in found[:MOST_EVENTS]
    )
    return f'<div class="ob-changes">{rows}</div>'


def _side(value: Any) -> str:
    if value is None or value == "":
        return '<span class="ob-muted">nothing</span>'
    return _text(value if isinstance(value, str) else _shown(value))
