"""Draws an answer: its text with chips and verdicts, its sources, or that it does not know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from app import replies
from app.ui import look
from app.ui.inert import VERDICTS, Checked, answer_html, inert_html, inert_markdown
from app.ui.live import Snapshot
from app.ui.marks import explain_marks
from app.ui.passage import Passage, from_citation, from_hit, which_file
from app.ui.state import way_label
from app.ui.steps_view import draw_steps, latest_html
from core.wording import plural

# The strategies that quote: what they say is a document's text, not Markdown.
VERBATIM = frozenset({"extract"})
NEAREST = 3  # passages offered where there is no answer
STEP_WORDS: Mapping[str, str] = {
    "plan": "Planning",
    "act": "Searching the documents",
    "observe": "Reading what was found",
    "reflect": "Thinking it over",
    "expand": "Following another path",
    "answer": "Writing the answer",
}

Open = Callable[[Passage], None]


def draw_answer(answer: replies.Answer, open_passage: Open, *, steps: bool = True) -> None:
    """``steps``: whether what led to it can be looked at, which only who asked may."""
    if answer["abstained"]:
        _abstained(answer, open_passage)
    else:
        st.html(
            answer_html(
                answer["answer"],
                scope=answer["run_id"],
                markdown=answer["strategy"] not in VERBATIM,
                titles=_titles(answer["citations"]),
                sentences=_checked(answer["sentences"]),
            )
        )
        _summary(answer["sentences"])
        if answer["sentences"]:
            explain_marks()
        for note in (answer["reason"], *(c["text"] for c in answer.get("conflicts", []))):
            if note:
                look.note(note)
        _sources(answer, open_passage)
    _footer(answer, steps)


def streaming_html(now: Snapshot, elapsed_s: float, *, verbatim: bool) -> str:
    """The answer as far as it has come, or what is being done while nothing is said yet."""
    if not now.text:
        before = inert_html(now.doing) or "Searching the documents"
        doing = STEP_WORDS.get(str(now.steps[-1].get("kind")), "Working") if now.steps else before
        return (
            '<div class="ob-working" role="status"><span class="ob-dot" aria-hidden="true"></span>'
            f"{doing} … {elapsed_s:.0f} s</div>{latest_html(now.steps)}"
        )
    return answer_html(
        now.text,
        scope=now.run_id,
        markdown=not verbatim,
        titles=_titles(list(now.citations.values())),
        sentences=_checked([now.sentences[i] for i in sorted(now.sentences)]),
        streaming=True,
    )


def draw_partial(text: str, scope: str, problem: str = "") -> None:
    """What had been said when it was stopped, or broke off; ``problem`` is why it broke off."""
    if text.strip():
        st.html(answer_html(text, scope=scope, markdown=True))
    if problem:
        look.card("The answer failed", problem, kind="error")
    elif text.strip():
        st.html('<div class="ob-note">Stopped here. What was said so far is kept.</div>')
    else:
        st.html('<div class="ob-note">No answer was given.</div>')


def _titles(citations: Sequence[replies.Citation]) -> dict[int, str]:
    return {c["n"]: _where(c, file) for c, file in zip(citations, which_file(citations), strict=True)}


def _where(source: replies.Citation | replies.Hit, file: str) -> str:
    place = source["title"] if source["page"] is None else f"{source['title']}, page {source['page']}"
    return f"{place} · {file}" if file else place


def _checked(sentences: Sequence[replies.Sentence]) -> list[Checked]:
    return [
        Checked(
            start=s["start"],
            end=s["end"],
            verdict=s["verdict"],
            reason=s.get("reason") or "",
            markers=tuple(s["citations"]),
        )
        for s in sentences
    ]


def _summary(sentences: Sequence[replies.Sentence]) -> None:
    """One line: how many sentences are what, so that a bad one is not overlooked."""
    words = {"supported": "supported", "partial": "partly supported", "contradicted": "contradicted",
             "unsupported": "not supported"}  # fmt: skip
    parts = []
    for verdict, word in words.items():
        n = sum(1 for s in sentences if s["verdict"] == verdict)
        if n:
            glyph = VERDICTS[verdict][0]  # type: ignore[index]
            parts.append(f'<span class="ob-{verdict}">{glyph} {plural(n, "sentence")} {word}</span>')
    if parts:
        st.html(f'<div class="ob-summary">{"".join(parts)}</div>')


def _sources(answer: replies.Answer, open_passage: Open) -> None:
    """A button per source: what the chips in the text open, within reach of a keyboard and a thumb."""
    seen: set[int] = set()
    titles = _titles(answer["citations"])
    with st.container(key=f"sources-{answer['run_id']}", gap=None):
        for citation in answer["citations"]:
            if citation["n"] in seen:
                continue
            seen.add(citation["n"])
            st.button(
                f"**{citation['n']}** · {inert_markdown(titles[citation['n']])}",
                key=f"source-{answer['run_id']}-{citation['n']}",
                type="tertiary",
                icon=":material/menu_book:",
                on_click=open_passage,
                args=(from_citation(citation),),
            )


def _abstained(answer: replies.Answer, open_passage: Open) -> None:
    look.card("I don't know", answer["reason"] or "The documents do not say.", kind="abstained")
    if not answer["hits"]:
        return
    st.html('<div class="ob-muted">The passages that came nearest:</div>')
    near = _different(answer["hits"])[:NEAREST]
    for hit, file in zip(near, which_file(near), strict=True):
        with st.container(border=True, key=f"card-near-{answer['run_id']}-{hit['rank']}", gap="xsmall"):
            st.html(f'<div class="ob-hit-text">{inert_html(_shortened(hit["text"]))}</div>')
            st.button(
                inert_markdown(_where(hit, file)),
                key=f"near-{answer['run_id']}-{hit['rank']}",
                type="tertiary",
                icon=":material/menu_book:",
                on_click=open_passage,
                args=(from_hit(hit),),
            )


def _different(hits: Sequence[replies.Hit]) -> list[replies.Hit]:
    """Without those that say, letter for letter but for case and spaces, what a better one has said: copies of one document."""
    found: dict[str, replies.Hit] = {}
    for hit in hits:
        found.setdefault(" ".join(hit["text"].split()).casefold(), hit)
    return list(found.values())


def _shortened(text: str, limit: int = 320) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[:limit].rpartition(" ")[0] + " …"


def _footer(answer: replies.Answer, steps: bool) -> None:
    parts = [
        way_label(answer["strategy"]),
        *([answer["model"]] if "model" in answer else []),
        f"{answer['seconds']:.1f} s",
    ]
    tokens = answer["usage"]["completion_tokens"]
    if tokens:
        parts.append(plural(tokens, "token"))
    look.muted(" · ".join(parts))
    if steps:
        draw_steps(answer)
