"""Excel workbooks: sheets, headers, values as they are shown, and files that lie."""

from __future__ import annotations

import datetime as dt
import io

import openpyxl
import pytest
from openpyxl.styles import numbers
from openpyxl.workbook.protection import WorkbookProtection

from core.errors import EmptyDocument, ParseFailed, TooLarge
from ingest.parse import ParseLimits
from tests.support.zips import changed, unzipped, zip_of

SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{}</worksheet>'


def saved(book) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def book_of(*rows, title="Sheet1"):
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    return book


def sheet_xml(inner: str) -> bytes:
    """A workbook whose only sheet has this inside."""
    return changed(saved(book_of(["x"])), sheet1_xml=SHEET.format(inner).encode())


def test_a_sheet_is_a_heading_and_its_table(parse_bytes):
    document = parse_bytes(saved(book_of(["Region", "Sales"], ["North", 12], ["South", 7.5])), "figures.xlsx")
    assert document.text == "Sheet1\n\n| Region | Sales |\n|-|-|\n| North | 12 |\n| South | 7.5 |"
    assert [(h.level, h.text, h.start) for h in document.headings] == [(1, "Sheet1", 0)]
    assert document.title == "figures"
    assert document.metadata["sheets"] == ["Sheet1"]
    assert not document.warnings


def test_each_sheet_has_its_heading_where_it_begins(parse_bytes):
    book = book_of(["a", "b"], [1, 2], title="First")
    book.create_sheet("Second").append(["c", "d"])
    book.create_sheet("Empty")
    document = parse_bytes(saved(book), "a.xlsx")
    assert [h.text for h in document.headings] == ["First", "Second"]
    for heading in document.headings:
        assert document.text[heading.start :].startswith(heading.text)


def test_blocks_divided_by_blank_rows_are_tables_of_their_own(parse_bytes):
    book = book_of(["Fruit", "kg"], ["Apple", 3], [], ["City", "People", "Area"], ["Bern", 134, 52])
    text = parse_bytes(saved(book), "a.xlsx").text
    assert "| Fruit | kg |\n|-|-|\n| Apple | 3 |\n\n| City | People | Area |\n|-|-|-|" in text


def test_a_table_that_goes_on_below_a_blank_row_keeps_its_header(parse_bytes):
    book = book_of(["Item", "2022", "2023"], ["Sales", 10, 20], [], ["Costs", 5, 6])
    text = parse_bytes(saved(book), "a.xlsx").text
    assert text.count("| Item | 2022 | 2023 |") == 2


def test_a_header_apart_from_its_body_is_joined_to_it(parse_bytes):
    book = book_of(["In millions", "Sales", "Profit"], [], ["North", 10, 2], ["South", 20, 3])
    assert "| In millions | Sales | Profit |\n|-|-|-|\n| North | 10 | 2 |" in parse_bytes(saved(book), "a.xlsx").text


def test_texts_above_and_notes_below_are_not_rows(parse_bytes):
    note = "(a) This includes everything that was sold by our partners abroad."
    book = book_of(["Sales by region"], ["Region", "2023"], ["North", 5.25], [note])
    text = parse_bytes(saved(book), "a.xlsx").text
    assert text.split("\n\n") == [
        "Sheet1",
        "Sales by region",
        "| Region | 2023 |\n|-|-|\n| North | 5.25 |",
        note,
    ]


def test_a_header_of_two_rows_becomes_one(parse_bytes):
    book = book_of([None, "2022", None, "2023"], ["Region", "Q1", "Q2", "Q1"], ["North", 1, 2, 3])
    book.active.merge_cells("B1:C1")
    assert "| Region | 2022 Q1 | 2022 Q2 | 2023 Q1 |" in parse_bytes(saved(book), "a.xlsx").text


TWO_LEVELS = ["Region", "2023", None, "2024", None], [None, "Plan", "Actual", "Plan", "Actual"]


