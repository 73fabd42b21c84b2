"""What shows who somebody is: sessions and API keys, made, recognised, ended.

What was recognised is remembered for as long as nothing changes, since it is asked with every request; this process is the
only writer, so whatever is changed here is true with the next request.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from app.people import (
    KEY_PREFIX,
    SCOPES,
    Person,
    Scope,
    api_keys,
    invites,
    later,
    new_token,
    sessions,
    token_hash,
    users,
)
from core.clock import now_iso
from core.database import Database
from core.errors import Conflict, Forbidden, InvalidRequest, NotFound, StorageFailed
from core.ids import new_id

PREFIX_CHARACTERS = len(KEY_PREFIX) + 6
ROTATION_GRACE_S = 60  # in which requests that were under way still carry the old token
MAX_KNOWN = 10_000
MAX_KEYS = 100  # of one person
MAX_TOKEN = 200  # characters; nothing longer is ours

logger = logging.getLogger(__name__)


class Credentials:
    """
    Args:
        clock: the time as ``core.clock`` writes it, for when a key was last used.
    """

    def __init__(self, database: Database, session_days: int, clock: Callable[[], str] = now_iso) -> None:
        self._database = database
        self._session_days = session_days
        self._clock = clock
        self._known: OrderedDict[str, tuple[Person, str]] = OrderedDict()  # with the hour in which it was looked up
        self._turn = 0  # counts what was forgotten, so that nothing read before is remembered after
        self._lock = threading.Lock()

    # ------------------------------------------------------------ recognised

    def known(self, token: str) -> Person | None:
        """Who a token belongs to, if that is remembered. Reads nothing, so the event loop may ask."""
        with self._lock:
            found, hour = self._known.get(token_hash(token), (None, ""))
        if found is None or _over(found.expires_at):
            return None
        # With its first use in another hour a key is looked up again, and the use noted.
        return found if found.by != "key" or hour == self._hour() else None

    def person(self, token: str) -> Person | None:
        """Whose session or key this is; None if it is nobody's (any more)."""
        if not token or len(token) > MAX_TOKEN:
            return None
        if (found := self.known(token)) is not None:
            return found
        hashed = token_hash(token)
        with self._lock:
            turn = self._turn
        with self._database.read() as connection:
            found = _of_key(connection, hashed) if token.startswith(KEY_PREFIX) else _of_session(connection, hashed)
        if found is None or _over(found.expires_at):
            return None
        hour = self._hour()
        if found.by == "key":
            self._note_use(found.credential, hour)
        with self._lock:
            if turn == self._turn:
                self._known[hashed] = found, hour
                while len(self._known) > MAX_KNOWN:
                    self._known.popitem(last=False)
        return found

    def forget(self) -> None:
        """To be called after every change of a person, session or key, within or after its transaction."""
        with self._lock:
            self._known.clear()
            self._turn += 1

    def _note_use(self, key_id: str, hour: str) -> None:
        mine = api_keys.c.key_id == key_id
        with self._database.read() as connection:
            if connection.execute(select(api_keys.c.used_at).where(mine)).scalar_one_or_none() == hour:
                return
        try:
            with self._database.write() as connection:
                connection.execute(update(api_keys).where(mine).values(used_at=hour))
        except StorageFailed as e:
            # A disk that is full refuses what would be kept, and not the searches of whoever has a key.
            logger.warning("when the key %s was used could not be noted: %s", key_id, e.message)

    def _hour(self) -> str:
        return self._clock()[:13] + ":00:00Z"

    # ------------------------------------------------------------ sessions

    def begin(self, connection: Connection, user_id: str) -> tuple[str, str]:
        """A new session; returns its token, which is nowhere else, and when it ends."""
        token, ends = new_token(), later(timedelta(days=self._session_days))
        connection.execute(delete(sessions).where(sessions.c.expires_at < now_iso()))
        connection.execute(
            insert(sessions).values(
                token_hash=token_hash(token),
                user_id=user_id,
                created_at=now_iso(),
                expires_at=ends,
                session_id=new_id("s"),
            )
        )
        return token, ends

    def rotate(self, person: Person) -> tuple[str, str]:
        """The same session under another token, ending when it would have; the old token still holds for a minute."""
        token = new_token()
        with self._database.write() as connection:
            old = sessions.c.token_hash == person.credential
            row = connection.execute(select(sessions).where(old)).one_or_none()
            if row is None:
                raise NotFound("this is no session: sign in first", code="no-session")
            if row.expires_at <= later(timedelta(seconds=ROTATION_GRACE_S)):
                # Two pages at once: the second would get what is left of the old token's minute.
                raise Conflict("this session has another token already, or is about to end", code="rotated")
            values = {"token_hash": token_hash(token), "created_at": now_iso()}
            connection.execute(insert(sessions).values(**{**row._mapping, **values}))
            grace = min(row.expires_at, later(timedelta(seconds=ROTATION_GRACE_S)))
            connection.execute(update(sessions).where(old).values(expires_at=grace))
        self.forget()
        return token, row.expires_at

    def end(self, person: Person) -> None:
        """Ends this session, under every token that it has; a session that has ended already is no error."""
        of_it = select(sessions.c.session_id).where(sessions.c.token_hash == person.credential).scalar_subquery()
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.session_id == of_it))
        self.forget()

    def end_all(self, connection: Connection, user_id: str, *, keys: bool) -> None:
        """Ends all sessions and invites of a person, and the keys if ``keys``; ``forget`` is the caller's, afterwards."""
        for table in (sessions, invites, *((api_keys,) if keys else ())):
            connection.execute(delete(table).where(table.c.user_id == user_id))

    # ------------------------------------------------------------ keys

    def make_key(
        self, person: Person, name: str, scopes: Sequence[Scope], days: int | None
    ) -> tuple[str, dict[str, Any]]:
        """(the key, which is shown this once; what is kept of it).

        Raises:
            InvalidRequest: no scope, an unknown one, or too many keys.
            Forbidden: the scope admin, of somebody who is none.
        """
        unknown = [s for s in scopes if s not in SCOPES]
        if unknown or not scopes:
            raise InvalidRequest(f"a key has one or more of the scopes {', '.join(SCOPES)}", code="bad-scope")
        if "admin" in scopes and not person.is_admin:
            raise Forbidden("only an administrator's key may have the scope admin")
        key = new_token(KEY_PREFIX)
        row = {
            "key_id": new_id("k"),
            "user_id": person.user_id,
            "name": name,
            "prefix": key[:PREFIX_CHARACTERS],
            "scopes": sorted(set(scopes), key=SCOPES.index),
            "created_at": now_iso(),
            "expires_at": later(timedelta(days=days)) if days is not None else None,
            "used_at": None,
        }
        with self._database.write() as connection:
            mine = select(api_keys.c.key_id).where(api_keys.c.user_id == person.user_id)
            if len(connection.execute(mine).all()) >= MAX_KEYS:
                raise InvalidRequest(f"{MAX_KEYS} keys are enough: delete one first", code="too-many-keys")
            connection.execute(insert(api_keys).values(key_hash=token_hash(key), **row))
        return key, _shown(row)

    def keys(self, user_id: str | None = None) -> list[dict[str, Any]]:
        """The keys of a person, or of everybody, the newest first; never the keys themselves."""
        query = select(api_keys, users.c.name.label("owner")).join(users).order_by(api_keys.c.created_at.desc())
        if user_id is not None:
            query = query.where(api_keys.c.user_id == user_id)
        with self._database.read() as connection:
            return [_shown(dict(row._mapping)) for row in connection.execute(query)]

    def delete_key(self, person: Person, key_id: str) -> None:
        """One's own; an administrator deletes anybody's. Raises NotFound, also for another person's."""
        statement = delete(api_keys).where(api_keys.c.key_id == key_id)
        if not person.administers.is_admin:
            statement = statement.where(api_keys.c.user_id == person.user_id)
        with self._database.write() as connection:
            if connection.execute(statement).rowcount == 0:
                raise NotFound(f"no key {key_id!r}: list them to see their ids", code="unknown-key")
        self.forget()


