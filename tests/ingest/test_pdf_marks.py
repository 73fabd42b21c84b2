"""What a PDF holds beside the text of its pages: forms, notes, highlights, embedded files, captions of figures."""

from __future__ import annotations

import io

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText, Highlight, Text
from pypdf.generic import ArrayObject, FloatObject, NameObject, NumberObject, TextStringObject
from reportlab.pdfgen.canvas import Canvas

from core.errors import EmptyDocument
from ingest.parse import ParseLimits, parse_file
from tests.support.drawn_pdfs import blank, both, lines, pdf
from tests.support.scans import LETTER, needs_ocr, saved, scan


@pytest.fixture
def parse(tmp_path):
    def parse(data, filename="file.pdf", limits=None):
        path = tmp_path / "file"
        path.write_bytes(data)
        return parse_file(path, filename, limits or ParseLimits())

    return parse


def written(data, change):
    """The PDF after ``change`` was made to it with pypdf."""
    writer = PdfWriter(PdfReader(io.BytesIO(data)))
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def form(canvas: Canvas) -> None:
    fields = canvas.acroForm
    canvas.drawString(72, 760, "Application")
    fields.textfield(name="name", tooltip="Full name", value="Ada Lovelace", x=72, y=700)
    fields.textfield(name="empty", tooltip="Middle name", value="", x=72, y=660)
    fields.textfield(name="pin", tooltip="PIN", value="4711", x=72, y=620, fieldFlags="password")
    fields.checkbox(name="member", tooltip="Member", checked=True, x=72, y=580)
    fields.checkbox(name="student", tooltip="Student", checked=False, x=72, y=540)
    fields.radio(name="size", tooltip="Size", value="small", selected=False, x=72, y=500)
    fields.radio(name="size", tooltip="Size", value="large", selected=True, x=172, y=500)
    fields.choice(
        name="land", tooltip="Country", value="Norway", options=["France", "Norway"], x=72, y=460, width=120, height=20
    )
    fields.listbox(name="days", tooltip="Days", value=["Tuesday"], options=["Monday", "Tuesday"], x=72, y=400, width=120, height=40)  # fmt: skip


# ---------------------------------------------------------------- forms


def test_values_of_a_form_follow_the_text_of_their_page(parse):
    document = parse(pdf(form, lines(["Second page."])))
    first, second = (document.text[p.start : p.end] for p in document.pages)
    assert second == "Second page."
    title, values = first.split("\n\n")
    assert title == "Application"
    assert values.split("\n") == [
        "Full name: Ada Lovelace", "Member: yes", "Student: no", "Size: large", "Country: Norway", "Days: Tuesday",
    ]  # fmt: skip


def test_fields_that_are_told_of_in_the_same_words_are_all_read(parse):
    def applicants(canvas: Canvas) -> None:
        for n, who in enumerate(("Ann Alpha", "Bob Beta", "Cid Gamma")):
            canvas.acroForm.textfield(
                name=f"applicant.{n}", tooltip="Surname, first name", value=who, x=72, y=700 - 40 * n
            )

    assert parse(pdf(applicants)).text.split("\n") == [
        "Surname, first name: Ann Alpha", "Surname, first name: Bob Beta", "Surname, first name: Cid Gamma",
    ]  # fmt: skip


def test_fields_without_a_name_are_all_read_and_the_widgets_of_one_field_are_one(parse):
    def fields(canvas: Canvas) -> None:
        for n, value in enumerate(("one", "two")):
            canvas.acroForm.textfield(name=f"f{n}", tooltip="Number", value=value, x=72, y=700 - 40 * n)

    def nameless(writer: PdfWriter) -> None:
        for annotation in writer.pages[0]["/Annots"]:
            del annotation.get_object()["/T"]

    def twice(writer: PdfWriter) -> None:
        for annotation in writer.pages[0]["/Annots"]:
            annotation.get_object()[NameObject("/T")] = TextStringObject("same")

    assert parse(written(pdf(fields), nameless)).text == "Number: one\nNumber: two"
    assert parse(written(pdf(fields), twice)).text == "Number: one"


def test_a_password_in_a_form_is_left_out(parse):
    assert "4711" not in parse(pdf(form)).text


def test_a_page_with_nothing_but_a_filled_form_is_not_empty(parse):
    def field(canvas):
        canvas.acroForm.textfield(name="answer", value="forty-two", x=72, y=700)

    document = parse(pdf(field))
    assert document.text == "answer: forty-two"
    assert not document.partial


def test_hidden_fields_and_notes_are_left_out(parse):
    def hide(writer):
        for annotation in writer.pages[0]["/Annots"]:
            annotation.get_object()[NameObject("/F")] = NumberObject(2)

    assert parse(written(pdf(form), hide)).text == "Application"


# ---------------------------------------------------------------- notes and highlights

SENTENCE = "Revenue rose by four percent in the third quarter."


def quads(x0, y0, x1, y1):
    return ArrayObject([FloatObject(v) for v in (x0, y1, x1, y1, x0, y0, x1, y0)])


