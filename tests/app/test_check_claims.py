"""`check` over a real server: verdicts with byte-exact passages, sources that disagree, and what is replaced is gone."""

from __future__ import annotations

import io
import itertools
import re

import pytest

from app import replies
from app.client import ApiError, Client
from tests.support.commands import json_of, openbook
from tests.support.jobs import settled
from tests.support.servers import RunningServer

_numbers = itertools.count()
ROCKET = "# Rockets\n\nThe Saturn V was 110.6 metres tall. It first flew on 9 November 1967.\n"
DATED = "---\ndate: {date}\n---\n\n# {title}\n\nThe harvest of the Keller orchard was {tonnes} tonnes of apples.\n"


@pytest.fixture
def collection(client: Client) -> str:
    name = f"claims-{next(_numbers)}"
    client.create_collection(name)
    return name


def put(client: Client, collection: str, name: str, text: str) -> None:
    (job,) = client.upload(collection, [(name, io.BytesIO(text.encode()))])
    assert settled(client, job["job_id"])["state"] == "ready"


def check(client: Client, claim: str, collection: str) -> replies.Checked:
    found = client.check(claim, [collection])
    for passage in found["passages"]:
        text = client.document_text(passage["doc_id"])
        assert text[passage["start"] : passage["end"]] == passage["quote"]
    return found


def test_the_three_verdicts(client: Client, collection: str) -> None:
    put(client, collection, "rocket.md", ROCKET)
    assert check(client, "The Saturn V was 110.6 metres tall.", collection)["verdict"] == "supported"
    refuted = check(client, "The Saturn V was 98.5 metres tall.", collection)
    assert refuted["verdict"] == "refuted"
    assert "110.6" in refuted["passages"][0]["quote"]
    assert check(client, "The Saturn V was painted by Andy Warhol.", collection)["verdict"] == "not enough"


def test_sources_that_disagree_are_both_named_with_their_dates(client: Client, collection: str) -> None:
    put(client, collection, "old.md", DATED.format(date="2021-02-03", title="First count", tonnes=12))
    put(client, collection, "new.md", DATED.format(date="2024-05-06", title="Second count", tonnes=15))
    found = check(client, "The harvest of the Keller orchard was 12 tonnes of apples.", collection)
    assert found["verdict"] == "not enough"
    (conflict,) = found["conflicts"]
    assert "“First count” (2021-02-03) says 12 [" in conflict["text"]
    assert "“Second count” (2024-05-06) says 15 [" in conflict["text"]


def test_of_sources_without_a_date_it_is_said_when_they_were_added(client: Client, collection: str) -> None:
    for name, tonnes in (("old.md", 12), ("new.md", 15)):
        put(client, collection, name, f"# {name}\n\nThe harvest of the Keller orchard was {tonnes} tonnes of apples.\n")
    found = check(client, "The harvest of the Keller orchard was 12 tonnes of apples.", collection)
    (conflict,) = found["conflicts"]
    assert len(re.findall(r"\(added 20\d\d-\d\d-\d\d\) says 1[25] \[", conflict["text"])) == 2
    assert {passage["date"] for passage in found["passages"]} == {None}


def test_a_replaced_document_is_judged_by_its_new_text_at_once(client: Client, collection: str) -> None:
    claim = "The Saturn V was 110.6 metres tall."
    put(client, collection, "rocket.md", ROCKET)
    assert check(client, claim, collection)["verdict"] == "supported"
    put(client, collection, "rocket.md", ROCKET.replace("110.6", "98.5"))
    assert check(client, claim, collection)["verdict"] == "refuted"


def test_an_unknown_collection_and_an_empty_claim_are_refused(client: Client, collection: str) -> None:
    with pytest.raises(ApiError, match="no collection 'nowhere'"):
        client.check("Anything is so.", ["nowhere"])
    with pytest.raises(ApiError, match="the claim is empty"):
        client.check(" ", [collection])


@pytest.mark.slow  # four processes of their own
def test_the_command_prints_the_verdict_and_one_document_with_json(
    server: RunningServer, client: Client, collection: str
) -> None:
    put(client, collection, "rocket.md", ROCKET)
    claim = ("check", "The Saturn V was 98.5 metres tall.", "--collection", collection)
    said = openbook(*claim, data_dir=server.data_dir)
    assert said.stdout.startswith("refuted\n") and said.returncode == 0
    found = json_of(openbook(*claim, "--json", data_dir=server.data_dir))
    assert found["verdict"] == "refuted"
    assert {"doc_id", "title", "page", "start", "end", "quote", "verdict"} <= set(found["passages"][0])
    wrong = openbook("check", "x is y", "--collection", "nowhere", data_dir=server.data_dir)
    assert wrong.returncode == 1 and len(wrong.stderr.splitlines()) == 1
