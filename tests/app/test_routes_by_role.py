"""Every route, asked by everybody: the owner of a collection, its editor and reader, a stranger, one who was let out, nobody.

The routes come from the application itself. One that is in no table here fails until somebody says who may use it.
"""

from __future__ import annotations

import json
import os
import types
from typing import Any

import httpx
import pytest

from app.api.access import ROUTES, route_table
from app.api.examples import FILE, recorded
from app.api.main import create_app
from core.settings import Settings
from tests.support.examples import as_text, example, shape
from tests.support.team import ROLES, Team

CANARY = "heliotropic-zanzibar"
TEXT = f"# The {CANARY} affair\n\nThe {CANARY} lamp burns for nine hours and is lit by Odo Harrow at dusk.\n"
C, D = "/v1/collections/vault", "/v1/documents/{doc_id}"

# What is sent with a route, where it takes more than its path: JSON that is valid, so that only rights can refuse it.
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/collections"): {"name": "new-of-{who}"},
    ("PATCH", "/v1/collections/{collection}"): {"pii": "flag"},
    ("PUT", "/v1/collections/{collection}/members/{name}"): {"role": "reader"},
    ("POST", "/v1/collections/{collection}/reindex"): {"chunk_tokens": 100},
    ("POST", "/v1/collections/{collection}/reindex/estimate"): {"chunk_tokens": 90},
    ("POST", "/v1/collections/{collection}/tune"): {
        "questions": [{"id": "1", "query": "lamp", "docs": {"{doc_id}": 1}}],
        "apply": True,
    },
    ("POST", "/v1/collections/{collection}/calibrate"): {
        "questions": [{"id": "1", "question": "Who lights the lamp?"}]
    },
    ("POST", "/v1/collections/{collection}/urls"): {"urls": ["http://127.0.0.1:9/x"]},
    ("PUT", "/v1/documents/{doc_id}/tags"): {"tags": ["seen by {who}"]},
    ("POST", "/v1/search"): {"query": "lamp", "collections": ["vault"]},
    ("POST", "/v1/ask"): {"question": "Who lights the lamp?", "collections": ["vault"]},
    ("POST", "/v1/check"): {"claim": "Odo Harrow lights the lamp.", "collections": ["vault"]},
    ("POST", "/v1/chat/completions"): {
        "model": "openbook/vault",
        "messages": [{"role": "user", "content": "Who lights the lamp?"}],
    },
    ("POST", "/v1/chats"): {"title": "t"},
    ("PATCH", "/v1/chats/{chat_id}"): {"title": "t"},
    ("POST", "/v1/chats/{chat_id}/messages"): {"question": "Who lights the lamp?", "collections": ["vault"]},
    ("POST", "/v1/chats/{chat_id}/messages/{message_id}/edit"): {"question": "Who lights the lamp?"},
    ("POST", "/v1/chats/{chat_id}/messages/{message_id}/regenerate"): {},
    ("POST", "/v1/chats/{chat_id}/messages/{message_id}/compare"): {},
    ("POST", "/v1/chats/{chat_id}/messages/{message_id}/vote"): {"choice": "1"},
    ("POST", "/v1/chats/{chat_id}/pairs"): {"question": "Who lights the lamp?"},
    ("PUT", "/v1/chats/{chat_id}/messages/{message_id}/feedback"): {"good": True},
    ("POST", "/v1/runs/{run_id}/approve"): {"approval_id": "a", "yes": True},
    ("POST", "/v1/evals/sets/from-feedback"): {"collection": "vault"},
    ("POST", "/v1/evals/{eval_id}/votes"): {"ballot": "b", "choice": "left"},
    ("POST", "/v1/evals/{eval_id}/judge"): {"a": 0, "b": 1},
    ("POST", "/v1/evals"): {"set_id": "{set_id}", "configurations": [{"retriever": "bm25"}], "which": "not rejected"},
    ("POST", "/v1/evals/sets"): {"collection": "vault", "n": 2},
    ("POST", "/v1/evals/sets/import"): {
        "collection": "vault",
        "text": "q,a\nWho?,Odo\n",
        "mapping": {"question": "q", "answers": "a", "document": None},
    },
    ("POST", "/v1/evals/sets/{set_id}/decide"): {"approved": True},
    ("POST", "/v1/sessions"): {"name": "nobody", "password": "not a password"},
    ("POST", "/v1/invites/accept"): {"token": "x", "name": "n", "password": "four other words"},
    ("POST", "/v1/me/password"): {"old": "not a password", "new": "four other words"},
    ("POST", "/v1/keys"): {"name": "k"},
    ("POST", "/v1/users"): {"name": "x"},
    ("PATCH", "/v1/users/{user_id}"): {"active": True},
    ("*", "/mcp"): {"jsonrpc": "2.0", "id": 1, "method": "ping"},
}
QUERIES: dict[tuple[str, str], dict[str, str]] = {
    ("GET", "/v1/search/facets"): {"collection": "vault"},
    ("GET", "/v1/jobs"): {"collection": "vault"},
    ("GET", "/v1/evals/{eval_id}/compare"): {"a": "0", "b": "0"},
    ("GET", "/v1/traces/{run_id}/diff"): {"other": "{run_id}"},
}
FILES = {
    ("POST", "/v1/collections/{collection}/documents"),
    ("POST", "/v1/preview"),
    ("POST", "/v1/chats/{chat_id}/files"),
}
# What ends a session, a collection or a document is asked last, in this order.
LAST = [
    ("DELETE", "/v1/chats/{chat_id}/files/{job_id}"),
    ("DELETE", "/v1/chats/{chat_id}/share"),
    ("DELETE", "/v1/jobs/{job_id}"),
    ("DELETE", "/v1/traces/{run_id}"),
    ("DELETE", "/v1/evals/{eval_id}"),
    ("DELETE", "/v1/evals/sets/{set_id}"),
    ("DELETE", "/v1/chats/{chat_id}"),
    ("DELETE", "/v1/documents/{doc_id}"),
    ("DELETE", "/v1/collections/{collection}"),
    ("POST", "/v1/sessions/rotate"),
    ("DELETE", "/v1/sessions/current"),
]


