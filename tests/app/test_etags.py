"""Entity tags of a real server: who has an answer gets 304, and who has not seen a change does not undo it."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import httpx
import pytest

from app.api.etags import names, tag_of
from app.client import Client
from tests.support.jobs import settled
from tests.support.pdfs import pdf
from tests.support.servers import RunningServer
from tests.support.team import Team

_numbers = itertools.count()


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.api_url, timeout=60) as found:
        yield found


@pytest.fixture
def collection(client: Client) -> str:
    name = f"tags-{next(_numbers)}"
    client.create_collection(name)
    return name


@pytest.fixture
def doc_id(client: Client, collection: str) -> str:
    (job,) = client.upload(collection, [("a.md", io.BytesIO(b"# A pump\n\nThe pump is checked in May."))])
    found = settled(client, job["job_id"])["doc_id"]
    assert found
    return found


def unchanged(http: httpx.Client, path: str) -> None:
    """Asks twice, the second time with the tag."""
    first = http.get(path)
    assert first.status_code == 200 and first.headers["cache-control"] == "private, no-cache", first.content
    tag = first.headers["etag"]
    again = http.get(path, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert http.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_what_has_not_changed_is_not_sent_again(http: httpx.Client, client: Client, doc_id: str) -> None:
    chat = client.create_chat([], title="pumps")["chat_id"]
    name = client.document(doc_id)["collection"]
    for path in (
        "/v1/collections",
        f"/v1/collections/{name}/documents",
        f"/v1/documents/{doc_id}",
        f"/v1/documents/{doc_id}/chunks",
        f"/v1/documents/{doc_id}/content",
        f"/v1/documents/{doc_id}/content?format=original",
        "/v1/chats",
        f"/v1/chats/{chat}",
    ):
        unchanged(http, path)


def test_a_change_gives_another_tag(http: httpx.Client, client: Client, collection: str, doc_id: str) -> None:
    before = http.get(f"/v1/collections/{collection}/documents").headers["etag"]
    client.delete_document(doc_id)
    after = http.get(f"/v1/collections/{collection}/documents", headers={"If-None-Match": before})
    assert after.status_code == 200 and after.headers["etag"] != before
    assert http.get(f"/v1/documents/{doc_id}", headers={"If-None-Match": "*"}).status_code == 404


def test_a_page_that_is_known_is_not_drawn_again_and_another_passage_is_another_page(
    http: httpx.Client, client: Client, collection: str
) -> None:
    (job,) = client.upload(collection, [("pump.pdf", io.BytesIO(pdf([["The pump is checked in May."]])))])
    doc_id = settled(client, job["job_id"])["doc_id"]
    path = f"/v1/documents/{doc_id}/pages/1.png"
    unchanged(http, path)
    others = [http.get(f"{path}{query}").headers["etag"] for query in ("", "?width=300", "?highlight=4,8")]
    assert len(set(others)) == 3


def test_settings_that_somebody_else_has_changed_are_not_changed(http: httpx.Client, collection: str) -> None:
    def tag() -> str:
        listed = http.get("/v1/collections").json()["collections"]
        return str(next(c["etag"] for c in listed if c["name"] == collection))

    path, seen = f"/v1/collections/{collection}", tag()
    done = http.patch(path, json={"pii": "flag"}, headers={"If-Match": seen})
    assert done.status_code == 200 and done.headers["etag"] == done.json()["etag"] == tag() != seen
    late = http.patch(path, json={"pii": "off"}, headers={"If-Match": seen})
    assert late.status_code == 412 and late.json()["code"] == "changed"
    assert http.patch(path, json={"pii": "redact"}, headers={"If-Match": "*"}).json()["pii"] == "redact"
    assert http.patch(path, json={"pii": "off"}).status_code == 200  # who does not ask is not held up


def test_a_conversation_is_renamed_only_as_it_was_read(http: httpx.Client, client: Client) -> None:
    path = f"/v1/chats/{client.create_chat([], title='one')['chat_id']}"
    seen = http.get(path).headers["etag"]
    assert http.patch(path, json={"title": "two"}, headers={"If-Match": seen}).json()["title"] == "two"
    assert http.patch(path, json={"title": "three"}, headers={"If-Match": seen}).status_code == 412
    assert http.get(path).json()["title"] == "two"


def test_a_tag_opens_nothing_to_who_may_not_read(signed_in: Team) -> None:
    signed_in.add("tess")
    with signed_in.client("tess") as tess:
        tess.create_collection("of-tess")
    with signed_in.http("tess") as own, signed_in.http("admin") as other:
        tag = own.get("/v1/collections/of-tess/documents").headers["etag"]
        for held in (tag, "*"):
            assert other.get("/v1/collections/of-tess/documents", headers={"If-None-Match": held}).status_code == 404


def test_tags_are_compared_by_what_stands_between_the_quotes() -> None:
    tag = tag_of("a", b"b")
    assert names(f"W/{tag}", tag) and names(f'"x,y", {tag}', tag) and names(" * ", tag)
    assert not names('"x"', tag) and not names("", tag) and not names(tag.strip('"'), tag)
    assert tag_of("ab", "c") != tag_of("a", "bc")
