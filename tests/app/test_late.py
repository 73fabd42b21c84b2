"""A collection that asks for late interaction, over a real server and from the command line."""

from __future__ import annotations

import io

import pytest

from app.client import ApiError, Client
from tests.support.commands import json_of, openbook
from tests.support.jobs import settled
from tests.support.servers import RunningServer

TEXTS = {
    "whale.txt": b"The blue whale is the largest animal that has ever lived.",
    "bridge.txt": b"The bridge over the Tay collapsed in a storm in December 1879.",
    "bread.txt": b"Sourdough rises slowly because wild yeast needs time.",
}


def fill(client: Client, name: str, *, late: bool) -> None:
    client.create_collection(name, late=late)
    for job in client.upload(name, [(file, io.BytesIO(text)) for file, text in TEXTS.items()]):
        assert settled(client, job["job_id"])["state"] == "ready"


def test_a_collection_made_for_it_is_searched_token_by_token(client: Client) -> None:
    fill(client, "late-on", late=True)
    best = client.search_whole("why did the Tay bridge fall down", ["late-on"], retriever="late", explain=True)["hits"][
        0
    ]
    assert best["title"].startswith("bridge") and best["source"] == "late"
    assert best["parts"]["late"]["rank"] == 1
    assert next(c for c in client.collections() if c["name"] == "late-on")["late"] is True
    assert client.system()["index"]["late_rows"] >= len(TEXTS)


def test_without_it_one_error_says_how_to_switch_it_on_and_so_it_is(client: Client, server: RunningServer) -> None:
    fill(client, "late-off", late=False)
    with pytest.raises(ApiError, match="openbook collections set late-off --late") as caught:
        client.search("whale", ["late-off"], retriever="late")
    assert (caught.value.status, caught.value.code) == (409, "late-off")
    refused = openbook("search", "whale", "-c", "late-off", "--retriever", "late", data_dir=server.data_dir)
    assert refused.returncode == 1 and "collections set late-off --late" in refused.stderr
    changed = json_of(openbook("collections", "set", "late-off", "--late", "--json", data_dir=server.data_dir))
    assert changed.pop("etag")
    assert changed == {"name": "late-off", "pii": "off", "late": True, "tokens": True, "unlike": 0}
    done = openbook("search", "wild yeast", "-c", "late-off", "--retriever", "late", "--json", data_dir=server.data_dir)
    assert json_of(done)["hits"][0]["title"].startswith("bread")
    assert client.change_collection("late-off", late=False)["late"] is False
    with pytest.raises(ApiError, match="not switched on"):
        client.search("whale", ["late-off"], retriever="late")


def test_a_change_of_nothing_is_refused(client: Client) -> None:
    client.create_collection("late-nothing")
    with pytest.raises(ApiError, match="nothing is to be changed"):
        client.change_collection("late-nothing")
