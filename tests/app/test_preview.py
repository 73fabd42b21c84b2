"""What would become of a file, and the chunks of one that is stored, over the API of a real server."""

from __future__ import annotations

import io
import select
import shutil
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.client import ApiError, Client
from tests.support.pdfs import pdf
from tests.support.servers import RunningServer, openbook_server

LINE = "The keeper of the lighthouse wrote into his book what he had seen that day and what it had cost. "
TEXT = "# Book\n\n" + "\n\n".join(f"## Day {i}\n\n{LINE * 12}" for i in range(30))
TABLE = "# Costs\n\n| item | price |\n| --- | --- |\n| oil | 12 |\n"


def stored(server: RunningServer) -> set[Path]:
    return {p for p in (server.data_dir / "originals").rglob("*") if p.is_file()}


@pytest.mark.parametrize("chunker", ["fixed", "sentence", "semantic", "parent-child"])
def test_a_preview_is_what_an_upload_then_stores_and_stores_nothing_itself(
    client: Client, server: RunningServer, chunker: str
) -> None:
    before = stored(server)
    seen = client.preview(("book.md", io.BytesIO(TEXT.encode())), chunker=chunker, limit=1000)
    assert stored(server) == before
    assert (seen["file"], seen["chunker"], seen["title"], seen["total"]) == (
        "book.md",
        chunker,
        "Book",
        len(seen["chunks"]),
    )
    assert seen["tokens"]["sum"] == sum(c["n_tokens"] for c in seen["chunks"])
    name = f"preview-{chunker}"
    client.create_collection(name)
    job = client.upload(name, [("book.md", io.BytesIO(TEXT.encode()))], chunker=chunker)[0]
    while (job := client.job(job["job_id"]))["state"] != "ready":
        assert job["state"] not in ("failed", "cancelled"), job
        time.sleep(0.1)
    made = client.chunks(job["doc_id"] or "")
    place = [(c["start"], c["end"], c["text"], c["heading_path"], c["n_tokens"]) for c in seen["chunks"]]
    assert place == [(c["start"], c["end"], c["text"], c["heading_path"], c["n_tokens"]) for c in made]


def test_a_preview_shows_the_first_chunks_and_counts_all(client: Client) -> None:
    seen = client.preview(("book.md", io.BytesIO(TEXT.encode())), chunker="parent-child", limit=5)
    assert len(seen["chunks"]) == 5 < seen["total"]
    assert {p["chunk_id"] for p in seen["parents"]} == {c["parent_id"] for c in seen["chunks"]}
    assert len(seen["parents"]) < seen["total_parents"]


def test_a_file_that_cannot_be_read_says_why_in_a_preview_too(client: Client, server: RunningServer) -> None:
    for name, data, code in (
        ("a.pdf", b"%PDF-1.7\nnothing", "damaged"),
        ("a.txt", b"", "empty-document"),
        ("a.exe", b"MZ\x90\0" * 50, "unsupported-type"),
    ):
        with pytest.raises(ApiError) as e:
            client.preview((name, io.BytesIO(data)))
        assert (e.value.status, e.value.code) == (422, code), name
        assert name in e.value.message


def test_what_an_upload_would_warn_of_a_preview_warns_of_too(client: Client) -> None:
    seen = client.preview(("notes.txt", io.BytesIO(pdf([["The first page has words."]]))))
    assert seen["pages"] == 1 and seen["warnings"] and "PDF" in seen["warnings"][0]


def test_two_files_are_not_one_preview_and_an_unknown_chunker_is_refused(client: Client) -> None:
    with pytest.raises(ApiError) as e:
        client.preview(("a.md", io.BytesIO(b"a")), chunker="odd")
    assert e.value.status == 422
    parts = [("files", (n, io.BytesIO(b"text"))) for n in ("a.md", "b.md")]
    reply = client._http.post("/v1/preview", files=parts)
    assert reply.status_code == 422 and "more than 1" in reply.json()["detail"]


def test_previews_are_bounded_and_end_with_their_request(client: Client, server: RunningServer) -> None:
    """``semantic`` on a long text takes long; three such at once are one too many, and those dropped give way."""
    body = (LINE * 30_000).encode()
    head = (
        "POST /v1/preview?chunker=semantic HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Content-Type: multipart/form-data; boundary=xx\r\n"
    )
    form = b'--xx\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n' + body + b"\r\n--xx--\r\n"
    address = urlsplit(server.api_url)

    def begin() -> socket.socket:
        sock = socket.create_connection((address.hostname or "", address.port or 0))
        sock.sendall(f"{head}Content-Length: {len(form)}\r\n\r\n".encode() + form)
        return sock

    held = [begin(), begin()]
    deadline = time.monotonic() + 60
    pause = 0.5
    while True:  # until both are at work
        time.sleep(pause)  # ours must not come before theirs have arrived, or it takes the second place each time
        pause *= 2
        try:
            client.preview(("b.md", io.BytesIO(b"a short text")))
        except ApiError as e:
            assert (e.status, e.retry_after_s is not None) == (429, True)
            break
        for refused in select.select(held, [], [], 0.2)[0]:  # it came while ours had the second place
            refused.close()
            held[held.index(refused)] = begin()
        assert time.monotonic() < deadline
    for sock in held:
        sock.close()
    left_at = time.monotonic()
    while True:
        try:
            client.preview(("b.md", io.BytesIO(b"a short text")))
            break
        except ApiError as e:
            assert e.status == 429
            assert time.monotonic() - left_at < 10, "a dropped preview goes on"
            time.sleep(0.1)


def test_chunks_come_in_pages_with_their_parents(client: Client) -> None:
    client.create_collection("paged")
    job = client.upload("paged", [("book.md", io.BytesIO(TEXT.encode()))], chunker="parent-child")[0]
    while (job := client.job(job["job_id"]))["state"] != "ready":
        time.sleep(0.1)
    doc_id = job["doc_id"] or ""
    everything = client.chunks(doc_id)
    pages = [client.chunk_page(doc_id, offset=at, limit=7) for at in range(0, len(everything), 7)]
    assert [c for p in pages for c in p["chunks"]] == everything
    assert {p["total"] for p in pages} == {len(everything)}
    for page in pages:
        named = list(dict.fromkeys(c.get("parent_id") for c in page["chunks"]))
        assert [p["chunk_id"] for p in page["parents"]] == named
    beyond = client.chunk_page(doc_id, offset=10_000, limit=7)
    assert (beyond["chunks"], beyond["total"]) == ([], len(everything))
    with pytest.raises(ApiError) as e:
        client.chunk_page("d-nothing", offset=0, limit=7)
    assert e.value.status == 404
    with pytest.raises(ApiError) as refused:  # the database would not hold such a number
        client.chunk_page(doc_id, offset=2**63 - 1, limit=7)
    assert refused.value.status == 422


@pytest.mark.slow
def test_a_folder_for_temporary_files_that_takes_none_is_named(tmp_path: Path, model_cache: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    with openbook_server(tmp_path / "data", env={"TMPDIR": str(folder)}) as running, running.client() as client:
        assert client.preview(("book.md", io.BytesIO(TEXT.encode())))["total"]
        shutil.rmtree(folder)
        for size in (1, 1000):  # one that is sent at once, and one that is still being sent
            with pytest.raises(ApiError, match=r"could not look at a file in .*temporary") as caught:
                client.preview(("book.md", io.BytesIO(TEXT.encode() * size)))
            assert caught.value.status == 507
        assert "Traceback" not in running.output
