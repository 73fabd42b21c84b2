"""People who sign in: made, invited, let in by their password, let go.

Signing in takes as long for a name that is not there as for one that is, and says no more of the one than of the other.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, and_, delete, insert, select, update

from app.credentials import Credentials
from app.passwords import check_password, hash_password, is_password
from app.people import Person, User, invites, later, new_token, token_hash, users
from app.throttle import Throttle
from core.clock import now_iso
from core.database import Database
from core.errors import Busy, Conflict, InvalidRequest, NotFound, NotSignedIn
from core.ids import new_id
from core.types import LOCAL_USER_ID

FIRST_TOKEN_DAYS = 1
INVITE_DAYS = 7
MAX_NAME = 100
_AT_ONCE = 2  # passwords being hashed: each takes a processor and 46 MiB
_WAITING = 4  # sign-ins under way, those included: each holds one of the few threads that everybody waits for


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    user: User
    token: str  # the session's; it is nowhere else
    expires_at: str


class Identity:
    """The people of an installation whose setting ``identity`` is ``password``."""

    def __init__(self, database: Database, credentials: Credentials) -> None:
        self._database = database
        self._credentials = credentials
        self._by_account = Throttle(free=5)
        self._by_address = Throttle(free=30, most_s=300.0)
        self._hashing = threading.BoundedSemaphore(_AT_ONCE)
        self._waiting = threading.BoundedSemaphore(_WAITING)

    # ------------------------------------------------------------ the first one

    def first_token(self) -> str | None:
        """A new one-time token for who becomes the first administrator; None if there is one who can sign in.

        An earlier token counts no more. The first administrator is the local user, with all that was there before.
        """
        with self._database.write() as connection:
            admins = select(users.c.user_id).where(users.c.is_admin, users.c.active, users.c.password_hash.is_not(None))
            if connection.execute(admins).first() is not None:
                return None
            me = users.c.user_id == LOCAL_USER_ID
            connection.execute(update(users).where(me).values(is_admin=True, active=True))
            return self._invite(connection, LOCAL_USER_ID, FIRST_TOKEN_DAYS)[0]

    def needs_first(self) -> bool:
        with self._database.read() as connection:
            found = connection.execute(select(users.c.user_id).where(users.c.password_hash.is_not(None))).first()
        return found is None

    # ------------------------------------------------------------ coming in

    def sign_in(self, name: str, password: str, address: str) -> SignedIn:
        """A new session, whatever was there before: a token that somebody planted is never made good.

        Args:
            address: where this comes from, which is held up like a name is.

        Raises:
            NotSignedIn: the name or the password is wrong, or the person is no longer let in.
            Busy: too many have failed lately, or too many are being looked at.
        """
        account = _login(name)[:MAX_NAME]
        for throttle, key in ((self._by_account, account), (self._by_address, address)):
            throttle.check(key)
        with self._database.read() as connection:
            row = connection.execute(select(users).where(users.c.login == account)).one_or_none()
        right = self._is_password(password, row.password_hash if row is not None else None)
        if row is None or not right or not row.active:
            self._by_account.failed(account)
            self._by_address.failed(address)
            raise NotSignedIn("that name and password do not belong together", code="wrong-password")
        self._by_account.succeeded(account)
        self._by_address.succeeded(address)
        with self._database.write() as connection:
            # The password may have been changed while this one was being looked at, and all sessions ended.
            now = connection.execute(select(users).where(users.c.user_id == row.user_id)).one()
            if now.password_hash != row.password_hash or not now.active:
                raise NotSignedIn("that name and password do not belong together", code="wrong-password")
            token, ends = self._credentials.begin(connection, row.user_id)
        return SignedIn(user=_as_user(row), token=token, expires_at=ends)

    def accept(self, token: str, name: str, password: str, address: str) -> SignedIn:
        """Makes good a one-time token: gives the invited person a name and a password, and a session.

        Raises:
            NotSignedIn: it is no token, has been used, or is too old.
            InvalidRequest, Conflict: the name or the password cannot be taken.
        """
        self._by_address.check(address)
        name = _check_name(name)
        check_password(password, name)
        invited = self._invited(token)
        if invited is None:
            self._by_address.failed(address)
            raise NotSignedIn(
                "this invitation is used up, too old, or none: ask an administrator for another "
                "(the first one: `openbook users first-token`)",
                code="bad-invite",
            )
        hashed = self._hash(password)
        with self._database.write() as connection:
            used = connection.execute(delete(invites).where(invites.c.token_hash == token_hash(token)))
            if used.rowcount == 0:
                raise NotSignedIn("this invitation has just been used", code="bad-invite")
            _check_free(connection, name, invited)
            self._credentials.end_all(connection, invited, keys=False)
            values = {"name": name, "login": _login(name), "password_hash": hashed}
            connection.execute(update(users).where(users.c.user_id == invited).values(**values))
            session, ends = self._credentials.begin(connection, invited)
            user = _user(connection, invited)
        self._credentials.forget()
        return SignedIn(user=user, token=session, expires_at=ends)

    def change_password(self, person: Person, old: str, new: str) -> SignedIn:
        """Another password; all other sessions end, and this one goes on under another token. Keys stay.

        Raises:
            InvalidRequest: the old one is wrong, or the new one cannot be one.
        """
        with self._database.read() as connection:
            row = connection.execute(select(users).where(users.c.user_id == person.user_id)).one()
        self._by_account.check(str(row.login))
        check_password(new, row.name)
        if not self._is_password(old, row.password_hash):
            self._by_account.failed(str(row.login))
            raise InvalidRequest("the old password is not right", code="wrong-password")
        hashed = self._hash(new)
        with self._database.write() as connection:
            self._credentials.end_all(connection, person.user_id, keys=False)
            mine = users.c.user_id == person.user_id
            connection.execute(update(users).where(mine).values(password_hash=hashed))
            token, ends = self._credentials.begin(connection, person.user_id)
        self._credentials.forget()
        return SignedIn(user=_as_user(row), token=token, expires_at=ends)

    # ------------------------------------------------------------ who there is

    def everybody(self) -> list[User]:
        with self._database.read() as connection:
            return [_as_user(row) for row in connection.execute(select(users).order_by(users.c.created_at))]

    def get(self, user_id: str) -> User:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _user(connection, user_id)

    def id_of(self, name: str) -> str:
        """The user_id of who is called so; empty where nobody is."""
        with self._database.read() as connection:
            found = connection.execute(
                select(users.c.user_id).where(users.c.login == _login(name))
            ).scalar_one_or_none()
        return found or ""

    def named(self, connection: Connection, name: str) -> User:
        """Raises NotFound."""
        row = connection.execute(select(users).where(users.c.login == _login(name))).one_or_none()
        if row is None:
            raise NotFound(f"nobody is called {name!r}: an administrator adds people", code="unknown-user")
        return _as_user(row)

    def add(self, name: str, *, is_admin: bool = False) -> tuple[User, str, str]:
        """A new person, the one-time token with which they set their password, and until when it holds.

        Raises InvalidRequest, Conflict: the name cannot be taken.
        """
        name, user_id = _check_name(name), new_id("u")
        with self._database.write() as connection:
            _check_free(connection, name, user_id)
            values = {"user_id": user_id, "name": name, "login": _login(name), "is_admin": is_admin, "active": True}
            connection.execute(insert(users).values(created_at=now_iso(), **values))
            return _user(connection, user_id), *self._invite(connection, user_id, INVITE_DAYS)

    def invite(self, user_id: str) -> tuple[str, str]:
        """Another one-time token, for who has lost the first, or the password. Raises NotFound, Conflict."""
        with self._database.write() as connection:
            if not _user(connection, user_id).active:
                raise Conflict("a person who is not let in cannot be invited: let them in first", code="not-active")
            return self._invite(connection, user_id, INVITE_DAYS)

    def change(self, user_id: str, *, active: bool | None = None, is_admin: bool | None = None) -> User:
        """Lets somebody in or out; makes an administrator of them, or no longer. Sessions end, and with ``active`` false
        keys too, at once.

        Raises:
            NotFound: nobody of that id.
            Conflict: nobody would be left to administer.
        """
        wanted = {key: value for key, value in (("active", active), ("is_admin", is_admin)) if value is not None}
        with self._database.write() as connection:
            _user(connection, user_id)
            if wanted:
                connection.execute(update(users).where(users.c.user_id == user_id).values(**wanted))
                self._credentials.end_all(connection, user_id, keys=active is False)
            left = and_(users.c.is_admin, users.c.active, users.c.password_hash.is_not(None))
            if connection.execute(select(users.c.user_id).where(left)).first() is None:
                raise Conflict(
                    "nobody would be left to administer: make another administrator first", code="last-admin"
                )
            found = _user(connection, user_id)
        self._credentials.forget()
        return found

    # ------------------------------------------------------------ small parts

    def _invited(self, token: str) -> str | None:
        query = (
            select(invites.c.user_id)
            .join(users)
            .where(invites.c.token_hash == token_hash(token), invites.c.expires_at > now_iso(), users.c.active)
        )
        with self._database.read() as connection:
            found: str | None = connection.execute(query).scalar_one_or_none()
        return found

    def _invite(self, connection: Connection, user_id: str, days: int) -> tuple[str, str]:
        connection.execute(delete(invites).where(invites.c.user_id == user_id))
        token, ends = new_token(), later(timedelta(days=days))
        values = {"token_hash": token_hash(token), "user_id": user_id, "created_at": now_iso(), "expires_at": ends}
        connection.execute(insert(invites).values(**values))
        return token, ends

    def _is_password(self, password: str, phc: str | None) -> bool:
        """As slow, and false, where there is none to compare with."""
        if phc is None:
            self._hash(password)
            return False
        return bool(self._slowly(is_password, password, phc))

    def _hash(self, password: str) -> str:
        return str(self._slowly(hash_password, password))

    def _slowly(self, work: Any, *args: Any) -> Any:
        if not self._waiting.acquire(blocking=False):
            raise Busy("many people are signing in just now", retry_after_s=2)
        try:
            with self._hashing:
                return work(*args)
        finally:
            self._waiting.release()


def _login(name: str) -> str:
    return " ".join(name.split()).casefold()


def _check_name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidRequest(f"a name has 1 to {MAX_NAME} characters that can be seen", code="bad-name")
    return name


def _check_free(connection: Connection, name: str, user_id: str) -> None:
    taken = select(users.c.user_id).where(users.c.login == _login(name), users.c.user_id != user_id)
    if connection.execute(taken).first() is not None:
        raise Conflict(f"somebody is called {name!r} already: take another name", code="name-taken")


def _user(connection: Connection, user_id: str) -> User:
    row = connection.execute(select(users).where(users.c.user_id == user_id)).one_or_none()
    if row is None:
        raise NotFound(f"no user {user_id!r}: list them to see their ids", code="unknown-user")
    return _as_user(row)


def _as_user(row: Any) -> User:
    return User(
        user_id=row.user_id, name=row.name, is_admin=row.is_admin, active=row.active,
        invited=row.password_hash is None, created_at=row.created_at,
    )  # fmt: skip
