"""Word documents made for the purpose."""

from __future__ import annotations

import io
import re
import zipfile

import docx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.opc.constants import RELATIONSHIP_TYPE as RT
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Pt, RGBColor

from core.errors import EmptyDocument, ParseFailed, TooLarge
from ingest.parse import ParseLimits, parse_file


@pytest.fixture
def parse(tmp_path):
    def parse(source, filename="file.docx", limits=None):
        path = tmp_path / "content"
        if isinstance(source, bytes):
            path.write_bytes(source)
        else:
            source.save(str(path))
        return parse_file(path, filename, limits or ParseLimits())

    return parse


def replaced(source, name, change):
    """The package with one member's bytes changed."""
    before = io.BytesIO()
    source.save(before)
    after = io.BytesIO()
    with zipfile.ZipFile(before) as old, zipfile.ZipFile(after, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            data = old.read(member)
            new.writestr(member, change(data) if member == name else data)
    return after.getvalue()


def test_paragraphs_headings_lists_and_tables_in_order(parse):
    source = docx.Document()
    source.core_properties.title = "The Annual Plan"
    source.core_properties.author = "Ann Author"
    source.add_heading("Plan", 0)
    source.add_heading("Goals", 1)
    source.add_paragraph("We have two.")
    source.add_paragraph("Grow", style="List Bullet")
    table = source.add_table(2, 3)
    for cell, text in zip(table._cells, ["Year", "Sales", "Note", "2021", "5 | 6", "ﬁne"], strict=True):
        cell.text = text
    source.add_heading("Ends", 2)
    source.add_paragraph("Over\tand\nout.")
    document = parse(source)
    assert document.text == (
        "Plan\n\nGoals\n\nWe have two.\n\nGrow\n\n| Year | Sales | Note |\n|-|-|-|\n| 2021 | 5 \\| 6 | fine |"
        "\n\nEnds\n\nOver\tand\nout."
    )
    assert [(h.level, h.text) for h in document.headings] == [(1, "Plan"), (1, "Goals"), (2, "Ends")]
    assert all(document.text[h.start :].startswith(h.text) for h in document.headings)
    assert (document.title, document.metadata["author"]) == ("The Annual Plan", "Ann Author")


def _two_level_table(source, mark):
    table = source.add_table(2, 5)
    table.cell(0, 0).text = "Region"
    for first, year in ((1, "2023"), (3, "2024")):
        table.cell(0, first).merge(table.cell(0, first + 1)).text = year
    for column, name in enumerate(["", "Plan", "Actual", "Plan", "Actual"]):
        table.cell(1, column).text = name
    for row in table.rows if mark else ():
        row._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    return table


@pytest.mark.parametrize("mark", [True, False])
def test_each_part_of_a_long_table_has_both_rows_of_its_header(parse, mark):
    source = docx.Document()
    table = _two_level_table(source, mark)
    for r in range(30):
        for cell, text in zip(table.add_row().cells, [f"Region {r}", 100 + r, 200 + r, 300 + r, 400 + r], strict=True):
            cell.text = str(text)
    parts = parse(source).text.split("\n\n")
    assert len(parts) > 2
    for part in parts:
        assert part.startswith("| Region | 2023 Plan | 2023 Actual | 2024 Plan | 2024 Actual |\n|-|-|-|-|-|\n| Region ")


def test_a_row_that_nothing_tells_to_be_header_stays_a_row(parse):
    source = docx.Document()
    _two_level_table(source, False)  # texts alone: the second may as well be the first row
    table = source.add_table(2, 3)
    for cell, text in zip(table._cells, ["Item", "Total", "Total", "Apples", "3", "4"], strict=True):
        cell.text = text
    for row in table.rows:
        row._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    assert parse(source).text.split("\n\n") == [
        "| Region | 2023 |  | 2024 |  |\n|-|-|-|-|-|\n|  | Plan | Actual | Plan | Actual |",
        "| Item | Total | Total |\n|-|-|-|\n| Apples | 3 | 4 |",
    ]


def test_tracked_deletions_are_left_out_insertions_kept(parse):
    source = docx.Document()
    paragraph = source.add_paragraph("Prices ")
    for tag, inner, text in (("w:del", "w:delText", "fell"), ("w:ins", "w:t", "rose")):
        change, run, words = OxmlElement(tag), OxmlElement("w:r"), OxmlElement(inner)
        words.text = text
        run.append(words)
        change.append(run)
        paragraph._p.append(change)
    assert parse(source).text == "Prices rose"


def test_comments_follow_the_paragraph_or_the_table_that_they_are_about(parse):
    source = docx.Document()
    first = source.add_paragraph("The price is agreed.")
    cell = source.add_table(1, 2).cell(0, 0)
    cell.text = "Cap"
    last = source.add_paragraph("Signed in May.")
    source.add_comment(first.runs, text="Legal: the cap of 3 million euros is not.", author="Ann Author", initials="A")
    source.add_comment(cell.paragraphs[0].runs, text="which one?", author="", initials="")
    source.add_comment(last.runs, text="really?", author="Bo", initials="B").add_paragraph("It was June.")
    document = parse(source)
    assert document.text == (
        "The price is agreed.\n\nComment (Ann Author): Legal: the cap of 3 million euros is not.\n\n"
        "| Cap |\n\nComment: which one?\n\nSigned in May.\n\nComment (Bo): really? It was June."
    )
    assert document.warnings == ()


CHUNK = {
    "html": ("text/html", "<html><body><h1>Dividend</h1><p>It is 42 cents per share.</p></body></html>"),
    "mht": (
        "message/rfc822",
        "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<h1>Dividend</h1><p>It is 42 cents per share.</p>",
    ),
    "txt": ("text/plain", "Dividend\n\nIt is 42 cents per share."),
    "bin": ("application/octet-stream", "\x01\x02\x03\x04\x05\x06"),
}


def with_chunk(kind: str) -> bytes:
    """A Word document into which another one is inserted whole, as programs do that make reports."""
    source = docx.Document()
    source.add_heading("Report", 1)
    source.add_paragraph("After it.")
    content_type, content = CHUNK[kind]
    part = Part(PackURI(f"/word/chunk.{kind}"), content_type, content.encode(), source.part.package)
    chunk = OxmlElement("w:altChunk")
    chunk.set(qn("r:id"), source.part.relate_to(part, RT.A_F_CHUNK))
    source.element.body.insert(1, chunk)
    out = io.BytesIO()
    source.save(out)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["html", "mht", "txt"])
