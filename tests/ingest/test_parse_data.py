"""The hard files of the development data: each ends with its text or the true reason."""

from __future__ import annotations

import csv

import pytest

from bench.outcomes import outcomes, passwords_of
from ingest.parse import ParseLimits

pytestmark = [pytest.mark.slow, pytest.mark.data]

# Files that hold no text that could be read without OCR, or that are broken, or not of a kind that is read.
PDF_FAILURES = {
    "scanned": "OCR is not installed",
    "OCRmyPDF__invalid.pdf": "damaged or cut off",
    "OCRmyPDF__no_contents.pdf": "blank",
    "sample-files__unreadablemetadata.pdf": "damaged or cut off",
    "unstructured__table-multi-row-column-cells.pdf": "OCR is not installed",
}
READ_KINDS = {"docx", "html", "txt"}


@pytest.fixture(scope="module")
def pdfs(shared_data):
    folder = shared_data / "pdfs"
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        manifest = {row["file"]: row for row in csv.DictReader(file)}
    found = {o.file: o for o in outcomes(folder, passwords_of(folder), ParseLimits())}
    return manifest, found


def test_every_pdf_ends_with_text_or_its_true_reason(pdfs):
    manifest, found = pdfs
    assert set(manifest) <= set(found)
    for name, row in manifest.items():
        expected = PDF_FAILURES.get(name) or PDF_FAILURES.get(row["category"])
        if expected:
            assert found[name].state == "failed", found[name]
            assert expected in found[name].reason
        else:
            assert found[name].state in ("ready", "partial"), found[name]


def test_no_readable_pdf_comes_out_shorter_than_with_pypdf(pdfs):
    """Of the first five pages pypdf got so many characters; ours may lose white space and doubled letters, not text."""
    manifest, found = pdfs
    for name, row in manifest.items():
        theirs = int(row["chars_first5_pages_pypdf"] or 0)
        if found[name].state != "failed" and theirs > 50:
            assert found[name].characters > 0.8 * theirs, name


def test_doubtful_fonts_make_a_pdf_partial(pdfs):
    _, found = pdfs
    assert found["pdfminer.six__issue-791-non-unicode-cmap.pdf"].state == "partial"


def test_every_office_document_of_a_kind_that_is_read_is_ready(shared_data):
    folder = shared_data / "office-docs"
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        kinds = {row["file"]: row["type"] for row in csv.DictReader(file)}
    for o in outcomes(folder, {}, ParseLimits()):
        if kinds.get(o.file) in READ_KINDS:
            assert o.state == "ready", o
            assert o.characters > 10, o
        elif o.state == "failed":
            assert "are read" in o.reason, o


def test_two_columns_are_read_in_order(shared_data):
    from ingest.parse import parse_file

    path = shared_data / "pdfs" / "unstructured__multi-column-2p.pdf"
    text = parse_file(path, path.name, ParseLimits()).text
    for passage in (
        "Open-domain question answering relies on efficient passage retrieval to select candidate contexts",
        "practically implemented using dense representations alone, where embeddings are learned",
        "simple dual-encoder framework",
        "outperforms a strong Lucene-BM25 system greatly by 9%-19% absolute",
        "as representing the question and context in high-dimensional, sparse vectors",
    ):
        assert passage in text
