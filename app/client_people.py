"""Calls about who there is: signing in, one's own account, members of a collection, and administration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from app.line import Line, given, seg


class PeopleCalls(Line):
    def identity(self) -> dict[str, Any]:
        """Whether people sign in, and whether there is a first administrator."""
        return self._json("GET", "/v1/identity")

    def sign_in(self, name: str, password: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A session; its token is good as this client's ``token``."""
        body = {"name": name, "password": password}
        return self._json("POST", "/v1/sessions", json=body, headers=dict(headers or {}))

    def accept_invite(
        self, token: str, name: str, password: str, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        body = {"token": token, "name": name, "password": password}
        return self._json("POST", "/v1/invites/accept", json=body, headers=dict(headers or {}))

    def me(self) -> dict[str, Any]:
        return self._json("GET", "/v1/me")

    def sign_out(self) -> None:
        self._send("DELETE", "/v1/sessions/current")

    def rotate_session(self) -> dict[str, Any]:
        return self._json("POST", "/v1/sessions/rotate")

    def change_password(self, old: str, new: str) -> dict[str, Any]:
        return self._json("POST", "/v1/me/password", json={"old": old, "new": new})

    # ---------------------------------------------------------------- keys

    def keys(self, everybodys: bool = False) -> list[dict[str, Any]]:
        found = self._json("GET", "/v1/users/keys" if everybodys else "/v1/keys")["keys"]
        return cast("list[dict[str, Any]]", found)

    def make_key(self, name: str, scopes: Sequence[str], days: int | None) -> dict[str, Any]:
        """``key`` of the answer is shown this once."""
        return self._json("POST", "/v1/keys", json={"name": name, "scopes": list(scopes), "days": days})

    def delete_key(self, key_id: str) -> None:
        self._send("DELETE", f"/v1/keys/{seg(key_id)}")

    # ---------------------------------------------------------------- members

    def members(self, collection: str) -> list[dict[str, Any]]:
        found = self._json("GET", f"/v1/collections/{seg(collection)}/members")["members"]
        return cast("list[dict[str, Any]]", found)

    def set_member(self, collection: str, name: str, role: str) -> dict[str, Any]:
        return self._json("PUT", f"/v1/collections/{seg(collection)}/members/{seg(name)}", json={"role": role})

    def remove_member(self, collection: str, name: str) -> None:
        self._send("DELETE", f"/v1/collections/{seg(collection)}/members/{seg(name)}")

    # ---------------------------------------------------------------- administration

    def users(self) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self._json("GET", "/v1/users")["users"])

    def add_user(self, name: str, is_admin: bool = False) -> dict[str, Any]:
        """``invite`` of the answer is shown this once."""
        return self._json("POST", "/v1/users", json={"name": name, "is_admin": is_admin})

    def change_user(self, user_id: str, active: bool | None = None, is_admin: bool | None = None) -> dict[str, Any]:
        return self._json("PATCH", f"/v1/users/{seg(user_id)}", json=given(active=active, is_admin=is_admin))

    def invite_user(self, user_id: str) -> dict[str, Any]:
        return self._json("POST", f"/v1/users/{seg(user_id)}/invite")

    def all_collections(self) -> list[dict[str, Any]]:
        """Names and owners alone."""
        return cast("list[dict[str, Any]]", self._json("GET", "/v1/users/collections")["collections"])

    def audit(
        self, user_id: str | None = None, action: str | None = None, limit: int = 100, cursor: int | None = None
    ) -> dict[str, Any]:
        params = given(user_id=user_id, action=action, limit=limit, cursor=cursor)
        return self._json("GET", "/v1/audit", params=params)

    def first_token(self) -> str | None:
        """For the first administrator; needs the token that lies in the data directory."""
        return cast("str | None", self._json("POST", "/internal/first-token")["token"])
