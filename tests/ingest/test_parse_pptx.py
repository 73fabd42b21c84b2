"""PowerPoint presentations: slides as pages, reading order, tables, charts' numbers, notes."""

from __future__ import annotations

import io

import pptx
import pytest
from PIL import Image
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from core.errors import EmptyDocument, ParseFailed, TooLarge
from ingest.parse import ParseLimits
from tests.support.zips import unzipped, zip_of

TITLE_AND_CONTENT, BLANK = 1, 6


def saved(deck) -> bytes:
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def box(slide, text, left, top):
    slide.shapes.add_textbox(Inches(left), Inches(top), Inches(2), Inches(1)).text_frame.text = text


def deck_of(*titles):
    deck = pptx.Presentation()
    for title in titles:
        slide = deck.slides.add_slide(deck.slide_layouts[TITLE_AND_CONTENT])
        slide.shapes.title.text = title
    return deck


@pytest.fixture
def blank():
    deck = pptx.Presentation()
    return deck, deck.slides.add_slide(deck.slide_layouts[BLANK])


def test_each_slide_is_a_page_with_its_title_as_heading(parse_bytes):
    deck = deck_of("Plans", "Results")
    body = deck.slides[0].placeholders[1].text_frame
    body.text = "First"
    inner = body.add_paragraph()
    inner.text, inner.level = "Second", 1
    document = parse_bytes(saved(deck), "talk.pptx")
    assert document.text == "Plans\n\n- First\n  - Second\n\nResults"
    assert [(h.text, h.start) for h in document.headings] == [("Plans", 0), ("Results", 27)]
    assert [document.text[p.start : p.end] for p in document.pages] == ["Plans\n\n- First\n  - Second", "Results"]
    assert [p.number for p in document.pages] == [1, 2]
    assert document.title == "Plans"


def test_shapes_are_read_from_top_to_bottom_and_left_to_right(parse_bytes, blank):
    deck, slide = blank
    for text, left, top in [("D", 1, 5), ("B", 4, 1.05), ("C", 1, 3), ("A", 1, 1)]:
        box(slide, text, left, top)
    assert parse_bytes(saved(deck), "a.pptx").text.split("\n\n") == ["A", "B", "C", "D"]


def test_the_title_comes_first_wherever_it_stands(parse_bytes):
    deck = deck_of("Title")
    deck.slides[0].shapes.title.top, deck.slides[0].shapes.title.left = Inches(6), Inches(1)
    box(deck.slides[0], "text", 1, 0)
    assert parse_bytes(saved(deck), "a.pptx").text == "Title\n\ntext"


def test_placeholders_stand_where_their_layout_puts_them(parse_bytes):
    deck = deck_of("Title")
    deck.slides[0].placeholders[1].text_frame.text = "body"
    box(deck.slides[0], "below all", 1, 7)
    box(deck.slides[0], "above the body", 1, 1)
    assert parse_bytes(saved(deck), "a.pptx").text == "Title\n\nabove the body\n\nbody\n\nbelow all"


def test_groups_are_entered(parse_bytes, blank):
    deck, slide = blank
    group = slide.shapes.add_group_shape().shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 99, 99).text_frame.text = "deep"
    assert parse_bytes(saved(deck), "a.pptx").text == "deep"


def test_tables_are_tables(parse_bytes, blank):
    deck, slide = blank
    table = slide.shapes.add_table(2, 2, 0, 0, 999, 999).table
    for (row, column), text in {(0, 0): "City", (0, 1): "People", (1, 0): "Bern", (1, 1): "134,000"}.items():
        table.cell(row, column).text = text
    assert parse_bytes(saved(deck), "a.pptx").text == "| City | People |\n|-|-|\n| Bern | 134,000 |"


def test_a_chart_gives_its_numbers(parse_bytes, blank):
    deck, slide = blank
    data = CategoryChartData()
    data.categories = ["2022", "2023"]
    data.add_series("Sales", (10, 12.5))
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 999, 999, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Sales by year"
    text = parse_bytes(saved(deck), "a.pptx").text
    assert text == "Sales by year\n\n|  | Sales |\n|-|-|\n| 2022 | 10 |\n| 2023 | 12.5 |"


def test_notes_follow_their_slide_on_its_page(parse_bytes):
    deck = deck_of("One", "Two")
    deck.slides[0].notes_slide.notes_text_frame.text = "say hello"
    document = parse_bytes(saved(deck), "a.pptx")
    assert document.text == "One\n\nNotes: say hello\n\nTwo"
    assert document.pages[0].end == len("One\n\nNotes: say hello")


