"""What the stand-in of the API (``tests.support.stand_in``) keeps, and what it says about it in more than one place."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from fastapi.responses import JSONResponse

PASSAGE = "Net sales for the quarter were $90,753 million, a decrease of 4 percent from the year before."
TEXT = (
    "CONDENSED CONSOLIDATED STATEMENTS OF OPERATIONS (unaudited). "
    + "The following discussion should be read with the accompanying notes. " * 12
    + PASSAGE
    + " Services net sales reached a new record. The company repurchased shares during the quarter. " * 12
)
START = TEXT.index(PASSAGE)
NOW = "2026-11-20T10:00:00Z"


@dataclass
class State:
    job_s: float = 1.5
    token_s: float = 0.05
    answer_words: int = 0  # 0: the usual answer; else that many words
    ready: bool = True
    runs_the_server: bool = True
    lm_there: bool = True
    broken: bool = False  # hits come in another shape than was agreed
    collections: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    chats: dict[str, dict[str, Any]] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)  # run id → its question
    cancelled: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    chunkers: list[str | None] = field(default_factory=list)  # as each upload asked for
    pii: dict[str, str] = field(default_factory=dict)
    word_by_word: dict[str, dict[str, bool]] = field(default_factory=dict)  # "tokens" and "late" of each collection
    asked: list[dict[str, Any]] = field(default_factory=list)  # questions in conversations
    asked_twice: list[dict[str, Any]] = field(default_factory=list)  # questions for two unnamed answers
    searched: list[dict[str, Any]] = field(default_factory=list)  # what searches said
    pipelines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # now, and before
    counter: int = 0

    def new(self, prefix: str) -> str:
        self.counter += 1
        return f"{prefix}{self.counter:06d}"


def problem(status: int, code: str, detail: str) -> JSONResponse:
    body = {"type": code, "title": code, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


def sse(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def hits(state: State, query: str) -> list[dict[str, Any]]:
    docs = [j for j in state.jobs.values() if j["doc_id"]]
    return [
        {"chunk_id": f"c{i}", "doc_id": j["doc_id"], "title": j["file"], "collection": j["collection"], "page": 4,
         "start": START, "end": START + len(PASSAGE), "text": PASSAGE, "score": 0.91 - i / 10, "rank": i + 1,
         "source": "fused", "heading_path": ["Results of operations"],
         "parts": {"bm25": {"rank": i + 2, "score": 12.25}, "dense": {"rank": i + 1, "score": 0.713},
                   "fused": {"rank": i + 1, "score": 0.91 - i / 10}}}
        for i, j in enumerate(docs)
    ]  # fmt: skip
