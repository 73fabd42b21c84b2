"""Reranking as a person meets it: a request's choice over the settings', and what happens where a model is absent."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from app.client import ApiError, Client
from app.wiring import build_reranker, wanted_reranker
from core.errors import InvalidRequest
from core.settings import Settings
from models.cross_encoder import SHIPPED_RERANKER
from tests.support.hash_encoder import HashEncoder
from tests.support.jobs import settled
from tests.support.servers import openbook_server

TEXTS = {
    "cats.txt": "Cats purr at night when they are content.",
    "dogs.txt": "Dogs bark at night when somebody passes by.",
    "fish.txt": "Fish swim in cold water and say nothing at night.",
}


def fill(client: Client, collection: str) -> None:
    client.create_collection(collection)
    for job in client.upload(collection, [(name, io.BytesIO(text.encode())) for name, text in TEXTS.items()]):
        assert settled(client, job["job_id"])["state"] == "ready"


def test_a_request_may_ask_for_reranking_and_each_hit_shows_its_stages(client: Client) -> None:
    fill(client, "reranked")
    plain = client.search("what do cats do at night", ["reranked"], k=3, rerank=False)
    assert {hit["source"] for hit in plain} == {"fused"}
    hits = client.search_whole("what do cats do at night", ["reranked"], k=3, rerank=True)["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    assert {hit["source"] for hit in hits} == {"rerank"}
    for hit in hits:
        assert {"bm25", "dense", "fused", "late", "rerank"} >= set(hit["parts"]) >= {"fused", "late", "rerank"}
        assert hit["parts"]["rerank"] == {"rank": hit["rank"], "score": hit["score"]}
    assert hits[0]["title"] == plain[0]["title"]
    assert client.search("what do cats do at night", ["reranked"], k=3) == hits  # nothing said: as the settings say


def test_a_search_that_names_one_index_has_its_order_unless_it_asks_for_more(client: Client) -> None:
    fill(client, "one-index")
    assert {hit["source"] for hit in client.search("cats at night", ["one-index"], retriever="bm25")} == {"bm25"}
    reranked = client.search("cats at night", ["one-index"], retriever="bm25", rerank=True)
    assert {hit["source"] for hit in reranked} == {"rerank"}


def test_passages_have_their_token_vectors_as_soon_as_they_are_found(client: Client) -> None:
    fill(client, "with-tokens")
    found = next(c for c in client.collections() if c["name"] == "with-tokens")
    assert found["tokens"] and found["with_tokens"] == found["chunks"] == 3


@pytest.mark.slow
def test_a_collection_without_token_vectors_is_read_as_far_as_a_search_may(tmp_path: Path, model_cache: Path) -> None:
    limit = {"OPENBOOK_RERANK_UNREAD_TOKENS": "15"}
    with openbook_server(tmp_path / "data", env=limit) as running, running.client() as client:
        client.create_collection("bare", tokens=False)
        for name, text in TEXTS.items():
            for job in client.upload("bare", [(name, io.BytesIO(text.encode()))]):
                assert settled(client, job["job_id"])["state"] == "ready"
        reply = client.search_whole("what is said at night", ["bare"])
        assert {hit["source"] for hit in reply["hits"]} == {"fused"}
        assert reply["notes"][0].startswith("not reranked: 3 of 3 candidates have no token vectors yet")
        assert "notes" not in client.search_whole("what is said at night", ["bare"], rerank=True)
        assert client.change_collection("bare", tokens=True)["tokens"]
        deadline = time.monotonic() + 30
        while (reply := client.search_whole("what is said at night", ["bare"])).get("notes"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert {hit["source"] for hit in reply["hits"]} == {"rerank"}


@pytest.mark.slow
def test_searching_goes_on_where_the_reranker_of_the_settings_cannot_be_loaded(
    tmp_path: Path, model_cache: Path
) -> None:
    settings = {"OPENBOOK_RERANKER": "cross-encoder", "OPENBOOK_RERANKER_MODEL": str(tmp_path / "nowhere")}
    with openbook_server(tmp_path / "data", env=settings) as running, running.client() as client:
        part = next(p for p in client.ready()["loading"] if p["name"] == "reranker")
        assert part["state"] == "failed"
        assert "a cross-encoder is a folder with" in part["detail"]
        fill(client, "c")
        assert {hit["source"] for hit in client.search("cats at night", ["c"])} == {"fused"}
        with pytest.raises(ApiError, match="there is no reranker: cannot read"):
            client.search_whole("cats at night", ["c"], rerank=True)


def test_what_is_not_said_is_as_the_settings_say() -> None:
    settings = Settings(reranker="mix")
    assert [wanted_reranker(settings, rerank) for rerank in (None, True, False)] == ["mix", "mix", "none"]
    assert [wanted_reranker(Settings(reranker="none"), rerank) for rerank in (None, True, False)] == [
        "none",
        "late",
        "none",
    ]


@pytest.mark.skipif(SHIPPED_RERANKER.exists(), reason="a cross-encoder is shipped")
def test_where_none_is_shipped_the_message_names_the_way_out() -> None:
    with pytest.raises(InvalidRequest, match="set reranker to late, or reranker_model to a folder"):
        build_reranker(Settings(), "cross-encoder", HashEncoder())


def test_no_reranker_is_built_where_none_is_wanted() -> None:
    assert build_reranker(Settings(), "none", HashEncoder()) is None