@pytest.mark.parametrize(
    ("corner", "below", "merged", "name"),
    [
        ("Region", None, ["A1:A2"], "Region"),
        ("Region", None, [], "Region"),
        (None, "Region", [], "Region"),
        (None, None, [], ""),
    ],
)
def test_each_part_of_a_long_table_has_both_rows_of_its_header(parse_bytes, corner, below, merged, name):
    book = book_of([corner, *TWO_LEVELS[0][1:]], [below, *TWO_LEVELS[1][1:]])
    for r in range(60):
        book.active.append([f"Region number {r}", 100 + r, 200 + r, 300 + r, 400 + r])
    for cells in ("B1:C1", "D1:E1", *merged):
        book.active.merge_cells(cells)
    _, *parts = parse_bytes(saved(book), "a.xlsx").text.split("\n\n")
    assert len(parts) > 3
    for part in parts:
        assert part.startswith(
            f"| {name} | 2023 Plan | 2023 Actual | 2024 Plan | 2024 Actual |\n|-|-|-|-|-|\n| Region number"
        )


def test_years_and_texts_below_merged_cells_are_header(parse_bytes):
    book = book_of(["Item", "Plan", None, "Actual", None], [None, 2022, 2023, 2022, 2023], ["Sales", 1, 2, 3, 4])
    book.active.merge_cells("B1:C1")
    book.active.merge_cells("D1:E1")
    assert "| Item | Plan 2022 | Plan 2023 | Actual 2022 | Actual 2023 |\n|-" in parse_bytes(saved(book), "a.xlsx").text
    book = book_of(
        ["Team", "Contact", None], [None, "Name", "Mail"], ["North", "Ann", "a@b.org"], ["South", "Bo", "b@b.org"]
    )
    book.active.merge_cells("A1:A2")
    book.active.merge_cells("B1:C1")
    assert "| Team | Contact Name | Contact Mail |\n|-|-|-|\n| North |" in parse_bytes(saved(book), "a.xlsx").text


def test_a_row_of_texts_below_columns_of_one_name_is_no_header(parse_bytes):
    book = book_of(["Item", "Total", "Total"], ["Apples", "none", "n/a"], ["Pears", 3, 4])
    assert "| Item | Total | Total |\n|-|-|-|\n| Apples | none | n/a |" in parse_bytes(saved(book), "a.xlsx").text
    book = book_of(["Name", "Note", "Note"], ["Ann", "tall", "quick"], ["Bo", "small", "slow"])
    assert "| Name | Note | Note |\n|-|-|-|\n| Ann |" in parse_bytes(saved(book), "a.xlsx").text


def test_a_label_merged_over_rows_stays_with_each(parse_bytes):
    book = book_of(["Region", "Year", "Sales"], ["North", 2022, 1.5], [None, 2023, 2.5])
    book.active.merge_cells("A2:A3")
    assert "| North | 2023 | 2.5 |" in parse_bytes(saved(book), "a.xlsx").text


def test_empty_rows_and_columns_around_a_table_are_trimmed(parse_bytes):
    book = book_of()
    book.active["D10"], book.active["F10"], book.active["D11"], book.active["F11"] = "a", "b", 1, 2
    assert parse_bytes(saved(book), "a.xlsx").text == "Sheet1\n\n| a | b |\n|-|-|\n| 1 | 2 |"


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (12.0, "General", "12"),
        (0.1 + 0.2, "General", "0.3"),
        (0.1234, "0.0%", "12.3%"),
        (2.5, "0", "3"),  # halves away from zero, as Excel has it
        (-2.5, "0", "-3"),
        (0.285, "0%", "29%"),
        (0.125, "0.00", "0.13"),
        (501, "00000", "00501"),
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (1234.5, '"$"#,##0.00', "$1,234.50"),
        (1234.5, '_-[$€-407]* #,##0.00_-', "€1,234.50"),
        (-1234, "#,##0_);(#,##0)", "-1,234"),
        (-0.4, "0", "0"),
        (12345678, "#,##0,,", "12345678"),  # shown as 12 there: it would say something else than the cell
        (5, '0" apples"', "5"),
        (7, "000", "007"),
        (123456789012345, "General", "123456789012345"),
        (1e300, "0.00", "1e+300"),
        (dt.datetime(2024, 3, 1), "yyyy-mm-dd", "2024-03-01"),
        (dt.datetime(2024, 3, 1, 14, 30), "dd.mm.yy hh:mm", "2024-03-01 14:30"),
        (dt.time(9, 5), "h:mm", "09:05:00"),
        (dt.timedelta(hours=30, minutes=5), "[h]:mm", "30:05:00"),
        (True, "General", "TRUE"),
        ("#DIV/0!", "General", "#DIV/0!"),
    ],
)  # fmt: skip
def test_values_are_what_a_person_sees(parse_bytes, value, code, shown):
    book = book_of(["name", "value"])
    book.active["A2"] = "row"
    book.active["B2"] = value
    book.active["B2"].number_format = code
    assert f"| row | {shown} |" in parse_bytes(saved(book), "a.xlsx").text


