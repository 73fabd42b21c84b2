"""What each route asks of whoever calls it. One table; a route that is not in it is an administrator's alone.

``needs`` is what the credential has to allow, whatever the request is about:

    nobody     no sign-in: what a page needs before there is one, and what says no more than the source code does
    read       looking at collections, documents, jobs, results, one's own chats and traces
    ask        searching and asking, which takes time of the models
    write      changing anything
    account    one's own password, sessions and keys: never by a key, which could give itself more
    admin      people, and what concerns all of them
    machine    the worker, and commands of whoever can read the data directory; does not exist for anybody else

``role`` is the least role in a collection that the request names, or that what it names is in. It is checked where the data
is (``retrieval.access``), and here only said, so that tests can hold the one against the other; of a shared conversation, in every
collection that its answers were looked for in. "own" is what belongs to one person, and "" what is about no collection. ``audit`` is what the audit log calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from starlette.routing import compile_path

Needs: TypeAlias = Literal["nobody", "read", "ask", "write", "account", "admin", "machine"]
NeedsRole: TypeAlias = Literal["", "own", "reader", "editor", "owner"]


@dataclass(frozen=True, slots=True)
class Access:
    needs: Needs
    role: NeedsRole = ""
    audit: str = ""


_C = "/v1/collections/{collection}"
_D = "/v1/documents/{doc_id}"
_J = "/v1/jobs/{job_id}"
_CHAT = "/v1/chats/{chat_id}"
_E = "/v1/evals/{eval_id}"
_SET = "/v1/evals/sets/{set_id}"
UNCLASSIFIED = Access("admin")

ROUTES: Mapping[tuple[str, str], Access] = {
    # ---- before anybody has signed in
    ("GET", "/"): Access("nobody"),
    ("GET", "/docs"): Access("nobody"),
    ("GET", "/openapi.json"): Access("nobody"),
    ("GET", "/swagger/favicon-32x32.png"): Access("nobody"),
    ("GET", "/swagger/swagger-ui-bundle.js"): Access("nobody"),
    ("GET", "/swagger/swagger-ui.css"): Access("nobody"),
    ("GET", "/health"): Access("nobody"),
    ("GET", "/ready"): Access("nobody"),
    ("GET", "/v1/identity"): Access("nobody"),
    ("POST", "/v1/sessions"): Access("nobody", audit="session.begin"),
    ("POST", "/v1/invites/accept"): Access("nobody", audit="invite.accept"),
    # ---- oneself
    ("GET", "/v1/me"): Access("read", "own"),
    ("DELETE", "/v1/sessions/current"): Access("account", "own", "session.end"),
    ("POST", "/v1/sessions/rotate"): Access("account", "own"),
    ("POST", "/v1/me/password"): Access("account", "own", "password.change"),
    ("GET", "/v1/keys"): Access("account", "own"),
    ("POST", "/v1/keys"): Access("account", "own", "key.create"),
    ("DELETE", "/v1/keys/{key_id}"): Access("account", "own", "key.delete"),
    # ---- everybody
    ("GET", "/v1/users"): Access("admin"),
    ("POST", "/v1/users"): Access("admin", audit="user.create"),
    ("PATCH", "/v1/users/{user_id}"): Access("admin", audit="user.change"),
    ("POST", "/v1/users/{user_id}/invite"): Access("admin", audit="user.invite"),
    ("GET", "/v1/system/machine"): Access("admin"),
    ("GET", "/v1/users/keys"): Access("admin"),
    ("GET", "/v1/users/collections"): Access("admin"),
    ("GET", "/v1/audit"): Access("admin"),
    ("GET", "/metrics"): Access("admin"),
    # ---- the server itself
    ("GET", "/v1/strategies"): Access("read"),
    ("GET", "/v1/system"): Access("read"),
    # ---- collections
    ("GET", "/v1/collections"): Access("read", "own"),
    ("POST", "/v1/collections"): Access("write", "own", "collection.create"),
    ("PATCH", _C): Access("write", "owner", "collection.change"),
    ("DELETE", _C): Access("write", "owner", "collection.delete"),
    ("GET", f"{_C}/members"): Access("read", "reader"),
    ("PUT", f"{_C}/members/{{name}}"): Access("write", "owner", "member.set"),
    ("DELETE", f"{_C}/members/{{name}}"): Access("write", "owner", "member.remove"),
    ("POST", f"{_C}/reindex"): Access("write", "editor", "collection.reindex"),
    ("POST", f"{_C}/reindex/estimate"): Access("read", "editor"),
    ("POST", f"{_C}/rollback"): Access("write", "editor", "collection.rollback"),
    ("DELETE", f"{_C}/previous"): Access("write", "editor", "collection.drop-previous"),
    ("POST", f"{_C}/tune"): Access("write", "owner", "collection.tune"),
    ("DELETE", f"{_C}/fusion"): Access("write", "owner", "collection.tune"),
    ("POST", f"{_C}/calibrate"): Access("write", "owner", "collection.calibrate"),
    ("GET", f"{_C}/calibration"): Access("read", "reader"),
    ("DELETE", f"{_C}/calibration"): Access("write", "owner", "collection.calibrate"),
    # ---- documents and the jobs that bring them
    ("GET", f"{_C}/documents"): Access("read", "reader"),
    ("POST", f"{_C}/documents"): Access("write", "editor", "document.upload"),
    ("POST", f"{_C}/urls"): Access("write", "editor", "document.fetch"),
    ("POST", f"{_C}/jobs/pause"): Access("write", "editor", "job.pause"),
    ("POST", f"{_C}/jobs/resume"): Access("write", "editor", "job.resume"),
    ("GET", _D): Access("read", "reader"),
    ("DELETE", _D): Access("write", "editor", "document.delete"),
    ("PUT", f"{_D}/tags"): Access("write", "editor", "document.tag"),
    ("GET", f"{_D}/chunks"): Access("read", "reader"),
    ("GET", f"{_D}/content"): Access("read", "reader"),
    ("GET", f"{_D}/near-duplicates"): Access("read", "reader"),
    ("GET", f"{_D}/pages/{{number}}.png"): Access("read", "reader"),
    ("POST", "/v1/preview"): Access("write"),
    ("GET", "/v1/jobs"): Access("read", "own"),
    ("GET", _J): Access("read", "own"),
    ("DELETE", _J): Access("write", "own", "job.cancel"),
    ("GET", f"{_J}/events"): Access("read", "own"),
    ("POST", f"{_J}/pause"): Access("write", "own", "job.pause"),
    ("POST", f"{_J}/resume"): Access("write", "own", "job.resume"),
    ("POST", f"{_J}/retry"): Access("write", "own", "job.retry"),
    # ---- searching and asking
    ("POST", "/v1/search"): Access("ask", "reader"),
    ("GET", "/v1/search/facets"): Access("read", "reader"),
    ("POST", "/v1/ask"): Access("ask", "reader"),
    ("POST", "/v1/check"): Access("ask", "reader"),
    ("GET", "/v1/runs"): Access("read", "own"),
    ("POST", "/v1/runs/{run_id}/cancel"): Access("ask", "own"),
    ("POST", "/v1/runs/{run_id}/approve"): Access("ask", "own", "run.approve"),
    ("POST", "/v1/chat/completions"): Access("ask", "reader"),
    ("GET", "/v1/models"): Access("read", "own"),
    ("GET", "/v1/models/{model:path}"): Access("read", "reader"),
    # Its tools are calls of the routes above, each of which is looked at by itself.
    ("*", "/mcp"): Access("read", "own"),
    # ---- chats, traces, evaluations: one person's
    ("GET", "/v1/chats"): Access("read", "own"),
    ("POST", "/v1/chats"): Access("ask", "own"),
    ("GET", _CHAT): Access("read", "own"),
    ("PATCH", _CHAT): Access("ask", "own"),
    ("DELETE", _CHAT): Access("ask", "own"),
    ("POST", f"{_CHAT}/messages"): Access("ask", "own"),
    ("POST", f"{_CHAT}/messages/{{message_id}}/edit"): Access("ask", "own"),
    ("POST", f"{_CHAT}/messages/{{message_id}}/regenerate"): Access("ask", "own"),
    ("POST", f"{_CHAT}/messages/{{message_id}}/select"): Access("ask", "own"),
    ("PUT", f"{_CHAT}/messages/{{message_id}}/feedback"): Access("ask", "own"),
    ("DELETE", f"{_CHAT}/messages/{{message_id}}/feedback"): Access("ask", "own"),
    ("GET", "/v1/chats/votes"): Access("read", "own"),
    ("POST", f"{_CHAT}/pairs"): Access("ask", "own"),
    ("POST", f"{_CHAT}/messages/{{message_id}}/compare"): Access("ask", "own"),
    ("POST", f"{_CHAT}/messages/{{message_id}}/vote"): Access("ask", "own"),
    ("POST", f"{_CHAT}/files"): Access("write", "own", "chat.attach"),
    ("DELETE", f"{_CHAT}/files/{{job_id}}"): Access("write", "own", "chat.detach"),
    ("GET", f"{_CHAT}/export"): Access("read", "own"),
    ("PUT", f"{_CHAT}/share"): Access("write", "own", "chat.share"),
    ("DELETE", f"{_CHAT}/share"): Access("write", "own", "chat.unshare"),
    ("GET", "/v1/chats/shared"): Access("read", "own"),
    ("GET", "/v1/chats/shared/{shared_id}"): Access("read", "reader"),
    ("GET", "/v1/chats/shared/{shared_id}/export"): Access("read", "reader"),
    ("GET", "/v1/traces"): Access("read", "own"),
    ("GET", "/v1/traces/{run_id}"): Access("read", "own"),
    ("GET", "/v1/traces/{run_id}/diff"): Access("read", "own"),
    ("DELETE", "/v1/traces/{run_id}"): Access("ask", "own"),
    ("POST", "/v1/traces/{run_id}/replay"): Access("ask", "own"),
    ("GET", "/v1/evals"): Access("read", "own"),
    ("POST", "/v1/evals"): Access("ask", "own"),
    ("GET", "/v1/evals/sets"): Access("read", "own"),
    ("POST", "/v1/evals/sets"): Access("ask", "reader"),
    ("POST", "/v1/evals/sets/import"): Access("ask", "reader"),
    ("POST", "/v1/evals/sets/from-feedback"): Access("ask", "reader"),
    ("GET", f"{_SET}/leaderboard"): Access("read", "own"),
    ("GET", f"{_SET}/contamination"): Access("read", "own"),
    ("GET", _SET): Access("read", "own"),
    ("DELETE", _SET): Access("ask", "own"),
    ("POST", f"{_SET}/decide"): Access("ask", "own"),
    ("GET", "/v1/evals/choices"): Access("read"),
    ("GET", _E): Access("read", "own"),
    ("DELETE", _E): Access("ask", "own"),
    ("POST", f"{_E}/cancel"): Access("ask", "own"),
    ("POST", f"{_E}/resume"): Access("ask", "own"),
    ("GET", f"{_E}/leaderboard"): Access("read", "own"),
    ("GET", f"{_E}/ballot"): Access("read", "own"),
    ("POST", f"{_E}/votes"): Access("ask", "own"),
    ("GET", f"{_E}/votes"): Access("read", "own"),
    ("GET", f"{_E}/events"): Access("read", "own"),
    ("GET", f"{_E}/result"): Access("read", "own"),
    ("GET", f"{_E}/compare"): Access("read", "own"),
    ("GET", f"{_E}/report"): Access("read", "own"),
    ("POST", f"{_E}/judge"): Access("ask", "own"),
    ("GET", f"{_E}/judge"): Access("read", "own"),
}


class Lookup:
    """Finds the entry of a request before the application has routed it."""

    def __init__(self, routes: Mapping[tuple[str, str], Access] = ROUTES) -> None:
        self._plain = {key: access for key, access in routes.items() if "{" not in key[1]}
        self._patterns = [(m, compile_path(p)[0], access) for (m, p), access in routes.items() if "{" in p]

    def find(self, method: str, path: str) -> tuple[Access, Mapping[str, str]]:
        """The entry and what stands for its parameters; ``UNCLASSIFIED`` where there is none."""
        if path.startswith("/internal/"):
            return Access("machine"), {}
        method = "GET" if method == "HEAD" else method
        for key in ((method, path), ("*", path)):
            if key in self._plain:
                return self._plain[key], {}
        for of, pattern, access in self._patterns:
            if of == method and (found := pattern.match(path)):
                return access, found.groupdict()
        return UNCLASSIFIED, {}


def takes_files(path: str) -> bool:
    """Whether what is sent there is read piece by piece, and bounded by the route itself."""
    return path == "/v1/preview" or path.endswith(("/documents", "/files")) or path.startswith("/internal/")


def route_table(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """(method, path) of every route of an application, those of its routers too; "*" for one that takes any method."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from route_table(inner.routes)
            continue
        for method in sorted(set(route.methods or {"*"}) - {"HEAD"}):
            yield method, route.path
