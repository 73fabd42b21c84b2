"""Files on their way in: progress that moves, reasons where one failed, retry and cancel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
LISTED = 1000  # the most the server lists at once
LISTED_ENDED = 200
RUNNING: tuple[replies.JobState, ...] = ("parsing", "encoding", "indexing")
BROKEN: tuple[replies.JobState, ...] = ("failed", "cancelled")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """Those of a collection, each group newest first and as many as are shown; ``counts`` are all of them, by state.

    ``past`` are those that tell of nothing that there still is: their document was deleted, or the same file came in again since.
    """

    counts: Mapping[replies.JobState, int]
    running: list[replies.Job]
    waiting: list[replies.Job]
    broken: list[replies.Job]
    in_part: list[replies.Job]
    ready: list[replies.Job]
    past: list[replies.Job]

    @property
    def everything(self) -> list[replies.Job]:
        return [*self.running, *self.waiting, *self.broken, *self.in_part, *self.ready]

    @property
    def move(self) -> bool:
        """Whether any changes by itself."""
        return any(map(_moves, (*self.running, *self.waiting))) or self.counts["queued"] > len(self.waiting)

    def files(self, *states: replies.JobState) -> int:
        """How many there are, without what is past and the times that all was made anew (but for those that are older than all that
        are listed)."""
        others = [*filter(_is_reindex, self.everything), *self.past]
        return max(0, sum(self.counts[state] for state in states) - sum(job["state"] in states for job in others))


def _jobs(collection: str) -> Jobs:
    # By their states: of the newest alone, a long upload would never show that its first file failed.
    page = client().job_page(collection=collection, states=RUNNING, limit=LISTED)
    counts = page["counts"]

    def some(limit: int, *states: replies.JobState) -> list[replies.Job]:
        if not any(counts[state] for state in states):
            return []
        return client().job_page(collection=collection, states=states, limit=limit)["jobs"]

    broken, in_part, ready = (some(LISTED_ENDED, *states) for states in (BROKEN, ("partial",), ("ready",)))
    past = _past([*broken, *in_part, *ready])
    told = {job["job_id"] for job in past}
    return Jobs(
        counts=counts,
        running=page["jobs"],
        waiting=some(LISTED, "queued"),
        broken=[job for job in broken if job["job_id"] not in told],
        in_part=[job for job in in_part if job["job_id"] not in told],
        ready=[job for job in ready if job["job_id"] not in told],
        past=past,
    )


def _past(ended: Sequence[replies.Job]) -> list[replies.Job]:
    """Those whose document is gone, or whose file came in once more, later and well."""
    ended = [job for job in ended if not _is_reindex(job)]
    came_in: dict[str, str] = {}
    for job in ended:
        if job["state"] not in BROKEN:
            came_in[job["file"]] = max(job["created_at"], came_in.get(job["file"], ""))
    return [job for job in ended if job.get("gone") or job["created_at"] < came_in.get(job["file"], "")]


def draw_jobs(collection: str) -> None:
    """The jobs of a collection. They are asked for every second while any is under way, and not after."""
    jobs = _jobs(collection)
    if not jobs.everything:
        return
    st.subheader("Files", anchor=False)
    if jobs.move:
        _moving(collection)
    else:
        _rows(jobs)


@st.fragment(run_every=POLL_S)
@guarded
def _moving(collection: str) -> None:
    jobs = _jobs(collection)
    if not jobs.move:
        st.rerun()  # the whole page: its documents have changed, and this need not ask again
    _rows(jobs)


def _moves(job: replies.Job) -> bool:
    """Whether it changes by itself."""
    return job["state"] in ACTIVE_STATES and not _is_paused(job)


def _is_paused(job: replies.Job) -> bool:
    return bool(job.get("paused")) and job["state"] in ("queued", "encoding" if _is_reindex(job) else "queued")


def _is_reindex(job: replies.Job) -> bool:
    return job.get("kind") == "reindex"


def _rows(jobs: Jobs) -> None:
    # Of the times that all was made anew, the last one says how things are.
    if remade := max(filter(_is_reindex, jobs.everything), key=lambda job: job["created_at"], default=None):
        _row(remade)
    n_active, n_ready = jobs.files(*ACTIVE_STATES), jobs.files("ready")
    n_in_part, n_broken = jobs.files("partial"), jobs.files(*BROKEN)
    n_all = n_active + n_ready + n_in_part + n_broken
    if n_all > 1:
        counted = ((n_active, "under way"), (n_ready, "ready"), (n_in_part, "ready in part"), (n_broken, "not ready"))
        look.muted(" · ".join(f"{n:,} {word}" for n, word in counted if n))
        if n_active:
            begun = sum(job["progress"] for job in _files([*jobs.running, *jobs.waiting]))
            share = (n_all - n_active + begun) / n_all
            st.html(_bar(share, f"{share:.0%} of all files"))
    # What runs now first (a queue is long), then what waits, in its order, then what needs a person.
    running = sorted(_files(jobs.running), key=lambda job: -job["progress"])
    active = [*running, *reversed(_files(jobs.waiting))]
    groups = ((n_active, active), (n_broken, _files(jobs.broken)), (n_in_part, _files(jobs.in_part)))
    for _, group in groups:
        for job in group[:SHOWN]:
            _row(job)
    if hidden := sum(max(0, n - len(group[:SHOWN])) for n, group in groups):
        look.muted(f"and {plural(hidden, 'more file')}")
    if n_ready:
        with st.expander(f"{plural(n_ready, 'file')} ready"):
            st.html("".join(map(job_html, _files(jobs.ready))))


def _files(jobs: Sequence[replies.Job]) -> list[replies.Job]:
    return [job for job in jobs if not _is_reindex(job)]


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
