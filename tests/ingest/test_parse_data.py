"""The hard files of the development data: each ends with its text or the true reason."""

from __future__ import annotations

import csv

import pytest

from bench.outcomes import outcomes, passwords_of
from ingest.parse import ParseLimits
from ingest.parse.ocr import missing_ocr

pytestmark = [pytest.mark.slow, pytest.mark.data]

NO_OCR = missing_ocr("eng")
# Files that are broken, and those that hold no text that could be read without OCR.
PDF_FAILURES = {
    "OCRmyPDF__invalid.pdf": "damaged or cut off",
    "OCRmyPDF__no_contents.pdf": "blank",
    "sample-files__unreadablemetadata.pdf": "damaged or cut off",
}
if NO_OCR:
    PDF_FAILURES |= {
        "scanned": "no OCR is installed",
        "unstructured__table-multi-row-column-cells.pdf": "no OCR is installed",
    }
# What is seen on scans.
SCANNED_PASSAGES = {
    "OCRmyPDF__francais.pdf": "Portez ce vieux whisky au juge blond qui fume",
    "haystack__non_text_searchable.pdf": "This is an example of a non-text-searchable PDF. Because it was created from an image",
    "unstructured__table-multi-row-column-cells.pdf": "95.4%, n=3",
}


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


def test_doubtful_fonts_make_a_pdf_partial_unless_ocr_reads_it(pdfs):
    _, found = pdfs
    assert found["pdfminer.six__issue-791-non-unicode-cmap.pdf"].state == ("partial" if NO_OCR else "ready")


@pytest.mark.skipif(bool(NO_OCR), reason=NO_OCR)
@pytest.mark.parametrize("name", SCANNED_PASSAGES)
def test_what_is_seen_on_a_scan_is_in_its_text(shared_data, name):
    from ingest.parse import parse_file

    assert SCANNED_PASSAGES[name] in parse_file(shared_data / "pdfs" / name, name, ParseLimits()).text


OFFICE_FAILURES = {
    "unstructured__fake-encrypted.msg": "encrypted message: open it in your mail program and save it decrypted",
    "unstructured__fake-power-point.ppt": "old PowerPoint presentation (.ppt), which is not read: save it as .pptx",
}
OFFICE_PARTIAL = {"haystack__sample.msg": "page 3 is"} if NO_OCR else {}  # a page of the attached PDF, a drawing
# What each file says, seen by eye: one passage that must come out as it stands.
OFFICE_PASSAGES = {
    "haystack__sample.msg": "This is an example email with a body.",
    "haystack__table_empty_rows_and_columns.xlsx": "| col_a | col_b |\n|-|-|\n| 1.5 | test |",
    "unstructured__2023-half-year-analyses-by-segment.xlsx": "| Zone NA | 12,553 | 2,713 | 2,632 | -81 | -29 | -44 | -337 |",
    "unstructured__email-no-utf8-2014-03-17.111517.eml": "was recently changed.\nIf you made this change",
    "unstructured__eng_spa_mult.epub": "Todos los seres humanos nacen libres e iguales en dignidad y derechos",
    "unstructured__factbook.xml": "| Trinidad & Tobado | Port of Spain | Keith Rowley | Track & Field |",
    "unstructured__fake-email-image-embedded.eml": "- Roses are red\n   - Violets are blue",
    "unstructured__fake-incomplete-json.txt": '"name": "John Doe"',
    "unstructured__fake-power-point-malformed.pptx": "Test Slide",
    "unstructured__group-shapes-nested.pptx": "A\n\nB\n\nD\n\nC",
    "unstructured__more-than-1k-cells.xlsx": "| x | x | x |",
    "unstructured__semicolon-delimited.csv": "| Lorem, ipsum | dolor sit | amet |\n|-|-|-|\n| consectetur |",
    "unstructured__simple.pptx": "Things to think about\n\n- How much is enough?",
    "unstructured__stanley-cups.csv": "Stanley Cups\n\n| Team | Location | Stanley Cups |\n|-|-|-|\n| Blues |",
    "unstructured__tests-example.xls": "| Abbreviation | Question Type |\n|-|-|\n| MC | Multiple Choice |",
    "unstructured__vodafone.xlsx": "Operational metrics\n\n| Topic | Period | Page |\n|-|-|-|\n| Mobile customers |",
}


def test_every_office_document_ends_with_text_or_its_true_reason(shared_data):
    folder = shared_data / "office-docs"
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        names = {row["file"] for row in csv.DictReader(file)}
    found = {o.file: o for o in outcomes(folder, {}, ParseLimits())}
    assert names <= set(found)
    for name in sorted(names):
        expected = OFFICE_FAILURES.get(name) or OFFICE_PARTIAL.get(name, "")
        state = "failed" if name in OFFICE_FAILURES else "partial" if name in OFFICE_PARTIAL else "ready"
        assert found[name].state == state, found[name]
        assert expected in found[name].reason
        if state != "failed":
            assert found[name].characters >= 10, found[name]


@pytest.mark.parametrize("name", OFFICE_PASSAGES)
def test_what_is_seen_in_an_office_document_is_in_its_text(shared_data, name):
    from ingest.parse import parse_file

    assert OFFICE_PASSAGES[name] in parse_file(shared_data / "office-docs" / name, name, ParseLimits()).text


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
