"""The page answers to its own name alone where nobody signs in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.ui.front import FirstSignIn


async def _inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def sent(kind: str, host: bytes) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": kind,
        "method": "GET",
        "path": "/_stcore/stream",
        "query_string": b"",
        "headers": [(b"host", host)],
    }
    asyncio.run(FirstSignIn(_inner)(scope, receive, send))
    return messages


@pytest.mark.parametrize("host", [b"evil.example:8501", b"", b"127.0.0.1.evil.example", b"[bad"])
def test_a_foreign_name_gets_neither_page_nor_stream(host: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBOOK_PAGE_HOSTS", "127.0.0.1,localhost,::1")
    assert sent("http", host)[0]["status"] == 421
    assert sent("websocket", host) == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("host", [b"127.0.0.1:8501", b"LOCALHOST", b"[::1]:8501"])
def test_its_own_names_are_let_through(host: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBOOK_PAGE_HOSTS", "127.0.0.1,localhost,::1")
    assert sent("http", host)[0]["status"] == 200
