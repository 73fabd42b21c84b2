"""People and their credentials, on a database alone: who is let in, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest
from sqlalchemy import event, text

from app.audit import AuditLog
from app.credentials import Credentials
from app.identity import Identity
from app.passwords import check_password
from app.people import Person
from app.throttle import Rate, Throttle
from app.wiring import MIGRATIONS
from core.database import Database, migrate, open_database
from core.errors import Busy, Conflict, Forbidden, InvalidRequest, NotFound, NotSignedIn, StorageFailed

GOOD = "four words nobody guesses"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    found = open_database(tmp_path_factory.mktemp("people"))
    migrate(found, MIGRATIONS)
    yield found
    found.close()


@pytest.fixture(scope="module")
def credentials(database: Database) -> Credentials:
    return Credentials(database, session_days=1)


@pytest.fixture(scope="module")
def identity(database: Database, credentials: Credentials) -> Identity:
    made = Identity(database, credentials)
    token = made.first_token()
    assert token is not None and made.first_token() not in (None, token), "each token makes the one before worthless"
    with pytest.raises(NotSignedIn, match="used up"):
        made.accept(token, "Root", GOOD, "::1")
    newest = made.first_token()
    assert newest is not None
    made.accept(newest, "Root", GOOD, "::1")
    return made


def joined(identity: Identity, credentials: Credentials, name: str, **options: bool) -> tuple[Person, str]:
    _, invite, _ = identity.add(name, **options)
    token = identity.accept(invite, name, GOOD, "::1").token
    person = credentials.person(token)
    assert person is not None and person.name == name
    return person, token


def test_the_first_administrator_is_the_local_user_and_there_is_no_second_first(identity: Identity) -> None:
    (root,) = [u for u in identity.everybody() if u.user_id == "local"]
    assert (root.name, root.is_admin, root.active) == ("Root", True, True)
    assert identity.first_token() is None and not identity.needs_first()


def test_an_invitation_works_once(identity: Identity) -> None:
    _, invite, _ = identity.add("Once")
    identity.accept(invite, "Once", GOOD, "::1")
    with pytest.raises(NotSignedIn, match="used up"):
        identity.accept(invite, "Once", GOOD, "::1")


def test_a_name_is_one_persons_however_it_is_written(identity: Identity) -> None:
    identity.add("Ada Lovelace")
    with pytest.raises(Conflict, match="called"):
        identity.add("  ADA   lovelace ")
    with pytest.raises(InvalidRequest, match="seen"):
        identity.add("a\u202eb")


def test_a_wrong_password_and_an_unknown_name_are_told_alike_and_take_as_long(identity: Identity) -> None:
    said, taken = set(), {"Root": [], "Nobody": []}  # type: ignore[var-annotated]
    for n in range(4):
        for name, times in taken.items():
            began = perf_counter()
            with pytest.raises(NotSignedIn) as refused:
                identity.sign_in(name, "not the password", f"10.0.0.{n}")
            times.append(perf_counter() - began)
            said.add((refused.value.message, refused.value.code))
    assert len(said) == 1
    known, unknown = median(taken["Root"]), median(taken["Nobody"])
    assert known / unknown == pytest.approx(1.0, abs=0.7), "both hash; without that the ratio is over 100"
    identity.sign_in("root", GOOD, "10.0.0.9")  # which forgets the failures


def test_failures_hold_up_an_account_wherever_they_come_from(identity: Identity) -> None:
    identity.add("Held up")
    for n in range(5):
        with pytest.raises(NotSignedIn):
            identity.sign_in("held up", "not the password", f"10.1.0.{n}")
    with pytest.raises(Busy) as held:
        identity.sign_in("Held up", GOOD, "10.1.0.99")
    assert held.value.retry_after_s >= 1


def test_an_address_that_tries_many_names_is_held_up() -> None:
    now = 0.0
    throttle = Throttle(free=3, first_s=1.0, most_s=4.0, forget_s=100.0, clock=lambda: now)
    waits = []
    for _ in range(6):
        throttle.failed("10.2.0.1")
        try:
            throttle.check("10.2.0.1")
            waits.append(0)
        except Busy as e:
            waits.append(e.retry_after_s)
            now += e.retry_after_s
    assert waits == [0, 0, 1, 2, 4, 4]
    throttle.check("10.2.0.2")
    now += 101
    throttle.failed("10.2.0.1")
    throttle.check("10.2.0.1")


def test_a_rate_holds_a_minutes_worth_and_fills_evenly() -> None:
    now = 0.0
    rate = Rate(60, clock=lambda: now)
    assert [rate.take("a") for _ in range(60)] == [0.0] * 60
    assert rate.take("a") == pytest.approx(1.0)  # 60 in a minute: one a second
    assert rate.take("b") == 0.0
    now = 1.0
    assert rate.take("a") == 0.0 and rate.take("a") > 0
    assert [Rate(0).take("a") for _ in range(3)] == [0.0] * 3


def test_each_sign_in_is_a_session_of_its_own_and_the_database_holds_no_token(
    identity: Identity, credentials: Credentials, database: Database
) -> None:
    one, two = (identity.sign_in("Root", GOOD, "::1").token for _ in range(2))
    assert one != two
    person = credentials.person(one)
    assert person is not None
    credentials.end(person)
    assert credentials.person(one) is None and credentials.person(two) is not None
    key, _ = credentials.make_key(person, "k", ["read"], None)
    with database.read() as connection:
        everything = "\n".join(
            repr(row)
            for table in ("users", "sessions", "api_keys", "invites")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
        )
    assert two not in everything and key not in everything and GOOD not in everything
    assert "$argon2id$" in everything


def test_a_rotated_token_replaces_the_old_one_and_ends_with_it(identity: Identity, credentials: Credentials) -> None:
    person, old = joined(identity, credentials, "Rotates")
    new, ends = credentials.rotate(person)
    found, before = credentials.person(new), credentials.person(old)
    assert found is not None and found.expires_at == ends == person.expires_at
    assert before is not None and before.expires_at is not None and before.expires_at < ends, "for a minute"


@pytest.mark.parametrize("signs_out_with", [0, 1, 2])
def test_signing_out_ends_a_session_under_each_token_that_it_had(
    identity: Identity, credentials: Credentials, signs_out_with: int
) -> None:
    """Else what was taken from a page a minute ago, or the token of another of its windows, would go on."""
    name = f"Signs out {signs_out_with}"
    person, first = joined(identity, credentials, name)
    other = identity.sign_in(name, GOOD, "::1").token
    second, _ = credentials.rotate(person)
    rotated = credentials.person(second)
    assert rotated is not None
    tokens = [first, second, credentials.rotate(rotated)[0]]
    assert all(credentials.person(token) for token in tokens)
    leaving = credentials.person(tokens[signs_out_with])
    assert leaving is not None
    credentials.end(leaving)
    assert [credentials.person(token) for token in tokens] == [None] * 3
    assert credentials.person(other) is not None, "another session goes on"
    credentials.end(leaving)  # has ended already


def test_another_password_ends_all_other_sessions(identity: Identity, credentials: Credentials) -> None:
    person, first = joined(identity, credentials, "Changes")
    other = identity.sign_in("Changes", GOOD, "::1").token
    assert credentials.person(other) is not None
    with pytest.raises(InvalidRequest, match="old password"):
        identity.change_password(person, "not the password", "another long password")
    now = identity.change_password(person, GOOD, "another long password").token
    assert [credentials.person(t) is None for t in (first, other, now)] == [True, True, False]
    with pytest.raises(NotSignedIn):
        identity.sign_in("Changes", GOOD, "::1")


def test_who_is_shut_out_loses_sessions_keys_and_invitations_at_once(
    identity: Identity, credentials: Credentials
) -> None:
    person, session = joined(identity, credentials, "Leaves")
    key, _ = credentials.make_key(person, "k", ["read", "write"], 30)
    assert credentials.person(key) is not None and credentials.person(session) is not None
    identity.change(person.user_id, active=False)
    assert credentials.person(key) is None and credentials.person(session) is None
    with pytest.raises(NotSignedIn):
        identity.sign_in("Leaves", GOOD, "::1")
    with pytest.raises(Conflict):
        identity.invite(person.user_id)
    identity.change(person.user_id, active=True)
    assert credentials.person(key) is None, "a key of before does not come to life again"


def test_somebody_is_always_left_to_administer(identity: Identity, credentials: Credentials) -> None:
    with pytest.raises(Conflict, match="administer"):
        identity.change("local", active=False)
    identity.add("Invited only", is_admin=True)
    with pytest.raises(Conflict, match="administer"):
        identity.change("local", is_admin=False)  # one who has set no password does not count


def test_a_key_can_do_no_more_than_its_owner(identity: Identity, credentials: Credentials) -> None:
    person, _ = joined(identity, credentials, "Keys")
    with pytest.raises(Forbidden, match="administrator"):
        credentials.make_key(person, "k", ["admin"], None)
    with pytest.raises(InvalidRequest, match="scopes"):
        credentials.make_key(person, "k", [], None)
    other, _ = joined(identity, credentials, "Other")
    _, kept = credentials.make_key(person, "mine", ["read"], None)
    with pytest.raises(NotFound):
        credentials.delete_key(other, kept["key_id"])
    assert [k["name"] for k in credentials.keys(person.user_id)] == ["mine"]


def test_when_a_key_was_last_used_is_told_to_the_hour(
    identity: Identity, credentials: Credentials, database: Database
) -> None:
    person, _ = joined(identity, credentials, "Nightly")
    now = ["2026-03-01T22:59:59.000Z"]
    desk = Credentials(database, session_days=1, clock=lambda: now[0])
    key, made = desk.make_key(person, "import", ["read"], None)
    assert made["used_at"] is None

    def used() -> str:
        assert desk.known(key) or desk.person(key)  # as the gate asks
        return str(desk.keys(person.user_id)[0]["used_at"])

    assert used() == "2026-03-01T22:00:00Z"
    now[0] = "2026-03-01T23:00:00.000Z"
    assert used() == "2026-03-01T23:00:00Z"
    now[0] = "2026-04-01T08:30:00.000Z"
    assert used() == "2026-04-01T08:00:00Z"


def test_a_key_is_good_while_the_disk_takes_nothing_more(
    identity: Identity, credentials: Credentials, database: Database
) -> None:
    person, _ = joined(identity, credentials, "Searcher")
    key, _ = credentials.make_key(person, "search", ["ask"], None)
    reading = open_database(Path(str(database.engine.url.database)).parent)
    event.listen(reading.engine, "connect", lambda raw, _: raw.execute("PRAGMA query_only=ON"))
    with closing(reading):
        with pytest.raises(StorageFailed), reading.write() as connection:
            connection.execute(text("DELETE FROM api_keys"))
        found = Credentials(reading, session_days=1).person(key)
    assert found is not None and found.user_id == person.user_id


def test_a_key_that_is_over_is_nobodys(identity: Identity, credentials: Credentials, database: Database) -> None:
    person, _ = joined(identity, credentials, "Ends")
    key, kept = credentials.make_key(person, "k", ["read"], 1)
    assert credentials.person(key) is not None
    with database.write() as connection:
        connection.execute(text("UPDATE api_keys SET expires_at = '2020-01-01T00:00:00.000Z'"))
    credentials.forget()
    assert credentials.person(key) is None and kept["prefix"] == key[:9]


@pytest.mark.parametrize(
    ("password", "name"), [("short", ""), ("aaaaaaaaaaaaaaaa", ""), ("ada lovelace", "Ada Lovelace")]
)
def test_a_password_that_is_guessed_at_once_is_refused_and_not_repeated(password: str, name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_password(password, name)
    assert password not in refused.value.message


def test_the_audit_log_pages_newest_first(database: Database) -> None:
    log = AuditLog(database)
    for n in range(5):
        log.add("thing.did", user_id="local", target=str(n))
    log.add("other", user_id=None)
    first = log.entries(action="thing.", limit=3)
    assert [e["target"] for e in first] == ["4", "3", "2"] and first[0]["name"] == "Root"
    assert [e["target"] for e in log.entries(action="thing.", before=first[-1]["entry_id"])] == ["1", "0"]


def test_what_is_no_token_is_not_looked_up(credentials: Credentials, tmp_path: Path) -> None:
    assert [credentials.person(t) for t in ("", "x" * 300, "ob_", "\ud800", "' OR 1=1")] == [None] * 5