def test_a_document_that_is_inserted_whole_is_read_where_it_stands(parse, kind):
    document = parse(with_chunk(kind))
    assert document.text == "Report\n\nDividend\n\nIt is 42 cents per share.\n\nAfter it."
    assert all(document.text[h.start :].startswith(h.text) for h in document.headings)
    assert [h.text for h in document.headings] == (["Report"] if kind == "txt" else ["Report", "Dividend"])
    assert not document.partial


def test_an_inserted_document_that_cannot_be_read_is_told_of_as_lost(parse):
    document = parse(with_chunk("bin"))
    assert document.text == "Report\n\nAfter it."
    assert document.partial
    assert document.warnings[0].message.startswith("an inserted document was not read: it is a binary file")


def test_a_strict_open_xml_document_is_read_as_any_other(parse):
    source = docx.Document()
    source.add_heading("Plan", 1)
    source.add_paragraph("We have two.")
    source.add_comment(source.paragraphs[1].runs, text="three", author="Ann", initials="A")
    usual = io.BytesIO()
    source.save(usual)
    strict = io.BytesIO()
    with zipfile.ZipFile(usual) as old, zipfile.ZipFile(strict, "w") as new:
        for name in old.namelist():
            data = re.sub(
                rb"http://schemas.openxmlformats.org/(wordprocessingml|drawingml|officeDocument)/2006/",
                rb"http://purl.oclc.org/ooxml/\1/",
                old.read(name),
            )
            new.writestr(name, data)
    document, same = parse(strict.getvalue()), parse(usual.getvalue())
    assert document.text == same.text == "Plan\n\nWe have two.\n\nComment (Ann): three"
    assert (document.headings, document.metadata, document.title) == (same.headings, same.metadata, same.title)


def test_hidden_runs_are_left_out_and_said(parse):
    source = docx.Document()
    paragraph = source.add_paragraph("Seen. ")
    paragraph.add_run("VANISHED ").font.hidden = True
    paragraph.add_run("WHITE ").font.color.rgb = RGBColor(255, 255, 255)
    paragraph.add_run("TINY ").font.size = Pt(0.5)
    paragraph.add_run("Also seen.")
    document = parse(source)
    assert document.text == "Seen. Also seen."
    assert [w.code for w in document.warnings] == ["hidden-text"]
    assert "VANISHED" in document.warnings[0].message
    assert "in 3 places" in document.warnings[0].message


