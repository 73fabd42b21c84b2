"""Examples in the OpenAPI document: what a real server was asked and what it answered, shortened.

They lie in examples.json, which the test of routes writes anew (OPENBOOK_TEST_RECORD=1) and compares with what the server answers now.
What that test does not bring about is written here, or is like another answer. An example that a route gives by itself stays.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI

FILE = Path(__file__).with_name("examples.json")
JSON = "application/json"

# Answers that are like another route's.
LIKE = {
    "DELETE /v1/jobs/{job_id}": "GET /v1/jobs/{job_id}",
    "POST /v1/jobs/{job_id}/pause": "GET /v1/jobs/{job_id}",
    "POST /v1/jobs/{job_id}/resume": "GET /v1/jobs/{job_id}",
    "POST /v1/jobs/{job_id}/retry": "GET /v1/jobs/{job_id}",
    "POST /v1/evals/{eval_id}/cancel": "GET /v1/evals/{eval_id}",
    "POST /v1/evals/{eval_id}/resume": "GET /v1/evals/{eval_id}",
    "POST /v1/evals/sets/from-feedback": "GET /v1/evals/sets/{set_id}",
}
_TIMES = {"created_at": "2026-03-03T09:00:00.000Z"}
_ADA = {"user_id": "u1f0c", "name": "Ada", "is_admin": False, "active": True, "invited": False, **_TIMES}
_ENDS = "2026-03-17T09:00:00.000Z"
_COME = {"token": "…", "user": _ADA, "expires_at": _ENDS, "csrf": "…"}
_PIPELINE = {"chunker": "fixed", "chunk_tokens": 200, "chunk_overlap_tokens": 40, "encoder_model": "packaged"}
_ANSWERS = ["Net sales grew by 2 percent. [1]", "They grew by 2%, driven by services. [1][2]"]
ASKED: dict[str, Any] = {
    "POST /v1/traces/{run_id}/replay": {"question": "When is the lamp lit?"},
    "POST /v1/chats/{chat_id}/pairs": {
        "question": "When is the lamp lit?", "ways": [{"strategy": "extract"}, {"strategy": "rag"}],
    },
    "POST /v1/evals/{eval_id}/judge": {"a": 0, "b": 1, "model": "large"},
}  # fmt: skip
BY_HAND: dict[str, Any] = {
    "POST /v1/sessions": _COME,
    "POST /v1/invites/accept": _COME,
    "POST /v1/me/password": _COME,
    "POST /v1/users": {"user": _ADA | {"invited": True}, "invite": "…", "expires_at": _ENDS},
    "PATCH /v1/users/{user_id}": _ADA | {"active": False},
    "POST /v1/users/{user_id}/invite": {"invite": "…", "expires_at": _ENDS},
    "POST /v1/collections/{collection}/reindex": {
        "job": {
            "job_id": "j2a9e", "kind": "reindex", "collection": "filings", "file": "reindex: sentence 300, packaged",
            "state": "encoding", "reason": "", "doc_id": None, "progress": 0.0, "remaining_s": None, "paused": False, **_TIMES,
        }
    },
    "POST /v1/collections/{collection}/rollback": {"collection": "filings", "pipeline": _PIPELINE},
    "POST /v1/runs/{run_id}/cancel": {"run_id": "r7c1d", "state": "cancelling"},
    "POST /v1/runs/{run_id}/approve": {
        "run_id": "r7c1d", "yes": True, "approval_id": "a03f", "tool": "notes_add_note", "arguments": {"text": "Call Ada"},
        "description": "Adds a note.", "predicted": "The note is there for everybody.", "worth": 7.0, "others": [],
    },
    "POST /v1/chats/{chat_id}/messages/{message_id}/compare": {
        "compared": {"answers": _ANSWERS, "choice": None, "from_start": False}
    },
    "POST /v1/chats/{chat_id}/pairs": {"compared": {"answers": _ANSWERS, "choice": None, "from_start": True}},
    "POST /v1/chats/{chat_id}/messages/{message_id}/vote": {
        "compared": {
            "answers": _ANSWERS, "choice": "2", "from_start": True, "ways": ["extract", "rag"], "message_ids": ["m1", "m2"],
        }
    },
    "POST /v1/evals/{eval_id}/votes": {"n_votes": 1},
    "POST /v1/evals/{eval_id}/judge": {
        "eval_id": "e9d02", "set_id": "s1c44", "configurations": [], "questions_sha256": "76d85…", "result_keys": [],
        "state": "queued", "stage": "", "done": 0, "total": 24, "reused": 0, "error": "", **_TIMES, "ended_at": None,
        "judging": {"of": "e1b7a", "a": 0, "b": 1, "model": None, "judge": ""}, "n_questions": 24, "progress": 0.0,
    },
}  # fmt: skip


@functools.cache
def recorded() -> dict[str, dict[str, Any]]:
    """ "GET /v1/x" → "status", and, where there is one, "request" and "reply"."""
    found: dict[str, dict[str, Any]] = json.loads(FILE.read_text("utf-8"))
    return found


def install(app: FastAPI) -> None:
    """Lets the OpenAPI document of ``app`` have them."""
    made: Callable[[], dict[str, Any]] = app.openapi

    @functools.cache
    def openapi() -> dict[str, Any]:
        return with_examples(made())

    app.openapi = openapi  # type: ignore[method-assign]


def with_examples(document: dict[str, Any]) -> dict[str, Any]:
    """The document itself, with an example wherever one is known and none is given."""
    schemas = document.get("components", {}).get("schemas", {})
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            known = known_of(f"{method.upper()} {path}")
            asked = operation.get("requestBody", {}).get("content", {}).get(JSON)
            if asked is not None and "request" in known and not has_example(asked, schemas):
                asked["example"] = known["request"]
            status = known.get("status") or min(code for code in operation["responses"] if code.startswith("2"))
            said = operation["responses"].get(status, {}).get("content", {}).get(JSON)
            if said is not None and "reply" in known and not has_example(said, schemas):
                said["example"] = known["reply"]
    return document


def known_of(route: str) -> dict[str, Any]:
    """ "status", "request" and "reply", as far as they are known."""
    known = dict(recorded().get(route, {}))
    if route in ASKED:
        known.setdefault("request", ASKED[route])
    if "reply" in known:
        return known
    if route in BY_HAND:
        known["reply"] = BY_HAND[route]
    elif "reply" in (other := recorded().get(LIKE.get(route, ""), {})):
        known["reply"] = other["reply"]
    return known


def has_example(media: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether it has one, or the schema that it names has one as a whole (of a single field is not enough)."""
    if "example" in media or "examples" in media:
        return True
    named = media.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return "example" in schemas.get(named, {}) or "examples" in schemas.get(named, {})
