"""The typed client of the API: what the page and the command line speak. It knows routes, not what they do.

    ApiError                the server refused, and said why (problem+json)
    ServerUnreachable       nobody answers at that address, or the line broke

Uploads are streamed from the files they come from. A ``Client`` may be shared by threads.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeAlias, cast
from urllib.parse import quote, urlsplit

import httpx

from app import replies
from app.wire import ApiError, EventStream, ServerUnreachable, json_object, raise_for_problem, translated

__all__ = ["ApiError", "Client", "EventStream", "FileSource", "ServerUnreachable", "sendable"]

FileSource: TypeAlias = Path | tuple[str, IO[bytes]]  # a path, or a name and an open binary file

CONNECT_TIMEOUT_S = 5.0
# Shorter than the server's own (5 s), so that no request meets a connection that is just being closed.
KEEP_ALIVE_S = 2.0
# A stream is silent while a model reads a long prompt; the server bounds the run itself.
STREAM_SILENCE_S = 300.0


def sendable(name: str) -> str:
    """A file's name as text that can be sent and printed: its bytes that are not UTF-8 are written as ``%E9``."""
    return "".join(
        f"%{ord(c) - 0xDC00:02X}" if "\udc80" <= c <= "\udcff" else "\ufffd" if "\ud800" <= c <= "\udfff" else c
        for c in name
    )


