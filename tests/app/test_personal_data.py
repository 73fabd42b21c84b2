"""What a collection does about personal data, and which documents are nearly the same, over a real server."""

from __future__ import annotations

import io
import time
from email.message import EmailMessage

import pytest

from app.client import ApiError, Client
from tests.support.jobs import settled
from tests.support.pdfs import pdf
from tests.support.servers import RunningServer

SECRETS = ["jo.doe@example.com", "(212) 736-5000", "DE89 3704 0044 0532 0130 00"]
BODY = f"Write to {SECRETS[0]}, ring {SECRETS[1]}, and pay into {SECRETS[2]} before the lighthouse closes."


def add(client: Client, collection: str, name: str, data: bytes) -> str:
    job = client.upload(collection, [(name, io.BytesIO(data))])[0]
    job = settled(client, job["job_id"])
    assert job["state"] == "ready", job
    return job["doc_id"] or ""


def mail() -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = f"Jo Doe <{SECRETS[0]}>", "Al <al@example.org>"
    message["Subject"] = f"Call {SECRETS[1]}"
    message.set_content(BODY)
    return message.as_bytes()


def kept(server: RunningServer) -> dict[str, bytes]:
    """Every byte under the data directory but the originals, and what was said."""
    files = {str(p): p.read_bytes() for p in server.data_dir.rglob("*") if p.is_file() and "originals" not in p.parts}
    return files | {"output": server.output.encode()}


def test_what_is_redacted_is_in_no_catalogue_index_or_log_and_its_original_is_not_shown(
    client: Client, server: RunningServer
) -> None:
    client.create_collection("redacted", pii="redact")
    ids = [
        add(client, "redacted", f"mail of {SECRETS[0]}.eml", mail()),
        add(client, "redacted", "letter.pdf", pdf([[BODY]], title=f"Letter of {SECRETS[0]}")),
    ]
    broken = client.upload("redacted", [(f"{SECRETS[0]}.pdf", io.BytesIO(b"%PDF-1.7\nnothing"))])[0]
    while client.job(broken["job_id"])["state"] != "failed":
        time.sleep(0.1)
    assert client.search("when does the lighthouse close", ["redacted"])
    server_says = [str(client.jobs(collection="redacted")), str(client.documents("redacted"))]
    for doc_id in ids:
        document = client.document(doc_id)
        assert document["pii"] is not None and document["pii"]["mode"] == "redact"
        assert min(document["pii"][kind] for kind in ("email", "phone", "iban")) >= 1
        text = client.document_text(doc_id)
        assert "Write to [e-mail], ring [phone], and pay into [IBAN] before" in text
        server_says += [str(document), text, str(client.chunks(doc_id))]
        for ask in (lambda d=doc_id: client.document_original(d), lambda d=doc_id: client.page_image(d, 1)):
            with pytest.raises(ApiError) as e:
                ask()
            assert (e.value.status, e.value.code) == (403, "redacted")
    for secret in [*SECRETS, "al@example.org", "jo.doe"]:
        assert not any(secret in said for said in server_says), secret
        holding = [name for name, data in kept(server).items() if secret.encode() in data]
        assert holding == [], secret
    assert client.documents("redacted")["documents"][1]["uri"].endswith("mail of [e-mail].eml")


def test_flagged_data_are_counted_and_left(client: Client) -> None:
    client.create_collection("flagged", pii="flag")
    doc_id = add(client, "flagged", "letter.md", BODY.encode())
    assert client.document(doc_id)["pii"] == {"mode": "flag", "email": 1, "phone": 1, "iban": 1}
    assert client.documents("flagged")["documents"][0]["pii"] == client.document(doc_id)["pii"]
    assert client.document_text(doc_id) == BODY
    assert client.document_original(doc_id) == BODY.encode()


def test_the_setting_is_for_what_is_added_from_now_on_and_says_what_it_does_not_reach(client: Client) -> None:
    client.create_collection("changing")
    doc_id = add(client, "changing", "letter.md", BODY.encode())
    assert client.document(doc_id)["pii"] is None
    changed = dict(client.change_collection("changing", pii="redact"))
    assert changed.pop("etag")
    assert changed == {
        "name": "changing",
        "pii": "redact",
        "late": False,
        "tokens": True,
        "unlike": 1,
    }
    assert next(c for c in client.collections() if c["name"] == "changing")["pii"] == "redact"
    assert client.document_text(doc_id) == BODY
    assert add(client, "changing", "letter.md", BODY.encode()) == doc_id, "the same bytes, made in another way"
    assert SECRETS[0] not in client.document_text(doc_id)
    assert client.change_collection("changing", pii="redact")["unlike"] == 0
    with pytest.raises(ApiError) as e:
        client.change_collection("changing", pii="shred")
    assert e.value.status == 422
    with pytest.raises(ApiError) as e:
        client.change_collection("none-such", pii="flag")
    assert e.value.status == 404


