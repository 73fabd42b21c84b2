"""Runs that are recorded, replayed and compared, through the API and a scripted model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.prompts import Prompts
from app.client import ApiError, Client
from app.trace_diff import differences
from app.waiting import wait_for_lm
from tests.support.jobs import settled
from tests.support.servers import openbook_server

TEXT = """# The orchard report

The orchard was planted in 1987 by Maria Keller, who came from Ravenford. It has 412 apple trees on nine hectares.
"""
QUESTION = "Who planted the orchard?"
pytestmark = pytest.mark.slow  # a server of its own
SCRIPT = {
    "replies": [
        {"when": "slowly", "text": "word " * 400, "delta_delay_s": 0.1, "times": 0},
        {"when": "Therefore, the answer is", "text": "Maria Keller.", "times": 0},
        {"when": "one sentence after the other", "text": "So the answer is Maria Keller.", "times": 0},
        {"when": "step by step", "text": "The report names Maria Keller.", "times": 0},
        {"text": "The orchard was planted in 1987 by Maria Keller [1].", "times": 0},
    ]
}
STRATEGIES = ("extract", "rag", "full-context", "cot", "self-consistency", "multihop", "react", "auto", "closed-book")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traced")


@pytest.fixture(scope="module")
def client(folder: Path, model_cache: Path) -> Iterator[Client]:
    script = folder / "script.json"
    script.write_text(json.dumps(SCRIPT), "utf-8")
    report = folder / "report.md"
    report.write_text(TEXT, "utf-8")
    settings = {"OPENBOOK_LM_RUNTIME": "scripted", "OPENBOOK_LM_SCRIPT": str(script), "OPENBOOK_SAMPLES": "3"}
    with openbook_server(folder / "data", env=settings) as running, running.client() as found:
        found.create_collection("orchard")
        for job in found.upload("orchard", [report]):
            settled(found, job["job_id"])
        wait_for_lm(found, timeout_s=60)
        yield found


def asked(client: Client, strategy: str) -> str:
    return client.ask(QUESTION, ["orchard"], strategy=strategy)["run_id"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_replay_is_identical_byte_for_byte(client: Client, strategy: str) -> None:
    result = client.replay(asked(client, strategy), {})
    assert result["error"] == ""
    assert result["differences"] == []
    assert result["identical"]
    assert result["anew"] == 0


def test_a_rival_of_an_answer_is_not_told_apart_before_the_vote_and_leaves_a_trace_like_any_other(
    client: Client,
) -> None:
    chat = client.create_chat(["orchard"], strategy="extract")["chat_id"]
    with client.chat_stream(chat, QUESTION) as said:
        list(said)
    first = client.chat(chat)["messages"][1]
    pair = client.compare_answer(chat, first["message_id"])
    text = first["content"].replace(" [1]", "")  # where markers stand would tell one way from another
    assert pair is not None and set(pair) == {"answers", "choice", "from_start"} and text in pair["answers"]
    assert client.compare_answer(chat, first["message_id"]) == pair, "one that waits for its vote is shown again"
    shown = client.chat(chat)["messages"][-1]
    assert shown["compared"] == pair and len(shown["versions"]) == 2
    with pytest.raises(ApiError) as refused:
        client.vote_on_answers(chat, first["message_id"], "3")
    assert refused.value.status == 422
    voted = client.vote_on_answers(chat, shown["message_id"], str(pair["answers"].index(text) + 1))
    assert "extract" in voted["ways"] and len(set(voted["ways"])) == 2
    assert client.chat(chat)["messages"][-1]["message_id"] == first["message_id"]  # the preferred one
    (rival,) = set(voted["message_ids"]) - {first["message_id"]}
    run_id = client.select_version(chat, rival)["messages"][-1]["run_id"]
    assert client.trace(str(run_id))["question"] == QUESTION
    for again in (client.compare_answer, lambda c, m: client.vote_on_answers(c, m, "equal")):
        with pytest.raises(ApiError, match="kept once") as late:
            again(chat, rival)
        assert late.value.status == 409
    standing = client.chat_votes()
    assert standing["n_votes"] == 1 and standing["strengths"][0]["label"] == "extract"
    client.delete_chat(chat)
    assert client.chat_votes()["n_votes"] == 0


def test_a_second_answer_says_no_word_while_it_is_given_and_one_that_is_stopped_leaves_nothing(client: Client) -> None:
    chat = client.create_chat(["orchard"], strategy="extract")["chat_id"]
    with client.chat_stream(chat, QUESTION) as said:
        list(said)
    first = client.chat(chat)["messages"][1]["message_id"]
    with client.compare_stream(chat, first) as told:
        events = dict(told)
    assert list(events) == ["run", "compared"] and set(events["run"]) == {"run_id"}
    assert events["compared"]["compared"] == client.chat(chat)["messages"][-1]["compared"]
    with client.compare_stream(chat, first) as told:
        assert list(told) == [("compared", events["compared"])], "it waits for its vote"

    with client.chat_stream(chat, "Who planted the orchard, slowly?") as said:
        list(said)
    before = client.chat(chat)["messages"]
    with client.compare_stream(chat, before[-1]["message_id"]) as told:
        events_of = iter(told)
        name, data = next(events_of)
        client.cancel_run(data["run_id"])
        assert (name, [(n, d["code"]) for n, d in events_of]) == ("run", [("error", "cancelled")])
    assert client.chat(chat)["messages"] == before, "what was said until then is no version of the answer"
    client.delete_chat(chat)


def test_a_trace_holds_what_was_asked_and_heard(client: Client) -> None:
    trace = client.trace(asked(client, "cot"))
    model = [c for c in trace["calls"] if c["kind"] == "model"]
    assert "Let's think step by step." in model[0]["request"]["messages"][0]["content"]
    assert "".join(text for text, _ in model[1]["response"]["pieces"]) == "Maria Keller."
    assert model[0]["request"]["params"]["temperature"] == 0
    assert trace["inputs"]["lm"]["name"] == "scripted:script.json"
    assert any(c["kind"] == "search" and c["response"]["hits"] for c in trace["calls"])


def test_other_words_of_the_model_show_what_changes(client: Client) -> None:
    result = client.replay(asked(client, "cot"), {"said": {"2": "Tom Varga."}})
    assert not result["identical"]
    changed = {d["at"]: (d["was"], d["is"]) for d in result["differences"]}
    assert changed["answer"] == ("Maria Keller. [1]", "Tom Varga.")
    assert result["trace"]["answer"]["sentences"][0]["verdict"] == "unsupported"


def test_another_strategy_asks_anew_only_what_was_not_recorded(client: Client) -> None:
    result = client.replay(asked(client, "cot"), {"strategy": "rag"})
    assert result["anew"] == 1  # the search is the same, the prompt is not
    assert result["trace"]["answer"]["answer"] == "The orchard was planted in 1987 by Maria Keller [1]."


def test_a_call_that_is_not_there_is_named(client: Client) -> None:
    with pytest.raises(ApiError, match="asked 2 times"):
        client.replay(asked(client, "cot"), {"said": {"9": "x"}})


def test_two_runs_of_the_same_do_not_differ_and_two_strategies_do(client: Client) -> None:
    first, second = (client.trace(asked(client, "cot")) for _ in range(2))
    assert differences(first, second) == []
    found = {d["at"] for d in differences(first, client.trace(asked(client, "rag")))}
    assert {"strategy", "answer"} <= found


def test_a_trace_is_exported_as_lines_and_as_spans(client: Client) -> None:
    run_id = asked(client, "cot")
    lines = [json.loads(line) for line in client.exported_trace(run_id, "jsonl").splitlines()]
    assert lines[0]["type"] == "run"
    assert {line["type"] for line in lines} == {"run", "step", "call"}
    (resource,) = json.loads(client.exported_trace(run_id, "otlp"))["resourceSpans"]
    spans = resource["scopeSpans"][0]["spans"]
    root = spans[0]
    assert root["name"] == "openbook cot"
    assert all(
        s.get("parentSpanId", root["spanId"]) == root["spanId"] and s["traceId"] == root["traceId"] for s in spans
    )
    assert len(root["traceId"]) == 32
    assert len({s["spanId"] for s in spans}) == len(spans)
    chat = next(s for s in spans if s["name"] == "chat")
    names = {a["key"] for a in chat["attributes"]}
    assert {"gen_ai.request.model", "llm.model_name", "openinference.span.kind", "gen_ai.usage.output_tokens"} <= names
    assert all(int(s["startTimeUnixNano"]) <= int(s["endTimeUnixNano"]) for s in spans)


def test_a_collections_own_prompt_is_used_hashed_and_replayed_when_it_is_gone(client: Client, folder: Path) -> None:
    before = client.trace(asked(client, "cot"))
    own = folder / "data" / "prompts" / "orchard" / "cot.j2"
    own.parent.mkdir(parents=True)
    own.write_text(Prompts().source("cot.j2").replace("Q: {{ question }}", "My question: {{ question }}"), "utf-8")
    run_id = asked(client, "cot")
    trace = client.trace(run_id)
    model = [c for c in trace["calls"] if c["kind"] == "model"]
    assert "My question: Who planted" in model[0]["request"]["messages"][0]["content"]
    assert trace["prompt_hash"] != before["prompt_hash"]
    own.write_text("{{ questoin }}", "utf-8")
    with pytest.raises(ApiError, match="questoin"):
        asked(client, "cot")
    own.unlink()
    assert client.replay(run_id, {})["identical"]


def test_what_a_failed_attempt_taught_is_told_in_the_same_conversation_alone(client: Client) -> None:
    """The scripted model writes no action, so every attempt fails, and its reflection is the script's last reply."""

    def prompts(chat_id: str) -> str:
        with client.chat_stream(chat_id, QUESTION) as stream:
            name, data = list(stream)[-1]
        assert name == "done", data
        trace = client.trace(data["run_id"])
        result = client.replay(data["run_id"], {})
        assert result["identical"], result["differences"]
        return json.dumps([c["request"] for c in trace["calls"] if c["kind"] == "model"])

    first = client.create_chat(["orchard"], strategy="reflexion")["chat_id"]
    told = "Attempts at earlier questions of this conversation failed."
    assert told not in prompts(first)
    assert told in prompts(first)
    assert told not in prompts(client.create_chat(["orchard"], strategy="reflexion")["chat_id"])
