"""JSON, XML, RTF and source code: text that reads well, nothing lost, nothing expanded."""

from __future__ import annotations

import json

import pytest

from core.errors import EmptyDocument, ParseFailed

# ---------------------------------------------------------------- JSON


def test_a_list_of_flat_records_is_a_table(parse_bytes):
    data = json.dumps([{"name": "Ann", "age": 30}, {"name": "Bob", "age": None, "ok": True}])
    assert parse_bytes(data, "a.json").text == "| name | age | ok |\n|-|-|-|\n| Ann | 30 |  |\n| Bob |  | true |"


def test_an_object_becomes_lines_and_headings(parse_bytes):
    data = {"name": "x", "address": {"city": "Bern", "zip": ["3000", "3001"]}, "rows": [{"a": 1}, {"a": 2}]}
    document = parse_bytes(json.dumps(data), "a.json")
    assert document.text == ("name: x\n\naddress\n\ncity: Bern\nzip: 3000, 3001\n\nrows\n\n| a |\n|-|\n| 1 |\n| 2 |")
    assert [document.text[h.start :].split("\n")[0] for h in document.headings] == ["address", "rows"]


def test_records_with_parts_are_paragraphs(parse_bytes):
    data = [{"id": 1, "tags": [{"k": "a"}, {"k": "b"}]}, {"id": 2, "sub": {"x": {"y": "z"}}}]
    assert parse_bytes(json.dumps(data), "a.json").text == (
        "id: 1\ntags:\n  - k: a\n  - k: b\n\nid: 2\nsub:\n  x:\n    y: z"
    )


def test_numbers_stay_as_they_are_written(parse_bytes):
    text = parse_bytes('{"a": 0.10, "b": 12345678901234567890123, "c": 1e400, "d": ' + "9" * 5000 + "}", "a.json").text
    assert "a: 0.10\nb: 12345678901234567890123\nc: 1e400\nd: 9999" in text


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json"])
def test_lines_of_json_are_records(parse_bytes, name):
    document = parse_bytes('{"q": "one"}\n\n{"q": "two"}\n', name)
    assert document.text == "| q |\n|-|\n| one |\n| two |"
    assert document.mime_type == "application/jsonl"


def test_what_is_no_json_is_read_as_text_and_said(parse_bytes):
    document = parse_bytes('{"a": 1,', "a.json")
    assert document.text == '{"a": 1,'
    assert document.mime_type == "text/plain"
    assert "not valid JSON" in document.warnings[0].message


def test_every_value_is_in_the_text(parse_bytes):
    data = {"k": [[1, [2, {"deep": ["three", {"four": 5}]}]], "six\nseven"], "e": {}, "f": [], "g": {"h": [{"i": "j"}]}}
    text = parse_bytes(json.dumps(data), "a.json").text
    for value in ("1", "2", "deep", "three", "four", "5", "six", "seven", "g", "h", "i", "j"):
        assert value in text


def test_json_nested_without_end_is_refused(parse_bytes):
    with pytest.raises(ParseFailed):
        parse_bytes('{"a":' * 50_000 + "1" + "}" * 50_000, "a.json")


def test_json_of_nothing_is_empty(parse_bytes):
    with pytest.raises(EmptyDocument):
        parse_bytes("{}", "a.json")


# ---------------------------------------------------------------- XML


def test_records_of_one_shape_are_a_table(parse_bytes):
    xml = "<book><c><n>US</n><t>Joe</t></c><c><n>FR</n><t>Manu &amp; co</t></c></book>"
    assert parse_bytes(xml, "a.xml").text == "book: c\n\n| n | t |\n|-|-|\n| US | Joe |\n| FR | Manu & co |"


def test_other_elements_are_named_lines(parse_bytes):
    xml = (
        "<?xml version='1.0'?><doc xmlns='urn:x' version='2'><head><title>The Title</title></head>"
        "<p id='1'>Some <b>bold</b> text.</p><empty/></doc>"
    )
    document = parse_bytes(xml, "a.xml")
    assert document.text == "doc (version=2):\n\nhead:\n  title: The Title\n\np (id=1): Some bold text."
    assert document.title == "The Title"


