"""A scan through a real server: found by its words, its page shown with them marked, figures linked to their page."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageChops

from app.client import Client
from tests.support.drawn_pdfs import lines, pdf
from tests.support.jobs import settled
from tests.support.scans import LETTER, needs_ocr, saved, scan, scanned
from tests.support.servers import openbook_server


def ingest(client: Client, collection: str, name: str, data: bytes):
    (job,) = client.upload(collection, [(name, io.BytesIO(data))])
    return settled(client, job["job_id"])


@needs_ocr
def test_words_of_a_scan_and_of_a_picture_are_found_and_marked_on_their_page(client: Client) -> None:
    client.create_collection("scans")
    for name, data in (("letter.pdf", pdf(scanned(scan()))), ("letter.png", saved(scan(), "PNG"))):
        job = ingest(client, "scans", name, data)
        assert job["state"] == "ready", job
    hits = client.search("Who opened the harbour office?", ["scans"])
    assert {h["title"] for h in hits} == {"letter"} and len(hits) == 2
    for hit in hits:
        text = client.document_text(hit["doc_id"])
        at = text.index("harbour")
        plain, marked = (
            Image.open(io.BytesIO(client.page_image(hit["doc_id"], 1, highlight=range_)))
            for range_ in (None, (at, at + len("harbour")))
        )
        x0, _, x1, _ = ImageChops.difference(plain.convert("RGB"), marked.convert("RGB")).getbbox() or (0, 0, 0, 0)
        assert 20 < x1 - x0 < 0.2 * plain.width, "one word of many"
        document = client.document(hit["doc_id"])
        assert not any(key.startswith("_") for key in document["metadata"]), "places of words stay inside"
        assert document["metadata"]["ocr"]["1"] > 80


def test_a_figure_is_named_with_the_image_of_its_page(client: Client) -> None:
    client.create_collection("figures")
    caption = "Figure 1: Tides at the harbour, in metres."
    job = ingest(client, "figures", "tides.pdf", pdf(lines(["About tides."]), lines([caption])))
    (figure,) = client.document(job["doc_id"])["figures"]
    assert (figure["label"], figure["page"], figure["caption"]) == ("Figure 1", 2, caption)
    start, end = figure["start"], figure["end"]
    assert figure["image"] == f"/v1/documents/{job['doc_id']}/pages/2.png?highlight={start},{end}"
    assert client.page_image(job["doc_id"], 2, highlight=(start, end)).startswith(b"\x89PNG")


@needs_ocr
@pytest.mark.slow
def test_a_document_that_lacked_ocr_is_read_anew_when_it_has_come(tmp_path, model_cache) -> None:
    data = pdf(lines(["A cover with text on it, long enough."]), scanned(scan()))
    with (
        openbook_server(tmp_path / "data", env={"TESSDATA_PREFIX": str(tmp_path)}) as server,
        server.client() as client,
    ):
        client.create_collection("late")
        job = ingest(client, "late", "late.pdf", data)
        assert job["state"] == "partial" and "page 2 is an image and no OCR is installed" in job["reason"]
        again = ingest(client, "late", "late.pdf", data)
        assert (again["state"], again["attempts"]) == ("partial", 1)
    with openbook_server(tmp_path / "data") as server, server.client() as client:
        job = ingest(client, "late", "late.pdf", data)
        assert job["state"] == "ready"
        assert LETTER[0] in client.document_text(job["doc_id"])
