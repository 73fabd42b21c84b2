"""Of several files of one name the one that was added last is what is searched, whatever becomes of those before it."""

from __future__ import annotations

import io

from app.client import Client
from core.ids import document_id
from tests.app.test_api import settle


def test_an_older_file_that_is_tried_again_does_not_replace_a_newer_one(client: Client) -> None:
    c = "newer-files"
    client.create_collection(c)
    client.pause_collection(c)
    (old,) = client.upload(c, [("report.txt", io.BytesIO(b"The figures of last year."))])
    client.cancel_job(old["job_id"])
    client.pause_collection(c, paused=False)
    new = settle(client, client.upload(c, [("report.txt", io.BytesIO(b"The figures of this year."))]))
    assert [job["state"] for job in new] == ["ready"]
    (again,) = settle(client, [client.retry_job(old["job_id"])])
    assert (again["state"], again["reason"]) == ("cancelled", "a newer file of this name has come")
    assert client.document_text(document_id(c, "report.txt")).strip() == "The figures of this year."

    # Once the newer one has been deleted, the older is all there is.
    client.delete_document(document_id(c, "report.txt"))
    (again,) = settle(client, [client.retry_job(old["job_id"])])
    assert again["state"] == "ready"
    assert client.document_text(document_id(c, "report.txt")).strip() == "The figures of last year."