def table() -> list[tuple[str, str]]:
    app = create_app(types.SimpleNamespace(settings=Settings()), None)  # type: ignore[arg-type]
    return [key for key in route_table(app.router.routes) if not key[1].startswith("/internal/")]


def order(key: tuple[str, str]) -> tuple[int, tuple[str, str]]:
    return (LAST.index(key) + 1 if key in LAST else 0, key)


@pytest.fixture(scope="module")
def world(signed_in: Team) -> Team:
    made = signed_in
    for name in ("owner", "editor", "reader", "stranger", "revoked", "bystander"):
        made.add(name)
    with made.client("owner") as owner:
        owner.create_collection("vault")
        for role in ("editor", "reader"):
            owner.set_member("vault", role, role)
        owner.set_member("vault", "revoked", "editor")
    job = made.upload("owner", "vault", "affair.md", TEXT)
    with made.client("revoked") as once, made.client("owner") as owner:
        assert once.search("lamp", ["vault"]) and once.search("lamp", []), "a cache may remember that"
        owner.remove_member("vault", "revoked")
        assert once.search("lamp", []) == []
        chat = owner.create_chat(["vault"])
        with owner.chat_stream(chat["chat_id"], "Who lights the lamp?") as said:
            list(said)
        answer = owner.chat(chat["chat_id"])["messages"][-1]
        # Another one, so that what is done to the first leaves it as it is.
        shared = owner.create_chat(["vault"])
        with owner.chat_stream(shared["chat_id"], "Who lights the lamp?") as said:
            list(said)
        owner.share_chat(shared["chat_id"])
        run = owner.ask("Who lights the lamp?", ["vault"])
        made_set = owner.make_questions("vault", 2)
        owner.decide_questions(made_set["set_id"], True)
        found = owner.start_eval(made_set["set_id"], [{"retriever": "bm25"}], which="not rejected")
        key = owner.make_key("k", ["read"], 1)
        assert CANARY in json.dumps(run), "there is something to leak"
        made.ids = {
        "collection": "vault", "doc_id": job["doc_id"], "job_id": job["job_id"], "chat_id": chat["chat_id"],
        "run_id": run["run_id"], "set_id": made_set["set_id"], "eval_id": found["eval_id"], "key_id": key["key_id"],
        "user_id": "local", "name": "bystander", "number": "1", "model:path": "openbook/vault", "message_id": answer["message_id"],
        "shared_id": shared["chat_id"],
        }  # fmt: skip
    return made


def filled(value: Any, ids: dict[str, str], who: str) -> Any:
    text = json.dumps(value).replace("{who}", who)
    for name, found in ids.items():
        text = text.replace("{" + name + "}", found)
    return json.loads(text)


def asked(world: Team, http: httpx.Client, key: tuple[str, str], who: str) -> httpx.Response:
    method, path = key
    url = filled(path, world.ids, who)
    options: dict[str, Any] = {"params": filled(QUERIES.get(key), world.ids, who)}
    if key in FILES:
        options["files"] = {"files": (f"{who}.md", b"# A file\n\nOf a few words.\n", "text/markdown")}
    elif key in BODIES:
        options["json"] = filled(BODIES[key], world.ids, who)
        options["headers"] = {"Accept": "application/json, text/event-stream"}
    return http.request("POST" if method == "*" else method, url, **options)


def test_every_route_is_in_the_table() -> None:
    missing = [key for key in table() if key not in ROUTES]
    assert missing == [], "say in app/api/access.py what these ask of whoever calls them"