def test_runs_that_a_style_hides_and_letters_nearly_white_are_left_out_too(parse):
    source = docx.Document()
    ghost = source.styles.add_style("Ghost", WD_STYLE_TYPE.CHARACTER)
    ghost.font.hidden = True
    heir = source.styles.add_style("Heir", WD_STYLE_TYPE.CHARACTER)
    heir.base_style = ghost
    veiled = source.styles.add_style("Veiled", WD_STYLE_TYPE.PARAGRAPH)
    veiled.font.hidden = True
    paragraph = source.add_paragraph("Seen. ")
    paragraph.add_run("GHOST ", style="Ghost")
    paragraph.add_run("HEIR ", style="Heir")
    paragraph.add_run("shown all the same. ", style="Heir").font.hidden = False
    paragraph.add_run("PALE ").font.color.rgb = RGBColor(0xFE, 0xFD, 0xF5)
    source.add_paragraph("VEILED", style="Veiled")
    document = parse(source)
    assert document.text == "Seen. shown all the same."
    assert "in 4 places" in document.warnings[0].message


def test_white_on_a_shaded_cell_is_meant_to_be_seen(parse):
    source = docx.Document()
    cell = source.add_table(1, 2).cell(0, 0)
    cell.paragraphs[0].add_run("Header").font.color.rgb = RGBColor(255, 255, 255)
    shade = OxmlElement("w:shd")
    shade.set(qn("w:fill"), "000000")
    cell._tc.get_or_add_tcPr().append(shade)
    document = parse(source)
    assert (document.text, document.warnings) == ("| Header |", ())


def test_merged_cells_are_said_once(parse):
    source = docx.Document()
    table = source.add_table(2, 2)
    table.cell(0, 0).merge(table.cell(1, 0)).text = "Region"
    table.cell(0, 1).text, table.cell(1, 1).text = "North", "South"
    assert parse(source).text.split("\n") == ["| Region | North |", "|-|-|", "|  | South |"]


def test_running_heads_go_to_the_metadata(parse):
    source = docx.Document()
    source.sections[0].header.paragraphs[0].text = "Confidential"
    source.add_paragraph("Body.")
    document = parse(source)
    assert document.text == "Body."
    assert document.metadata["running_heads"] == "Confidential"


def test_nothing_in_it(parse):
    with pytest.raises(EmptyDocument, match="without text"):
        parse(docx.Document())


# ---------------------------------------------------------------- hostile


def test_entities_are_not_expanded(parse):
    """A billion laughs: 10 levels of 10 would be 10^10 characters."""
    levels = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(10))
    bomb = f'<!DOCTYPE w [<!ENTITY l0 "ha">{levels}]>'.encode()
    source = docx.Document()
    source.add_paragraph("MARK")

    def change(data):
        head, rest = data.split(b"?>", 1)
        return head + b"?>" + bomb + rest.replace(b"MARK", b"&l10;")

    with pytest.raises(ParseFailed, match="declares XML entities"):
        parse(replaced(source, "word/document.xml", change))


def test_a_bomb_is_not_unpacked(parse):
    source = docx.Document()
    source.add_paragraph("x")
    # Blanks pack a thousand to one; the limit is a hundred to one.
    with pytest.raises(TooLarge, match="packed more than 100:1"):
        parse(replaced(source, "docProps/app.xml", lambda data: data + b" " * (20 * 2**20)))
    with pytest.raises(TooLarge, match="over 1 MiB once unpacked"):
        parse(
            replaced(source, "docProps/app.xml", lambda data: data + b" " * 2**20),
            limits=ParseLimits(max_unpacked_bytes=2**20),
        )


def test_too_many_members_are_refused(parse):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
        for i in range(1000):
            archive.writestr(f"word/{i}.xml", "<x/>")
    with pytest.raises(TooLarge, match="1,001 members, over the limit of 1,000"):
        parse(out.getvalue())


def test_an_archive_that_lies_about_its_sizes_is_damaged(parse):
    out = io.BytesIO()
    docx.Document().save(out)
    data = bytearray(out.getvalue())
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (5).to_bytes(4, "little")  # the unpacked size of the first member
    with pytest.raises((ParseFailed, TooLarge)):
        parse(bytes(data))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_package_is_damaged(parse, share):
    out = io.BytesIO()
    docx.Document().save(out)
    with pytest.raises(ParseFailed, match="damaged"):
        parse(out.getvalue()[: int(len(out.getvalue()) * share)])


def test_a_package_without_its_parts_is_damaged(parse):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "<not closed")
        archive.writestr("[Content_Types].xml", "<Types/>")
    with pytest.raises(ParseFailed):
        parse(out.getvalue())


def test_deep_tables_neither_hang_nor_crash(parse):
    source = docx.Document()
    cell = source.add_table(1, 2).cell(0, 0)
    for _ in range(60):
        cell = cell.add_table(1, 2).cell(0, 0)
    cell.text = "the core"
    assert "the core" in parse(source).text
