"""Old Excel workbooks through xlrd."""

from __future__ import annotations

import pytest

from core.errors import EmptyDocument, ParseFailed
from ingest.parse import ParseLimits, parse_file
from ingest.parse.source import MemoryFile
from ingest.parse.xls import parse_xls
from tests.support.every_kind import biff

LIMITS = ParseLimits()


def test_cells_become_a_table():
    cells = [(0, 0, "Region"), (0, 1, "Sales"), (1, 0, "North"), (1, 1, 12.0), (2, 0, "South"), (2, 1, 0.5)]
    document = parse_xls(MemoryFile(biff(*cells)), "old.xls", LIMITS)
    assert document.text.endswith("| Region | Sales |\n|-|-|\n| North | 12 |\n| South | 0.5 |")
    assert document.title == "old"


def test_a_cell_at_the_far_end_costs_only_itself():
    assert parse_xls(MemoryFile(biff((16383, 255, "far"))), "a.xls", LIMITS).text.endswith("far")


def test_a_workbook_without_cells_is_empty():
    with pytest.raises(EmptyDocument):
        parse_xls(MemoryFile(biff()), "a.xls", LIMITS)


@pytest.mark.parametrize(
    "data", [b"\x09\x08\x10\x00\x00\x06\x05\x00", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)]
)
def test_a_damaged_one_is_said(data):
    with pytest.raises(ParseFailed, match=r"a\.xls is a damaged Excel workbook"):
        parse_xls(MemoryFile(data), "a.xls", LIMITS)


@pytest.mark.data
def test_a_workbook_of_three_sheets(shared_data):
    path = shared_data / "office-docs" / "unstructured__tests-example.xls"
    document = parse_file(path, path.name, LIMITS)
    assert [h.text for h in document.headings] == ["Example Test", "Format Abbr.", "Readme"]
    assert "| FIB | The student activities fee is | 95 | dollars" in document.text
    assert "| Abbreviation | Question Type |\n|-|-|\n| MC | Multiple Choice |" in document.text
