"""An answer while it is being given, read by a thread of its own.

Streamlit runs the page's script anew for every click, and would cut the answer off with it. So the stream is
read here and the script only looks: a rerun finds the answer still going on, and a person may read a source
meanwhile. What ends it is ``stop()``: it closes the stream and cancels the run on the server, which keeps what
was said. A browser whose connection is lost for a while ends nothing; an ``Audience`` that is gone for good does.
This knows nothing of Streamlit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from app import replies
from app.client import Client, EventStream
from core.errors import OpenbookError

log = logging.getLogger(__name__)

LOOK_S = 5.0  # how often it is asked whether anybody is there
PATIENCE_S = 120.0  # as long as Streamlit keeps the session of a page whose connection is lost

LiveState = Literal["running", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The answer as far as it has come. ``version`` grows with every change."""

    version: int = 0
    state: LiveState = "running"
    run_id: str = ""
    text: str = ""
    sentences: dict[int, replies.Sentence] = field(default_factory=dict)
    citations: dict[int, replies.Citation] = field(default_factory=dict)
    steps: tuple[dict[str, Any], ...] = ()
    answer: replies.Answer | None = None
    error: str = ""
    doing: str = ""  # in words, before the question is asked
    asked: tuple[dict[str, Any], ...] = ()  # what the run waits for a yes to, oldest first
    same: bool = False  # of two answers for a vote: they say the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in its conversation a question stands: at the end, or in the place of a message, by id."""

    edits: str = ""  # the question that it is asked instead of
    again: str = ""  # the question that is answered again, or an answer to it
    twice: bool = False  # two answers are given, unseen


class _Stopped(Exception):
    """The person stopped it before it was asked."""


