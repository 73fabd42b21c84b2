"""Tables of values: delimiters, quotes, encodings, headers."""

from __future__ import annotations

import time

import pytest

from core.errors import EmptyDocument, ParseFailed, TooLarge
from ingest.parse import ParseLimits
from ingest.parse.csv_table import find_delimiter

EXPECTED = "| name | age |\n|-|-|\n| Ann | 30 |\n| Bob | 41 |"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_from_the_content(parse_bytes, delimiter):
    text = f"name{delimiter}age\nAnn{delimiter}30\nBob{delimiter}41\n"
    document = parse_bytes(text, "people.csv")
    assert document.text == EXPECTED
    assert document.metadata["delimiter"] == delimiter
    assert document.title == "people"


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a, b; c, d; e\nf; g; h\n", ";"),
        ("price;1,5;2,5\nweight;3,5;4,5\n", ";"),
        ("date\t1,5\nnext\t2,5", "\t"),
        ('"a;b";c,"d;e;f"\n"x;y",z\n', ","),
        ("one column\nonly\n", ","),
        ("sep=|\na|b,c\n", "|"),
        ("", ","),
    ],
)
def test_marks_within_values_do_not_mislead(text, delimiter):
    assert find_delimiter(text) == delimiter


def test_quoted_line_ends_and_quotes_stay_in_their_cell(parse_bytes):
    document = parse_bytes('name,note\nAnn,"two\nlines, ""quoted"""\n', "a.csv")
    assert '| Ann | two lines, "quoted" |' in document.text


def test_tabs_give_their_own_type(parse_bytes):
    assert parse_bytes("a\tb\n1\t2\n", "a.tsv").mime_type == "text/tab-separated-values"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_any_encoding_is_read(parse_bytes, encoding):
    text = "Stadt;Größe\nMünchen;1,5\nKöln;1,1\nDüsseldorf;0,6\nSaarbrücken;0,2\n"
    assert "| München | 1,5 |" in parse_bytes(text.encode(encoding), "a.csv").text


def test_a_title_above_the_table_is_no_header(parse_bytes):
    text = "Stanley Cups,,\nTeam,Location,Stanley Cups\nBlues,STL,1\n"
    assert (
        parse_bytes(text, "a.csv").text
        == "Stanley Cups\n\n| Team | Location | Stanley Cups |\n|-|-|-|\n| Blues | STL | 1 |"
    )


def test_numbers_from_the_first_row_on_have_no_header(parse_bytes):
    assert "|-" not in parse_bytes("1,2\n3,4\n", "a.csv").text


def test_rows_of_different_length_keep_every_value(parse_bytes):
    text = parse_bytes("a,b\n1\n1,2,3\n", "a.csv").text
    assert "| 1 | 2 | 3 |" in text


def test_bars_in_values_do_not_break_the_table(parse_bytes):
    assert r"| x\|y | 1 |" in parse_bytes("a,b\nx|y,1\n", "a.csv").text


def test_a_table_without_values_is_empty(parse_bytes):
    with pytest.raises(EmptyDocument):
        parse_bytes(",,,\n,,,\n", "a.csv")


def test_an_open_quote_over_a_megabyte_is_said(parse_bytes):
    with pytest.raises(ParseFailed, match="quotation mark"):
        parse_bytes('a,b\n"' + "x,1\n" * 400_000, "a.csv")


def test_a_million_delimiters_end_soon(parse_bytes):
    begun = time.process_time()
    with pytest.raises((TooLarge, EmptyDocument)):
        parse_bytes("a" + "," * 3_000_000 + "b\n" + "c,d\n" * 10, "a.csv", ParseLimits(max_characters=20))
    assert parse_bytes("a" + "," * 3_000_000 + "b\nc,d\n", "a.csv").text.startswith("| a |")
    assert time.process_time() - begun < 8