def test_every_value_is_the_one_that_openpyxl_reads(parse_bytes):
    book = book_of(*[[f"r{r}", *(r * 37.5 + c / 8 for c in range(6))] for r in range(50)])
    data = saved(book)
    sheet = openpyxl.load_workbook(io.BytesIO(data), data_only=True, read_only=True).active
    theirs = [[str(v).removesuffix(".0") for v in row] for row in sheet.iter_rows(values_only=True)]
    lines = [
        line.strip("| ").split(" | ") for line in parse_bytes(data, "a.xlsx").text.split("\n") if line.startswith("| r")
    ]
    assert lines == theirs


def test_the_calendar_of_1904_is_obeyed(parse_bytes):
    book = book_of(["when", "x"], [dt.datetime(2024, 3, 1), 1])
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    assert "2024-03-01" in parse_bytes(saved(book), "a.xlsx").text


def test_a_formula_gives_its_saved_value_and_one_without_is_said(parse_bytes):
    document = parse_bytes(
        sheet_xml(
            "<sheetData><row r='1'><c r='A1'><f>1+1</f><v>2</v></c><c r='B1'><f>2+2</f></c><c r='C1'><v>7</v></c></row></sheetData>"
        ),
        "a.xlsx",
    )
    assert "| 2 | 7 |" in document.text
    assert document.partial
    assert "1 formulas have no saved value" in document.warnings[0].message


def test_what_is_hidden_is_read_and_said(parse_bytes):
    book = book_of(["a", "b"], [1, 2], [3, 4])
    book.active.row_dimensions[2].hidden = True
    book.active.column_dimensions["B"].hidden = True
    secret = book.create_sheet("Secret")
    secret.sheet_state = "veryHidden"
    secret.append(["password", "1234"])
    document = parse_bytes(saved(book), "a.xlsx")
    assert "Secret (hidden sheet)\n\n| password | 1234 |" in document.text
    assert [w.message for w in document.warnings] == [
        "hidden sheets were read too: Secret",
        "1 hidden row and 1 hidden column were read too",
    ]
    assert not document.partial


def test_comments_follow_their_sheet(parse_bytes):
    book = book_of(["a", "b"], [1, 2])
    book.active["B2"].comment = openpyxl.comments.Comment("estimated by Ann", "Ann")
    assert parse_bytes(saved(book), "a.xlsx").text.endswith("Comment on B2: estimated by Ann")


def test_charts_are_said(parse_bytes):
    book = book_of(["a", 1], ["b", 2])
    chart = openpyxl.chart.BarChart()
    chart.add_data(openpyxl.chart.Reference(book.active, min_col=2, min_row=1, max_row=2))
    book.active.add_chart(chart, "D1")
    assert [w.message for w in parse_bytes(saved(book), "a.xlsx").warnings] == ["1 chart was not read"]


def test_titles_and_authors_come_from_the_properties(parse_bytes):
    book = book_of(["a", "b"])
    book.properties.title, book.properties.creator = "Budget 2024", "Ann Lee"
    document = parse_bytes(saved(book), "a.xlsx")
    assert (document.title, document.metadata["author"]) == ("Budget 2024", "Ann Lee")


def test_rich_and_inline_texts_are_whole(parse_bytes):
    inner = (
        "<sheetData><row r='1'><c r='A1' t='inlineStr'><is><r><t>bold</t></r><r><t xml:space='preserve'> move</t></r>"
        "<rPh><t>phonetic</t></rPh></is></c><c r='B1' t='str'><f>x</f><v>said</v></c></row></sheetData>"
    )
    assert "| bold move | said |" in parse_bytes(sheet_xml(inner), "a.xlsx").text


