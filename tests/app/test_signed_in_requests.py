"""What comes with a session, a key or a cookie, and what must never come out: on a real server with people."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import httpx2
import openai
import pytest
from mcp import Client as McpClient
from mcp.client.streamable_http import streamable_http_client

from tests.support.commands import json_of, openbook
from tests.support.team import PASSWORD, Team

SECRET = "The vermilion-quokka ledger counts 8431729206 sealed barrels in the northern cellar of Ottokar Brandt."
# The number is too long to come about in a score or an identifier.
WORDS = ["vermilion", "quokka", "ledger", "8431729206", "barrels", "Ottokar", "Brandt"]  # none of them the stranger's
OWN = "# A garden\n\nThe garden has a pond. Ducks swim in the pond every morning. The cellar is full of apples.\n"


@pytest.fixture(scope="module")
def team_of(signed_in: Team) -> Team:
    """Vera has a secret; Sam has a garden."""
    for name in ("vera", "sam"):
        signed_in.add(name)
        with signed_in.client(name) as client:
            client.create_collection(f"of-{name}")
    signed_in.upload("vera", "of-vera", "secret.md", f"# Ledger\n\n{SECRET}\n")
    signed_in.upload("sam", "of-sam", "garden.md", OWN)
    return signed_in


@pytest.fixture
def sam(team_of: Team) -> Iterator[httpx.Client]:
    with team_of.http("sam") as http:
        yield http


def said_of_the_secret(text: str) -> list[str]:
    return [w for w in WORDS if w.casefold() in text.casefold()]


def test_no_word_of_another_comes_back_in_hundreds_of_questions(team_of: Team, sam: httpx.Client) -> None:
    with team_of.client("vera") as vera:  # so that every cache knows the answers
        for query in (*WORDS, SECRET):
            assert vera.search(query, [])
    for n in range(120):
        word = WORDS[n % len(WORDS)]
        typo = word[:2] + word[3:]  # what a spelling of hers would be suggested for
        body = {"query": f"{typo} cellar {n % 3 or ''}", "k": 1 + n % 20, "explain": n % 4 == 0,
                "retriever": ("hybrid", "bm25", "dense", "tfidf")[n % 4]}  # fmt: skip
        found = sam.post("/v1/search", json=body)
        assert found.status_code == 200
        shown = found.json()
        assert {h["collection"] for h in shown["hits"]} <= {"of-sam"}
        assert said_of_the_secret(json.dumps([shown["hits"], shown["did_you_mean"], shown.get("near_misses")])) == []
        assert shown.get("cache") is None, "how often others' searches were known is theirs"
    own = {d["doc_id"] for d in sam.get("/v1/collections/of-sam/documents").json()["documents"]}
    for question in ("What is counted in the cellar, and whose is it?", "What lies sealed in the north?"):
        answer = sam.post("/v1/ask", json={"question": question})
        assert answer.status_code == 200
        trace = sam.get(f"/v1/traces/{answer.json()['run_id']}")
        checked = sam.post("/v1/check", json={"claim": "Many things are counted and sealed in the cellar."})
        assert said_of_the_secret(answer.text + trace.text + checked.text) == []
        told = [*answer.json()["citations"], *answer.json()["hits"], *checked.json()["passages"]]
        assert {cited["doc_id"] for cited in told} <= own, "nor does a citation name a document of another"


def test_no_trace_of_another_is_read_replayed_compared_or_counted(team_of: Team, sam: httpx.Client) -> None:
    with team_of.client("vera") as vera:
        chat = vera.create_chat(["of-vera"], title=SECRET)["chat_id"]
        with vera.chat_stream(chat, SECRET) as said:
            theirs = list(said)[-1][1]["run_id"]
        assert SECRET in json.dumps(vera.trace(theirs))
    mine = sam.post("/v1/ask", json={"question": "What swims in the pond?"}).json()["run_id"]
    refused = [
        *(sam.get(f"/v1/traces/{theirs}", params={"form": form}) for form in ("json", "jsonl", "otlp")),
        sam.post(f"/v1/traces/{theirs}/replay", json={}),
        sam.get(f"/v1/traces/{mine}/diff", params={"other": theirs}),
        sam.get(f"/v1/traces/{theirs}/diff", params={"other": mine}),
        sam.delete(f"/v1/traces/{theirs}"),
    ]
    assert [r.status_code for r in refused] == [404] * len(refused)
    lists = [sam.get("/v1/traces", params=p) for p in ({}, {"q": "vermilion"}, {"chat": chat}, {"strategy": "extract"})]
    assert [theirs in reply.text for reply in lists] == [False] * len(lists)
    assert [said_of_the_secret(reply.text) for reply in (*refused, *lists)] == [[]] * (len(refused) + len(lists))
    with team_of.client("vera") as vera:
        assert SECRET in json.dumps(vera.trace(theirs)), "it is still there for whose it is"


def test_counts_facets_models_and_lists_are_of_ones_own(team_of: Team, sam: httpx.Client) -> None:
    assert [c["name"] for c in sam.get("/v1/collections").json()["collections"]] == ["of-sam"]
    assert [m["id"] for m in sam.get("/v1/models").json()["data"] if "of-vera" in m["id"]] == []
    facets = sam.get("/v1/search/facets").json()
    assert sum(facets["type"].values()) == 1
    assert sum(sam.get("/v1/jobs").json()["counts"].values()) == 1
    system = sam.get("/v1/system").json()
    assert system["index"] is None and system["runs"] == 0
    refused = sam.post("/v1/search", json={"query": "x", "collections": ["of-vera"]})
    assert refused.status_code == 404 and "you have of-sam" in refused.json()["detail"]


def test_a_cookie_reads_and_does_not_write_by_itself(team_of: Team) -> None:
    with httpx.Client(base_url=team_of.server.api_url, timeout=60) as browser:
        came = browser.post("/v1/sessions", json={"name": "sam", "password": PASSWORD, "cookie": True})
        assert came.status_code == 201 and "token" not in came.json()
        cookie = came.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie
        assert browser.get("/v1/collections").status_code == 200
        body = {"name": "by-cookie"}
        refused = browser.post("/v1/collections", json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "no-csrf-token")
        csrf = {"X-Openbook-CSRF": browser.get("/v1/me").json()["csrf"]}
        assert csrf["X-Openbook-CSRF"] == came.json()["csrf"]
        elsewhere = browser.post("/v1/collections", json=body, headers={**csrf, "Origin": "http://evil.example"})
        assert (elsewhere.status_code, elsewhere.json()["code"]) == (403, "foreign-origin")
        assert browser.post("/v1/collections", json=body, headers=csrf).status_code == 201
        assert browser.delete("/v1/sessions/current", headers=csrf).status_code == 204
        assert browser.get("/v1/collections").status_code == 401


def test_a_planted_session_is_not_made_good_by_signing_in(team_of: Team) -> None:
    planted = "a" * 43
    with httpx.Client(base_url=team_of.server.api_url, timeout=60, cookies={"openbook_session": planted}) as victim:
        got = victim.post("/v1/sessions", json={"name": "sam", "password": PASSWORD}).json()["token"]
    assert got != planted
    for token in (planted, got[:-1], got + "a"):
        reply = httpx.get(f"{team_of.server.api_url}/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert reply.status_code == 401 and reply.headers["www-authenticate"] == "Bearer"


def test_a_key_can_do_what_its_scopes_say_and_makes_no_keys(team_of: Team, sam: httpx.Client) -> None:
    key = sam.post("/v1/keys", json={"name": "reads", "scopes": ["read"]}).json()
    with httpx.Client(
        base_url=team_of.server.api_url, headers={"Authorization": f"Bearer {key['key']}"}, timeout=60
    ) as program:
        assert program.get("/v1/collections").status_code == 200
        assert program.post("/v1/search", json={"query": "pond"}).json()["code"] == "scope"
        assert program.post("/v1/collections", json={"name": "x"}).json()["code"] == "scope"
        for method, path in (("GET", "/v1/keys"), ("POST", "/v1/keys"), ("POST", "/v1/me/password")):
            assert program.request(method, path, json={}).status_code == 403
        assert program.get("/v1/users").status_code == 403
        assert sam.delete(f"/v1/keys/{key['key_id']}").status_code == 204
        assert program.get("/v1/collections").status_code == 401
    assert key["key"] not in sam.get("/v1/keys").text


def test_openais_client_and_an_mcp_client_come_with_a_key(team_of: Team, sam: httpx.Client) -> None:
    key = sam.post("/v1/keys", json={"name": "programs", "scopes": ["read", "ask"]}).json()["key"]
    url = team_of.server.api_url
    with openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as client:
        said = client.chat.completions.create(
            model="openbook/of-sam", messages=[{"role": "user", "content": "What swims in the pond?"}]
        )
        assert "Ducks" in str(said.choices[0].message.content)
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="openbook/of-vera", messages=[{"role": "user", "content": "What?"}])
    wrong = openai.OpenAI(base_url=f"{url}/v1", api_key="ob_wrong", max_retries=0)
    with wrong, pytest.raises(openai.AuthenticationError):
        wrong.models.list()

    async def talk() -> None:
        http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}, timeout=60)
        async with http, McpClient(streamable_http_client(f"{url}/mcp", http_client=http)) as mcp:
            listed = await mcp.call_tool("list_collections", {})
            names = json.dumps(listed.structured_content)
            assert "of-sam" in names and "of-vera" not in names
            hits = await mcp.call_tool("search", {"query": "pond"})
            assert "pond" in json.dumps(hits.structured_content)
            refused = await mcp.call_tool("ingest", {"collection": "of-sam", "name": "n.md", "text": "x"})
            assert refused.is_error and "scope" in str(refused.content)

    asyncio.run(talk())
    assert httpx.post(f"{url}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}).status_code == 401


def test_commands_speak_for_a_key_or_for_the_machine(team_of: Team, sam: httpx.Client) -> None:
    key = sam.post("/v1/keys", json={"name": "cli", "scopes": ["read"]}).json()["key"]
    data_dir = team_of.server.data_dir
    mine = json_of(openbook("collections", "list", "--json", data_dir=data_dir, OPENBOOK_API_KEY=key))
    assert "of-sam" in [c["name"] for c in mine["collections"]] and "of-vera" not in json.dumps(mine)
    refused = openbook("users", "list", data_dir=data_dir, OPENBOOK_API_KEY=key)
    assert refused.returncode == 1 and "administrator" in refused.stderr
    log = json_of(openbook("audit", "--action", "key", "--json", data_dir=data_dir))
    assert log["entries"][0]["action"] == "key.create" and key not in json.dumps(log)


def test_who_is_shut_out_is_out_with_the_next_request(team_of: Team) -> None:
    team_of.add("gone")
    with team_of.http("gone") as gone, team_of.client("admin") as admin:
        key = gone.post("/v1/keys", json={"name": "k"}).json()["key"]
        user_id = gone.get("/v1/me").json()["user_id"]
        admin.change_user(user_id, active=False)
        assert gone.get("/v1/me").status_code == 401
        bearer = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{team_of.server.api_url}/v1/collections", headers=bearer).status_code == 401
        again = httpx.post(f"{team_of.server.api_url}/v1/sessions", json={"name": "gone", "password": PASSWORD})
        assert again.status_code == 401


def test_the_log_and_the_audit_log_hold_no_secret_and_say_who_did_what(team_of: Team, sam: httpx.Client) -> None:
    key = sam.post("/v1/keys", json={"name": "k"}).json()
    sam.get("/v1/collections", headers={"Authorization": "Bearer a-token-that-is-wrong"})
    with team_of.client("admin") as admin:
        entries: list[dict[str, Any]] = admin.audit(limit=500)["entries"]
    everything = json.dumps(entries) + team_of.server.output
    for secret in (PASSWORD, key["key"], "a-token-that-is-wrong", *team_of.tokens.values()):
        assert secret not in everything
    assert "vermilion" not in everything and "garden" not in everything
    did = {(e["name"], e["action"], e["outcome"]) for e in entries}
    assert ("sam", "key.create", "done") in did and ("sam", "collection.create", "done") in did
    assert (None, "session.begin", "refused") in did or ("sam", "session.begin", "done") in did


def test_nobody_elsewhere_may_read_an_answer(team_of: Team) -> None:
    url = team_of.server.api_url
    reply = httpx.get(f"{url}/health", headers={"Origin": "http://evil.example"})
    assert not [h for h in reply.headers if h.startswith("access-control-")]
    assert reply.headers["x-content-type-options"] == "nosniff" and reply.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    ahead = httpx.options(
        f"{url}/v1/search", headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    )
    assert ahead.status_code >= 400 and not [h for h in ahead.headers if h.startswith("access-control-")]


def test_a_body_that_is_too_long_is_refused(team_of: Team, sam: httpx.Client) -> None:
    reply = sam.post(
        "/v1/search", content=b'{"query": "' + b"x" * (33 * 2**20) + b'"}', headers={"Content-Type": "application/json"}
    )
    assert reply.status_code == 413 and reply.headers["content-type"] == "application/problem+json"


def test_a_purge_of_ones_own_changes_and_counts_nothing_of_people_who_never_saw_it(team_of: Team) -> None:
    words = "the pond of the garden every morning"
    with team_of.client("sam") as sam_too:
        chat = sam_too.create_chat(["of-sam"])["chat_id"]
        with sam_too.chat_stream(chat, f"Please, who swims in {words}?") as stream:
            list(stream)
        before = sam_too.chat(chat)
        trace = sam_too.trace(before["messages"][-1]["run_id"])
    job = team_of.upload("vera", "of-vera", "please.txt", f"We sat by {words} of that year.")
    with team_of.client("vera") as vera:
        purged = vera.purge_document(job["doc_id"])
    assert (purged["chats"], purged["messages"], purged["traces"]) == (0, 0, 0)
    with team_of.client("sam") as sam_too:
        assert sam_too.chat(chat) == before
        assert sam_too.trace(before["messages"][-1]["run_id"]) == trace
        with sam_too.chat_stream(
            chat, f"Please, who swims in {words}?"
        ) as stream:  # nor of what is answered afterwards
            list(stream)
        assert "removed" not in json.dumps(sam_too.chat(chat))


def test_an_administrators_key_looks_at_people_and_changes_none(team_of: Team) -> None:
    with team_of.client("admin") as admin:
        key = admin.make_key("prometheus", ["read", "write", "admin"], 1)["key"]
    with httpx.Client(base_url=team_of.server.api_url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        assert http.get("/metrics").status_code == 200
        user = http.get("/v1/users").json()["users"][0]["user_id"]
        assert http.post(f"/v1/users/{user}/invite").status_code == 403
        assert http.post("/v1/users", json={"name": "mine", "is_admin": True}).status_code == 403
        assert http.patch(f"/v1/users/{user}", json={"active": False}).status_code == 403


@pytest.mark.parametrize("path", ["/mcp", "/v1/collections/of-sam/jobs/pause", "/v1/jobs/j/pause", "/v1/chats"])
def test_a_body_that_does_not_say_how_long_it_is_is_bounded_while_it_arrives(team_of: Team, path: str) -> None:
    at = urlsplit(team_of.server.api_url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Type: application/json\r\nAccept: application/json, "
        f"text/event-stream\r\nAuthorization: Bearer {team_of.tokens['sam']}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with socket.create_connection((str(at.hostname), at.port or 80), timeout=20) as line:
        line.sendall(head.encode())
        with contextlib.suppress(ConnectionError):  # it need not hear the end
            for _ in range(33):
                line.sendall(b"100000\r\n" + b" " * 2**20 + b"\r\n")
        assert line.recv(4096).startswith(b"HTTP/1.1 413")


def test_what_an_mcp_client_does_is_noted_with_the_address_that_it_came_from(team_of: Team, sam: httpx.Client) -> None:
    key = sam.post("/v1/keys", json={"name": "mcp", "scopes": ["read", "write"]}).json()["key"]

    async def talk() -> None:
        elsewhere = httpx2.AsyncHTTPTransport(local_address="127.0.0.5")
        http = httpx2.AsyncClient(transport=elsewhere, headers={"Authorization": f"Bearer {key}"}, timeout=60)
        async with http, McpClient(streamable_http_client(f"{team_of.server.api_url}/mcp", http_client=http)) as mcp:
            made = await mcp.call_tool("ingest", {"collection": "of-sam", "name": "n.md", "text": "A note of today."})
            assert not made.is_error, made.content

    asyncio.run(talk())
    with team_of.http("admin") as admin:
        newest = admin.get("/v1/audit", params={"action": "document.upload", "limit": 1}).json()["entries"][0]
    assert (newest["name"], newest["address"]) == ("sam", "127.0.0.5")


def test_the_workers_routes_are_refused_before_a_body_is_read(team_of: Team) -> None:
    at = urlsplit(team_of.server.api_url)
    head = f"POST /internal/claim HTTP/1.1\r\nHost: {at.netloc}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((str(at.hostname), at.port or 80), timeout=20) as line:
        line.sendall(head.encode())  # and no byte of a body, for which whoever reads it would wait
        assert line.recv(4096).startswith(b"HTTP/1.1 404")
