"""Requests that cannot be answered: refused with a reason and the fitting status, before anything is begun."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.api.ask import failure
from app.client import Client
from core.errors import InvalidRequest
from core.events import RunFailed
from core.types import Trace
from tests.support.servers import RunningServer


def posted(server: RunningServer, path: str, **options: Any) -> httpx.Response:
    return httpx.post(f"{server.api_url}{path}", timeout=60, **options)


@pytest.mark.parametrize("question", ["🍐🍐", "?", "﷽"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_question_without_words_is_refused_before_a_run_begins(
    server: RunningServer, question: str, stream: bool
) -> None:
    reply = posted(server, "/v1/ask", json={"question": question, "stream": stream})
    assert (reply.status_code, reply.json()["code"]) == (422, "empty-question")
    reply = posted(server, "/v1/check", json={"claim": question})
    assert reply.status_code == 422


def test_an_unknown_filter_of_a_question_is_refused(server: RunningServer) -> None:
    reply = posted(server, "/v1/ask", json={"question": "Who?", "filters": {"x": ["a"]}, "stream": True})
    assert (reply.status_code, reply.json()["code"]) == (422, "bad-filter")


@pytest.mark.parametrize(
    ("path", "field"),
    [("/v1/ask", "question"), ("/v1/check", "claim"), ("/v1/search", "query"), ("/v1/chats", "title")],
)
def test_half_a_character_is_refused_everywhere(server: RunningServer, path: str, field: str) -> None:
    body = f'{{"{field}": "who \\ud800 is"}}'.encode()
    reply = posted(server, path, content=body, headers={"Content-Type": "application/json"})
    assert (reply.status_code, reply.json()["code"]) == (422, "half-character")
    assert reply.headers["content-type"] == "application/problem+json"
    # As a name of a field, of which the error would speak, too.
    reply = posted(server, path, content=b'{"\\udfff": 1}', headers={"Content-Type": "application/json"})
    assert reply.status_code == 422


def test_two_halves_and_an_escaped_backslash_are_whole(server: RunningServer) -> None:
    for text in (b'"\\ud83c\\udf50 pears"', b'"the code \\\\ud800"'):
        reply = posted(
            server, "/v1/search", content=b'{"query": ' + text + b"}", headers={"Content-Type": "application/json"}
        )
        assert reply.status_code == 200


def test_a_client_says_that_a_text_is_no_utf8(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        client.search("\udcff", [])


@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [
        ("bad-filter", "invalid-request", 422),
        ("limit-seconds", "", 504),
        ("cancelled", "cancelled", 409),
        ("script-exhausted", "invalid-request", 422),
        ("weights-corrupt", "model-unavailable", 503),
        ("internal", "", 500),
    ],
)
def test_the_status_of_a_run_that_broke_is_that_of_its_error(code: str, kind: str, status: int) -> None:
    trace = Trace(
        run_id="r1",
        strategy="rag",
        question="q",
        steps=(),
        answer=None,
        stop_reason="error",
        settings_hash="",
        prompt_hash="",
        index_version="0",
    )
    reply = failure(RunFailed(code=code, message="m", trace=trace, kind=kind))
    assert reply.status_code == status


def test_where_nobody_signs_in_there_are_no_sessions_keys_or_members(server: RunningServer) -> None:
    assert httpx.get(f"{server.api_url}/v1/identity").json() == {"identity": "none", "needs_first": False}
    assert httpx.get(f"{server.api_url}/v1/me").json()["by"] == "nobody-else"
    asked = [
        ("/v1/sessions", {"name": "a", "password": "b"}),
        ("/v1/keys", {"name": "a"}),
        ("/v1/users", {"name": "a"}),
    ]
    for path, body in asked:
        reply = posted(server, path, json=body)
        assert (reply.status_code, reply.json()["code"]) == (409, "no-identities")
    # What clients send for want of a key is nobody's.
    reply = httpx.get(f"{server.api_url}/v1/collections", headers={"Authorization": "Bearer unused"})
    assert reply.status_code == 200