def test_hidden_slides_are_said_and_icons_are_not(parse_bytes):
    deck = deck_of("One", "Two")
    deck.slides[1]._element.set("show", "0")
    picture = io.BytesIO()
    Image.new("RGB", (9, 9)).save(picture, "PNG")
    deck.slides[0].shapes.add_picture(picture, 0, 0)
    document = parse_bytes(saved(deck), "a.pptx")
    assert [h.text for h in document.headings] == ["One", "Two (hidden slide)"]
    assert [w.message for w in document.warnings] == ["hidden slides were read too: 2"]


def test_shapes_beside_the_slide_are_left_out_and_said(parse_bytes, blank):
    deck, slide = blank
    for left, top, text in ((0, 0, "Seen."), (-4_000_000, 0, "LEFT"), (0, deck.slide_height, "BELOW")):
        slide.shapes.add_textbox(left, top, 3_000_000, 500_000).text_frame.text = text
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(deck.slide_width + 9, 0, 3_000_000, 500_000).text_frame.text = "IN A GROUP"
    document = parse_bytes(saved(deck), "a.pptx")
    assert document.text == "Seen."
    (warning,) = document.warnings
    assert (warning.code, warning.page) == ("hidden-text", 1)
    assert "in 3 places on page 1): “LEFT”" in warning.message


def test_a_deck_of_pictures_is_empty_with_the_reason(parse_bytes, blank):
    deck, slide = blank
    picture = io.BytesIO()
    Image.new("RGB", (9, 9)).save(picture, "PNG")
    slide.shapes.add_picture(picture, 0, 0)
    with pytest.raises(EmptyDocument, match=r"a\.pptx has no text: 1 picture too small to hold any"):
        parse_bytes(saved(deck), "a.pptx")


def test_a_deck_without_slides_is_empty(parse_bytes):
    with pytest.raises(EmptyDocument, match="0 slides"):
        parse_bytes(saved(pptx.Presentation()), "a.pptx")


def test_one_broken_slide_does_not_cost_the_others(parse_bytes):
    document = parse_bytes(broken(), "a.pptx")
    assert document.text == "Two"
    assert document.partial
    assert (document.warnings[0].page, document.warnings[0].lost) == (1, True)
    assert [p.number for p in document.pages] == [1, 2]
    assert document.pages[0].start == document.pages[0].end


def broken() -> bytes:
    members = unzipped(saved(deck_of("One", "Two")))
    members["ppt/slides/slide1.xml"] = b"<p:sld"
    return zip_of(members)


def test_a_missing_slide_is_said(parse_bytes):
    members = unzipped(saved(deck_of("One", "Two")))
    del members["ppt/slides/slide2.xml"]
    document = parse_bytes(zip_of(members), "a.pptx")
    assert "slide 2 could not be read" in document.warnings[0].message


def test_groups_nested_without_end_are_refused_or_read(parse_bytes, blank):
    deck, slide = blank
    box(slide, "seen", 1, 1)
    members = unzipped(saved(deck))
    part = "ppt/slides/slide1.xml"
    head, tail = members[part].split(b"</p:spTree>")
    members[part] = head + b"<p:grpSp>" * 100 + b"</p:grpSp>" * 100 + b"</p:spTree>" + tail
    assert parse_bytes(zip_of(members), "a.pptx").text == "seen"
    members[part] = head + b"<p:grpSp>" * 5000
    with pytest.raises(ParseFailed):
        parse_bytes(zip_of(members), "a.pptx")


def test_a_slide_that_is_its_own_layout_ends(parse_bytes):
    members = unzipped(saved(deck_of("One")))
    name = "ppt/slides/_rels/slide1.xml.rels"
    members[name] = members[name].replace(b"../slideLayouts/slideLayout2.xml", b"slide1.xml")
    assert parse_bytes(zip_of(members), "a.pptx").text == "One"


def test_more_slides_than_pages_allowed_are_refused(parse_bytes):
    with pytest.raises(TooLarge, match="2 slides, over the limit of 1"):
        parse_bytes(saved(deck_of("a", "b")), "a.pptx", ParseLimits(max_pages=1))


def test_a_bomb_is_not_unpacked(parse_bytes):
    members = unzipped(saved(deck_of("One")))
    members["ppt/media/x.bin"] = b"\0" * (20 * 2**20)
    with pytest.raises(TooLarge, match="packed more than"):
        parse_bytes(zip_of(members), "a.pptx")


def test_an_old_presentation_is_named_with_its_fix(parse_bytes):
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "PowerPoint Document".encode("utf-16-le")
    with pytest.raises(
        ParseFailed, match=r"old PowerPoint presentation \(\.ppt\), which is not read: save it as \.pptx"
    ):
        parse_bytes(data, "a.ppt")
