"""`openbook tune` against a real server: what can be shown is applied, listed and taken back; what cannot is refused."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli import main
from app.client import ApiError, Client
from app.waiting import wait_for_lm
from tests.support.examples import shown_as
from tests.support.jobs import settled
from tests.support.servers import RunningServer, openbook_server

# Part numbers: terms tell them apart, vectors hardly. So a server that fuses by vectors alone can be bettered.
pytestmark = (
    pytest.mark.slow
)  # two servers and thirty questions; the grid, the choice and the client are tested fast elsewhere

HALL = "The hall stands beside the river, where barges bring grain, timber and stone from the hills in spring. " * 6
CODES = [f"kx-{4000 + 37 * i}" for i in range(30)]


@pytest.fixture(scope="module")
def stubborn(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("data")
    said = [
        {
            "when": "Simpler questions",
            "text": "Which hall has kx-4370?\nWhere is kx-4370?\nWhat is the meaning of life?",
            "times": 0,
        },
        {"when": "Passage:", "text": "There lies kx-4370, in the hall.", "times": 0},
    ]
    (folder / "script.json").write_text(json.dumps({"replies": said}))
    env = {
        "OPENBOOK_FUSION_ALPHA": "1",
        "OPENBOOK_LM_RUNTIME": "scripted",
        "OPENBOOK_LM_SCRIPT": str(folder / "script.json"),
        "OPENBOOK_HYDE_PASSAGES": "2",
    }
    with openbook_server(folder, env=env) as running:
        with running.client() as client:
            client.create_collection("parts")
            files = [(f"{code}.md", io.BytesIO(f"{HALL}There lies {code}. {HALL}\n".encode())) for code in CODES]
            for job in client.upload("parts", files):
                assert settled(client, job["job_id"])["state"] == "ready"
        yield running


@pytest.fixture
def tune(
    stubborn: RunningServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    def command(*arguments: str | Path) -> tuple[int, str, str]:
        argv = ["openbook", "tune", *map(str, arguments), "--data-dir", str(stubborn.data_dir)]
        monkeypatch.setattr(sys, "argv", argv)
        monkeypatch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


def judged(folder: Path, codes: list[str]) -> Path:
    path = folder / "parts.jsonl"
    path.write_text("".join(json.dumps({"query": f"where is {code}?", "doc": code}) + "\n" for code in codes))
    return path


def fusion_of(client: Client) -> dict[str, Any] | None:
    return next(c for c in client.collections() if c["name"] == "parts")["fusion"]


def test_what_is_shown_to_be_better_is_applied_listed_and_taken_back(
    stubborn: RunningServer, tune: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    with stubborn.client() as client:
        questions = [
            {"id": f"q{n}", "query": f"where is {code}?", "docs": {f"{code}.md": 1}} for n, code in enumerate(CODES)
        ]
        shown_as("POST /v1/collections/{collection}/tune", client.tune("parts", questions, dataset="parts"))
        code, out, err = tune("--collection", "parts", "--dataset", judged(tmp_path, CODES), "--apply", "--json")
        assert (code, err) == (0, "")
        found = json.loads(out)
        assert (found["shown"], found["applied"], found["n_questions"]) == (True, True, 30)
        assert found["present"]["alpha"] == 1.0 and found["chosen"]["alpha"] < 1.0
        assert found["difference"] > 0 and found["p"] < 0.05
        kept = fusion_of(client)
        assert kept is not None and kept["alpha"] == found["chosen"]["alpha"]
        assert (kept["evidence"]["n_questions"], kept["evidence"]["dataset"]) == (30, "parts.jsonl")
        first = client.search("where is kx-4370?", ["parts"], k=1)[0]
        assert "kx-4370" in first["text"]

        # Fitted again from there, nothing is left to gain, and that is said rather than applied.
        code, out, err = tune("--collection", "parts", "--dataset", judged(tmp_path, CODES), "--apply")
        assert code == 1
        assert "nothing to apply" in err or "not applied" in err
        assert fusion_of(client) == kept

        code, out, err = tune("--collection", "parts", "--reset")
        assert code == 0 and "alpha 1, depth 200, as the settings say" in out
        assert fusion_of(client) is None


def test_a_gain_over_too_few_questions_is_refused(
    stubborn: RunningServer, tune: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, out, err = tune("--collection", "parts", "--dataset", judged(tmp_path, CODES[:8]), "--apply", "--json")
    assert code == 1
    assert "too few questions to tell: 8" in err
    assert json.loads(out)["applied"] is False
    with stubborn.client() as client:
        assert fusion_of(client) is None


def test_a_document_that_is_not_there_is_named(tune: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    code, _, err = tune("--collection", "parts", "--dataset", judged(tmp_path, ["kx-1", *CODES]))
    assert code == 1
    assert "no document is called 'kx-1'" in err and "openbook documents list" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--dataset"),
        (["--reset"], "--reset goes with --collection alone"),
        (["--dataset", "x", "--apply"], "--apply needs --collection"),
    ],
)
def test_wrong_usage_is_said(tune: Callable[..., tuple[int, str, str]], arguments: list[str], said: str) -> None:
    code, _, err = tune(*arguments)
    assert code == 2
    assert said in err


def test_a_search_says_what_was_done_to_its_query(stubborn: RunningServer) -> None:
    with stubborn.client() as client:
        wait_for_lm(client, timeout_s=60)
        asked = {"query": "where is kx-4370?", "collections": ["parts"], "k": 3, "rerank": False}
        plain = httpx.post(f"{stubborn.api_url}/v1/search", json=asked, trust_env=False).json()
        assert "plan" not in plain
        found = httpx.post(
            f"{stubborn.api_url}/v1/search", json=asked | {"hyde": True, "decompose": True}, trust_env=False
        ).json()
        assert found["plan"] == [
            "Imagined 2 passages that might answer, to search near them. The first: There lies kx-4370, in the hall.",
            "Searched in parts: Which hall has kx-4370?",  # not the question again, and not what it does not ask
        ]
        assert {h["source"] for h in found["hits"]} == {"parts"}
        with pytest.raises(ApiError, match="which bm25 cannot"):
            client.search_whole("where is kx-4370?", ["parts"], retriever="bm25", hyde=True)


def trace_of(server: RunningServer, answer: Any) -> list[dict[str, Any]]:
    trace = httpx.get(f"{server.api_url}/v1/traces/{answer['run_id']}", trust_env=False).json()
    return list(trace["steps"])


def test_an_answers_trace_has_what_was_done_before_the_search(stubborn: RunningServer) -> None:
    with stubborn.client() as client:
        wait_for_lm(client, timeout_s=60)
        answer = client.ask("where is kx-4370?", ["parts"], hyde=True, decompose=True)
        steps = trace_of(stubborn, answer)
        assert [s["kind"] for s in steps][:3] == ["plan", "plan", "act"]
        assert answer["usage"]["completion_tokens"] > 0
        plain = trace_of(stubborn, client.ask("where is kx-4370?", ["parts"]))
        assert plain[0]["kind"] == "act"


def test_without_a_language_model_a_switch_that_needs_one_is_refused(client: Client) -> None:
    with pytest.raises(ApiError, match="need a language model") as refused:
        client.search_whole("anything", [], hyde=True)
    assert refused.value.status == 503
