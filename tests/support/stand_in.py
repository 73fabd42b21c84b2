"""A small API with canned answers over real HTTP, for the page's own tests: only what the page can see.

It keeps collections, jobs and chats in memory. A job becomes ready in ``job_s`` seconds (a file whose name
contains "bad" fails); an answer takes ``token_s`` per word, and is stopped when its reader leaves or cancels.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, get_args

import uvicorn
from fastapi import FastAPI, File, Query, Response, UploadFile
from PIL import Image, ImageDraw

from app.replies import JobState
from tests.support.stand_in_chats import add_chats
from tests.support.stand_in_state import NOW, TEXT, State, hits, problem

JOB_STATES = get_args(JobState)


def make_app(state: State) -> FastAPI:
    app = FastAPI()

    def seen(job: dict[str, Any]) -> dict[str, Any]:
        if job["state"] in ("failed", "cancelled", "ready") or job.get("paused"):
            return job
        share = (time.monotonic() - job["began"]) / state.job_s
        if share >= 1 and "bad" in job["file"]:
            job |= {"state": "failed", "reason": "the file is encrypted: upload it without its password"}
        elif share >= 1:
            job |= {"state": "ready", "progress": 1.0, "seconds": state.job_s}
            if "kind" not in job:
                job |= {"doc_id": f"d-{job['file']}", "pages": 12, "chunks": 40}
        else:
            states = ["encoding"] if job.get("kind") else ["queued", "parsing", "encoding", "indexing"]
            job |= {"state": states[int(share * len(states))], "progress": share}
        return job

    def documents(name: str) -> list[dict[str, Any]]:
        return [
            {"doc_id": j["doc_id"], "title": j["file"], "uri": j["file"], "mime_type": "application/pdf",
             "size": 123456, "pages": 12, "chunks": 40, "created_at": NOW, "warnings": []}
            for j in map(seen, state.jobs.values())
            if j["collection"] == name and j["state"] == "ready" and j["doc_id"]
        ]  # fmt: skip

    @app.get("/health")
    def health() -> Any:
        return {"status": "ok"}

    @app.get("/ready")
    def ready() -> Any:
        return {"ready": state.ready, "loading": [{"name": "encoder", "state": "loading", "detail": "MiniLM"}]}

    @app.get("/v1/me")
    def me() -> dict[str, Any]:
        return {
            "identity": "none",
            "user_id": "local",
            "name": "Local user",
            "is_admin": False,
            "scopes": [],
            "by": "nobody-else",
        }

    @app.get("/v1/system")
    def system() -> Any:
        rates = {"wrongly_supported": 0.25, "wrongly_doubted": 0.5, "balanced_accuracy": 0.625, "n": 1000}
        return {
            "version": "0.1.0",
            "models": {"encoder": "MiniLM", "lm": "SmolLM2"},
            "index": {"rows": 480},
            "verifier": {"name": "trained", "errors": {"documents": rates}},
        }

    @app.get("/v1/system/machine")
    def machine() -> Any:
        if not state.runs_the_server:
            return problem(403, "admin", "for administrators")
        return {
            "doctor": [{"topic": "OCR", "state": "missing", "text": "apt install <b>tesseract</b>"}],
            "queues": {"jobs": {"ready": 3, "failed": 0}, "answers": 1, "searches": 0, "checks": 0, "refused": 2,
                       "lm_running": None, "lm_waiting": None, "previews": 0},
            "disk": {"data_dir": "/data", "free": 5 * 10**9, "total": 10**10, "parts": {"originals": 2 * 10**6, "database": 10**7}},
        }  # fmt: skip

    @app.get("/v1/collections")
    def collections() -> Any:
        return {"collections": [
            {"name": n, "documents": len(documents(n)), "chunks": 40 * len(documents(n)), "created_at": at,
             "pii": state.pii.get(n, "off"), "pipeline": (state.pipelines.get(n) or [None])[0],
             "previous": (state.pipelines.get(n) or [None, None])[1],
             "with_tokens": 30, **{"tokens": True, "late": False, **state.word_by_word.get(n, {})}}
            for n, at in state.collections.items()
        ]}  # fmt: skip

    @app.post("/v1/collections", status_code=201)
    def create(body: dict[str, Any]) -> Any:
        name = body["name"]
        if name in state.collections:
            return problem(409, "conflict", f"there is a collection {name!r} already: choose another name")
        if not name.islower() and not name.isdigit():
            return problem(422, "bad-collection-name", f"{name!r} is not a collection name: use a-z, 0-9, '-' and '_'")
        state.collections[name] = NOW
        return {"name": name, "documents": 0, "chunks": 0, "created_at": NOW}

    @app.delete("/v1/collections/{c}", status_code=204)
    def drop(c: str) -> None:
        del state.collections[c]

    @app.post("/v1/collections/{c}/reindex", status_code=202)
    def reindex(c: str, body: dict[str, Any]) -> Any:
        before = (state.pipelines.get(c) or [{"chunker": "fixed", "chunk_tokens": 200}])[0]
        state.pipelines[c] = [{**before, **body}, before]
        job = {"job_id": state.new("j"), "collection": c, "file": f"reindex: {body['chunker']} {body.get('chunk_tokens')}",
               "state": "encoding", "kind": "reindex", "reason": None, "doc_id": None, "pages": 0, "chunks": 40,
               "progress": 0.0, "created_at": NOW, "warnings": [], "remaining_s": 90.0,
               "began": time.monotonic()}  # fmt: skip
        state.jobs[job["job_id"]] = job
        return {"job": job}

    @app.post("/v1/collections/{c}/reindex/estimate")
    def estimate(c: str, body: dict[str, Any]) -> Any:
        before = (state.pipelines.get(c) or [{"chunker": "fixed", "chunk_tokens": 200}])[0]
        changes = {k: {"is": before[k], "would_be": body[k]} for k in before if k in body and before[k] != body[k]}
        n = len(documents(c)) if changes else 0
        return {"changes": changes, "documents": len(documents(c)), "again": n, "characters": 900 * n, "chunks": 40 * n,
                "seconds": 300.0 * n}  # fmt: skip

    @app.post("/v1/collections/{c}/rollback")
    def rollback(c: str) -> Any:
        state.pipelines[c].reverse()
        return {"collection": c, "pipeline": state.pipelines[c][0]}

    @app.get("/v1/jobs/{j}")
    def job(j: str) -> Any:
        return seen(state.jobs[j])

    @app.post("/v1/collections/{c}/documents", status_code=202)
    def upload(c: str, files: list[UploadFile] = File(...), chunker: str | None = None) -> Any:  # noqa: B008
        state.chunkers.append(chunker)
        made = []
        for file in files:
            job = {"job_id": state.new("j"), "collection": c, "file": file.filename, "state": "queued", "reason": None,
                   "doc_id": None, "pages": None, "chunks": None, "seconds": None, "progress": 0.0, "created_at": NOW,
                   "warnings": [], "began": time.monotonic()}  # fmt: skip
            state.jobs[job["job_id"]] = job
            made.append(job)
        return {"jobs": made}

    @app.post("/v1/collections/{c}/urls", status_code=202)
    def fetch(c: str, body: dict[str, Any]) -> Any:
        made = []
        for url in body["urls"]:
            job = {"job_id": state.new("j"), "collection": c, "file": url, "state": "queued", "reason": None, "url": url,
                   "doc_id": None, "pages": None, "chunks": None, "seconds": None, "progress": 0.0, "created_at": NOW,
                   "warnings": [], "began": time.monotonic()}  # fmt: skip
            state.jobs[job["job_id"]] = job
            made.append(job)
        return {"jobs": made}

    @app.post("/v1/jobs/{j}/pause")
    def pause(j: str) -> Any:
        state.jobs[j] |= {"paused": True, "state": "queued"}
        return state.jobs[j]

    @app.post("/v1/jobs/{j}/resume")
    def resume(j: str) -> Any:
        state.jobs[j] |= {"paused": False, "began": time.monotonic()}
        return state.jobs[j]

    @app.get("/v1/jobs")
    def jobs(
        collection: str | None = None,
        state_: Annotated[list[str] | None, Query(alias="state")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> Any:
        found = [seen(j) for j in state.jobs.values() if collection in (None, j["collection"])]
        some = [j for j in found[::-1] if j["state"] in (state_ or JOB_STATES)]
        counts = {name: sum(j["state"] == name for j in found) for name in JOB_STATES}
        return {"jobs": some[:limit], "next_cursor": None, "counts": counts}

    @app.post("/v1/jobs/{j}/retry")
    def retry(j: str) -> Any:
        state.jobs[j] |= {"state": "queued", "reason": None, "began": time.monotonic()}
        return state.jobs[j]

    @app.delete("/v1/jobs/{j}")
    def cancel_job(j: str) -> Any:
        state.jobs[j] |= {"state": "cancelled"}
        return state.jobs[j]

    @app.get("/v1/collections/{c}/documents")
    def listed(c: str) -> Any:
        return {"documents": documents(c), "next_cursor": None}

    @app.get("/v1/documents/{d}")
    def document(d: str) -> Any:
        return {"doc_id": d, "title": d[2:], "uri": d[2:], "mime_type": "application/pdf", "size": 1, "pages": 12,
                "chunks": 40, "created_at": NOW, "warnings": [], "metadata": {}}  # fmt: skip

    @app.get("/v1/documents/{d}/near-duplicates")
    def near(d: str) -> Any:
        return {"near_duplicates": [
            {"doc_id": x["doc_id"], "collection": "reports", "title": x["title"], "uri": x["uri"], "similarity": 0.953}
            for x in documents("reports") if x["doc_id"] != d
        ]}  # fmt: skip

    def cut(n: int) -> list[dict[str, Any]]:
        return [
            {"chunk_id": f"c{i}", "doc_id": "d", "text": TEXT[i * 20 : i * 20 + 30], "start": i * 20, "end": i * 20 + 30,
             "n_tokens": 7, "page": 1, "heading_path": ["Results <b>"], "parent_id": f"p{i // 3}"}
            for i in range(n)
        ]  # fmt: skip

    @app.get("/v1/documents/{d}/chunks")
    def chunks(d: str, offset: int = 0, limit: int = 1000) -> Any:
        some = cut(40)[offset : offset + limit]
        return {"chunks": some, "offset": offset, "total": 40, "parents": [
            {**c, "chunk_id": c["parent_id"], "n_tokens": 21} for c in some]}  # fmt: skip

    @app.post("/v1/preview")
    def preview(files: list[UploadFile] = File(...), chunker: str | None = None, tokens: int | None = None) -> Any:  # noqa: B008
        if "bad" in (files[0].filename or ""):
            return problem(422, "encrypted", "the file is encrypted: give its password")
        state.chunkers.append(chunker)
        return {"file": files[0].filename, "size": 9, "chunker": chunker or "fixed", "chunk_tokens": tokens or 200,
                "overlap_tokens": 40, "title": "A <i>title</i>", "mime_type": "text/plain", "characters": 900, "pages": 0,
                "language": "de", "authors": ["A. Keeper"], "created": NOW, "modified": None, "metadata": {},
                "outline": [{"level": 1, "text": "Results", "start": 0, "page": 1}],
                "pii": {"mode": "flag", "email": 2, "phone": 0, "iban": 1}, "warnings": ["page 2 is an image"],
                "partial": True, "total": 14, "total_parents": 5, "chunks": cut(14), "parents": [],
                "tokens": {"min": 7, "median": 7, "max": 7, "sum": 98}}  # fmt: skip

    @app.patch("/v1/collections/{c}")
    def change(c: str, body: dict[str, Any]) -> Any:
        state.pii[c] = body.get("pii", state.pii.get(c, "off"))
        kept = state.word_by_word.setdefault(c, {})
        kept |= {field: value for field, value in body.items() if field in ("tokens", "late")}
        return {"name": c, "pii": state.pii[c], "unlike": len(documents(c)), **kept}

    @app.delete("/v1/documents/{d}", status_code=204)
    def drop_document(d: str) -> None:
        for key in [k for k, j in state.jobs.items() if j["doc_id"] == d]:
            del state.jobs[key]

    @app.get("/v1/documents/{d}/content")
    def content(d: str) -> Any:
        return Response(TEXT, media_type="text/plain; charset=utf-8")

    @app.get("/v1/documents/{d}/pages/{n}.png")
    def page(d: str, n: int) -> Any:
        image = Image.new("RGB", (900, 1160), "white")
        draw = ImageDraw.Draw(image)
        draw.rectangle((80, 400, 820, 440), fill="#ffe58a")
        for y in range(80, 1080, 40):
            draw.line((80, y, 820, y), fill="#999999", width=6)
        out = io.BytesIO()
        image.save(out, "PNG")
        return Response(out.getvalue(), media_type="image/png")

    @app.post("/v1/search")
    def search(body: dict[str, Any]) -> Any:
        state.searched.append(body)
        meant = (
            {"query": "net sales", "terms": [{"from": "saels", "to": "sales"}]} if "saels" in body["query"] else None
        )
        return {"hits": [{"title": "?"}] if state.broken else hits(state, body["query"]), "did_you_mean": meant}

    @app.get("/v1/collections/{c}/calibration")
    def calibration(c: str) -> Any:
        point = {"threshold": 0.84, "answered": 59, "wrong": 0, "coverage": 0.4, "answer_rate": 0.6, "risk": 0.0,
                 "upper": 0.0495}  # fmt: skip
        curve = [point, {**point, "coverage": 1.0, "risk": 0.3, "upper": 0.4}]
        fitted = {"strategy": "extract", "chosen": point, "n_questions": 150, "aurc": 0.12, "aurc_best": 0.05,
                  "dataset": "<b>asked</b>", "created_at": NOW, "curve": curve}  # fmt: skip
        return {"collection": c, "calibrations": [fitted] if c == "calibrated" else []}

    @app.post("/v1/check")
    def check(body: dict[str, Any]) -> Any:
        first, *others = hits(state, body["claim"])
        cited = [
            {**hit, "n": n, "quote": hit["text"], "verdict": verdict, "date": "2024-05-06"}
            for n, (hit, verdict) in enumerate(zip([first, *others], ("supported", "contradicted"), strict=False), 1)
        ]
        conflict = {"text": "Sources disagree: <b>A</b> says 12 [1]; B says 15 [2].", "citations": [1, 2]}
        sentences = [{"text": s, "start": 0, "end": 1, "verdict": "supported", "score": 0.9, "reason": "", "citations": [1]}
                     for s in body["claim"].split(". ")]  # fmt: skip
        return {"claim": body["claim"], "verdict": "not enough" if others else "supported", "score": 0.5,
                "reason": "Because <i>so</i>.", "sentences": sentences, "passages": cited,
                "conflicts": [conflict] if others else [], "seconds": 0.1}  # fmt: skip

    @app.get("/v1/search/facets")
    def facets() -> Any:
        return {"type": {"pdf": 2, "md": 1}, "language": {"en": 3}, "tag": {},
                "date": {"from": "2020-01-01", "to": "2024-06-30"}}  # fmt: skip

    @app.get("/v1/strategies")
    def strategies() -> Any:
        return {"default": "extract", "strategies": [
            {"name": "extract", "label": "Quote", "description": "The sentences of your documents that answer best.",
             "needs_lm": False, "available": True, "reason": None},
            {"name": "rag", "label": "Write", "description": "A language model writes from numbered passages.",
             "needs_lm": True, "available": state.lm_there, "reason": None if state.lm_there else "it loads"},
            {"name": "closed-book", "label": "Closed book", "description": "The model alone, without your documents.",
             "needs_lm": True, "available": False, "reason": "no language model is loaded"},
        ]}  # fmt: skip

    add_chats(app, state)
    return app


@contextmanager
def serve(state: State) -> Iterator[str]:
    """Runs the stand-in on a free loopback port and yields its address."""
    server = uvicorn.Server(uvicorn.Config(make_app(state), host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
