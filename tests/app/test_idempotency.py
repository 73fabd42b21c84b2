"""A request that is sent again under its Idempotency-Key, to the real server; and what a key stands for, in the database."""

from __future__ import annotations

import io
import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app import idempotency
from app.cli.ingest import _patiently
from app.client import ApiError, Client
from app.datadir import find_server
from app.idempotency import Once, fingerprint, idempotency_keys
from app.people import local_principal
from app.replies import Job
from app.wiring import MIGRATIONS
from core.database import Database, migrate, open_database
from core.errors import Busy, InvalidRequest
from tests.support.servers import RunningServer

_numbers = itertools.count()
ME = local_principal()


@pytest.fixture
def collection(client: Client) -> str:
    name = f"once-{next(_numbers)}"
    client.create_collection(name)
    return name


@pytest.fixture
def key() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.api_url, timeout=60) as found:
        yield found


def send(http: httpx.Client, collection: str, key: str, *files: tuple[str, str], query: str = "") -> httpx.Response:
    parts = [("files", (name, io.BytesIO(text.encode()))) for name, text in files]
    headers = {"Idempotency-Key": key}
    return http.post(f"/v1/collections/{collection}/documents{query}", files=parts, headers=headers)


def ids(reply: httpx.Response) -> list[str]:
    assert reply.status_code == 202, reply.text
    return [job["job_id"] for job in reply.json()["jobs"]]


A, B, C = ("a.md", "# A\n\nOne."), ("b.md", "# B\n\nTwo."), ("c.md", "# C\n\nThree.")


def test_an_upload_sent_again_gets_its_jobs_and_makes_none(
    http: httpx.Client, client: Client, collection: str, key: str
) -> None:
    first = send(http, collection, key, A, B)
    again = send(http, collection, f'"{key}"', A, B)  # quoted, as a string of a structured header is
    assert ids(again) == ids(first) and len(client.jobs(collection=collection)) == 2
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert ids(send(http, collection, str(uuid.uuid4()), A, B)) != ids(first)


@pytest.mark.parametrize(
    ("files", "query"),
    [([A, C], ""), ([B, A], ""), ([A], ""), ([A, B, C], ""), ([A, ("b2.md", B[1])], ""), ([A, B], "?chunker=fixed")],
    ids=["other bytes", "another order", "fewer", "more", "another name", "another chunker"],
)
def test_something_else_under_a_key_is_refused_and_makes_nothing(
    http: httpx.Client, client: Client, collection: str, key: str, files: list[tuple[str, str]], query: str
) -> None:
    send(http, collection, key, A, B)
    refused = send(http, collection, key, *files, query=query)
    assert refused.status_code == 422 and refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "idempotency-key-reused" and "new key" in refused.json()["detail"]
    assert len(client.jobs(collection=collection)) == 2


def test_an_upload_that_broke_off_goes_on_where_it_stopped(
    server: RunningServer, http: httpx.Client, client: Client, collection: str, key: str
) -> None:
    whole = httpx.Request("POST", server.api_url, files=[("files", (name, text.encode())) for name, text in (A, B)])
    body = whole.read()
    cut = body[: body.index(b"# B") + 2]  # the first file whole, the second not
    headers = {"Idempotency-Key": key, "Content-Type": whole.headers["content-type"]}
    broken = http.post(f"/v1/collections/{collection}/documents", content=cut, headers=headers)
    assert broken.status_code == 422 and broken.json()["code"] == "broken-upload"
    (had,) = [job["job_id"] for job in client.jobs(collection=collection)]
    sent = send(http, collection, key, A, B)
    assert ids(sent)[0] == had and "idempotency-replayed" not in sent.headers
    assert len(client.jobs(collection=collection)) == 2


