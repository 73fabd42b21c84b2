"""OpenDocument: texts, sheets and slides, held against what odfdo writes; repetitions without end."""

from __future__ import annotations

import io

import odfdo
import pytest

from core.errors import EmptyDocument, Encrypted, ParseFailed, TooLarge
from tests.support.zips import unzipped, zip_of

NAMESPACES = " ".join(
    f'xmlns:{p}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"'
    for p, n in {"office": "office", "text": "text", "table": "table", "draw": "drawing", "style": "style",
                 "presentation": "presentation"}.items()
)  # fmt: skip


def saved(document) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def odf(kind: str, body: str, styles: str = "") -> bytes:
    tag = {"text": "text", "spreadsheet": "spreadsheet", "presentation": "presentation"}[kind]
    content = (
        f"<office:document-content {NAMESPACES}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{tag}>{body}</office:{tag}></office:body></office:document-content>"
    )
    return zip_of({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content})


def test_what_odfdo_writes_is_read(parse_bytes):
    document = odfdo.Document("text")
    document.body.clear()
    document.body.append(odfdo.Header(1, "Chapter"))
    document.body.append(odfdo.Paragraph("Some  words\tand more"))
    document.body.append(odfdo.List(["one", "two"]))
    table = odfdo.Table("T", width=2, height=2)
    for place, value in {"A1": "City", "B1": "People", "A2": "Bern", "B2": "134"}.items():
        table.set_value(place, value)
    document.body.append(table)
    document.meta.title = "A Report"
    found = parse_bytes(saved(document), "a.odt")
    assert found.text == (
        "Chapter\n\nSome  words\tand more\n\n- one\n- two\n\n| City | People |\n|-|-|\n| Bern | 134 |"
    )
    assert [(h.level, h.text, h.start) for h in found.headings] == [(1, "Chapter", 0)]
    assert found.title == "A Report"
    assert found.mime_type == "application/vnd.oasis.opendocument.text"


def test_a_sheet_that_odfdo_writes_is_read(parse_bytes):
    document = odfdo.Document("spreadsheet")
    document.body.clear()
    table = odfdo.Table("Sales")
    table.set_values([["Region", "Sales"], ["North", 12], ["South", 7]])
    document.body.append(table)
    found = parse_bytes(saved(document), "a.ods")
    assert found.text == "Sales\n\n| Region | Sales |\n|-|-|\n| North | 12 |\n| South | 7 |"


def test_notes_go_to_the_end_and_deleted_text_is_left_out(parse_bytes):
    body = (
        "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        "<text:p>claim<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>proof</text:p>"
        "</text:note-body></text:note> goes on<text:line-break/>here</text:p>"
    )
    assert parse_bytes(odf("text", body), "a.odt").text == "claim[^1] goes on\nhere\n\n[^1]: proof"


def test_lists_in_lists_are_indented_and_boxes_are_read(parse_bytes):
    body = (
        "<text:list><text:list-item><text:p>a</text:p><text:list><text:list-item><text:p>b</text:p></text:list-item>"
        "</text:list></text:list-item></text:list>"
        "<text:p><draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame></text:p>"
    )
    assert parse_bytes(odf("text", body), "a.odt").text == "- a\n  - b\n\nboxed"


def test_a_billion_repeated_cells_cost_nothing(parse_bytes):
    empty = "<table:table-row table:number-rows-repeated='1048576'><table:table-cell table:number-columns-repeated='16384'/></table:table-row>"
    row = "<table:table-row><table:table-cell><text:p>a</text:p></table:table-cell></table:table-row>"
    body = f"<table:table table:name='S'>{empty}{row}{empty}</table:table>"
    assert parse_bytes(odf("spreadsheet", body), "a.ods").text == "S\n\na"


def test_a_text_repeated_a_billion_times_is_refused_before_it_is_made(parse_bytes):
    cell = "<table:table-cell table:number-columns-repeated='99999'><text:p>a</text:p></table:table-cell>"
    body = f"<table:table table:name='S'><table:table-row table:number-rows-repeated='999999'>{cell}</table:table-row></table:table>"
    with pytest.raises(TooLarge):
        parse_bytes(odf("spreadsheet", body), "a.ods")


def test_spaces_repeated_without_end_are_bounded(parse_bytes):
    assert len(parse_bytes(odf("text", "<text:p>a<text:s text:c='999999999'/>b</text:p>"), "a.odt").text) < 200


def test_dates_are_iso_and_hidden_sheets_are_said(parse_bytes):
    styles = "<style:style style:name='h'><style:table-properties table:display='false'/></style:style>"
    body = (
        "<table:table table:name='S' table:style-name='h'><table:table-row><table:table-cell office:value-type='date' "
        "office:date-value='2024-03-01T00:00:00'><text:p>1. März</text:p></table:table-cell><table:table-cell "
        "office:value-type='percentage' office:value='0.12'><text:p>12 %</text:p></table:table-cell></table:table-row></table:table>"
    )
    document = parse_bytes(odf("spreadsheet", body, styles), "a.ods")
    assert "| 2024-03-01 | 12 % |" in document.text
    assert "hidden parts were read too: S" in document.warnings[0].message


def test_slides_are_pages(parse_bytes):
    slide = (
        "<draw:page><draw:frame><draw:text-box><text:p>body {0}</text:p></draw:text-box></draw:frame>"
        "<draw:frame presentation:class='title'><draw:text-box><text:p>Title {0}</text:p></draw:text-box></draw:frame>"
        "<presentation:notes><draw:frame><draw:text-box><text:p>note {0}</text:p></draw:text-box></draw:frame>"
        "</presentation:notes></draw:page>"
    )
    document = parse_bytes(odf("presentation", slide.format(1) + slide.format(2)), "a.odp")
    assert document.text.startswith("Title 1\n\nbody 1\n\nNotes: note 1\n\nTitle 2")
    assert [document.text[p.start : p.end].split("\n")[0] for p in document.pages] == ["Title 1", "Title 2"]


def test_a_password_is_said(parse_bytes):
    members = unzipped(odf("text", "<text:p>x</text:p>"))
    members["META-INF/manifest.xml"] = b"<manifest><file-entry><encryption-data/></file-entry></manifest>"
    with pytest.raises(Encrypted, match="remove the password"):
        parse_bytes(zip_of(members), "a.odt")


@pytest.mark.parametrize(
    ("body", "error"),
    [("", EmptyDocument), ("<text:section>" * 5000, ParseFailed), ("<text:p>&undeclared;</text:p>", ParseFailed)],
)
def test_empty_and_broken_texts_are_told_apart(parse_bytes, body, error):
    with pytest.raises(error) as caught:
        parse_bytes(odf("text", body), "a.odt")
    assert type(caught.value) is error


def test_nested_spans_and_tables_end(parse_bytes):
    deep = "<text:span>" * 200 + "core" + "</text:span>" * 200
    assert parse_bytes(odf("text", f"<text:p>{deep}</text:p>"), "a.odt").text == "core"
