"""Keeps a collection in step with a folder: what is new or changed is taken in, what is gone is deleted.

Looking is polling, which works on every file system. What was taken is remembered beside the data (``Memory``), so that a
watch that begins again knows what is its own: it deletes no document that it did not bring in from this folder, and none
that somebody has replaced since. It speaks HTTP only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from app.client import ApiError, Client, sendable
from app.intake import clean_uri
from app.replies import Job
from core.errors import Conflict, StorageFailed
from core.wording import plural
from retrieval.files import fsync_path, make_folder, storage_errors

POLL_S = 0.5
STILL_S = 1.0  # so long a file's size and time must not have moved
MAX_PENDING = 200  # jobs that are waited for before more is uploaded
FILES_PER_UPLOAD = 50
FINAL = ("ready", "partial", "failed", "cancelled")
UNENDED = ("queued", "parsing", "encoding", "indexing")
UNSENT = -1

Stat = tuple[int, int]  # size in bytes, time of the last change in ns


@dataclass(slots=True)
class Known:
    """What is remembered of one file.

    Attributes:
        mtime_ns: of the bytes that the server has accepted; UNSENT until it has.
        ours: this watch brought the document in, and may delete it.
        sha256: of the document, once its job has ended.
        sent: SHA-256 of the bytes that were sent last, written before they were.
        job_id: that was made of them, until it has ended.
    """

    size: int
    mtime_ns: int
    ours: bool
    doc_id: str | None = None
    sha256: str | None = None
    sent: str | None = None
    job_id: str | None = None

    @property
    def stat(self) -> Stat:
        return self.size, self.mtime_ns


@dataclass(slots=True)
class Tally:
    ready: int = 0
    deleted: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # file -> reason, of those that failed last


class Memory:
    """What a watch knows, in one file that is replaced as a whole. Held by one process at a time."""

    def __init__(self, data_dir: Path, collection: str, folder: Path) -> None:
        name = hashlib.sha256(f"{collection}\0{folder}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._path = data_dir / "watches" / f"{name}.json"
        self._folder = folder
        self.device: int | None = None  # of the file system that the folder was on
        self.files: dict[str, Known] = {}

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Raises Conflict if another watch has it."""
        with storage_errors("remember what is watched"):
            make_folder(self._path.parent)
            lock = self._path.with_suffix(".lock").open("wb")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as e:
                raise Conflict(f"another process watches {self._folder} for this collection already") from e
            self._read()
            yield

    def _read(self) -> None:
        try:
            body: dict[str, Any] = json.loads(self._path.read_text("utf-8", "surrogateescape"))
            self.device = body["device"]
            self.files = {name: Known(**known) for name, known in body["files"].items()}
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise StorageFailed(
                f"{self._path} cannot be read ({e!r}): delete it; then the folder is taken in again, and of what is there "
                "already nothing is deleted"
            ) from e

    def save(self) -> None:
        body = {
            "folder": str(self._folder),
            "device": self.device,
            "files": {name: asdict(known) for name, known in self.files.items()},
        }
        with storage_errors("remember what is watched"):
            temp = self._path.with_suffix(".tmp")
            temp.write_text(json.dumps(body, ensure_ascii=False), "utf-8", "surrogateescape")
            fsync_path(temp)
            temp.rename(self._path)
            fsync_path(self._path.parent)


