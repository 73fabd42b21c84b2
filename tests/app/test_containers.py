"""A real server takes archives apart and fetches pages: each part has a job of its own, and one bad one fails alone."""

from __future__ import annotations

import io
import itertools
import json
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.client import ApiError, Client
from app.replies import Job
from ingest.job import STATES
from tests.support.jobs import settled
from tests.support.servers import RunningServer, api_pid, openbook_server
from tests.support.web import Reply, Web, web_server
from tests.support.zips import zip_of

ROCKET = "# Rockets\n\nThe Saturn V was 110.6 metres tall. It first flew on 9 November 1967.\n"
BREAD = "# Bread\n\nSourdough rises slowly because wild yeast is scarce. A loaf bakes for 45 minutes.\n"
PAGE = "<!doctype html><title>{0}</title><body><h1>{0}</h1><p>{1}</p></body>"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def fetching_server(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[RunningServer]:
    with openbook_server(tmp_path_factory.mktemp("data"), env={"OPENBOOK_URL_ALLOW": "127.0.0.1,localhost"}) as running:
        yield running


@pytest.fixture
def client(fetching_server: RunningServer) -> Iterator[Client]:
    with fetching_server.client() as found:
        yield found


@pytest.fixture
def collection(client: Client) -> str:
    name = f"test-{next(_numbers)}"
    client.create_collection(name)
    return name


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as found:
        yield found


def html(title: str, text: str) -> Reply:
    return Reply(PAGE.format(title, text).encode())


def send(client: Client, collection: str, name: str, data: bytes) -> Job:
    return settled(client, client.upload(collection, [(name, io.BytesIO(data))])[0]["job_id"])


def fetched(client: Client, collection: str, url: str) -> Job:
    return settled(client, client.ingest_urls(collection, [url])[0]["job_id"])


def uris(client: Client, collection: str) -> dict[str, str]:
    """uri -> title."""
    return {d["uri"]: d["title"] for d in client.documents(collection)["documents"]}


# ---------------------------------------------------------------- archives


def test_each_member_of_an_archive_becomes_a_document_and_one_bad_member_fails_alone(
    client: Client, collection: str
) -> None:
    inner = zip_of({"deep.md": ROCKET})
    members = {
        "a/rocket.md": ROCKET,
        "bread.md": BREAD,
        "bad.pdf": b"%PDF-1.4 broken",
        "../up.md": BREAD,
        "in.zip": inner,
    }
    job = send(client, collection, "mixed.zip", zip_of(members))
    assert (job["state"], job["container"]) == ("partial", "archive")
    assert job["reason"].startswith("2 documents; 3 members are not read: ../up.md: its name points out of the archive")
    parts = {p["file"]: p for p in client.job_parts(job["job_id"])}
    assert {name: p["state"] for name, p in parts.items()} == {
        "mixed.zip/a/rocket.md": "ready",
        "mixed.zip/bread.md": "ready",
        "mixed.zip/bad.pdf": "failed",
        "mixed.zip/in.zip": "failed",
    }
    assert "archive within an archive" in (parts["mixed.zip/in.zip"]["reason"] or "")
    assert uris(client, collection) == {"mixed.zip/a/rocket.md": "Rockets", "mixed.zip/bread.md": "Bread"}
    document = client.document(str(parts["mixed.zip/bread.md"]["doc_id"]))
    assert document["metadata"]["source"] == {"archive": "mixed.zip"}
    assert client.search("How tall was the Saturn V?", [collection], k=1)[0]["title"] == "Rockets"


def test_an_archive_without_fault_is_ready_and_sent_again_it_costs_nothing(client: Client, collection: str) -> None:
    data = zip_of({"rocket.md": ROCKET, "bread.md": BREAD})
    assert send(client, collection, "good.zip", data)["state"] == "ready"
    again = send(client, collection, "good.zip", data)
    assert (again["state"], again["reason"]) == ("ready", "2 documents")
    assert [p["seconds"] for p in client.job_parts(again["job_id"])] == [0.0, 0.0]
    changed = send(client, collection, "good.zip", zip_of({"rocket.md": ROCKET, "bread.md": BREAD + "\nAnd salt.\n"}))
    assert changed["state"] == "ready"
    assert len(uris(client, collection)) == 2
    assert "And salt." in client.document_text(
        next(p["doc_id"] for p in client.job_parts(changed["job_id"]) if "bread" in p["file"])
    )  # type: ignore[arg-type]


def test_a_bomb_is_refused_within_ten_seconds_and_the_next_file_is_read(client: Client, collection: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(20):
            archive.writestr(f"{n}.txt", bytes(8 * 2**20))
    begun = time.monotonic()
    job = send(client, collection, "bomb.zip", out.getvalue())
    assert time.monotonic() - begun < 10
    assert (job["state"], list(client.job_parts(job["job_id"]))) == ("failed", [])
    assert "100" in (job["reason"] or "")
    assert send(client, collection, "bread.md", BREAD.encode())["state"] == "ready"


def test_the_bytes_of_an_opened_archive_are_kept_by_its_members_alone(
    client: Client, collection: str, fetching_server: RunningServer
) -> None:
    import hashlib

    data = zip_of({"salt.md": "# Salt\n\nA secret of the archive that a purge must reach.\n"})
    job = send(client, collection, "secret.zip", data)
    assert job["state"] == "ready"
    digest = hashlib.sha256(data).hexdigest()
    assert not (fetching_server.data_dir / "originals" / digest[:2] / digest).exists()


def test_cancelling_an_archive_cancels_its_members_and_a_retry_brings_them_back(
    client: Client, collection: str
) -> None:
    client.pause_collection(collection)
    job = client.upload(collection, [("p.zip", io.BytesIO(zip_of({"a.md": ROCKET, "b.md": BREAD})))])[0]
    assert job["paused"]
    assert client.cancel_job(job["job_id"])["state"] == "cancelled"
    client.pause_collection(collection, paused=False)
    client.retry_job(job["job_id"])
    assert settled(client, job["job_id"])["state"] == "ready"


# ---------------------------------------------------------------- pages


def test_a_page_becomes_a_document_whose_source_is_its_url_and_fetched_again_it_is_replaced(
    client: Client, collection: str, web: Web
) -> None:
    web.pages["/rocket?a=1"] = html("Rockets", "The Saturn V was 110.6 metres tall.")
    url = web.url("/rocket?a=1")
    job = fetched(client, collection, url + "#top")
    assert (job["state"], job["file"], job["url"]) == ("ready", url, url)
    document = client.document(str(job["doc_id"]))
    assert (document["uri"], document["title"], document["mime_type"]) == (url, "Rockets", "text/html")
    assert document["metadata"]["source"]["url"] == url
    assert fetched(client, collection, url)["seconds"] == 0.0  # the same bytes: nothing to do
    web.pages["/rocket?a=1"] = html("Rockets II", "The Saturn V weighed 2,970 tonnes.")
    again = fetched(client, collection, url)
    assert again["doc_id"] == job["doc_id"]
    assert uris(client, collection) == {url: "Rockets II"}
    web.pages["/rocket?a=1"] = Reply(b"gone", status=404)
    gone = fetched(client, collection, url)
    assert (gone["state"], "404" in str(gone["reason"])) == ("failed", True)
    assert uris(client, collection) == {url: "Rockets II"}, "what was there stays"


def test_a_list_of_urls_and_each_that_is_bad_fails_alone(client: Client, collection: str, web: Web) -> None:
    web.pages["/a"] = html("A page", "Bread bakes for 45 minutes in a hot oven.")
    urls = [web.url("/a"), "http://169.254.169.254/latest/meta-data/", "ftp://example.org/x", "http://me:secret@example.org/",
            web.url("/none"), "http://10.0.0.7/"]  # fmt: skip
    jobs = [settled(client, j["job_id"]) for j in client.ingest_urls(collection, urls)]
    assert [j["state"] for j in jobs] == ["ready", "failed", "failed", "failed", "failed", "failed"]
    reasons = [str(j["reason"]) for j in jobs]
    assert "link-local" in reasons[1]
    assert "has ftp:" in reasons[2]
    assert "404" in reasons[4]
    assert "private network" in reasons[5]
    assert not any("secret" in json.dumps(j) for j in jobs)


def test_a_fetched_archive_and_a_fetched_text_are_what_their_bytes_are(
    client: Client, collection: str, web: Web
) -> None:
    web.pages["/files"] = Reply(zip_of({"rocket.md": ROCKET}), content_type="text/html")  # a lie
    web.pages["/readme"] = Reply(BREAD.encode(), content_type="text/markdown")
    assert fetched(client, collection, web.url("/files"))["container"] == "archive"
    assert fetched(client, collection, web.url("/readme"))["state"] == "ready"
    assert set(uris(client, collection)) == {web.url("/files") + "/rocket.md", web.url("/readme")}


def test_a_sitemap_brings_its_pages_but_none_of_another_host_and_none_that_robots_forbid(
    client: Client, collection: str, web: Web
) -> None:
    pages = [web.url(p) for p in ("/one", "/two", "/private/x", "/missing")] + ["https://example.org/other"]
    locs = "".join(f"<url><loc>{p}</loc></url>" for p in pages)
    web.pages["/sitemap.xml"] = Reply(
        f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{locs}</urlset>'.encode(),
        content_type="application/xml",
    )
    web.pages["/one"], web.pages["/two"] = html("One", "The first page tells of rockets."), html("Two", "Of bread.")
    web.pages["/private/x"] = html("Private", "Not for programs.")
    web.pages["/robots.txt"] = Reply(b"User-agent: *\nDisallow: /private/\n", content_type="text/plain")
    job = fetched(client, collection, web.url("/sitemap.xml"))
    assert (job["state"], job["container"]) == ("partial", "sitemap")
    assert {p["file"]: p["state"] for p in client.job_parts(job["job_id"])} == {
        pages[0]: "ready", pages[1]: "ready", pages[2]: "failed", pages[3]: "failed",
    }  # fmt: skip
    assert job["skipped"][0][0] == "https://example.org/other"
    assert set(uris(client, collection)) == set(pages[:2])
    assert "/private/x" not in [path for path, _ in web.asked]


def test_an_index_of_sitemaps_is_followed_one_step_and_no_further(client: Client, collection: str, web: Web) -> None:
    def index(*urls: str) -> Reply:
        locs = "".join(f"<sitemap><loc>{u}</loc></sitemap>" for u in urls)
        return Reply(f"<sitemapindex>{locs}</sitemapindex>".encode(), content_type="text/xml")

    web.pages["/index.xml"] = index(web.url("/pages.xml"), web.url("/index.xml"), web.url("/again.xml"))
    web.pages["/again.xml"] = index(web.url("/index.xml"))
    web.pages["/pages.xml"] = Reply(f"<urlset><url><loc>{web.url('/one')}</loc></url></urlset>".encode(), "text/xml")
    web.pages["/one"] = html("One", "The first page tells of rockets.")
    job = fetched(client, collection, web.url("/index.xml"))
    assert job["state"] == "partial"
    assert "index of sitemaps within an index" in str(job["reason"])
    assert list(uris(client, collection)) == [web.url("/one")]
    assert [path for path, _ in web.asked].count("/index.xml") == 1


def test_a_page_that_is_being_fetched_can_be_cancelled(client: Client, collection: str, web: Web) -> None:
    gate = threading.Event()
    web.pages["/slow"] = Reply(b"<p>late</p>", gate=gate)
    job = client.ingest_urls(collection, [web.url("/slow")])[0]
    while not web.asked:
        time.sleep(0.05)
    begun = time.monotonic()
    client.cancel_job(job["job_id"])
    assert settled(client, job["job_id"], 10)["state"] == "cancelled"
    assert time.monotonic() - begun < 5
    gate.set()


# ---------------------------------------------------------------- pausing


@pytest.mark.slow
def test_what_is_paused_stays_so_across_a_kill_and_goes_on_when_resumed(tmp_path: Path, model_cache: Path) -> None:
    import os
    import signal

    with openbook_server(tmp_path) as server:
        with server.client() as client:
            client.create_collection("c")
            client.pause_collection("c")
            jobs = client.upload("c", [("a.md", io.BytesIO(ROCKET.encode())), ("b.md", io.BytesIO(BREAD.encode()))])
            free = client.create_collection("free")["name"]
            assert send(client, free, "c.md", BREAD.encode())["state"] == "ready"
            assert [client.job(j["job_id"])["state"] for j in jobs] == ["queued", "queued"]
            client.resume_job(jobs[0]["job_id"])
            assert settled(client, jobs[0]["job_id"])["state"] == "ready"
            os.kill(api_pid(server), signal.SIGKILL)
        with server.client() as client:
            job = settled(client, jobs[1]["job_id"], states=STATES, may_be_away=True)
            assert (job["state"], job["paused"]) == ("queued", True)
            assert client.upload("c", [("d.md", io.BytesIO(BREAD.encode()))])[0]["paused"], (
                "what is added is paused, too"
            )
            assert client.pause_collection("c", paused=False) == 2
            assert settled(client, jobs[1]["job_id"])["state"] == "ready"
            with pytest.raises(ApiError, match="ready already and cannot be paused"):
                client.pause_job(jobs[1]["job_id"])


def test_a_refused_file_that_is_tried_again_fails_with_a_reason(client: Client, collection: str) -> None:
    job = client.ingest_urls(collection, ["ftp://example.org/x"])[0]
    client.retry_job(job["job_id"])
    assert "has ftp:" in str(settled(client, job["job_id"])["reason"])


def test_jobs_are_listed_by_pages_states_and_counts(client: Client, collection: str) -> None:
    client.pause_collection(collection)
    client.upload(collection, [(f"{n}.md", io.BytesIO(ROCKET.encode())) for n in range(5)])
    seen: list[str] = []
    cursor = None
    while True:
        page = client.job_page(collection=collection, states=["queued"], limit=2, cursor=cursor)
        assert page["counts"]["queued"] == 5
        seen += [job["file"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["4.md", "3.md", "2.md", "1.md", "0.md"]
    with pytest.raises(ApiError, match="state"):
        client.job_page(states=["done"])
    client.delete_collection(collection)