def test_a_workbook_without_values_is_empty(parse_bytes):
    with pytest.raises(EmptyDocument, match="without any text or number"):
        parse_bytes(saved(book_of()), "a.xlsx")


def test_protection_without_encryption_is_no_obstacle(parse_bytes):
    book = book_of(["a", "b"])
    book.security = WorkbookProtection(workbookPassword="abcd", lockStructure=True)
    book.active.protection.set_password("x")
    assert "| a | b |" in parse_bytes(saved(book), "a.xlsx").text


# ---------------------------------------------------------------- files that lie


def test_a_claimed_size_is_not_believed(parse_bytes):
    inner = (
        "<dimension ref='A1:XFD1048576'/><sheetData><row r='1048576'><c r='XFD1048576'><v>1</v></c></row></sheetData>"
    )
    assert parse_bytes(sheet_xml(inner), "a.xlsx").text == "Sheet1\n\n1"
    inner = (
        "<dimension ref='A1:A1'/><sheetData><row r='1'><c r='A1'><v>1</v></c><c r='B1'><v>2</v></c></row></sheetData>"
    )
    assert "| 1 | 2 |" in parse_bytes(sheet_xml(inner), "a.xlsx").text


def test_cells_and_rows_without_their_places_follow_one_another(parse_bytes):
    inner = "<sheetData><row><c><v>1</v></c><c><v>2</v></c></row><row><c><v>3</v></c><c><v>4</v></c></row></sheetData>"
    assert "| 1 | 2 |\n| 3 | 4 |" in parse_bytes(sheet_xml(inner), "a.xlsx").text


def test_a_hundred_thousand_columns_are_read(parse_bytes):
    cells = "".join(f"<c><v>{i}</v></c>" for i in range(100_000))
    document = parse_bytes(sheet_xml(f"<sheetData><row r='1'>{cells}</row></sheetData>"), "a.xlsx")
    assert document.text.endswith("| 99998 | 99999 |")


def test_a_sparse_sheet_does_not_become_a_giant_table(parse_bytes):
    rows = "".join(
        f"<row r='{i}'><c r='{openpyxl.utils.get_column_letter(i)}{i}'><v>1</v></c></row>" for i in range(1, 4000)
    )
    text = parse_bytes(sheet_xml(f"<sheetData>{rows}</sheetData>"), "a.xlsx").text
    assert "column 7: 1\n" in text
    assert len(text) < 100_000


def with_strings(inner: str, *strings: str) -> bytes:
    """A workbook with a table of shared texts, as Excel writes it (openpyxl writes texts into their cells)."""
    members = unzipped(sheet_xml(inner))
    name = "xl/_rels/workbook.xml.rels"
    relation = b"<Relationship Id='s' Type='x/relationships/sharedStrings' Target='sharedStrings.xml'/></Relationships>"
    members[name] = members[name].replace(b"</Relationships>", relation)
    items = "".join(f"<si><t>{s}</t></si>" for s in strings)
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    members["xl/sharedStrings.xml"] = f"<sst xmlns='{namespace}'>{items}</sst>".encode()
    return zip_of(members)


def test_shared_texts_are_found(parse_bytes):
    data = with_strings("<sheetData><row><c t='s'><v>1</v></c><c t='s'><v>0</v></c></row></sheetData>", "one", "two")
    assert "| two | one |" in parse_bytes(data, "a.xlsx").text


def test_a_text_used_a_million_times_is_noticed(parse_bytes):
    data = with_strings("<sheetData><row>" + "<c t='s'><v>0</v></c>" * 5000 + "</row></sheetData>", "x" * 30_000)
    with pytest.raises(TooLarge, match="characters"):
        parse_bytes(data, "a.xlsx")


def test_a_merge_over_everything_repeats_nothing(parse_bytes):
    inner = (
        "<sheetData><row r='1'><c r='A1' t='inlineStr'><is><t>all</t></is></c></row><row r='2'><c r='A2'><v>5</v></c>"
        "<c r='B2'><v>6</v></c></row></sheetData><mergeCells><mergeCell ref='A1:XFD1048576'/></mergeCells>"
    )
    assert parse_bytes(sheet_xml(inner), "a.xlsx").text.count("all") == 1