def test_entities_are_neither_fetched_nor_expanded(parse_bytes, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    xml = f"<!DOCTYPE a [<!ENTITY x SYSTEM 'file://{secret}'>]><?xml-x?><a><b>one &x; two</b></a>"
    document = parse_bytes(xml, "a.xml")
    assert "hunter2" not in document.text
    assert "&x;" in document.text
    assert document.partial


def test_a_billion_laughs_are_not_laughed(parse_bytes):
    entities = "<!ENTITY l0 'lol'>" + "".join(f"<!ENTITY l{i} '{f'&l{i - 1};' * 10}'>" for i in range(1, 10))
    document = parse_bytes(f"<?xml version='1.0'?><!DOCTYPE a [{entities}]><a>&l9; end</a>", "a.xml")
    assert len(document.text) < 5000


def test_what_is_not_well_formed_is_read_as_text_and_said(parse_bytes):
    document = parse_bytes("<?xml version='1.0'?><a>some <b>text", "a.xml")
    assert "some <b>text" in document.text
    assert "not well-formed XML" in document.warnings[0].message


def test_the_encoding_that_xml_declares_is_used(parse_bytes):
    xml = "<?xml version='1.0' encoding='iso-8859-1'?><a>Größe</a>".encode("latin-1")
    assert parse_bytes(xml, "a.xml").text == "a: Größe"


def test_deep_xml_is_read_as_text(parse_bytes):
    assert parse_bytes("<?xml version='1.0'?>" + "<a>" * 3000 + "x" + "</a>" * 3000, "a.xml").mime_type == "text/plain"


def test_xml_without_text_is_empty(parse_bytes):
    with pytest.raises(EmptyDocument):
        parse_bytes("<?xml version='1.0'?><a><b/></a>", "a.xml")


# ---------------------------------------------------------------- RTF


def test_rich_text_is_its_paragraphs(parse_bytes):
    data = rb"{\rtf1\ansi\ansicpg1252{\info{\title My Report}{\author Ann}}{\b Bold} text.\par Gr\'fc\'dfe \u8364? here\par}"
    document = parse_bytes(data, "a.rtf")
    assert document.text == "Bold text.\n\nGrüße € here"
    assert (document.title, document.metadata["author"]) == ("My Report", "Ann")


def test_tables_in_rich_text_are_tables(parse_bytes):
    row = rb"\trowd\cellx100\cellx200 %s\cell %s\cell\row "
    data = rb"{\rtf1 Before\par " + row % (b"City", b"People") + row % (b"Bern", b"134") + rb"\pard After\par}"
    assert "| City | People |\n|-|-|\n| Bern | 134 |" in parse_bytes(data, "a.rtf").text


def test_pictures_in_rich_text_are_said_and_cost_nothing(parse_bytes):
    data = rb"{\rtf1 text{\pict\pngblip " + (b"89504e470d" * 12 + b"\n") * 50_000 + rb"} more\par}"
    document = parse_bytes(data, "a.rtf")
    assert document.text == "text more"
    assert document.warnings[0].message == "1 picture was not read: it is of no kind that is read"


def test_notes_boxes_and_comments_of_rich_text_follow_it(parse_bytes):
    data = (
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\stylesheet{\s1\v Ghost;}}Text with note{\super\chftn}"
        rb"{\footnote\pard\plain {\super\chftn} The note says \'a31998.} goes on{\footnote\ftnalt\pard{\super\chftn} At the end.\par Twice.}.\par "
        rb"{\shp{\*\shpinst{\sp{\sn a}{\sv b}}{\shptxt\pard A box \u8364?.\par}}}"
        rb"{\*\atnid AA}{\*\atnauthor Ann}\chatn{\*\annotation{\*\atnref 0}{\*\atndate 1}\pard really?}Last.{\header Running head}\par}"
    )
    document = parse_bytes(data, "a.rtf")
    assert document.text == (
        "Text with note[^1] goes on[^2].\n\nLast.\n\nA box €.\n\n[^1]: The note says £1998.\n\n[^2]: At the end.\n\nTwice."
        "\n\nComment (Ann): really?"
    )
    assert document.warnings == ()


def test_hidden_rich_text_is_left_out_and_said_and_deletions_are_left_out(parse_bytes):
    data = (
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}{\stylesheet{\s1\v Ghost;}}{\*\bkmkstart x\v y}Offer: 100 euros.\par "
        rb"{\v SECRET \'e9\u233? all {\b 900} euros.}\par {\deleted old price 555}One\v SECRET two\v0  shown, \v SECRET\plain  too.\par"
        rb"\viewkind4\webhidden This is seen.\par}"
    )
    document = parse_bytes(data, "a.rtf")
    assert document.text == "Offer: 100 euros.\n\nOne shown,  too.\n\nThis is seen."
    (warning,) = document.warnings
    assert warning.code == "hidden-text"
    assert "in 3 places): “SECRET éé all 900 euros.”" in warning.message


@pytest.mark.parametrize(
    "data",
    [
        b"{\\rtf1 \\v " + b"{" * 200_000,
        b"{\\rtf1 " + b"{" * 200_000,
        b"{\\rtf1 text" + b"}" * 100_000,
        b"{\\rtf1 \\u99999999? x}",
    ],
)
def test_broken_rich_text_ends_with_text_or_a_reason(parse_bytes, data):
    try:
        assert parse_bytes(data, "a.rtf").text
    except ParseFailed as e:
        assert e.message.startswith("a.rtf")


# ---------------------------------------------------------------- source code


def test_code_is_kept_as_it_is(parse_bytes):
    text = "def f(x):\n\treturn x  # größe\n"
    document = parse_bytes(text, "src/tool.py")
    assert document.text == text
    assert (document.title, document.mime_type) == ("tool.py", "text/x-python")
