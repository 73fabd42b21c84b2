"""Calls about collections, the files that come into them, and their documents. Uploads are streamed from their files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import httpx

from app import replies
from app.line import CONNECT_TIMEOUT_S, STREAM_SILENCE_S, FileSource, Line, given, seg, sendable


class FileCalls(Line):
    # ---------------------------------------------------------------- collections

    def collections(self) -> list[replies.Collection]:
        return cast("list[replies.Collection]", self._json("GET", "/v1/collections")["collections"])

    def create_collection(
        self, name: str, *, pii: str | None = None, late: bool | None = None, tokens: bool | None = None
    ) -> replies.Collection:
        body = {"name": name} | given(pii=pii, late=late, tokens=tokens)
        return cast(replies.Collection, self._json("POST", "/v1/collections", json=body))

    def change_collection(
        self, name: str, *, pii: str | None = None, late: bool | None = None, tokens: bool | None = None
    ) -> replies.ChangedCollection:
        """What is done about personal data in what is added from now on (off, flag or redact), whether it can be searched
        by late interaction, and whether token vectors are kept."""
        body = given(pii=pii, late=late, tokens=tokens)
        return cast(replies.ChangedCollection, self._json("PATCH", f"/v1/collections/{seg(name)}", json=body))

    def delete_collection(self, name: str) -> None:
        self._send("DELETE", f"/v1/collections/{seg(name)}")

    def reindex(self, collection: str, **changes: Any) -> replies.Job:
        """Begins to make every document anew, as ``changes`` (of the route's body) say; the old ones are searched meanwhile."""
        # An encoder is loaded before the answer, so that one that cannot be is said at once.
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        reply = self._json("POST", f"/v1/collections/{seg(collection)}/reindex", json=given(**changes), timeout=timeout)
        return cast(replies.Job, reply["job"])

    def reindex_estimate(self, collection: str, **changes: Any) -> replies.ReindexEstimate:
        """What ``reindex`` with the same ``changes`` would come to; begins nothing."""
        reply = self._json("POST", f"/v1/collections/{seg(collection)}/reindex/estimate", json=given(**changes))
        return cast(replies.ReindexEstimate, reply)

    def rollback(self, collection: str) -> dict[str, Any]:
        """Switches back to what was searched before the last reindex."""
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        return self._json("POST", f"/v1/collections/{seg(collection)}/rollback", timeout=timeout)

    def delete_previous(self, collection: str) -> None:
        """Gives up what is kept for a way back."""
        self._send("DELETE", f"/v1/collections/{seg(collection)}/previous")

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
        return self._json("POST", f"/v1/collections/{seg(collection)}/tune", json=body, timeout=timeout)

    def calibrate(
        self,
        collection: str,
        questions: Sequence[Mapping[str, Any]],
        *,
        error: float = 0.05,
        dataset: str = "",
        apply: bool = True,
        strategy: str = "extract",
    ) -> dict[str, Any]:
        """Fits when the collection's questions are answered, on ``questions`` {id, question, answers, answerable}."""
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        body = {"questions": list(questions), "error": error, "dataset": dataset, "apply": apply, "strategy": strategy}
        return self._json("POST", f"/v1/collections/{seg(collection)}/calibrate", json=body, timeout=timeout)

    def calibrations(self, collection: str) -> list[dict[str, Any]]:
        """What was fitted of the collection, one per strategy."""
        found = self._json("GET", f"/v1/collections/{seg(collection)}/calibration")["calibrations"]
        return cast("list[dict[str, Any]]", found)

    def reset_calibration(self, collection: str, strategy: str = "extract") -> dict[str, Any]:
        return self._json("DELETE", f"/v1/collections/{seg(collection)}/calibration", params={"strategy": strategy})

    def reset_fusion(self, collection: str) -> dict[str, Any]:
        """Takes back what ``tune`` has applied."""
        return self._json("DELETE", f"/v1/collections/{seg(collection)}/fusion")

    # ---------------------------------------------------------------- files and jobs

    def upload(
        self, collection: str, files: Sequence[FileSource], *, chunker: str | None = None, key: str | None = None
    ) -> list[replies.Job]:
        """Sends ``files`` as one batch and returns a job for each; "accepted" is not yet "ready".

        Args:
            key: sent again under the same key within a day, the same files get the same jobs.
        """
        path = f"/v1/collections/{seg(collection)}/documents"
        reply = self._upload(path, files, params=given(chunker=chunker), headers=_under(key))
        return cast("list[replies.Job]", reply["jobs"])

    def ingest_urls(
        self, collection: str, urls: Sequence[str], *, chunker: str | None = None, key: str | None = None
    ) -> list[replies.Job]:
        """Lets the server fetch pages, files or sitemaps; returns a job for each. ``key`` as for ``upload``."""
        body = {"urls": list(urls)} | given(chunker=chunker)
        reply = self._json("POST", f"/v1/collections/{seg(collection)}/urls", json=body, headers=_under(key))
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
        params = given(collection=collection, parent=parent, limit=limit, cursor=cursor, state=list(states) or None)
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
        return cast(replies.Job, self._json("GET", f"/v1/jobs/{seg(job_id)}"))

    def job_events(self, job_id: str, *, after: str = "") -> Iterator[replies.Job]:
        """Yields the job as it changes and ends when it has; ``after`` resumes behind that event id."""
        headers = {"Last-Event-ID": after} if after else {}
        with self._stream("GET", f"/v1/jobs/{seg(job_id)}/events", headers=headers) as events:
            for name, data in events:
                if name == "job":
                    yield cast(replies.Job, data)

    def retry_job(self, job_id: str) -> replies.Job:
        return cast(replies.Job, self._json("POST", f"/v1/jobs/{seg(job_id)}/retry"))

    def cancel_job(self, job_id: str) -> replies.Job:
        return cast(replies.Job, self._json("DELETE", f"/v1/jobs/{seg(job_id)}"))

    def pause_job(self, job_id: str) -> replies.Job:
        return cast(replies.Job, self._json("POST", f"/v1/jobs/{seg(job_id)}/pause"))

    def resume_job(self, job_id: str) -> replies.Job:
        return cast(replies.Job, self._json("POST", f"/v1/jobs/{seg(job_id)}/resume"))

    def pause_collection(self, collection: str, *, paused: bool = True) -> int:
        """Pauses or resumes everybody's jobs of a collection, and those to come; returns how many of one's own these were."""
        word = "pause" if paused else "resume"
        return int(self._json("POST", f"/v1/collections/{seg(collection)}/jobs/{word}")["jobs"])

    # ---------------------------------------------------------------- documents

    def documents(
        self,
        collection: str,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        near: bool = False,
        words: str = "",
        tags: Sequence[str] = (),
    ) -> replies.DocumentPage:
        """Those added last first. With ``near`` each says how many near-duplicates it has; ``words``: only those of which title and
        file name have all of them; ``tags``: only those with one of them."""
        asked = given(
            limit=limit, cursor=cursor, near="true" if near else None, q=words or None, tag=list(tags) or None
        )
        reply = self._json("GET", f"/v1/collections/{seg(collection)}/documents", params=asked)
        return cast(replies.DocumentPage, reply)

    def document(self, doc_id: str) -> replies.Document:
        return cast(replies.Document, self._json("GET", f"/v1/documents/{seg(doc_id)}"))

    def tag_document(self, doc_id: str, tags: Sequence[str]) -> list[str]:
        """Gives it these in place of those that people gave it before; returns them as they are kept."""
        reply = self._json("PUT", f"/v1/documents/{seg(doc_id)}/tags", json={"tags": list(tags)})
        return cast("list[str]", reply["given_tags"])

    def near_duplicates(self, doc_id: str) -> list[replies.NearDuplicate]:
        reply = self._json("GET", f"/v1/documents/{seg(doc_id)}/near-duplicates")
        return cast("list[replies.NearDuplicate]", reply["near_duplicates"])

    def delete_document(self, doc_id: str) -> None:
        self._send("DELETE", f"/v1/documents/{seg(doc_id)}")

    def purge_document(self, doc_id: str) -> replies.Purged:
        """Deletes a document and takes it out of everything that quotes it; waits until its last byte is gone."""
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        path = f"/v1/documents/{seg(doc_id)}"
        return cast(replies.Purged, self._json("DELETE", path, params={"purge": "true"}, timeout=timeout))

    def document_text(self, doc_id: str) -> str:
        """The stored text that all offsets point into."""
        return self._send("GET", f"/v1/documents/{seg(doc_id)}/content").content.decode("utf-8")

    def document_original(self, doc_id: str) -> bytes:
        """The file as it was uploaded."""
        return self._send("GET", f"/v1/documents/{seg(doc_id)}/content", params={"format": "original"}).content

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
            asked = given(chunker=chunker, tokens=tokens, overlap=overlap, pii=pii, limit=limit)
            named = (sendable(named[0]), named[1])
            found = self._json("POST", "/v1/preview", files=[("files", named)], params=asked, timeout=timeout)
        return cast(replies.Preview, found)

    def chunk_page(self, doc_id: str, *, offset: int, limit: int) -> replies.ChunkPage:
        """Some passages of a document with their parents, and how many there are."""
        asked = {"offset": offset, "limit": limit}
        return cast(replies.ChunkPage, self._json("GET", f"/v1/documents/{seg(doc_id)}/chunks", params=asked))

    def chunks(self, doc_id: str) -> list[replies.ChunkInfo]:
        return cast("list[replies.ChunkInfo]", self._json("GET", f"/v1/documents/{seg(doc_id)}/chunks")["chunks"])

    def page_image(self, doc_id: str, page: int, *, highlight: tuple[int, int] | None = None) -> bytes:
        """One page of a PDF as PNG; ``highlight`` marks a range of the stored text on it."""
        marked = None if highlight is None else f"{highlight[0]},{highlight[1]}"
        path = f"/v1/documents/{seg(doc_id)}/pages/{page}.png"
        return self._send("GET", path, params=given(highlight=marked)).content


def _under(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key} if key is not None else {}