class Watch:
    """One folder and one collection.

    Args:
        say: is told a line for every file that was taken, failed or deleted.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        folder: Path,
        collection: str,
        memory: Memory,
        say: Callable[[str], None],
        *,
        chunker: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._collection = collection
        self._memory = memory
        self._tell = say
        self._chunker = chunker
        self._clock = clock
        self._seen: dict[str, tuple[Stat | None, float]] = {}  # how a file looked, and since when; None: gone
        self._jobs: dict[str, str] | None = None  # file -> its newest job; None: not looked up in the memory yet
        self._said = ""
        self.tally = Tally()

    def step(self, client: Client) -> bool:
        """Looks once and does what is due; True if everything is in step.

        Raises:
            ApiError: the server refused, for example since the collection is gone.
            ServerUnreachable: it does not answer; nothing is lost by trying again.
        """
        if self._jobs is None:  # the jobs of what was taken before a stop have ended since, or will
            self._jobs = {name: known.job_id for name, known in self._memory.files.items() if known.job_id}
        self._finish_jobs(client, self._jobs)
        now, whole = self._look()
        if now is None:
            return False
        due, gone, waiting = self._due(now, whole)
        for start in range(0, len(due), FILES_PER_UPLOAD):
            if len(self._jobs) >= MAX_PENDING:
                return False
            self._take(client, due[start : start + FILES_PER_UPLOAD], now, self._jobs)
        unended = self._unended(client) if any(self._may_be_sent(name) for name in gone) else frozenset()
        for name in gone:
            if clean_uri(sendable(name)) not in unended:
                self._delete(client, name)
        return not (self._jobs or due or gone or waiting)

    # ------------------------------------------------------------ looking

    def _look(self) -> tuple[dict[str, Stat] | None, bool]:
        """Every file by its path from the folder, and whether all of the folder could be read; None: it is not there."""
        problems: list[OSError] = []
        try:
            device = self._folder.stat().st_dev
        except OSError as e:
            self._say_once(f"cannot look at {self._folder} ({e.strerror}): waiting for it to come back")
            return None, False
        if self._memory.device not in (None, device) and self._memory.files:
            # An unmounted disk leaves an empty folder behind: that is no reason to delete what was on it.
            problems.append(OSError(f"{self._folder} is on another file system than before"))
        else:
            self._memory.device = device
        found: dict[str, Stat] = {}
        for where, folders, names in os.walk(self._folder, onerror=problems.append):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            for name in sorted(names):
                path = Path(where, name)
                if name.startswith("."):
                    continue
                try:
                    info = path.stat()
                except OSError as e:
                    # Gone since it was listed, or a link that leads nowhere, or to itself: there is no file.
                    if e.errno not in (errno.ENOENT, errno.ELOOP):
                        problems.append(e)
                    continue
                if stat.S_ISREG(info.st_mode):
                    found[str(path.relative_to(self._folder))] = (info.st_size, info.st_mtime_ns)
        self._say_once(f"not everything can be read ({problems[0]}): nothing is deleted meanwhile" if problems else "")
        return found, not problems

    def _say(self, line: str) -> None:
        self._tell(sendable(line))

    def _say_once(self, line: str) -> None:
        if line and line != self._said:
            self._say(line)
        self._said = line

    def _due(self, now: dict[str, Stat], whole: bool) -> tuple[list[str], list[str], bool]:
        """What is to be taken, what is to be deleted, and whether something is not still yet."""
        due, gone, waiting = [], [], False
        known = self._memory.files
        wanted: dict[str, Stat | None] = {n: s for n, s in now.items() if n not in known or known[n].stat != s}
        if whole:
            wanted |= dict.fromkeys(known.keys() - now.keys())
        self._seen = {name: seen for name, seen in self._seen.items() if name in wanted}
        for name, looks in wanted.items():
            before, since = self._seen.get(name, (None, 0.0))
            if name not in self._seen or before != looks:
                self._seen[name] = looks, self._clock()
                waiting = True
            elif self._clock() - since < STILL_S or (looks is None and self._jobs and name in self._jobs):
                waiting = True
            elif looks is None:
                gone.append(name)
            else:
                due.append(name)
        return due, gone, waiting

    # ------------------------------------------------------------ doing

    def _take(self, client: Client, names: list[str], now: dict[str, Stat], jobs: dict[str, str]) -> None:
        """Uploads files. That they are ours, and what is sent, is remembered before; how they looked only once the server
        has accepted them: so a stop at any moment makes us forget neither, and what may not have arrived is sent again."""
        with contextlib.ExitStack() as stack:
            handles: list[tuple[str, IO[bytes]]] = []
            for name in names:
                size, mtime_ns = now[name]
                known = self._memory.files.get(name) or Known(size, UNSENT, ours=self._is_new(client, name))
                known.size, known.mtime_ns, known.job_id = size, UNSENT, None
                self._memory.files[name] = known
                try:
                    handle = stack.enter_context((self._folder / name).open("rb"))
                    known.sent = hashlib.file_digest(handle, "sha256").hexdigest()
                    handle.seek(0)
                except OSError as e:
                    known.mtime_ns = mtime_ns  # until it changes
                    self._failed(name, f"it cannot be read: {e.strerror}")
                else:
                    handles.append((name, handle))
            self._memory.save()
            if not handles:
                return
            try:
                accepted = client.upload(self._collection, handles, chunker=self._chunker)
            except ApiError as e:
                if e.status != 429:
                    raise
                time.sleep(e.retry_after_s or 5)
                return
        for (name, _), job in zip(handles, accepted, strict=True):
            known = self._memory.files[name]
            known.mtime_ns, known.job_id = now[name][1], job["job_id"]
            jobs[name] = job["job_id"]
        self._memory.save()

    def _may_be_sent(self, name: str) -> bool:
        """Whether it was being sent when the watch was stopped: then it may have a job that we do not know."""
        return self._memory.files[name].mtime_ns == UNSENT

    def _unended(self, client: Client) -> frozenset[str]:
        """The files of the collection that are being worked on, or wait for that."""
        found: set[str] = set()
        cursor: str | None = None
        while True:
            page = client.job_page(collection=self._collection, states=UNENDED, limit=1000, cursor=cursor)
            found.update(job["file"] for job in page["jobs"])
            cursor = page["next_cursor"]
            if cursor is None:
                return frozenset(found)

    def _is_new(self, client: Client, name: str) -> bool:
        """Whether the collection has no document of this name: then what we upload is ours to delete."""
        try:
            client.document(self._document_id(name))
        except ApiError as e:
            if e.status != 404:
                raise
            return True
        return False

    def _document_id(self, name: str) -> str:
        from core.ids import document_id

        return document_id(self._collection, clean_uri(sendable(name)))

    def _finish_jobs(self, client: Client, jobs: dict[str, str]) -> None:
        ended = False
        for name, job_id in list(jobs.items()):
            job: Job | None = None  # of which nobody knows any more
            try:
                job = client.job(job_id)
            except ApiError as e:
                if e.status != 404:
                    raise
            if job is None or job["state"] in FINAL:
                del jobs[name]
                self._memory.files[name].job_id = None
                if job is not None:
                    self._ended(client, name, job)
                ended = True
        if ended:
            self._memory.save()

    def _ended(self, client: Client, name: str, job: Job) -> None:
        known = self._memory.files[name]
        if job["state"] in ("ready", "partial") and job.get("container"):
            # Its members are documents of their own; which of them are whose is not followed.
            self.tally.ready += 1
            self.tally.failed.pop(name, None)
            self._say(f"{job['state']:<9}  {name}  {job['reason']}")
            return
        if job["state"] not in ("ready", "partial") or not job["doc_id"]:
            self._failed(name, str(job["reason"] or job["state"]))
            return
        self.tally.ready += 1
        self.tally.failed.pop(name, None)
        before = known.sha256
        known.doc_id = str(job["doc_id"])
        try:
            known.sha256 = client.document(known.doc_id).get("sha256")
        except ApiError as e:
            if e.status != 404:  # deleted by somebody meanwhile
                raise
        # What was there before us becomes ours once we have replaced it by something else.
        known.ours = known.ours or (before is not None and before != known.sha256) or (job["seconds"] or 0) > 0
        reason = f"  {job['reason']}" if job["reason"] else ""
        self._say(f"{job['state']:<9}  {name}  {plural(job['chunks'] or 0, 'passage')}{reason}")

    def _failed(self, name: str, reason: str) -> None:
        self.tally.failed[name] = reason
        self._say(f"failed     {name}  {reason}")

    def _delete(self, client: Client, name: str) -> None:
        known = self._memory.files[name]
        self.tally.failed.pop(name, None)
        if known.ours:
            doc_id = known.doc_id or self._document_id(name)  # without one its job has not been seen to end
            try:
                if client.document(doc_id).get("sha256") in (known.sha256, known.sent):
                    client.delete_document(doc_id)
                    self.tally.deleted += 1
                    self._say(f"deleted    {name}")
                else:
                    self._say(f"kept       {name}  somebody has replaced the document since")
            except ApiError as e:
                if e.status != 404:
                    raise
        elif known.doc_id is not None:
            self._say(f"kept       {name}  the document was there before this folder was watched")
        del self._memory.files[name]
        self._memory.save()