class Client:
    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        timeout_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connects to nothing yet.

        Args:
            base_url: for example ``http://127.0.0.1:8000``.
            token: sent as ``Authorization: Bearer``, if given.
            timeout_s: how long an answer, or a piece of an upload, may take; streams have a limit of their own.
            transport: for tests that run the application in process.
        """
        self.base_url = base_url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            transport=transport,
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_S),
            trust_env=not _is_loopback(self.base_url),  # a proxy of the environment cannot reach our loopback
        )

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    # ---------------------------------------------------------------- collections

    def collections(self) -> list[replies.Collection]:
        return cast("list[replies.Collection]", self._json("GET", "/v1/collections")["collections"])

    def create_collection(self, name: str, *, pii: str | None = None, late: bool | None = None) -> replies.Collection:
        body = {"name": name} | _given(pii=pii, late=late)
        return cast(replies.Collection, self._json("POST", "/v1/collections", json=body))

    def change_collection(
        self, name: str, *, pii: str | None = None, late: bool | None = None
    ) -> replies.ChangedCollection:
        """What is done about personal data in what is added from now on (off, flag or redact), and whether its passages
        are kept token by token."""
        body = _given(pii=pii, late=late)
        return cast(replies.ChangedCollection, self._json("PATCH", f"/v1/collections/{_seg(name)}", json=body))

    def delete_collection(self, name: str) -> None:
        self._send("DELETE", f"/v1/collections/{_seg(name)}")

    def reindex(self, collection: str, **changes: Any) -> replies.Job:
        """Begins to make every document anew, as ``changes`` (of the route's body) say; the old ones are searched meanwhile."""
        # An encoder is loaded before the answer, so that one that cannot be is said at once.
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        reply = self._json(
            "POST", f"/v1/collections/{_seg(collection)}/reindex", json=_given(**changes), timeout=timeout
        )
        return cast(replies.Job, reply["job"])

    def rollback(self, collection: str) -> dict[str, Any]:
        """Switches back to what was searched before the last reindex."""
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        return self._json("POST", f"/v1/collections/{_seg(collection)}/rollback", timeout=timeout)

    def delete_previous(self, collection: str) -> None:
        """Gives up what is kept for a way back."""
        self._send("DELETE", f"/v1/collections/{_seg(collection)}/previous")

    def tune(
        self,
        collection: str,
        questions: Sequence[Mapping[str, Any]],
        *,
        dataset: str = "",
        apply: bool = False,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Fits the collection's fusion on ``questions`` {id, query, docs: {name: grade}}; waits for the end."""
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        body = {"questions": list(questions), "dataset": dataset, "apply": apply, "seed": seed}
        return self._json("POST", f"/v1/collections/{_seg(collection)}/tune", json=body, timeout=timeout)

    def reset_fusion(self, collection: str) -> dict[str, Any]:
        """Takes back what ``tune`` has applied."""
        return self._json("DELETE", f"/v1/collections/{_seg(collection)}/fusion")

    # ---------------------------------------------------------------- files and jobs

    def upload(self, collection: str, files: Sequence[FileSource], *, chunker: str | None = None) -> list[replies.Job]:
        """Sends ``files`` as one batch and returns a job for each; "accepted" is not yet "ready"."""
        with contextlib.ExitStack() as stack:
            parts: list[tuple[str, tuple[str, IO[bytes]]]] = []
            for source in files:
                if isinstance(source, Path):
                    parts.append(("files", (sendable(source.name), stack.enter_context(source.open("rb")))))
                else:
                    parts.append(("files", (sendable(source[0]), source[1])))
            reply = self._json(
                "POST",
                f"/v1/collections/{_seg(collection)}/documents",
                files=parts,
                params=_given(chunker=chunker),
            )
        return cast("list[replies.Job]", reply["jobs"])

    def ingest_urls(self, collection: str, urls: Sequence[str], *, chunker: str | None = None) -> list[replies.Job]:
        """Lets the server fetch pages, files or sitemaps; returns a job for each."""
        body = {"urls": list(urls)} | _given(chunker=chunker)
        reply = self._json("POST", f"/v1/collections/{_seg(collection)}/urls", json=body)
        return cast("list[replies.Job]", reply["jobs"])

    def jobs(self, *, collection: str | None = None, limit: int | None = None) -> list[replies.Job]:
        return self.job_page(collection=collection, limit=limit)["jobs"]

    def job_page(
        self,
        *,
        collection: str | None = None,
        states: Sequence[str] = (),
        parent: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> replies.JobPage:
        """The newest first; ``parent`` is the job of an archive or a sitemap, whose parts are meant."""
        params = _given(collection=collection, parent=parent, limit=limit, cursor=cursor, state=list(states) or None)
        return cast(replies.JobPage, self._json("GET", "/v1/jobs", params=params))

    def job_parts(self, job_id: str) -> Iterator[replies.Job]:
        """The jobs of all parts of an archive or a sitemap, the last one first."""
        cursor: str | None = None
        while True:
            page = self.job_page(parent=job_id, limit=1000, cursor=cursor)
            yield from page["jobs"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def job(self, job_id: str) -> replies.Job:
        return cast(replies.Job, self._json("GET", f"/v1/jobs/{_seg(job_id)}"))

    def job_events(self, job_id: str, *, after: str = "") -> Iterator[replies.Job]:
        """Yields the job as it changes and ends when it has; ``after`` resumes behind that event id."""
        headers = {"Last-Event-ID": after} if after else {}
        with self._stream("GET", f"/v1/jobs/{_seg(job_id)}/events", headers=headers) as events:
            for name, data in events:
                if name == "job":
                    yield cast(replies.Job, data)

    def retry_job(self, job_id: str) -> replies.Job:
        return cast(replies.Job, self._json("POST", f"/v1/jobs/{_seg(job_id)}/retry"))

    def cancel_job(self, job_id: str) -> replies.Job:
        return cast(replies.Job, self._json("DELETE", f"/v1/jobs/{_seg(job_id)}"))

    def pause_job(self, job_id: str) -> replies.Job:
        return cast(replies.Job, self._json("POST", f"/v1/jobs/{_seg(job_id)}/pause"))

    def resume_job(self, job_id: str) -> replies.Job:
        return cast(replies.Job, self._json("POST", f"/v1/jobs/{_seg(job_id)}/resume"))

    def pause_collection(self, collection: str, *, paused: bool = True) -> int:
        """Pauses or resumes all jobs of a collection, and those to come; returns how many were."""
        word = "pause" if paused else "resume"
        return int(self._json("POST", f"/v1/collections/{_seg(collection)}/jobs/{word}")["jobs"])

    # ---------------------------------------------------------------- documents

    def documents(
        self, collection: str, *, limit: int | None = None, cursor: str | None = None, near: bool = False
    ) -> replies.DocumentPage:
        """With ``near`` each document says how many near-duplicates it has."""
        asked = _given(limit=limit, cursor=cursor, near="true" if near else None)
        reply = self._json("GET", f"/v1/collections/{_seg(collection)}/documents", params=asked)
        return cast(replies.DocumentPage, reply)

    def document(self, doc_id: str) -> replies.Document:
        return cast(replies.Document, self._json("GET", f"/v1/documents/{_seg(doc_id)}"))

    def near_duplicates(self, doc_id: str) -> list[replies.NearDuplicate]:
        reply = self._json("GET", f"/v1/documents/{_seg(doc_id)}/near-duplicates")
        return cast("list[replies.NearDuplicate]", reply["near_duplicates"])

    def delete_document(self, doc_id: str) -> None:
        self._send("DELETE", f"/v1/documents/{_seg(doc_id)}")

    def purge_document(self, doc_id: str) -> replies.Purged:
        """Deletes a document and takes it out of everything that quotes it; waits until its last byte is gone."""
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        path = f"/v1/documents/{_seg(doc_id)}"
        return cast(replies.Purged, self._json("DELETE", path, params={"purge": "true"}, timeout=timeout))

    def document_text(self, doc_id: str) -> str:
        """The stored text that all offsets point into."""
        return self._send("GET", f"/v1/documents/{_seg(doc_id)}/content").content.decode("utf-8")

    def document_original(self, doc_id: str) -> bytes:
        """The file as it was uploaded."""
        return self._send("GET", f"/v1/documents/{_seg(doc_id)}/content", params={"format": "original"}).content

    def preview(
        self,
        file: FileSource,
        *,
        chunker: str | None = None,
        tokens: int | None = None,
        overlap: int | None = None,
        pii: str | None = None,
        limit: int | None = None,
    ) -> replies.Preview:
        """What would become of a file; nothing is stored. None is what the server's settings say."""
        with contextlib.ExitStack() as stack:
            named = (file.name, stack.enter_context(file.open("rb"))) if isinstance(file, Path) else file
            timeout = httpx.Timeout(STREAM_SILENCE_S, connect=CONNECT_TIMEOUT_S)
            asked = _given(chunker=chunker, tokens=tokens, overlap=overlap, pii=pii, limit=limit)
            named = (sendable(named[0]), named[1])
            found = self._json("POST", "/v1/preview", files=[("files", named)], params=asked, timeout=timeout)
        return cast(replies.Preview, found)

    def chunk_page(self, doc_id: str, *, offset: int, limit: int) -> replies.ChunkPage:
        """Some passages of a document with their parents, and how many there are."""
        asked = {"offset": offset, "limit": limit}
        return cast(replies.ChunkPage, self._json("GET", f"/v1/documents/{_seg(doc_id)}/chunks", params=asked))

    def chunks(self, doc_id: str) -> list[replies.ChunkInfo]:
        return cast("list[replies.ChunkInfo]", self._json("GET", f"/v1/documents/{_seg(doc_id)}/chunks")["chunks"])

    def page_image(self, doc_id: str, page: int, *, highlight: tuple[int, int] | None = None) -> bytes:
        """One page of a PDF as PNG; ``highlight`` marks a range of the stored text on it."""
        marked = None if highlight is None else f"{highlight[0]},{highlight[1]}"
        path = f"/v1/documents/{_seg(doc_id)}/pages/{page}.png"
        return self._send("GET", path, params=_given(highlight=marked)).content

    # ---------------------------------------------------------------- finding and asking

    def search(
        self,
        query: str,
        collections: Sequence[str],
        *,
        k: int | None = None,
        retriever: str | None = None,
        explain: bool = False,
        sparse: str | None = None,
        dense: str | None = None,
        fusion: str | None = None,
        rerank: bool | None = None,
        collapse_duplicates: bool | None = None,
        hyde: bool | None = None,
        decompose: bool | None = None,
    ) -> list[replies.Hit]:
        """The hits of ``search_whole``."""
        return self.search_whole(
            query,
            collections,
            k=k,
            retriever=retriever,
            explain=explain,
            sparse=sparse,
            dense=dense,
            fusion=fusion,
            rerank=rerank,
            collapse_duplicates=collapse_duplicates,
            hyde=hyde,
            decompose=decompose,
        )["hits"]

    def search_whole(
        self,
        query: str,
        collections: Sequence[str],
        *,
        k: int | None = None,
        retriever: str | None = None,
        explain: bool = False,
        sparse: str | None = None,
        dense: str | None = None,
        fusion: str | None = None,
        rerank: bool | None = None,
        collapse_duplicates: bool | None = None,
        hyde: bool | None = None,
        decompose: bool | None = None,
        max_per_document: int | None = None,
        mmr_lambda: float | None = None,
        highlight: str | None = None,
        filters: Mapping[str, Sequence[str]] | None = None,
    ) -> replies.SearchReply:
        """What is found, how the query may have been meant, and with ``explain`` why. None is what the server's settings say."""
        body = {"query": query, "collections": list(collections), "explain": explain}
        chosen = _given(
            k=k,
            retriever=retriever,
            sparse=sparse,
            dense=dense,
            fusion=fusion,
            rerank=rerank,
            collapse_duplicates=collapse_duplicates,
            hyde=hyde,
            decompose=decompose,
            max_per_document=max_per_document,
            mmr_lambda=mmr_lambda,
            highlight=highlight,
            filters=None if filters is None else {field: list(values) for field, values in filters.items()},
        )
        return cast(replies.SearchReply, self._json("POST", "/v1/search", json=body | chosen, timeout=STREAM_SILENCE_S))

    def facets(self, collections: Sequence[str]) -> replies.Facets:
        """What the documents of these collections can be filtered by."""
        return cast(replies.Facets, self._json("GET", "/v1/search/facets", params={"collection": list(collections)}))

    def ask(
        self,
        question: str,
        collections: Sequence[str],
        *,
        strategy: str | None = None,
        limits: Mapping[str, Any] | None = None,
        query_rewrite: str | None = None,
        hyde: bool | None = None,
        decompose: bool | None = None,
        timeout_s: float = STREAM_SILENCE_S,
    ) -> replies.Answer:
        """None is what the server's settings say."""
        chosen = _given(strategy=strategy, limits=limits, query_rewrite=query_rewrite, hyde=hyde, decompose=decompose)
        body = {"question": question, "collections": list(collections)} | chosen
        return cast(replies.Answer, self._json("POST", "/v1/ask", json=body, timeout=timeout_s))

    def ask_stream(self, question: str, collections: Sequence[str], *, strategy: str | None = None) -> EventStream:
        """The same as events: run, step, token, sentence, citation, usage, and last ``done`` or ``error``."""
        body = {"question": question, "collections": list(collections), "stream": True}
        return self._stream("POST", "/v1/ask", json=body | _given(strategy=strategy))

    def cancel_run(self, run_id: str) -> None:
        self._send("POST", f"/v1/runs/{_seg(run_id)}/cancel")

    def strategies(self) -> replies.Strategies:
        return cast(replies.Strategies, self._json("GET", "/v1/strategies"))

    # ---------------------------------------------------------------- conversations

    def create_chat(
        self, collections: Sequence[str], *, strategy: str | None = None, title: str | None = None
    ) -> replies.Chat:
        body = {"collections": list(collections)} | _given(strategy=strategy, title=title)
        return cast(replies.Chat, self._json("POST", "/v1/chats", json=body))

    def chats(self) -> list[replies.Chat]:
        """The newest first, without their messages."""
        return cast("list[replies.Chat]", self._json("GET", "/v1/chats")["chats"])

    def chat(self, chat_id: str) -> replies.Chat:
        return cast(replies.Chat, self._json("GET", f"/v1/chats/{_seg(chat_id)}"))

    def update_chat(
        self,
        chat_id: str,
        *,
        title: str | None = None,
        collections: Sequence[str] | None = None,
        strategy: str | None = None,
    ) -> replies.Chat:
        body = _given(title=title, collections=None if collections is None else list(collections), strategy=strategy)
        return cast(replies.Chat, self._json("PATCH", f"/v1/chats/{_seg(chat_id)}", json=body))

    def delete_chat(self, chat_id: str) -> None:
        self._send("DELETE", f"/v1/chats/{_seg(chat_id)}")

    def chat_stream(
        self,
        chat_id: str,
        question: str,
        *,
        strategy: str | None = None,
        collections: Sequence[str] | None = None,
    ) -> EventStream:
        """Asks within a conversation; the server keeps both messages, and the part that was said of a dropped one."""
        body = {"question": question, "stream": True} | _given(
            strategy=strategy, collections=None if collections is None else list(collections)
        )
        return self._stream("POST", f"/v1/chats/{_seg(chat_id)}/messages", json=body)

    # ---------------------------------------------------------------- the server itself

    def health(self) -> dict[str, Any]:
        return self._json("GET", "/health")

    def ready(self) -> replies.Readiness:
        """What is still loading; a server that is not ready answers this too."""
        with translated(self.base_url):
            response = self._http.get("/ready")
        if response.status_code not in (200, 503) or "ready" not in response.text:
            raise_for_problem(response)
        return cast(replies.Readiness, json_object(response))

    def system(self) -> dict[str, Any]:
        return self._json("GET", "/v1/system")

    def verify(self) -> dict[str, Any]:
        """What is wrong with what the server stores; needs the token that lies in the data directory."""
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        return self._json("POST", "/internal/upkeep/verify", timeout=timeout)

    def backup(self) -> contextlib.AbstractContextManager[Iterator[bytes]]:
        """A backup of everything as pieces of a tar; needs the token that lies in the data directory."""
        return self._pieces("POST", "/internal/upkeep/backup")

    # ---------------------------------------------------------------- the wire

    @contextlib.contextmanager
    def _pieces(self, method: str, path: str) -> Iterator[Iterator[bytes]]:
        # Copying a large database comes before the first byte.
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        headers = {"Accept-Encoding": "identity"}
        with (
            translated(self.base_url),
            self._http.stream(method, path, timeout=timeout, headers=headers) as response,
        ):
            raise_for_problem(response)
            yield response.iter_raw()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        with translated(self.base_url):
            response = self._http.request(method, path, **options)
        raise_for_problem(response)
        return response

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        return json_object(self._send(method, path, **options))

    def _stream(self, method: str, path: str, **options: Any) -> EventStream:
        timeout = httpx.Timeout(STREAM_SILENCE_S, connect=CONNECT_TIMEOUT_S)
        request = self._http.build_request(method, path, timeout=timeout, **options)
        request.headers["Accept"] = "text/event-stream"
        request.headers["Accept-Encoding"] = "identity"
        return EventStream(self._http, request, self.base_url)


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _seg(text: str) -> str:
    return quote(text, safe="")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
