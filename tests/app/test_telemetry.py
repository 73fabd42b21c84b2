"""Spans of a real server at a real collector: what is in them, what is not, and that nobody waits for them."""

from __future__ import annotations

import io
import json
import logging
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.client import Client
from app.logs import JsonLines
from app.request_context import request_id_from, span_below
from app.span_sender import SpanSender
from app.spans import span
from app.waiting import wait_for_lm
from tests.app.test_metrics import scraped
from tests.support.collector import Collector, attributes, collector
from tests.support.jobs import settled
from tests.support.servers import RunningServer, openbook_server

CANARY = "Morgenquitte"
QUESTION = f"How long does the {CANARY} keep?"
TRACE_ID, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE_ID}-{CALLER}-01", "x-request-id": "nightly-17"}
SCRIPT = {"replies": [{"text": f"The {CANARY} keeps nine weeks [1].", "times": 0}]}


@dataclass
class House:
    server: RunningServer
    client: Client
    collector: Collector

    def http(self) -> httpx.Client:
        return httpx.Client(base_url=self.server.api_url, timeout=60)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "script.json").write_text(json.dumps(SCRIPT), "utf-8")
    with collector() as taken:
        env = {
            "OPENBOOK_OTLP_ENDPOINT": taken.url,
            "OPENBOOK_OTLP_HEADERS": '{"authorization": "Bearer of-the-collector"}',
            "OPENBOOK_LOG_FORMAT": "json",
            "OPENBOOK_LM_RUNTIME": "scripted",
            "OPENBOOK_LM_SCRIPT": str(folder / "script.json"),
            "OPENBOOK_VERIFIER": "rules",
        }
        with openbook_server(folder / "data", env=env) as server, server.client() as client:
            client.create_collection("fruit")
            text = f"# The {CANARY}\n\nThe {CANARY} keeps nine weeks in sand.\n".encode()
            (job,) = client.upload("fruit", [(f"{CANARY}.md", io.BytesIO(text))])
            assert settled(client, job["job_id"])["state"] == "ready"
            wait_for_lm(client, timeout_s=60)
            yield House(server, client, taken)


@pytest.mark.slow  # a server of its own
def test_a_search_is_a_span_with_its_stages_below_the_callers_own(house: House) -> None:
    with house.http() as http:
        reply = http.post("/v1/search", json={"query": QUESTION, "collections": ["fruit"]}, headers=HEADERS)
    assert reply.json()["hits"] and reply.headers["x-request-id"] == "nightly-17"
    request = house.collector.named("POST /v1/search", trace_id=TRACE_ID)
    assert (request["parentSpanId"], request["kind"]) == (CALLER, 2)
    told = attributes(request)
    assert (told["http.route"], told["http.response.status_code"]) == ("/v1/search", "200")
    assert told["openbook.request_id"] == "nightly-17"
    search = house.collector.named("search", trace_id=TRACE_ID)
    assert search["parentSpanId"] == request["spanId"] and attributes(search)["openbook.hits"] == "1"
    stages = [s for s in house.collector.spans() if s.get("parentSpanId") == search["spanId"]]
    assert {"search bm25", "search dense"} <= {s["name"] for s in stages}, [s["name"] for s in stages]
    for inner, outer in [(search, request), *((stage, search) for stage in stages)]:
        assert int(outer["startTimeUnixNano"]) <= int(inner["startTimeUnixNano"])
        assert int(inner["endTimeUnixNano"]) <= int(outer["endTimeUnixNano"]) + 1_000_000, "but for rounding"


@pytest.mark.slow  # a server of its own
def test_an_answer_is_a_run_with_its_steps_and_the_models_calls(house: House) -> None:
    with house.http() as http:
        asked = {"question": QUESTION, "collections": ["fruit"], "strategy": "rag", "stream": True}
        trace_id = TRACE_ID[::-1]
        own = {"traceparent": f"00-{trace_id}-{CALLER}-01"}
        with http.stream("POST", "/v1/ask", json=asked, headers=own) as reply:
            assert CANARY in "".join(reply.iter_text())
    request = house.collector.named("POST /v1/ask", trace_id=trace_id)
    run = house.collector.named("openbook rag", trace_id=trace_id)
    chat = house.collector.named("chat", trace_id=trace_id)
    assert run["parentSpanId"] == request["spanId"] and chat["parentSpanId"] == run["spanId"]
    assert attributes(run)["gen_ai.agent.name"] == "rag"
    assert "gen_ai.usage.output_tokens" in attributes(chat)
    assert int(request["startTimeUnixNano"]) <= int(run["startTimeUnixNano"]) <= int(chat["startTimeUnixNano"])


@pytest.mark.slow  # a server of its own
def test_spans_and_logs_have_no_word_of_what_was_asked_found_or_said(house: House) -> None:
    with house.http() as http:
        http.get(f"/v1/documents/{CANARY}", params={"q": CANARY})
        http.get(f"/{CANARY}")
        http.post("/v1/ask", json={"question": f"And what of the {CANARY}?", "strategy": "rag"})
        http.post("/v1/ask", json={"question": QUESTION, "strategy": CANARY})
        last = http.get("/v1/chats", headers={"x-request-id": "the-last"})
    assert last.status_code == 200
    house.collector.named("GET /v1/chats")
    house.collector.named("GET /v1/documents/{doc_id}")
    assert house.collector.named("GET")["status"] == {}, "a path that is no route names none"
    sent = b"".join(body for _, _, body in house.collector.requests).decode()
    assert CANARY not in sent and "nine weeks" not in sent
    assert all(path == "/v1/traces" for path, _, _ in house.collector.requests)
    assert {h["authorization"] for _, h, _ in house.collector.requests} == {"Bearer of-the-collector"}
    assert CANARY not in house.server.output and "of-the-collector" not in house.server.output
    counts = scraped(house.server)
    assert counts[("openbook_spans_sent_total", ())] > 0 and counts[("openbook_spans_dropped_total", ())] == 0


