"""A real server where people sign in, with one person for each role of one collection."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.client import Client
from tests.support.jobs import settled
from tests.support.servers import RunningServer, openbook_server

PASSWORD = "four words nobody guesses"
ROLES = ("owner", "editor", "reader", "stranger", "revoked", "anonymous")


@dataclass(slots=True)
class Team:
    server: RunningServer
    tokens: dict[str, str] = field(default_factory=dict)  # of a session, by role, and "admin"
    ids: dict[str, str] = field(default_factory=dict)  # what is the owner's, or in the owner's collection

    def client(self, who: str) -> Client:
        return Client(self.server.api_url, self.tokens.get(who))

    def http(self, who: str, headers: Mapping[str, str] | None = None) -> httpx.Client:
        token = self.tokens.get(who)
        own = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.server.api_url, headers={**own, **(headers or {})}, timeout=120)

    def add(self, name: str, **options: bool) -> None:
        """Somebody new, with a session."""
        with self.client("admin") as admin, self.client("anonymous") as nobody:
            invite = admin.add_user(name, **options)["invite"]
            self.tokens[name] = nobody.accept_invite(invite, name, PASSWORD)["token"]

    def upload(self, who: str, collection: str, name: str, text: str) -> dict[str, Any]:
        with self.client(who) as client:
            (job,) = client.upload(collection, [(name, io.BytesIO(text.encode()))])
            done = settled(client, job["job_id"])
        assert done["state"] == "ready", done
        return dict(done)


@contextmanager
def team(data_dir: Path, *, ui: bool = False, env: Mapping[str, str] | None = None) -> Iterator[Team]:
    """The first administrator has joined; nobody else is there yet."""
    given = {"OPENBOOK_IDENTITY": "password", "OPENBOOK_EXTRACT_THRESHOLD": "0.2", **(env or {})}
    with openbook_server(data_dir, ui=ui, env=given) as server:
        found = re.search(r"(?:join#|give it )(\S{43})", server.output)
        assert found, server.output
        made = Team(server)
        with made.client("anonymous") as nobody:
            made.tokens["admin"] = nobody.accept_invite(found.group(1), "admin", PASSWORD)["token"]
        yield made
