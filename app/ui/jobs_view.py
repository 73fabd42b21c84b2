"""Files on their way in: progress that moves, reasons where one failed, retry and cancel."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app import replies
from app.replies import ACTIVE_STATES
from app.ui import look
from app.ui.boundary import explain, guarded
from app.ui.inert import inert_html
from app.ui.state import client, notice
from app.waiting import left
from core.errors import OpenbookError
from core.wording import plural

POLL_S = 1.0
SHOWN = 12  # rows with buttons; more would make each draw slow
LISTED = 1000

STATE_WORDS: dict[str, str] = {
    "queued": "waiting",
    "parsing": "reading",
    "encoding": "understanding",
    "indexing": "indexing",
    "ready": "ready",
    "partial": "ready in part",
    "failed": "failed",
    "cancelled": "cancelled",
}


def draw_jobs(collection: str) -> None:
    """The jobs of a collection. They are asked for every second while any is under way, and not after."""
    jobs = client().jobs(collection=collection, limit=LISTED)
    if not jobs:
        return
    st.subheader("Files", anchor=False)
    if any(map(_moves, jobs)):
        _moving(collection)
    else:
        _rows(jobs)


@st.fragment(run_every=POLL_S)
@guarded
def _moving(collection: str) -> None:
    jobs = client().jobs(collection=collection, limit=LISTED)
    if not any(map(_moves, jobs)):
        st.rerun()  # the whole page: its documents have changed, and this need not ask again
    _rows(jobs)


def _moves(job: replies.Job) -> bool:
    """Whether it changes by itself."""
    return job["state"] in ACTIVE_STATES and not _is_paused(job)


def _is_paused(job: replies.Job) -> bool:
    return bool(job.get("paused")) and job["state"] in ("queued", "encoding" if _is_reindex(job) else "queued")


def _is_reindex(job: replies.Job) -> bool:
    return job.get("kind") == "reindex"


def _rows(everything: Sequence[replies.Job]) -> None:
    # Of the times that all was made anew, the last one says how things are.
    if remade := next(filter(_is_reindex, everything), None):
        _row(remade)
    jobs = [job for job in everything if not _is_reindex(job)]
    active = [j for j in jobs if j["state"] in ACTIVE_STATES]
    in_part = [j for j in jobs if j["state"] == "partial"]
    broken = [j for j in jobs if j["state"] in ("failed", "cancelled")]
    ready = [j for j in jobs if j["state"] == "ready"]
    counts = [
        f"{len(found):,} {word}"
        for found, word in ((active, "under way"), (ready, "ready"), (in_part, "ready in part"), (broken, "not ready"))
        if found
    ]
    if len(jobs) > 1:
        look.muted(" · ".join(counts))
        if active:
            share = (len(ready) + len(in_part) + len(broken) + sum(j["progress"] for j in active)) / len(jobs)
            st.html(_bar(share, f"{share:.0%} of all files"))
    # What runs now first (a queue is long), then what waits, in its order, then what needs a person.
    active.reverse()
    active.sort(key=lambda j: (j["state"] == "queued", -j["progress"]))
    for group in (active, broken, in_part):
        for job in group[:SHOWN]:
            _row(job)
    hidden = sum(max(0, len(group) - SHOWN) for group in (active, broken, in_part))
    if hidden:
        look.muted(f"and {plural(hidden, 'more file')}")
    if ready:
        with st.expander(f"{plural(len(ready), 'file')} ready"):
            st.html("".join(job_html(job) for job in ready[:200]))


def _row(job: replies.Job) -> None:
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
        st.html(job_html(job))
        if job["state"] in ACTIVE_STATES:
            paused = bool(job.get("paused"))
            st.button(
                "Go on" if paused else "Pause", key=f"pause-{job['job_id']}", icon=":material/play_arrow:" if paused else ":material/pause:",
                type="tertiary", help="Go on with this file" if paused else "Let this file wait",
                on_click=_pause, args=(job["job_id"], not paused),
            )  # fmt: skip
            st.button(
                "Cancel", key=f"cancel-{job['job_id']}", icon=":material/close:", type="tertiary", help="Cancel this file",
                on_click=_cancel, args=(job["job_id"],),
            )  # fmt: skip
        elif job["state"] in ("failed", "cancelled", "partial") and not _is_reindex(job):
            st.button(
                "Try again", key=f"retry-{job['job_id']}", icon=":material/refresh:", type="tertiary", help="Try again",
                on_click=_retry, args=(job["job_id"],),
            )  # fmt: skip


def job_html(job: replies.Job) -> str:
    state, anew = job["state"], _is_reindex(job)
    detail = "paused" if _is_paused(job) else "making anew" if anew and state == "encoding" else STATE_WORDS[state]
    name = job["file"].replace("reindex: ", "All passages anew: ", 1) if anew else job["file"]
    if state == "ready" and not job.get("container"):
        pages = plural(job["pages"], "page") + ", " if job["pages"] else ""
        detail = f"{pages}{plural(job['chunks'] or 0, 'passage')}"
    elif state in ACTIVE_STATES and state != "queued":
        detail = f"{detail} {job['progress']:.0%}{_left(job)}"
    bar = _bar(job["progress"], f"{name}: {detail}") if state in ACTIVE_STATES else ""
    said = dict.fromkeys([job["reason"] or "", *(job.get("warnings") or [])])  # a reason may be the only warning
    reason = "".join(f'<div class="ob-reason ob-reason-{state}">{inert_html(text)}</div>' for text in said if text)
    return (
        f'<div class="ob-job" data-state="{state}"><div class="ob-job-line">'
        f'<span class="ob-file" title="{inert_html(name)}">{inert_html(name)}</span>'
        f'<span class="ob-state ob-state-{state}">{inert_html(detail)}</span></div>{bar}{reason}</div>'
    )


def _left(job: replies.Job) -> str:
    """How long all will still take to be made anew, which only the job itself says, not the list of jobs."""
    if not _is_reindex(job) or _is_paused(job):
        return ""
    said = left(client().job(job["job_id"]).get("remaining_s"))
    return f", {said}" if said else ""


def _bar(share: float, label: str) -> str:
    percent = round(100 * min(max(share, 0.0), 1.0))
    return (
        f'<div class="ob-bar" role="progressbar" aria-valuenow="{percent}" aria-valuemin="0" aria-valuemax="100" '
        f'aria-label="{inert_html(label)}"><span style="width:{percent}%"></span></div>'
    )


def _cancel(job_id: str) -> None:
    try:
        client().cancel_job(job_id)
    except OpenbookError as e:
        notice(explain(e))


def _pause(job_id: str, paused: bool) -> None:
    try:
        client().pause_job(job_id) if paused else client().resume_job(job_id)
    except OpenbookError as e:
        notice(explain(e))


def _retry(job_id: str) -> None:
    try:
        client().retry_job(job_id)
    except OpenbookError as e:
        notice(explain(e))