@pytest.mark.slow  # a server of its own
def test_a_trace_that_the_caller_does_not_record_is_not_recorded_here(house: House) -> None:
    unsampled = "1" * 32
    with house.http() as http:
        http.get("/v1/collections", headers={"traceparent": f"00-{unsampled}-{CALLER}-00"})
        http.get("/v1/collections", headers={"traceparent": f"00-{'0' * 32}-{CALLER}-01", "x-request-id": "no such trace\n"[:13]})  # fmt: skip
        for _ in range(3):
            http.get("/health")
        http.get("/v1/evals", headers={"traceparent": f"00-{'2' * 32}-{CALLER}-01"})
    house.collector.named("GET /v1/evals", trace_id="2" * 32)
    spans = house.collector.spans()
    assert unsampled not in {s["traceId"] for s in spans} and "0" * 32 not in {s["traceId"] for s in spans}
    assert not [s for s in spans if "health" in s["name"]]
    ids = {attributes(s).get("openbook.request_id") for s in spans}
    assert "no such trace" not in ids, "what could be more than an id is replaced"


# ------------------------------------------------------------ the sender


def some(n: int) -> list[dict[str, Any]]:
    return [span("x", 1, 2, {}, trace_id="a" * 32, span_id=f"{i:016x}") for i in range(n)]


def test_a_collector_that_is_away_holds_up_nobody_and_what_is_lost_is_counted() -> None:
    sender = SpanSender("http://127.0.0.1:9", {}, every_s=0.05)
    began = time.monotonic()
    sender.offer(some(100))
    assert time.monotonic() - began < 0.5
    deadline = time.monotonic() + 20
    while sender.dropped < 100:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    sender.close()
    sender.offer(some(3))  # too late
    assert (sender.sent, sender.dropped) == (0, 103)


def test_what_does_not_fit_into_the_queue_is_dropped_and_the_rest_sent_at_the_end() -> None:
    with collector() as taken:
        sender = SpanSender(f"{taken.url}/v1/traces", {}, max_queued=600, every_s=60.0)
        for _ in range(7):
            sender.offer(some(100))
        sender.close()
        assert sender.sent + sender.dropped == 700 and sender.sent >= 600
        assert len(taken.spans()) == sender.sent
        assert max(len(json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]) for _, _, body in taken.requests) <= 512  # fmt: skip


@pytest.mark.parametrize(
    ("status", "reply", "sent"),
    [(200, {}, 4), (200, {"partialSuccess": {"rejectedSpans": "3"}}, 1), (503, {}, 0), (302, {}, 0)],
)
def test_what_the_collector_refuses_counts_as_dropped(status: int, reply: dict[str, Any], sent: int) -> None:
    with collector(status=status, reply=reply) as taken:
        sender = SpanSender(taken.url, {}, every_s=60.0)
        sender.offer(some(4))
        sender.close()
        assert (sender.sent, sender.dropped) == (sent, 4 - sent)


def test_a_password_of_the_collector_is_sent_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with collector() as taken:
        sender = SpanSender(taken.url.replace("//", "//me:S3CRET@"), {}, every_s=60.0)
        sender.offer(some(1))
        sender.close()
    assert taken.requests[0][1]["authorization"] == "Basic " + b64encode(b"me:S3CRET").decode()
    assert "/v1/traces" in caplog.text and "S3CRET" not in caplog.text


# ------------------------------------------------------------ ids


@pytest.mark.parametrize(
    "header",
    ["", "x", f"ff-{TRACE_ID}-{CALLER}-01", f"00-{TRACE_ID}-{'0' * 16}-01", f"00-{TRACE_ID.upper()}-{CALLER}-01",
     f"00-{TRACE_ID}-{CALLER}-01-more", f"00-{TRACE_ID}-{CALLER}"],
)  # fmt: skip
def test_a_caller_who_names_no_trace_begins_a_new_one(header: str) -> None:
    here = span_below(header)
    assert here is not None and here.trace_id != TRACE_ID and here.parent == ""
    assert len(here.trace_id) == 32 and len(here.span_id) == 16


def test_a_later_version_of_traceparent_is_read_as_far_as_it_is_known() -> None:
    here = span_below(f"cc-{TRACE_ID}-{CALLER}-03-what-will-be")
    assert here is not None and (here.trace_id, here.parent) == (TRACE_ID, CALLER)


def test_only_a_short_plain_id_of_the_caller_is_taken() -> None:
    assert request_id_from("order-66.A_b") == "order-66.A_b"
    for strange in ("", "a b", "a\nb", "x" * 65, "é"):
        assert request_id_from(strange) != strange and len(request_id_from(strange)) == 16


def test_a_line_of_the_json_log_says_what_broke() -> None:
    try:
        raise ValueError("half")
    except ValueError as e:
        record = logging.LogRecord(
            "app", logging.ERROR, "f", 1, "run %s broke", ("r1",), (ValueError, e, e.__traceback__)
        )
    said = json.loads(JsonLines().format(record))
    assert (said["level"], said["message"], said["request_id"]) == ("ERROR", "run r1 broke", "-")
    assert "ValueError: half" in said["exception"] and "\n" not in JsonLines().format(record)
