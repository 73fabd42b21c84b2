"""Tables of web pages: each figure under its own headers, whatever spans what."""

from __future__ import annotations

import time
from typing import Any

import pytest

from core.errors import TooLarge
from ingest.parse import ParseLimits


def page(*rows: str) -> str:
    return f"<html><body><table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table></body></html>"


def test_a_figure_stands_under_all_its_headers_and_beside_its_label(parse_bytes: Any) -> None:
    source = page(
        "<th rowspan=2>Country</th><th colspan=2>2022</th><th colspan=2>2023</th>",
        "<th>Births</th><th>Deaths</th><th>Births</th><th>Deaths</th>",
        "<td rowspan=2>Austria</td><td>1</td><td>2</td><td>3</td><td>4</td>",
        "<td>5</td><td>6</td><td>7</td><td>8</td>",
        "<td>Belgium</td><td>9</td><td colspan=2>n/a</td><td>12</td>",
    )
    assert parse_bytes(source, "a.html").text.split("\n") == [
        "| Country | 2022 Births | 2022 Deaths | 2023 Births | 2023 Deaths |",
        "|-|-|-|-|-|",
        "| Austria | 1 | 2 | 3 | 4 |",
        "| Austria | 5 | 6 | 7 | 8 |",
        "| Belgium | 9 | n/a | n/a | 12 |",
    ]


def test_a_row_beside_a_header_cell_that_reaches_down_is_header(parse_bytes: Any) -> None:
    source = page(
        "<th rowspan=2>Region</th><th colspan=2>2022</th>",
        "<td>Plan</td><td>Actual</td>",
        "<td>North</td><td>1</td><td>2</td>",
    )
    assert parse_bytes(source, "a.html").text.startswith("| Region | 2022 Plan | 2022 Actual |\n|-|-|-|\n| North |")


@pytest.mark.parametrize(
    ("rows", "has_header"),
    [
        ([("Item", "2022", "2023"), ("Pump", "100", "200"), ("Valve", "10", "")], True),
        ([("", "Price"), ("Pump", "$ 100"), ("Valve", "$ 10")], True),
        ([("Name", "Ann"), ("Age", "41"), ("City", "Oslo")], False),
        ([("Pump", "100"), ("Valve", "10"), ("Pipe", "5")], False),
        ([("Item", ""), ("Pump", "100"), ("Valve", "10")], False),
        ([("Item", "Price"), ("Pump", "100")], False),
    ],
)
def test_without_header_cells_a_first_row_of_names_over_figures_is_the_header(
    parse_bytes: Any, rows: list[tuple[str, ...]], has_header: bool
) -> None:
    text = parse_bytes(page(*("".join(f"<td>{cell}</td>" for cell in row) for row in rows)), "a.html").text
    assert (text.split("\n")[1] == "|" + "-|" * len(rows[0])) == has_header
    assert text.count("\n|-") == has_header


def test_columns_that_only_spans_reach_are_left_out_and_figures_are_not_repeated(parse_bytes: Any) -> None:
    # As filings have it: each column is three, for the sign, the figure and the bracket after it.
    source = page(
        "<td colspan=3></td><td colspan=3>2022</td><td colspan=3>2023</td>",
        "<td colspan=3>Net sales</td><td colspan=2>90,146</td><td></td><td colspan=2>83,360</td><td></td>",
        "<td colspan=3>Net loss</td><td colspan=2>(1,234</td><td>)</td><td colspan=2>(567</td><td>)</td>",
    )
    text = parse_bytes(source, "a.html").text
    assert "| Net sales | 90,146 |  | 83,360 |  |" in text
    assert "| Net loss | (1,234 | ) | (567 | ) |" in text


def test_a_lone_header_is_a_caption_and_a_label_over_the_whole_table_stays_one(parse_bytes: Any) -> None:
    source = page(
        "<th colspan=3>Table 1: people</th>",
        "<th>Country</th><th>2022</th><th>2023</th>",
        "<th colspan=3>Europe</th>",
        "<td>Austria</td><td>1</td><td>2</td>",
    )
    assert parse_bytes(source, "a.html").text.split("\n") == [
        "Table 1: people",
        "",
        "| Country | 2022 | 2023 |",
        "|-|-|-|",
        "| Europe |  |  |",
        "| Austria | 1 | 2 |",
    ]


def test_a_span_of_all_rows_ends_with_its_part_of_the_table(parse_bytes: Any) -> None:
    source = (
        "<html><body><table><tr><th>Area</th><th>City</th></tr>"
        "<tbody><tr><td rowspan=0>North</td><td>Oslo</td></tr><tr><td>Bergen</td></tr></tbody>"
        "<tbody><tr><td>South</td><td>Rome</td></tr></tbody></table></body></html>"
    )
    assert parse_bytes(source, "a.html").text.endswith("| North | Oslo |\n| North | Bergen |\n| South | Rome |")


def test_a_cell_that_is_not_shown_takes_no_place(parse_bytes: Any) -> None:
    source = page(
        '<th>Year</th><th style="display:none">Secret</th><th>Sales</th>',
        "<td>2022</td><td>5</td>",
    )
    document = parse_bytes(source, "a.html")
    assert document.text.endswith("| 2022 | 5 |") and document.text.startswith("| Year | Sales |")
    assert [w.code for w in document.warnings] == ["hidden-text"]


@pytest.mark.parametrize(
    "rows",
    [
        ["<td colspan=1000000>a</td><td>b</td>"] * 200,
        ["<td rowspan=999999 colspan=999999>a</td>" * 100 + "<td>b</td>", *["<td>c</td><td>d</td>"] * 1000],
        ["<td rowspan=0>a</td><td rowspan=0>b</td>" * 500, *["<td>c</td><td>d</td>"] * 500],
        ["<td colspan=-1>a</td><td rowspan=x>b</td>", "<td colspan=0>c</td><td rowspan=''>d</td>"],
    ],
)
def test_hostile_spans_cost_little(parse_bytes: Any, rows: list[str]) -> None:
    start = time.process_time()
    document = parse_bytes(page("<th>Letter</th><th>Other</th>", *rows), "a.html")
    assert "Letter" in document.text
    assert len(document.text) < 5_000_000
    assert time.process_time() - start < 5


def test_a_table_that_its_spans_would_blow_up_is_refused(parse_bytes: Any) -> None:
    rows = ["<td>" + "x" * 150 + "</td><td rowspan=0>" + "y" * 190 + "</td>", *["<td>c</td>"] * 2000]
    with pytest.raises(TooLarge):
        parse_bytes(page("<th>A</th><th>B</th>", *rows), "a.html", ParseLimits(max_characters=100_000))


@pytest.mark.parametrize("source", ["<table><tr><th>Births<tr><td>7</table>", "Born:<p>7 in all", "<div>7</div>"])
def test_a_part_of_a_page_that_is_called_html_is_read_as_such(parse_bytes: Any, source: str) -> None:
    text = parse_bytes(source, "part.html").text
    assert "7" in text and "<" not in text


def test_text_without_a_tag_is_text_whatever_it_is_called(parse_bytes: Any) -> None:
    assert parse_bytes("a < b, and b > c\n", "notes.html").text.strip() == "a < b, and b > c"