class LiveAnswer:
    def __init__(
        self,
        client: Client,
        open_stream: Callable[[], EventStream],
        question: str,
        before: int,
        place: Place | None = None,
        prepare: Callable[[Callable[[str], None]], None] | None = None,
    ) -> None:
        """Starts nothing yet.

        Args:
            client: of its own, which is closed when the answer has ended: the page's is closed with any lost connection.
            open_stream: asks the question; called by the reading thread.
            before: how many messages stand before this question in the thread that is shown.
            place: where the question stands, for those who want to ask it again there.
            prepare: what has to be done before; called by the reading thread with what it reports to, in words.
        """
        self.question = question
        self.before = before
        self.place = place or Place()
        self.started = time.monotonic()
        self.looked_again = False  # for what the server has kept of an answer that ended while the page was being drawn
        self._client = client
        self._open = open_stream
        self._prepare = prepare
        self._stream: EventStream | None = None
        self._changed = threading.Condition()
        self._speaking = threading.Lock()  # held where the client has to stay open
        self._closed = False
        self._now = Snapshot()
        self._stopping = False
        self._thread = threading.Thread(target=self._read, name="live-answer", daemon=True)

    def start(self) -> LiveAnswer:
        self._thread.start()
        return self

    @property
    def now(self) -> Snapshot:
        with self._changed:
            return self._now

    def wait(self, version: int, timeout_s: float) -> Snapshot:
        """The newest snapshot; returns at once if it is newer than ``version``, else after ``timeout_s``."""
        with self._changed:
            self._changed.wait_for(lambda: self._now.version > version, timeout_s)
            return self._now

    def stop(self) -> None:
        """Ends it here and on the server; what was said stays. Doing it twice is no matter."""
        with self._changed:
            if self._now.state != "running":
                return
            self._stopping = True
            stream, run_id = self._stream, self._now.run_id
            self._set(state="stopped")
        if run_id:
            self._tell(lambda: self._client.cancel_run(run_id), f"the run {run_id} was not there to be cancelled")
        if stream is not None:
            stream.close()

    def say(self, approval_id: str, yes: bool) -> None:
        """The person's word on what the run waits to do; one that comes too late changes nothing."""
        with self._changed:
            run_id = self._now.run_id
            self._set(asked=tuple(a for a in self._now.asked if a["approval_id"] != approval_id))
        self._tell(
            lambda: self._client.approve_run(run_id, yes=yes, approval_id=approval_id),
            f"run {run_id} no longer waits for {approval_id}",
        )

    def _tell(self, call: Callable[[], object], too_late: str) -> None:
        with self._speaking:
            if self._closed:
                log.info("%s: the answer has ended", too_late)
                return
            try:
                call()
            except OpenbookError as e:
                log.info("%s: %s", too_late, e)

    def _read(self) -> None:
        try:
            self._follow()
        finally:
            with self._speaking:
                self._closed = True
                self._client.close()

    def _follow(self) -> None:
        try:
            if self._prepare is not None:
                self._prepare(self._report)
            stream = self._open()
            with self._changed:
                self._stream = stream
                stopping = self._stopping
            with stream:
                if stopping:
                    return
                for name, data in stream:
                    with self._changed:
                        self._take(name, data)
            with self._changed:
                if self._now.state == "running":
                    self._set(state="failed", error="the answer broke off before its end: ask again")
        except _Stopped:
            return
        except OpenbookError as e:
            self._fail(e.message)
        except Exception:
            log.exception("reading an answer failed")
            self._fail("something went wrong while reading the answer: the log of the page has the details")

    def _report(self, doing: str) -> None:
        with self._changed:
            if self._stopping:
                raise _Stopped
            if doing != self._now.doing:
                self._set(doing=doing)

    def _take(self, name: str, data: dict[str, Any]) -> None:
        if self._now.state != "running":
            return
        now = self._now
        match name:
            case "run":
                self._set(run_id=data["run_id"])
            case "approval":
                self._set(asked=(*now.asked, data))
            case "step":
                self._set(steps=(*now.steps, data))
            case "token":
                self._set(text=now.text + data["text"])
            case "sentence":
                self._set(sentences={**now.sentences, data["index"]: cast(replies.Sentence, data)})
            case "citation":
                self._set(citations={**now.citations, data["n"]: cast(replies.Citation, data)})
            case "done":
                self._set(state="done", answer=cast(replies.Answer, data))
            case "compared":
                self._set(state="done", same=data["compared"] is None)
            case "error" if data.get("code") == "cancelled":  # stopped from elsewhere
                self._set(state="stopped")
            case "error":
                self._set(state="failed", error=str(data.get("message") or data.get("detail") or "it failed"))

    def _set(self, **changes: Any) -> None:
        self._now = replace(self._now, version=self._now.version + 1, **changes)
        self._changed.notify_all()

    def _fail(self, message: str) -> None:
        with self._changed:
            if self._now.state == "running":
                self._set(state="failed", error=message)


class Audience:
    """Those for whom answers are given: one person's session of the page. Where it is gone for good, what still runs is stopped.

    Whoever loads the page anew looks on from another session: that counts, too.
    """

    def __init__(self, is_there: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Starts nothing yet.

        Args:
            is_there: whether the session's browser is connected; asked by a thread of its own while an answer is given.
            patience_s: how long an answer goes on that nobody looks at.
        """
        self._is_there = is_there
        self._patience_s = patience_s
        self._changing = threading.Lock()
        self._seen: dict[LiveAnswer, float] = {}  # those that run, and when somebody looked last
        self._thread: threading.Thread | None = None

    def start(self, live: LiveAnswer) -> LiveAnswer:
        with self._changing:
            self._seen[live] = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="audience", daemon=True)
                self._thread.start()
        return live.start()

    def look(self, run_ids: Collection[str]) -> None:
        """Somebody waits for these runs in another session."""
        with self._changing:
            for live in self._seen:
                if live.now.run_id in run_ids:
                    self._seen[live] = time.monotonic()

    def _watch(self) -> None:
        while True:
            time.sleep(min(LOOK_S, self._patience_s / 4))
            is_there, now = self._is_there(), time.monotonic()
            with self._changing:
                running = {live: seen for live, seen in self._seen.items() if live.now.state == "running"}
                self._seen = dict.fromkeys(running, now) if is_there else running
                if not running:
                    self._thread = None
                    return
            for live, seen in self._seen.copy().items():
                if now - seen > self._patience_s:
                    live.stop()