def _over(expires_at: str | None) -> bool:
    return expires_at is not None and expires_at <= now_iso()


def _of_session(connection: Connection, hashed: str) -> Person | None:
    query = (
        select(sessions.c.expires_at, sessions.c.created_at.label("since"), users)
        .join(users)
        .where(sessions.c.token_hash == hashed, users.c.active)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    scopes = frozenset(SCOPES if row.is_admin else SCOPES[:-1])
    return Person(
        user_id=row.user_id, name=row.name, is_admin=row.is_admin, scopes=scopes, by="session", credential=hashed,
        expires_at=row.expires_at, since=row.since,
    )  # fmt: skip


def _of_key(connection: Connection, hashed: str) -> Person | None:
    query = (
        select(api_keys.c.expires_at, api_keys.c.key_id, api_keys.c.scopes, users)
        .join(users)
        .where(api_keys.c.key_hash == hashed, users.c.active)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    scopes = frozenset(s for s in row.scopes if s != "admin" or row.is_admin)
    return Person(
        user_id=row.user_id, name=row.name, is_admin=row.is_admin, scopes=scopes, by="key", credential=row.key_id,
        expires_at=row.expires_at,
    )  # fmt: skip


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    kept = ("key_id", "name", "prefix", "scopes", "created_at", "expires_at", "used_at", "user_id", "owner")
    return {name: row[name] for name in kept if name in row}