def test_addresses_are_noted_once_and_a_key_of_files_is_none_of_addresses(
    http: httpx.Client, client: Client, collection: str, key: str
) -> None:
    urls, headers = {"urls": ["http://127.0.0.1:9/a", "no address"]}, {"Idempotency-Key": key}
    first = http.post(f"/v1/collections/{collection}/urls", json=urls, headers=headers)
    again = http.post(f"/v1/collections/{collection}/urls", json=urls, headers=headers)
    assert ids(again) == ids(first) and len(client.jobs(collection=collection)) == 2
    assert send(http, collection, key, A).json()["code"] == "idempotency-key-reused"


def test_what_is_gone_is_not_made_anew_under_the_key_that_made_it(
    http: httpx.Client, client: Client, collection: str, key: str
) -> None:
    send(http, collection, key, A)
    client.delete_collection(collection)
    client.create_collection(collection)
    spent = send(http, collection, key, A)
    assert (spent.status_code, spent.json()["code"]) == (409, "idempotency-key-spent")


def test_what_makes_no_job_leaves_no_file(server: RunningServer, http: httpx.Client, collection: str, key: str) -> None:
    unique = ("u.md", f"# Only here\n\n{key}")
    ids(send(http, collection, key, A))
    assert send(http, collection, key, unique).status_code == 422
    found = find_server(server.data_dir)
    with Client(server.api_url, token=found.token if found else "") as machine:
        assert [f for f in machine.verify()["findings"] if f["code"] == "original-orphan"] == []


@pytest.mark.parametrize("key", ["", '""', "x" * 201, "x" * 1000])
def test_what_is_no_key_is_refused(http: httpx.Client, collection: str, key: str) -> None:
    assert send(http, collection, key, A).status_code == 422


# ---------------------------------------------------------------- in the database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = open_database(tmp_path)
    migrate(found, MIGRATIONS)
    yield found
    found.close()


def test_a_key_is_known_to_a_server_that_began_anew_and_is_kept_as_a_hash(tmp_path: Path) -> None:
    for known in (None, "j1"):
        database = open_database(tmp_path)
        migrate(database, MIGRATIONS)
        with database.write() as connection:
            once = Once(ME, "my-key", "files", "c")
            once.begin(connection)
            assert once.job_of(connection, 0, fingerprint("a")) == known
            if known is None:
                once.note(connection, 0, fingerprint("a"), "j1")
        database.close()
    assert b"my-key" not in b"".join(path.read_bytes() for path in tmp_path.glob("openbook.db*"))


def test_a_key_ends_after_a_day(database: Database) -> None:
    with database.write() as connection:
        once = Once(ME, "k", "files", "c")
        once.begin(connection)
        once.note(connection, 0, fingerprint("a"), "j1")
        connection.execute(idempotency_keys.update().values(created_at="2026-01-01T00:00:00.000Z"))
        Once(ME, "k", "files", "another").begin(connection)  # another request may have it now
        assert once.job_of(connection, 0, fingerprint("b")) is None


def test_a_person_has_a_bounded_number_of_keys(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "MAX_KEYS", 2)
    with database.write() as connection:
        for key in ("1", "2"):
            Once(ME, key, "files", "c").begin(connection)
        with pytest.raises(Busy):
            Once(ME, "3", "files", "c").begin(connection)
        Once(ME, "2", "files", "c").begin(connection)  # one that is known goes on


def test_no_two_lists_of_parts_have_one_fingerprint() -> None:
    assert len({fingerprint("ab", "c"), fingerprint("a", "bc"), fingerprint("abc"), fingerprint("abc", "")}) == 4
    with pytest.raises(InvalidRequest):
        Once(ME, "naïve", "files")


def test_a_command_that_has_to_wait_sends_again_under_its_key_and_what_has_changed_under_another() -> None:
    keys: list[str] = []

    def send(key: str) -> list[Job]:
        keys.append(key)
        match len(keys):
            case 1:
                raise ApiError("the queue is full", code="busy", status=429, retry_after_s=0)
            case 2:
                raise ApiError("another file", code="idempotency-key-reused", status=422)
        return []

    assert _patiently(send) == []
    assert keys[0] == keys[1] != keys[2]