def test_every_route_that_takes_a_body_has_one_here() -> None:
    app = create_app(types.SimpleNamespace(settings=Settings()), None)  # type: ignore[arg-type]
    said = app.openapi()["paths"]
    needed = {
        (method.upper(), path)
        for path, methods in said.items()
        for method, about in methods.items()
        if about.get("requestBody", {}).get("required")
    }
    known = {(m, p.replace("{model:path}", "{model}")) for m, p in (*BODIES, *FILES)}
    assert needed - known == set(), "give these a valid body, or their rights are not tested"


def named(key: tuple[str, str]) -> str:
    """As the OpenAPI document calls it."""
    return f"{key[0]} {key[1].replace(':path', '')}"


def expected(key: tuple[str, str], who: str) -> set[int] | None:
    """The statuses that are right; None: anything but a refusal."""
    access = ROUTES[key]
    if access.needs == "nobody":
        return None
    if who == "anonymous":
        return {401}
    if access.needs == "admin":
        return {403}
    rank = {"owner": 3, "editor": 2, "reader": 1}.get(who, 0)
    if access.role in ("reader", "editor", "owner"):
        if rank == 0:
            return {404}
        if rank < {"reader": 1, "editor": 2, "owner": 3}[access.role]:
            return {403}
        return None
    if access.role == "own" and who != "owner" and "{" in key[1]:
        return {404}
    return None


def test_an_administrator_sees_people_and_not_what_is_in_their_collections(world: Team) -> None:
    with world.http("admin") as http, world.http("owner") as owner:
        assert owner.post("/v1/search", json={"query": "lamp"}).json()["hits"] != []
        assert http.get("/v1/users").status_code == 200 and http.get("/metrics").status_code == 200
        assert http.get("/v1/audit").status_code == 200
        assert http.get("/v1/collections/vault/documents").status_code == 404
        assert http.post("/v1/search", json={"query": "lamp"}).json()["hits"] == []


def test_a_shared_conversation_is_read_by_the_roles_of_its_collection_alone(world: Team) -> None:
    for who in ROLES:
        with world.http(who) as http:
            reply = http.get(filled("/v1/chats/shared/{shared_id}", world.ids, who))
        right = {"editor": 200, "reader": 200, "anonymous": 401}.get(who, 404)  # to its owner it is no one else's
        assert (reply.status_code, CANARY in reply.text) == (right, right == 200), who


def test_each_role_may_do_on_each_route_what_the_table_says_and_is_told_nothing_else(world: Team) -> None:
    wrong, leaks = [], []
    examples: dict[str, dict[str, Any]] = {}
    clients = {who: world.http(who) for who in ROLES}
    for key in sorted((k for k in table() if k in ROUTES), key=order):
        # Who may do least begins, so that what is to be refused is still there.
        for who in reversed(ROLES):
            reply = asked(world, clients[who], key, who)
            right = expected(key, who)
            shown = who == "owner" and key[1] != "/openapi.json"
            if shown and (found := example(filled(BODIES.get(key), world.ids, who), reply)) is not None:
                examples[named(key)] = found
            if right is not None and reply.status_code not in right:
                wrong.append(f"{who} {key}: {reply.status_code}, not {right}: {reply.text[:150]}")
            elif right is None and (reply.status_code in (403, 405) or reply.status_code >= 500):
                wrong.append(f"{who} {key}: {reply.status_code}: {reply.text[:150]}")
            elif right is None and reply.status_code == 401 and ROUTES[key].needs != "nobody":
                wrong.append(f"{who} {key}: 401")
            if who in ("stranger", "revoked", "anonymous") and (CANARY in reply.text or "affair" in reply.text):
                leaks.append(f"{who} {key}: {reply.text[:200]}")
    for http in clients.values():
        http.close()
    with world.http("admin") as admin:
        for key in (k for k in table() if ROUTES[k].needs == "admin" and k[0] == "GET"):
            if (found := example(None, asked(world, admin, key, "admin"))) is not None:
                examples[named(key)] = found
    if os.environ.get("OPENBOOK_TEST_RECORD") == "1":
        # Without the words that would tell of a leak: everybody reads the document.
        said = as_text({**recorded(), **examples}).replace(CANARY, "harbour").replace("affair", "report")
        FILE.write_text(said, "utf-8")
    else:
        stale = [
            route
            for route, found in examples.items()
            if "reply" in found and shape(recorded().get(route, {}).get("reply")) != shape(found["reply"])
        ]
        assert stale == [], "OPENBOOK_TEST_RECORD=1 writes their examples anew"
    assert not wrong, "\n".join(wrong)
    assert not leaks, "\n".join(leaks)


def test_the_routes_of_the_worker_are_there_for_nobody(world: Team) -> None:
    for who in ("admin", "owner", "anonymous"):
        with world.http(who) as http:
            for method, path in (
                ("POST", "/internal/claim"),
                ("POST", "/internal/upkeep/backup"),
                ("POST", "/internal/first-token"),
            ):
                assert http.request(method, path, json={}).status_code == 404