def test_notes_are_text(parse):
    def annotate(writer):
        note = Text(text="Check this with Bob.\nSoon.", rect=(72, 700, 92, 720), title_bar="Ann")
        writer.add_annotation(0, note)
        writer.add_annotation(0, FreeText(text="Typed on the page", rect=(72, 600, 200, 620)))

    assert parse(written(pdf(lines([SENTENCE])), annotate)).text == (
        f"{SENTENCE}\n\nNote (Ann): Check this with Bob.\nSoon.\n\nTyped on the page"
    )


def test_a_comment_on_highlighted_words_quotes_them(parse):
    def annotate(writer):
        mark = Highlight(rect=(70, 755, 200, 775), quad_points=quads(71, 756, 158, 774))
        mark[NameObject("/Contents")] = TextStringObject("Really?")
        writer.add_annotation(0, mark)

    text = parse(written(pdf(lines(["Line above", SENTENCE, "Line below"], y=777)), annotate)).text
    assert text.endswith("Note on “Revenue rose by”: Really?")
    assert "above”" not in text and "below”" not in text


def test_highlighted_words_are_named_in_the_metadata_and_not_doubled(parse):
    def annotate(writer):
        writer.add_annotation(0, Highlight(rect=(70, 755, 400, 775), quad_points=quads(70, 756, 400, 774)))

    document = parse(written(pdf(lines([SENTENCE])), annotate))
    assert document.text == SENTENCE
    assert document.metadata["highlights"] == [{"page": 1, "text": SENTENCE}]


def test_more_notes_than_are_read_are_said(parse, monkeypatch):
    monkeypatch.setattr("ingest.parse.pdf_marks._MAX_MARKS", 2)

    def annotate(writer):
        for n in range(3):
            writer.add_annotation(0, Text(text=f"note {n}", rect=(72, 700, 92, 720)))

    document = parse(written(pdf(lines([SENTENCE])), annotate))
    assert "note 1" in document.text and "note 2" not in document.text
    assert [w.message for w in document.warnings] == ["of the 3 annotations on page 1 the first 2 were read"]


# ---------------------------------------------------------------- embedded files


def test_embedded_files_are_read_under_their_names(parse):
    data = written(
        pdf(lines([SENTENCE])),
        lambda w: (w.add_attachment("b.txt", b"In the file."), w.add_attachment("c.csv", b"a,b\n1,2\n")),
    )
    document = parse(data)
    assert document.text == f"{SENTENCE}\n\nb.txt\n\nIn the file.\n\nc.csv\n\n| a | b |\n|-|-|\n| 1 | 2 |"
    assert [h.text for h in document.headings] == ["b.txt", "c.csv"]
    assert (document.metadata["attachments"], document.metadata["attachments_read"]) == (["b.txt", "c.csv"], 2)
    assert not document.partial


def test_an_attachment_that_is_not_read_is_named(parse):
    document = parse(written(pdf(lines([SENTENCE])), lambda w: w.add_attachment("tool.exe", b"MZ\x00\x01" * 50)))
    assert document.partial
    assert [w.message for w in document.warnings] == ["attachment tool.exe is a Windows program, which is not read"]


def test_attachments_of_an_attached_pdf_are_named_and_not_read(parse):
    inner = written(pdf(lines(["Inside."])), lambda w: w.add_attachment("deep.txt", b"deep"))
    document = parse(written(pdf(lines([SENTENCE])), lambda w: w.add_attachment("inner.pdf", inner)))
    assert document.text == f"{SENTENCE}\n\ninner.pdf\n\nInside."
    assert [w.message for w in document.warnings] == [
        "inner.pdf: attachments of an attached PDF were not read: deep.txt"
    ]


def test_a_blank_cover_with_a_file_in_it_is_that_file(parse):
    assert "In the file." in parse(written(pdf(blank), lambda w: w.add_attachment("b.txt", b"In the file."))).text
    with pytest.raises(EmptyDocument):
        parse(written(pdf(blank), lambda w: w.add_attachment("b.bin", b"\x00\x01\x02" * 50)))


@needs_ocr
def test_an_attached_picture_is_read_too(parse):
    data = written(pdf(lines([SENTENCE])), lambda w: w.add_attachment("scan.png", saved(scan(), "PNG")))
    assert " ".join(LETTER) in parse(data).text


# ---------------------------------------------------------------- figures


def test_captions_of_figures_are_marked_with_their_page(parse):
    caption = "Figure 2: Tides at the harbour, in metres."
    document = parse(pdf(
        lines(["Figure 2 shows the tides; Figure 3 does not."]),
        both(lines([caption], y=300), lines(["Fig. 3. Nothing at all."], y=200)),
    ))  # fmt: skip
    assert [(f["label"], f["page"], document.text[f["start"] : f["end"]]) for f in document.metadata["figures"]] == [
        ("Figure 2", 2, caption),
        ("Fig. 3", 2, "Fig. 3. Nothing at all."),
    ]