@pytest.mark.slow
def test_what_is_read_while_the_setting_changes_is_read_again_under_the_new_one(client: Client) -> None:
    client.create_collection("pii-changing")
    text = (BODY + "\n").encode() * 300
    jobs = client.upload("pii-changing", [(f"{i}.txt", io.BytesIO(text + str(i).encode())) for i in range(4)])
    while client.job(jobs[0]["job_id"])["state"] == "queued":
        time.sleep(0.01)
    client.change_collection("pii-changing", pii="redact")
    for job in jobs:
        while (job := client.job(job["job_id"]))["state"] not in ("ready", "failed", "partial"):
            time.sleep(0.05)
        assert job["state"] == "ready", job
        assert SECRETS[0] not in client.document_text(job["doc_id"] or "")


def test_a_preview_shows_what_would_be_redacted(client: Client) -> None:
    seen = client.preview(("letter.md", io.BytesIO(BODY.encode())), pii="redact")
    assert seen["pii"] == {"mode": "redact", "email": 1, "phone": 1, "iban": 1}
    assert "[e-mail]" in seen["chunks"][0]["text"] and SECRETS[0] not in str(seen)


def test_a_preview_tries_other_sizes(client: Client) -> None:
    data = (BODY * 40).encode()
    small = client.preview(("letter.md", io.BytesIO(data)), tokens=40, overlap=0)
    large = client.preview(("letter.md", io.BytesIO(data)), tokens=200, overlap=0)
    assert (small["chunk_tokens"], large["chunk_tokens"]) == (40, 200)
    assert small["tokens"]["max"] <= 40 < large["tokens"]["max"] <= 200
    assert small["total"] > large["total"]


def test_a_document_tells_its_language_authors_dates_and_outline(client: Client) -> None:
    client.create_collection("facts")
    page = (
        '<html lang="en-GB"><head><title>Logbuch</title><meta name="author" content="A. Keeper; B. Warden"></head><body>'
        "<h1>Der Leuchtturm</h1><p>Der Wärter des Leuchtturms schrieb in sein Buch, was er an diesem Tag gesehen hatte.</p>"
        "<h2>Die Gänse</h2><p>Er zählte die Gänse, die an diesem Abend über das Meer gekommen waren.</p></body></html>"
    )
    document = client.document(add(client, "facts", "log.html", page.encode()))
    assert (document["language"], document["title"], document["authors"]) == (
        "de", "Logbuch", ["A. Keeper", "B. Warden"],
    )  # fmt: skip
    assert [(h["level"], h["text"]) for h in document["outline"]] == [(1, "Der Leuchtturm"), (2, "Die Gänse")]
    assert document["metadata"]["declared_language"] == "en-GB", "what the file says of itself is kept beside"
    found = client._json("POST", "/v1/search", json={"query": "Gänse", "filters": {"metadata.language": ["de"]}})
    assert found["hits"]


def test_near_duplicates_are_told_and_a_search_can_leave_them_out(client: Client) -> None:
    client.create_collection("near")
    text = " ".join(f"On day {i} the keeper counted {i * 7} geese and wrote it down." for i in range(40))
    first = add(client, "near", "one.md", text.encode())
    second = add(client, "near", "two.md", text.replace("49 geese", "48 geese").encode())
    assert [(n["doc_id"], n["uri"]) for n in client.near_duplicates(first)] == [(second, "two.md")]
    assert [d["near_duplicates"] for d in client.documents("near", near=True)["documents"]] == [1, 1]
    assert "near_duplicates" not in client.documents("near")["documents"][0]
    hit = client.search("how many geese on day 12", ["near"], k=1, collapse_duplicates=True)[0]
    assert hit["stands_for"] == 2 and {hit["doc_id"], *hit["duplicates"]} == {first, second}
    assert "stands_for" not in client.search("how many geese on day 12", ["near"], k=1)[0]
    client.delete_document(hit["doc_id"])
    again = client.search("how many geese on day 12", ["near"], k=1, collapse_duplicates=True)[0]
    assert again["doc_id"] == hit["duplicates"][0] and "stands_for" not in again
    assert client.near_duplicates(again["doc_id"]) == []
