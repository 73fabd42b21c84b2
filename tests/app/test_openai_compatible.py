"""OpenAI's own Python client, unchanged, against the real server."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.support.jobs import settled
from tests.support.servers import RunningServer

_numbers = itertools.count()
BRIDGE = b"# The Corran bridge\n\nThe Corran bridge is 1,204 metres long. It was opened on 3 May 1934 by Ada Brodie.\n"
QUESTION = "How long is the Corran bridge?"


@pytest.fixture(scope="module")
def collection(server: RunningServer) -> str:
    name = f"bridges-{next(_numbers)}"
    with server.client() as client:
        client.create_collection(name)
        for job in client.upload(name, [("bridge.md", io.BytesIO(BRIDGE))]):
            assert settled(client, job["job_id"])["state"] == "ready"
    return name


@pytest.fixture
def standard(server: RunningServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.api_url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, model: str, question: str = QUESTION) -> openai.types.chat.ChatCompletion:
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}])


def test_the_client_gets_the_answer_with_its_citations_in_the_extension(
    standard: openai.OpenAI, collection: str
) -> None:
    reply = ask(standard, f"openbook/{collection}/extract")
    said = reply.choices[0]
    assert said.message.content is not None and "1,204 metres" in said.message.content
    assert said.finish_reason == "stop" and said.message.role == "assistant"
    assert reply.id.startswith("chatcmpl-r") and reply.usage is not None
    extension = (reply.model_extra or {})["openbook"]
    assert extension["answer"] == said.message.content
    (citation,) = extension["citations"]
    assert citation["quote"] in BRIDGE.decode() and extension["sentences"][0]["verdict"] == "supported"


def test_a_stream_says_the_same_and_ends_with_usage_and_done(standard: openai.OpenAI, collection: str) -> None:
    whole = ask(standard, f"openbook/{collection}").choices[0].message.content
    chunks = list(
        standard.chat.completions.create(
            model=f"openbook/{collection}",
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == whole
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage is not None
    with_extension = [c for c in chunks if "openbook" in (c.model_extra or {})]
    assert len(with_extension) == 1 and with_extension[0].choices[0].finish_reason == "stop"


def test_a_question_that_leans_on_the_conversation_is_understood(standard: openai.OpenAI, collection: str) -> None:
    reply = standard.chat.completions.create(
        model=f"openbook/{collection}",
        messages=[
            {"role": "system", "content": "You are a pirate."},
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": "The Corran bridge is 1,204 metres long. [1]"},
            {"role": "user", "content": [{"type": "text", "text": "And when was it opened?"}]},
        ],
    )
    assert "3 May 1934" in (reply.choices[0].message.content or "")


def test_what_the_documents_do_not_say_is_not_answered(standard: openai.OpenAI, collection: str) -> None:
    reply = ask(standard, f"openbook/{collection}", "Who won the 1998 chess olympiad?")
    assert (reply.model_extra or {})["openbook"]["abstained"] is True


def test_models_are_the_collections_and_their_strategies(standard: openai.OpenAI, collection: str) -> None:
    names = [found.id for found in standard.models.list()]
    assert f"openbook/{collection}" in names and f"openbook/{collection}/extract" in names
    # This server has no language model, so what needs one is not offered.
    assert f"openbook/{collection}/rag" not in names
    assert standard.models.retrieve(f"openbook/{collection}").owned_by == "openbook"
    with pytest.raises(openai.NotFoundError):
        standard.models.retrieve("openbook/nowhere")


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        ("gpt-4", openai.UnprocessableEntityError, "openbook/COLLECTION"),
        ("openbook/", openai.UnprocessableEntityError, "openbook/COLLECTION"),
        ("openbook/a/b/c", openai.UnprocessableEntityError, "openbook/COLLECTION"),
        ("openbook/nowhere", openai.NotFoundError, "no collection 'nowhere'"),
    ],
)
def test_a_wrong_model_is_an_error_that_says_what_to_write(
    standard: openai.OpenAI, model: str, error: type[openai.APIStatusError], says: str
) -> None:
    with pytest.raises(error, match=says):
        ask(standard, model)


def test_an_unknown_strategy_is_named(standard: openai.OpenAI, collection: str) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="unknown strategy 'nonsense'"):
        ask(standard, f"openbook/{collection}/nonsense")


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"n": 2}, "one answer"),
        ({"tools": [{"type": "function", "function": {"name": "rm"}}]}, "tools"),
        ({"messages": [{"role": "assistant", "content": "hello"}]}, "last message"),
        ({"messages": []}, "messages"),
        ({"functions": [{"name": "rm"}]}, "functions"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}, "response_format"),
    ],
)
def test_what_cannot_be_served_is_refused_and_not_ignored(
    server: RunningServer, collection: str, extra: dict[str, object], says: str
) -> None:
    body = {"model": f"openbook/{collection}", "messages": [{"role": "user", "content": QUESTION}], **extra}
    reply = httpx.post(f"{server.api_url}/v1/chat/completions", json=body)
    assert reply.status_code == 422 and says in reply.json()["detail"]


def test_what_clients_send_as_null_or_empty_is_as_if_it_were_not_sent(server: RunningServer, collection: str) -> None:
    unset = ("stream", "n", "stream_options", "max_tokens", "max_completion_tokens", "tools", "functions", "stop")
    body = {"model": f"openbook/{collection}", "messages": [{"role": "user", "content": QUESTION}]}
    for beside in (
        dict.fromkeys((*unset, "response_format", "temperature", "user", "tool_choice")),
        {"tools": [], "functions": [], "response_format": {"type": "text"}, "stream_options": {"include_usage": None}},
    ):
        reply = httpx.post(f"{server.api_url}/v1/chat/completions", json={**body, **beside}, timeout=60)
        assert reply.status_code == 200, reply.text
        assert "1,204 metres" in reply.json()["choices"][0]["message"]["content"]


def test_whatever_is_refused_there_is_told_in_the_form_that_its_clients_read(server: RunningServer) -> None:
    url = f"{server.api_url}/v1/chat/completions"
    refused = [
        httpx.post(url, json={"model": "gpt-4", "messages": [{"role": "user", "content": "?"}]}),
        httpx.post(url, content=b"\xff{", headers={"Content-Type": "application/json"}),
        httpx.post(url, json={"pad": "x" * 33 * 2**20}),
        httpx.post(url, json={}, headers={"Host": "evil.example"}),
        httpx.post(url, json={}, headers={"Origin": "https://evil.example"}),
        httpx.get(url),
        httpx.get(f"{server.api_url}/v1/models/none"),
    ]
    assert [r.status_code for r in refused] == [422, 400, 413, 421, 403, 405, 404]
    for reply in refused:
        said = reply.json()
        assert said["error"] == {"message": said["detail"], "type": said["code"], "param": None, "code": said["code"]}
        assert int(reply.headers["content-length"]) == len(reply.content)
    assert "error" not in httpx.get(f"{server.api_url}/v1/traces/none").json(), "nobody else is told it twice"


def test_the_run_of_a_completion_leaves_its_trace(
    server: RunningServer, standard: openai.OpenAI, collection: str
) -> None:
    run_id = ask(standard, f"openbook/{collection}").id.removeprefix("chatcmpl-")
    trace = httpx.get(f"{server.api_url}/v1/traces/{run_id}").json()
    assert trace["run_id"] == run_id and trace["question"] == QUESTION and trace["steps"]
