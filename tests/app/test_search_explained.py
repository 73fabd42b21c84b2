"""A search explained, narrowed and highlighted through the API and the command line."""

from __future__ import annotations

import io
import itertools
import json

import pytest

from app.cli.search_text import hit_text, summary_text
from app.client import ApiError, Client
from tests.support.jobs import settled
from tests.support.servers import RunningServer

_numbers = itertools.count()
ROCKET = "---\ntags: [space]\ndate: 2023-05-01\n---\n# Rockets\n\nThe Saturn V was 110.6 metres tall. It first flew in 1967.\n"
BREAD = "---\ntags: [food]\ndate: 2024-02-03\n---\n# Bread\n\nA loaf bakes for 45 minutes. Nobody flew a loaf.\n"


@pytest.fixture(scope="module")
def collection(server: RunningServer) -> str:
    name = f"explained-{next(_numbers)}"
    with server.client() as client:
        client.create_collection(name)
        sources = [("space/rocket.md", io.BytesIO(ROCKET.encode())), ("bread.md", io.BytesIO(BREAD.encode()))]
        for job in client.upload(name, sources):
            assert settled(client, job["job_id"])["state"] == "ready"
    return name


def test_an_explanation_adds_up_and_comes_only_when_asked_for(client: Client, collection: str) -> None:
    plain = client.search_whole("How tall was the Saturn V?", [collection], k=1)
    assert set(plain) == {"hits", "did_you_mean"} and "explanation" not in plain["hits"][0]
    reply = client.search_whole("How tall was the Saturn V?", [collection], k=1, explain=True, rerank=False)
    (hit,) = reply["hits"]
    fixed = {"chunk_id", "doc_id", "title", "page", "start", "end", "text", "score", "rank", "source", "parts"}
    assert fixed <= set(hit)
    why = hit["explanation"]
    assert sum(p["weight"] * p["normalised"] for p in why["fused"]) == pytest.approx(hit["score"])
    assert why["terms_score"] == pytest.approx(hit["parts"]["bm25"]["score"], abs=1e-3)
    assert [t["token"] for t in why["tokens"]][:2] == ["How", "tall"]
    text = client.document_text(hit["doc_id"])
    assert all(text[t["start"] : t["end"]] == t["match"] for t in why["tokens"])
    assert [s["name"] for s in reply["stages"]] == ["bm25", "dense", "fused"]
    (miss,) = reply["near_misses"]
    assert miss["title"] == "Bread" and miss["reason"]["code"] == "rank" and miss["reason"]["gap"] > 0
    again = client.search_whole("How tall was the Saturn V?", [collection], k=1, explain=True, rerank=False)
    assert (reply["cached"], again["cached"]) == (False, True)
    assert again["hits"] == reply["hits"]
    assert again["cache"]["hits"] >= 1


@pytest.mark.parametrize("by", ["words", "tokens"])
def test_the_best_sentence_is_named_by_its_place_in_the_document(client: Client, collection: str, by: str) -> None:
    (hit,) = client.search_whole("How tall was the Saturn V?", [collection], k=1, highlight=by)["hits"]
    span = hit["highlight"]
    assert client.document_text(hit["doc_id"])[span["start"] : span["end"]] == "The Saturn V was 110.6 metres tall."
    (hit,) = client.search_whole("How tall was the Saturn V?", [collection], k=1, highlight="off")["hits"]
    assert "highlight" not in hit


@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        ({"tag": "food"}, {"Bread"}),
        ({"tag": ["food", "space"]}, {"Bread", "Rockets"}),
        ({"path": "space/"}, {"Rockets"}),
        ({"date": {"from": "2023", "to": "2023-12"}}, {"Rockets"}),
        ({"date.from": "2024"}, {"Bread"}),
        ({"type": "pdf"}, set()),
    ],
)
def test_filters(client: Client, collection: str, filters: dict[str, object], titles: set[str]) -> None:
    body = {"query": "flew", "collections": [collection], "filters": filters}
    assert {h["title"] for h in client._json("POST", "/v1/search", json=body)["hits"]} == titles


def test_a_bad_filter_is_answered_with_the_good_ones(client: Client, collection: str) -> None:
    with pytest.raises(ApiError, match=r"cannot filter by 'colour'.*date.from") as caught:
        client.search_whole("flew", [collection], filters={"colour": ["red"]})
    assert caught.value.status in (400, 422)


def test_facets_are_what_the_documents_have(client: Client, collection: str) -> None:
    facets = client.facets([collection])
    assert facets["type"] == {"md": 2}
    assert facets["tag"] == {"food": 1, "space": 1}
    assert facets["date"] == {"from": "2023-05-01", "to": "2024-02-03"}
    with pytest.raises(ApiError):
        client.facets(["nowhere"])


def test_the_command_line_shows_all_of_it(client: Client, collection: str) -> None:
    reply = client.search_whole("How tall was the Saturn V?", [collection], k=1, explain=True, rerank=False)
    shown = hit_text(reply["hits"][0])
    assert "»The Saturn V was 110.6 metres tall.«" in shown
    assert "fused 1.0000 = 0.5·1.0000 (bm25) + 0.5·1.0000 (dense)" in shown
    assert "saturn" in shown and "idf" in shown and "tall ≈ tall" in shown
    told = summary_text(reply)
    assert "Bread" in told and "less than that of the last hit" in told and "bm25" in told


def test_the_command_line_takes_filters(server: RunningServer, collection: str) -> None:
    from typer.testing import CliRunner

    from app.cli.main import app

    def run(*arguments: str) -> tuple[int, str]:
        command = ["search", "flew", "-c", collection, "--data-dir", str(server.data_dir), *arguments]
        done = CliRunner().invoke(app, command)
        return done.exit_code, done.output

    code, output = run("--filter", "tag=food", "--filter", "date.from=2024", "--json")
    assert code == 0
    assert [h["title"] for h in json.loads(output)["hits"]] == ["Bread"]
    code, output = run("--filter", "food")
    assert code == 2 and "FIELD=VALUE" in output
