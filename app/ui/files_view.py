"""The files of the conversation that is open: on their way in, taken away, asked alone; and how a question waits for them."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from typing import IO, Protocol

import streamlit as st

from app import replies
from app.client import Client
from app.replies import ACTIVE_STATES
from app.ui import look
from app.ui.boundary import explain, guarded
from app.ui.jobs_view import POLL_S, job_html
from app.ui.state import client, notice, open_chat
from core.errors import InvalidRequest, OpenbookError
from core.wording import plural

LOOK_S = 0.3  # between two looks of a question that waits


class Sent(Protocol):
    """A file as the browser has sent it to the page."""

    name: str

    def getvalue(self) -> bytes: ...


def draw_files(chat: replies.Chat | None) -> bool:
    """A list behind a button, where there are any; returns whether they alone are to be asked."""
    files = chat.get("files", []) if chat else []
    if chat is None or not files:
        return False
    broken = sum(f["state"] == "failed" for f in files)
    label = plural(len(files), "file") + (f", {broken} failed" if broken else "")
    with st.popover(label, icon=":material/attach_file:", type="tertiary"):
        look.muted("Asked in this conversation only, seen by nobody else, deleted with it.")
        for job in files:
            _row(chat["chat_id"], job)
        return st.toggle("Ask only these files", key=f"only-files-{chat['chat_id']}")


def draw_arriving(chat: replies.Chat | None) -> None:
    """What is on its way in, and what failed, above where a question is written."""
    files = chat.get("files", []) if chat else []
    if chat is not None and any(f["state"] in ACTIVE_STATES for f in files):
        _arriving(chat["chat_id"])
    for job in files:
        if job["state"] == "failed":
            look.note(
                f"{job['file']} is not read: {(job['reason'] or '').rstrip('.')}. (The list of files takes it away.)"
            )


@st.fragment(run_every=POLL_S)
@guarded
def _arriving(chat_id: str) -> None:
    chat = open_chat(chat_id)
    moving = [f for f in (chat.get("files", []) if chat else []) if f["state"] in ACTIVE_STATES]
    if not moving:
        st.rerun()  # the whole page: its files are read now, and this need not ask again
    st.html("".join(map(job_html, moving)))


def _row(chat_id: str, job: replies.Job) -> None:
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
        st.html(job_html(job))
        st.button(
            "Take away",
            key=f"detach-{job['job_id']}",
            icon=":material/close:",
            type="tertiary",
            on_click=_detach,
            args=(chat_id, job["job_id"]),
        )


def _detach(chat_id: str, job_id: str) -> None:
    try:
        client().detach(chat_id, job_id)
    except OpenbookError as e:
        notice(explain(e))


# ------------------------------------------------------------ a question that brings files


def send_files(speaker: Client, chat_id: str, files: Sequence[Sent]) -> list[replies.Job]:
    """Sends what the browser has sent; returns a job for each."""
    opened: list[tuple[str, IO[bytes]]] = [(f.name, io.BytesIO(f.getvalue())) for f in files]
    return speaker.attach(chat_id, opened)


def bring_files(speaker: Client, chat_id: str, files: Sequence[Sent], report: Callable[[str], None]) -> None:
    """Sends ``files`` and waits until all files of the conversation are read, so that the question is asked of them.

    Args:
        report: told in a few words what is being done; raises where the question was stopped.

    Raises:
        InvalidRequest: one of ``files`` could not be read.
    """
    sent: set[str] = set()
    if files:
        report(f"Sending {plural(len(files), 'file')}")
        sent = {job["job_id"] for job in send_files(speaker, chat_id, files)}
    while True:
        found = speaker.chat(chat_id).get("files", [])
        moving = [f for f in found if f["state"] in ACTIVE_STATES]
        if not moving:
            break
        report(f"Reading {moving[0]['file']}, {moving[0]['progress']:.0%}")
        time.sleep(LOOK_S)
    broken = [f for f in found if f["job_id"] in sent and f["state"] in ("failed", "cancelled")]
    if broken:
        why = " ".join(f"{f['file']} could not be read: {(f['reason'] or '').rstrip('.')}." for f in broken)
        raise InvalidRequest(f"{why} Ask again to ask without it, or attach it anew when that is mended.")
