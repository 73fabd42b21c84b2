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
                 "presentation": "presentation", "svg": "svg-compatible"}.items()
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


@pytest.mark.parametrize("shape", ["custom-shape", "rect", "ellipse", "caption", "g><draw:custom-shape"])
def test_the_text_of_shapes_that_hang_on_a_paragraph_is_read_once(parse_bytes, shape):
    end = "".join(f"</draw:{name}>" for name in reversed(shape.split("><draw:")))
    body = (
        f"<text:p>Before.<draw:{shape}><text:p>Exit code 7731."
        "<draw:frame><draw:text-box><text:p>Keep it.</text:p></draw:text-box></draw:frame></text:p>"
        f"{end}</text:p><text:p>After.</text:p>"
    )
    found = parse_bytes(odf("text", body), "a.odt")
    assert found.text == "Before.\n\nExit code 7731.\n\nKeep it.\n\nAfter."


def comment(text: str, author: str = "") -> str:
    by = f'<dc:creator xmlns:dc="http://purl.org/dc/elements/1.1/">{author}</dc:creator>' if author else ""
    return f"<office:annotation>{by}<text:p>{text}</text:p></office:annotation>"


def test_comments_of_texts_follow_the_block_that_they_are_about(parse_bytes):
    body = (
        f"<text:p>The price is agreed.{comment('The cap is not.', 'Ann')}</text:p>"
        f"<text:list><text:list-item><text:p>one{comment('or two?')}</text:p></text:list-item></text:list>"
        "<text:p>After.</text:p>"
    )
    assert parse_bytes(odf("text", body), "a.odt").text == (
        "The price is agreed.\n\nComment (Ann): The cap is not.\n\n- one\n\nComment: or two?\n\nAfter."
    )


def test_comments_of_cells_and_slides_are_read(parse_bytes):
    row = "<table:table-row><table:table-cell table:number-columns-repeated='27'/><table:table-cell><text:p>4</text:p>"
    sheet = f"<table:table table:name='S'><table:table-row/>{row}{comment('an estimate')}</table:table-cell></table:table-row></table:table>"
    assert parse_bytes(odf("spreadsheet", sheet), "a.ods").text.endswith("Comment on AB2: an estimate")
    slide = f"<draw:page>{comment('shorter!', 'Bo')}<draw:frame><draw:text-box><text:p>body</text:p></draw:text-box></draw:frame></draw:page>"
    assert parse_bytes(odf("presentation", slide), "a.odp").text == "Comment (Bo): shorter!\n\nbody"


def test_text_that_is_not_displayed_is_left_out_and_said(parse_bytes):
    styles = "".join(
        f"<style:style style:name='{name}' style:family='{family}' {base}>{properties}</style:style>"
        for name, family, base, properties in [
            ("P1", "paragraph", "", "<style:text-properties text:display='none'/>"),
            ("P2", "paragraph", "style:parent-style-name='P1'", ""),
            ("T1", "text", "", "<style:text-properties text:display='none'/>"),
            ("T2", "text", "style:parent-style-name='T1'", "<style:text-properties text:display='true'/>"),
            ("T3", "text", "style:parent-style-name='T3'", ""),
        ]
    )
    body = (
        "<text:p>Offer: 100 euros.</text:p><text:p text:style-name='P1'>SECRET a</text:p><text:p text:style-name='P2'>SECRET b</text:p>"
        "<text:p>One<text:span text:style-name='T1'>SECRET c</text:span> end, <text:span text:style-name='T2'>shown</text:span>"
        "<text:span text:style-name='T3'>, too</text:span>.</text:p>"
        "<text:p text:style-name='T1'>A paragraph is not of the family of that style.</text:p>"
        "<text:section text:display='none'><text:p>SECRET d</text:p></text:section>"
    )
    document = parse_bytes(odf("text", body, styles), "a.odt")
    assert document.text == (
        "Offer: 100 euros.\n\nOne end, shown, too.\n\nA paragraph is not of the family of that style."
    )
    (warning,) = document.warnings
    assert warning.message == "hidden text was left out (32 characters in 4 places): “SECRET a”"


def test_text_that_a_style_of_the_template_hides_is_left_out_too(parse_bytes):
    hides = "<style:style style:name='H' style:family='paragraph'><style:text-properties text:display='none'/></style:style>"
    members = unzipped(odf("text", "<text:p>shown</text:p><text:p text:style-name='H'>SECRET</text:p>"))
    members["styles.xml"] = f"<office:document-styles {NAMESPACES}>{hides}</office:document-styles>".encode()
    document = parse_bytes(zip_of(members), "a.odt")
    assert (document.text, [w.code for w in document.warnings]) == ("shown", ["hidden-text"])


def test_of_a_sheet_with_a_picture_alone_is_said_what_is_missing(parse_bytes):
    picture = (
        "<draw:frame><draw:image xlink:href='Pictures/a.png' xmlns:xlink='http://www.w3.org/1999/xlink'/></draw:frame>"
    )
    chart = "<draw:frame><draw:object/></draw:frame>"
    body = f"<table:table table:name='Costs'><table:shapes>{picture}{chart}</table:shapes></table:table>"
    with pytest.raises(EmptyDocument, match="picture on sheet Costs was not read: the file does not hold it"):
        parse_bytes(odf("spreadsheet", body), "a.ods")
    cell = f"<table:table-row><table:table-cell><text:p>Pump</text:p>{picture}</table:table-cell></table:table-row>"
    more = f"<table:table table:name='List'>{cell}</table:table>"
    document = parse_bytes(odf("spreadsheet", body + more), "a.ods")
    assert document.text.endswith("List\n\nPump")
    assert [w.message for w in document.warnings] == [
        "2 pictures were not read (on sheet Costs, on sheet List): the file does not hold it",
        "1 embedded object was not read",
    ]
    assert document.partial, "the sheet has nothing but the picture"