def test_a_reference_to_a_text_that_is_not_there_makes_it_partial(parse_bytes):
    inner = "<sheetData><row><c t='s'><v>99</v></c><c><v>5</v></c><c><v>6</v></c></row></sheetData>"
    document = parse_bytes(sheet_xml(inner), "a.xlsx")
    assert document.partial
    assert "| 5 | 6 |" in document.text


def test_a_sheet_that_is_missing_makes_it_partial(parse_bytes):
    book = book_of(["a", "b"], title="Here")
    book.create_sheet("Gone").append(["c"])
    document = parse_bytes(changed(saved(book), sheet2_xml=None), "a.xlsx")
    assert document.partial
    assert "sheets that the file names but does not hold: Gone" in document.warnings[0].message


def test_a_zip_bomb_is_not_unpacked(parse_bytes):
    members = unzipped(saved(book_of(["x"])))
    members["xl/worksheets/sheet1.xml"] = b" " * (20 * 2**20)
    with pytest.raises(TooLarge, match="packed more than 100:1"):
        parse_bytes(zip_of(members), "a.xlsx")


def test_declared_entities_are_refused(parse_bytes):
    xml = b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]>" + SHEET.format("<sheetData/>").encode()
    with pytest.raises(ParseFailed, match="XML entities"):
        parse_bytes(changed(saved(book_of(["x"])), sheet1_xml=xml), "a.xlsx")


def test_entities_in_a_part_with_another_name_are_not_expanded(parse_bytes, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    members = unzipped(saved(book_of(["x"])))
    for name in ("xl/_rels/workbook.xml.rels", "[Content_Types].xml"):
        members[name] = members[name].replace(b"sheet1.xml", b"sheet1.dat")
    del members["xl/worksheets/sheet1.xml"]
    members["xl/worksheets/sheet1.dat"] = (
        f"<!DOCTYPE x [<!ENTITY a SYSTEM 'file://{secret}'>]>"
        + SHEET.format("<sheetData><row><c t='str'><v>&a;</v></c><c><v>1</v></c></row></sheetData>")
    ).encode()
    assert "hunter2" not in parse_bytes(zip_of(members), "a.xlsx").text


@pytest.mark.parametrize("inner", ["<sheetData>" * 5000, "<sheetData><row><c", "\x00\x01", "<a>" * 300 + "</a>" * 300])
def test_a_broken_sheet_is_damaged(parse_bytes, inner):
    with pytest.raises(ParseFailed, match="damaged Excel workbook"):
        parse_bytes(sheet_xml(inner), "a.xlsx")


def test_sheets_that_refer_to_each_other_in_a_circle_are_only_files(parse_bytes):
    members = unzipped(saved(book_of(["a", "b"])))
    members["xl/worksheets/_rels/sheet1.xml.rels"] = (
        b"<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>"
        b"<Relationship Id='r1' Type='x/comments' Target='sheet1.xml'/></Relationships>"
    )
    assert "| a | b |" in parse_bytes(zip_of(members), "a.xlsx").text


def test_a_binary_workbook_is_named_with_its_fix(parse_bytes):
    with pytest.raises(ParseFailed, match=r"binary Excel workbook \(\.xlsb\), which is not read: save it as \.xlsx"):
        parse_bytes(zip_of({"[Content_Types].xml": "<Types/>", "xl/workbook.bin": b"\x00"}), "a.xlsb")


def test_the_limit_of_characters_holds(parse_bytes):
    data = saved(book_of(*[["word " * 10] * 5] * 50))
    with pytest.raises(TooLarge):
        parse_bytes(data, "a.xlsx", ParseLimits(max_characters=2000))


def test_our_table_of_formats_is_that_of_openpyxl():
    assert numbers.BUILTIN_FORMATS[14] == "mm-dd-yy"  # what Excel calls the short date: read as a date
    assert numbers.is_date_format(numbers.BUILTIN_FORMATS[14])
