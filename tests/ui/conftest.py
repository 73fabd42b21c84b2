"""The stand-in's server for the tests of pages: empty, or with one collection of one document."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest
import streamlit

from tests.support.stand_in import serve
from tests.support.stand_in_state import State


@pytest.fixture
def state() -> State:
    return State(job_s=0.01, token_s=0.001)


@pytest.fixture
def api(state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    with serve(state) as address, httpx.Client(base_url=address) as client:
        monkeypatch.setenv("OPENBOOK_API_URL", address)
        yield client
        streamlit.cache_resource.clear()  # closes the sessions' clients


@pytest.fixture
def filled(api: httpx.Client) -> httpx.Client:
    api.post("/v1/collections", json={"name": "reports"})
    api.post("/v1/collections/reports/documents", files=[("files", ("q3.pdf", b"%PDF"))])
    time.sleep(0.05)
    assert api.get("/v1/collections").json()["collections"][0]["documents"] == 1
    return api
