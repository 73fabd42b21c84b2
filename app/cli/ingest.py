"""``openbook ingest``."""

from __future__ import annotations

import contextlib
import enum
import functools
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar

import typer

from app.cli.common import AsJson, Collection, DataDir, connected, fail, print_json, progress_bar, say
from app.client import ApiError, Client, ServerUnreachable, sendable
from app.replies import Job
from core.errors import InvalidRequest
from core.ids import check_collection_name

FINAL = ("ready", "partial", "failed", "cancelled")
# One request carries at most this many files, so that a folder of any size is taken in parts.
FILES_PER_UPLOAD = 50
URLS_PER_REQUEST = 500
POLL_S = 0.2
AWAY_S = 60.0  # how long a server may take to be started again
T = TypeVar("T")


class Chunker(enum.StrEnum):
    fixed = "fixed"
    sentence = "sentence"
    semantic = "semantic"
    parent_child = "parent-child"


def ingest(
    collection: Collection,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders (with all below them), archives (.zip), and URLs of pages, files or sitemaps."
        ),
    ] = None,
    urls_from: Annotated[
        Path | None,
        typer.Option("--urls", help="A file with a URL in each line; lines that begin with # are left out."),
    ] = None,
    chunker: Annotated[Chunker | None, typer.Option(help="How text is cut into passages.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep the collection in step with one folder, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Take files into a collection (made if it is new) and wait until they are searchable.

    Example: openbook ingest reports/ notes.md --collection work

    A document has the name of its file, or its path below the folder that was given. A name that files of two sources share
    stands behind that of each source's folder.

    A URL is fetched by the server's worker; the same URL again replaces its document. A sitemap brings all its pages.

    Example: openbook ingest https://example.org/sitemap.xml --collection site

    With --watch, files that are added, changed or deleted in a folder are followed until Ctrl-C; a document is deleted only
    if it was brought in from that folder.

    Example: openbook ingest --watch reports/ --collection work
    """
    check_collection_name(collection)
    urls = [source for source in sources or () if _is_url(source)]
    paths = [Path(source) for source in sources or () if not _is_url(source)]
    if watch:
        from app.cli.watch import watch_folder

        if urls or urls_from is not None:
            raise fail("a URL cannot be watched: give --watch one folder, and fetch the page again when it has changed")
        watch_folder(paths, collection, chunker.value if chunker else None, as_json=as_json, data_dir=data_dir)
        return
    if urls_from is not None:
        urls += _listed(urls_from)
    files = named_files(paths)
    if not files and not urls:
        if not paths:
            raise InvalidRequest("name files, folders or URLs to take in", code="usage")
        raise fail(f"no file in {', '.join(map(str, paths))}")
    with connected(data_dir, worker=True) as client:
        ensure_collection(client, collection)
        jobs: list[str] = []
        for start in range(0, len(urls), URLS_PER_REQUEST):
            part_urls = urls[start : start + URLS_PER_REQUEST]
            jobs += [j["job_id"] for j in _add_urls(client, collection, part_urls, chunker.value if chunker else None)]
        for start in range(0, len(files), FILES_PER_UPLOAD):
            part = files[start : start + FILES_PER_UPLOAD]
            jobs += [j["job_id"] for j in _upload(client, collection, part, chunker.value if chunker else None)]
        done = wait_for_jobs(client, jobs)
        done = [one for job in done for one in _with_parts(client, job)]
    report = [job_entry(job) for job in done]
    if as_json:
        print_json({"jobs": report})
    else:
        for entry in report:
            counts = (
                f"{_counted(entry['pages'], 'page')}{_counted(entry['chunks'], 'passage')}{entry['seconds']:.1f} s"
                if entry["doc_id"]
                else ""
            )
            print(
                "  ".join(
                    part for part in (f"{entry['state']:<9}", entry["file"], counts, entry["reason"] or "") if part
                )
            )
            for warning in entry["warnings"] or ():
                if warning not in (entry["reason"] or ""):  # of a document that is partial the reason says it
                    print(f"{'':<9}  {warning}")
    if not any(entry["state"] in ("ready", "partial", "paused") for entry in report):
        raise fail("no file became searchable")


def _counted(n: int | None, one: str) -> str:
    """ "28 pages, ", or nothing where there is none."""
    return f"{n:,} {one if n == 1 else one + 's'}, " if n else ""


def _is_url(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _listed(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as e:
        raise fail(f"{path} cannot be read as a list of URLs: {e}") from e
    return [line for line in lines if line and not line.startswith("#")]


def _with_parts(client: Client, job: Job) -> Iterator[Job]:
    """The job and, if it is an archive or a sitemap, what became of each part of it."""
    yield job
    if job.get("container"):
        for part in reversed(list(client.job_parts(job["job_id"]))):
            yield from _with_parts(client, part)
        for name, reason in job.get("skipped", []):
            yield {
                **job,
                "job_id": "",
                "file": name,
                "state": "failed",
                "reason": reason,
                "warnings": [],
                "container": None,
            }


def _add_urls(client: Client, collection: str, urls: list[str], chunker: str | None) -> list[Job]:
    return _patiently(lambda key: client.ingest_urls(collection, urls, chunker=chunker, key=key))


def named_files(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """(name, path) of each file; below a folder the name is the path from there.

    A file that two sources have is taken once. A name that files of two sources would share stands behind that of each source's folder
    (of a file: the folder it lies in), so that none replaces the other.

    Raises:
        typer.Exit: a source is not there, or two names are still alike.
    """
    seen: set[Path] = set()
    found = [(folder, name, path) for source in paths for folder, name, path in _of_source(source) if _once(path, seen)]
    counts = Counter(name for _, name, _ in found)
    named: dict[str, Path] = {}
    for folder, name, path in found:
        whole = f"{folder}/{name}" if counts[name] > 1 and folder else name
        if whole in named:
            raise fail(
                f"{named[whole]} and {path} would both be named {whole}, and one replace the other: name a folder that holds both"
            )
        named[whole] = path
    return list(named.items())


def _once(path: Path, seen: set[Path]) -> bool:
    """Whether this file was not named before."""
    whole = path.absolute()
    new = whole not in seen
    seen.add(whole)
    return new


def _of_source(source: Path) -> Iterator[tuple[str, str, Path]]:
    """(the name of its folder, its own name, its path) of each file."""
    if source.is_dir():
        folder = source.resolve().name
        yield from ((folder, name, path) for name, path in _below(source))
    elif source.is_file():
        yield source.absolute().parent.name, source.name, source
    elif source.exists():
        raise fail(f"{source} is neither a file nor a folder: copy what it gives to a file first")
    else:
        raise fail(f"no such file: {source}")


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files that are not hidden; links to folders are not followed, so that none is met twice."""
    found: list[Path] = []
    for where, folders, names in os.walk(folder, onerror=_unread):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [path for name in names if not name.startswith(".") and (path := Path(where, name)).is_file()]
    for path in sorted(found):
        yield str(path.relative_to(folder)), path


def _unread(problem: OSError) -> None:
    say(f"{sendable(str(problem.filename))} cannot be read ({problem.strerror}) and is left out")


def ensure_collection(client: Client, name: str) -> None:
    if name not in [c["name"] for c in client.collections()]:
        try:
            client.create_collection(name)
        except ApiError as e:
            if e.status != 409:  # 409: made by someone else meanwhile
                raise
        else:
            say(f"made the collection {name}")


def _upload(client: Client, collection: str, part: list[tuple[str, Path]], chunker: str | None) -> list[Job]:

    def upload(key: str) -> list[Job]:
        with contextlib.ExitStack() as stack:
            handles: list[tuple[str, IO[bytes]]] = []
            for name, path in part:
                try:
                    handles.append((name, stack.enter_context(path.open("rb"))))
                except OSError as e:
                    _unread(e)
            return client.upload(collection, handles, chunker=chunker, key=key) if handles else []

    return _patiently(upload)


def _patiently(send: Callable[[str], list[Job]]) -> list[Job]:
    """Sends, waiting and trying again while the queue is full; under a key, so that what has arrived gets no second job."""
    key = str(uuid.uuid4())
    while True:
        try:
            return _past_a_restart(functools.partial(send, key))
        except ApiError as e:
            if e.code == "idempotency-key-reused":  # a file has changed between two tries
                key = str(uuid.uuid4())
                continue
            if e.status != 429:
                raise
            time.sleep(5 if e.retry_after_s is None else e.retry_after_s)


def _past_a_restart(ask: Callable[[], T]) -> T:
    """Asks until the server answers, which may be stopped and started again meanwhile; what it accepted is kept."""
    deadline = None
    while True:
        try:
            return ask()
        except ServerUnreachable as e:
            if deadline is None:
                deadline = time.monotonic() + AWAY_S
                say("the server is away; waiting for it")
            if time.monotonic() > deadline:
                again = "what it has accepted goes on when it runs again; `openbook jobs list` shows how far it is"
                raise fail(f"{e.message}; {again}") from e
            time.sleep(1)


def wait_for_jobs(client: Client, job_ids: list[str]) -> list[Job]:
    """The jobs in their order, once all have ended, or wait for a person to resume them."""
    done: dict[str, Job] = {}
    with progress_bar("ingesting") as move:
        while len(done) < len(job_ids):
            for job_id in job_ids:
                if job_id in done:
                    continue
                job = _past_a_restart(functools.partial(client.job, job_id))
                move(len(done) / len(job_ids), f"{len(done)}/{len(job_ids)} {job['file']}: {job['state']}")
                if job["state"] not in FINAL and not _is_paused(job):
                    break  # jobs are worked on in order
                done[job_id] = job
            else:
                break
            if len(done) < len(job_ids):
                time.sleep(POLL_S)
    return [done[job_id] for job_id in job_ids]


def _is_paused(job: Job) -> bool:
    return bool(job.get("paused")) and (job["state"] == "queued" or bool(job.get("container")))


def job_entry(job: Job) -> dict[str, Any]:
    if job["state"] not in FINAL and _is_paused(job):
        resume = f"go on with `openbook jobs resume --collection {job['collection']}`"
        return {**job_entry({**job, "paused": False}), "state": "paused", "reason": resume}
    keys = ("job_id", "file", "state", "reason", "doc_id", "pages", "chunks", "seconds", "warnings")
    return {key: job.get(key) for key in keys}
