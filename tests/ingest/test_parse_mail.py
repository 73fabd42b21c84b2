"""Messages (.eml and .msg): headers, bodies, attachments one level deep."""

from __future__ import annotations

import io
from email.message import EmailMessage

import docx
import pytest

from core.errors import EmptyDocument, Encrypted, ParseFailed, TooLarge
from ingest.parse import ParseLimits
from tests.support.drawn_pdfs import lines, pdf


def message(text="Hello", subject="News", **headers) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = subject, "Ann <ann@example.org>", "bob@example.org"
    mail["Date"] = "Fri, 01 Mar 2024 10:00:00 +0100"
    mail["Message-ID"] = "<1@example.org>"
    for name, value in headers.items():
        mail[name] = value
    if text is not None:
        mail.set_content(text)
    return mail


def word(text: str) -> bytes:
    document, out = docx.Document(), io.BytesIO()
    document.add_paragraph(text)
    document.save(out)
    return out.getvalue()


def attach(mail, data, name, kind="application/octet-stream"):
    main, sub = kind.split("/")
    mail.add_attachment(data, maintype=main, subtype=sub, filename=name)


def test_a_message_is_its_subject_its_header_and_its_text(parse_bytes):
    document = parse_bytes(message().as_bytes(), "a.eml")
    assert document.title == "News"
    assert document.text == (
        "News\n\nFrom: Ann <ann@example.org>\nTo: bob@example.org\nDate: Fri, 01 Mar 2024 10:00:00 +0100\n\nHello"
    )
    assert document.metadata["author"] == "Ann <ann@example.org>"
    assert document.metadata["created"] == "2024-03-01T10:00:00+01:00"
    assert document.headings[0].text == "News"


def test_encoded_words_are_decoded(parse_bytes):
    data = message().as_bytes().replace(b"Subject: News", b"Subject: =?iso-8859-1?Q?Gr=FC=DFe?= =?utf-8?B?w6RoCg==?=")
    assert parse_bytes(data, "a.eml").title == "Grüßeäh"


@pytest.mark.parametrize(
    ("sent", "title"),
    [("=?utf-8?Q?Are_you_there??=", "Are you there?"), ("=?utf-8?Q?What?_Really?=", "What? Really")],
)
def test_encoded_words_may_hold_question_marks(parse_bytes, sent, title):
    data = message().as_bytes().replace(b"Subject: News", f"Subject: {sent}".encode())
    assert parse_bytes(data, "a.eml").title == title


def test_headers_that_are_sent_as_they_are_written_are_read(parse_bytes):
    data = (
        message()
        .as_bytes()
        .replace(b"Subject: News", "Subject: Grüße aus Łódź =?utf-8?Q?und_K=C3=B6ln?= C:\\users".encode())
        .replace(b"From: Ann", "From: Jürgen Müller".encode())
        .replace(b"To: bob", "To: Zoë".encode("latin-1"))
    )
    document = parse_bytes(data, "a.eml")
    assert document.title == "Grüße aus Łódź und Köln C:\\users"
    assert document.metadata["from"] == "Jürgen Müller <ann@example.org>"
    assert document.metadata["to"].startswith("Zoë")


def test_the_name_of_an_attachment_is_read_however_it_is_sent(parse_bytes):
    mail = message()
    attach(mail, b"The plan", "plan.txt", "text/plain")
    raw = mail.as_bytes().replace(b'filename="plan.txt"', 'filename="Übersicht Łódź.txt"'.encode())
    coded = mail.as_bytes().replace(b'filename="plan.txt"', b"filename*=utf-8''%C3%9Cbersicht.txt")
    assert parse_bytes(raw, "a.eml").metadata["attachments"] == ["Übersicht Łódź.txt"]
    assert parse_bytes(coded, "a.eml").metadata["attachments"] == ["Übersicht.txt"]


def test_of_two_versions_the_plain_text_is_read(parse_bytes):
    mail = message("Hello plain")
    mail.add_alternative("<p>Hello <b>HTML</b></p>", subtype="html")
    text = parse_bytes(mail.as_bytes(), "a.eml").text
    assert "Hello plain" in text
    assert "HTML" not in text


def test_html_is_read_where_the_plain_text_is_a_stub(parse_bytes):
    mail = message("View this in a browser")
    mail.add_alternative("<h2>Offer</h2><p>" + "Cheap flights to Rome. " * 20 + "</p>", subtype="html")
    document = parse_bytes(mail.as_bytes(), "a.eml")
    assert "Cheap flights" in document.text
    assert [(h.level, h.text) for h in document.headings] == [(1, "News"), (3, "Offer")]


PRICES = [("Item", "2022", "2023"), ("Pump", "100", "200"), ("Valve", "10", "20")]
PRICES_HTML = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in PRICES)


def test_html_is_read_where_it_has_a_table_of_which_the_plain_text_has_the_cells_alone(parse_bytes):
    mail = message("Hi Bob,\n\n" + "\n".join("\n".join(row) for row in PRICES) + "\n\nAnn\n")
    mail.add_alternative(f"<div>Hi Bob,<br><table>{PRICES_HTML}</table><div>Ann</div></div>", subtype="html")
    text = parse_bytes(mail.as_bytes(), "a.eml").text
    assert text.endswith(
        "\n\nHi Bob,\n\n| Item | 2022 | 2023 |\n|-|-|-|\n| Pump | 100 | 200 |\n| Valve | 10 | 20 |\n\nAnn"
    )


def test_plain_text_that_says_more_than_a_table_of_the_html_is_read(parse_bytes):
    mail = message("Hi Bob,\n\n" + "all of this is said in the plain text alone. " * 20)
    mail.add_alternative(f"<div>Our prices<table>{PRICES_HTML}</table></div>", subtype="html")
    assert "said in the plain text alone" in parse_bytes(mail.as_bytes(), "a.eml").text
    table = "| Item | 2022 |\n| Pump | 100 |"
    mail = message(f"Hi Bob, in plain text:\n\n{table}")
    mail.add_alternative(f"<div>Hi Bob<table>{PRICES_HTML}</table></div>", subtype="html")
    assert "in plain text" in parse_bytes(mail.as_bytes(), "a.eml").text


def test_html_without_plain_text_is_read(parse_bytes):
    mail = message(None)
    mail.set_content("<meta charset=latin-1><p>Grüße</p>", subtype="html")
    assert parse_bytes(mail.as_bytes(), "a.eml").text.endswith("Grüße")


def test_flowed_lines_are_whole_again(parse_bytes):
    data = (
        b"Subject: x\r\nFrom: a@b\r\nContent-Type: text/plain; format=flowed; delsp=yes\r\n\r\n"
        b"one \r\ntwo\r\n> quoted \r\nthree"
    )
    assert parse_bytes(data, "a.eml").text.endswith("onetwo\n> quoted \nthree")


def test_attachments_follow_each_under_its_name(parse_bytes):
    mail = message()
    attach(mail, word("From Word"), "report.docx")
    attach(mail, pdf(lines(["From a PDF"])), "plan.pdf", "application/pdf")
    attach(mail, b"a,b\n1,2\n", "table.csv", "text/csv")
    document = parse_bytes(mail.as_bytes(), "a.eml")
    for heading in document.headings:
        assert document.text[heading.start :].startswith(heading.text)
    assert [h.text for h in document.headings if h.level == 2] == ["report.docx", "plan.pdf", "table.csv"]
    for text in ("From Word", "From a PDF", "| a | b |\n|-|-|\n| 1 | 2 |"):
        assert text in document.text
    assert document.metadata["attachments_read"] == 3
    assert not document.partial


def test_what_could_not_be_read_is_named_and_the_rest_stays(parse_bytes):
    mail = message()
    attach(mail, b"\x7fELF" + bytes(100), "program.bin")
    attach(mail, word("x")[:200], "cut.docx")
    attach(mail, b"\x89PNG\r\n\x1a\n" + bytes(50), "logo.png", "image/png")
    document = parse_bytes(mail.as_bytes(), "a.eml")
    messages = {w.message: w.lost for w in document.warnings}
    assert messages["attachment program.bin is a Linux program, which is not read"]
    assert (
        messages["picture logo.png was not read: it is a picture too damaged to be opened: download it again"] is False
    )
    assert any(m.startswith("attachment cut.docx is a damaged zip archive") for m in messages)
    assert document.partial
    assert "Hello" in document.text


def test_attachments_of_an_attached_message_are_named_not_read(parse_bytes):
    innermost = message("inner text", "Inner")
    attach(innermost, b"deep text", "deep.txt", "text/plain")
    mail = message()
    mail.add_attachment(innermost)
    document = parse_bytes(mail.as_bytes(), "a.eml")
    assert "inner text" in document.text
    assert "deep text" not in document.text
    assert any("attachments of an attached message were not read: deep.txt" in w.message for w in document.warnings)
    assert document.partial


def test_messages_in_messages_in_messages_end(parse_bytes):
    mail = message("core", "0")
    for depth in range(40):
        outer = message(str(depth), str(depth))
        outer.add_attachment(mail)
        mail = outer
    document = parse_bytes(mail.as_bytes(), "a.eml")
    assert document.partial
    assert "core" not in document.text


def test_the_limit_of_characters_counts_attachments_together(parse_bytes):
    mail = message()
    for i in range(4):
        attach(mail, b"words " * 100, f"{i}.txt", "text/plain")
    with pytest.raises(TooLarge, match="1,500 characters"):
        parse_bytes(mail.as_bytes(), "a.eml", ParseLimits(max_characters=1500))


@pytest.mark.parametrize(
    "kind",
    [
        'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=x',
        "application/pkcs7-mime; smime-type=enveloped-data",
    ],
)
def test_an_encrypted_message_is_said_to_be_so(parse_bytes, kind):
    data = f"From: a@b\nSubject: s\nMIME-Version: 1.0\nMessage-ID: 1\nContent-Type: {kind}\n\n--x\n\n--x--\n"
    with pytest.raises(Encrypted, match="encrypted message"):
        parse_bytes(data, "a.eml")


def test_a_message_of_nothing_is_empty(parse_bytes):
    with pytest.raises(EmptyDocument):
        parse_bytes("From: a@b\nTo: c@d\nDate: x\nMessage-ID: 1\n\n\n", "a.eml")


@pytest.mark.parametrize(
    "broken",
    [
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\n" * 50,
        b"Content-Type: multipart/mixed\n\nno boundary",
        b"Content-Type: text/plain; charset=nonsense\n\n\xff\xfe text",
        b"Content-Transfer-Encoding: base64\n\n!!!!not base64",
        b'Content-Type: text/plain; charset="\xff\xff"\n\ntext',
        b"Subject: =?utf-8?B?////?= =?x?Q?=ZZ?=\n\ntext",
        b"Content-Disposition: attachment; filename*=utf-8''%ff%ff\n\ntext",
    ],
)
def test_malformed_messages_are_read_as_far_as_they_go(parse_bytes, broken):
    data = b"From: a@b\nSubject: strange\nMIME-Version: 1.0\nMessage-ID: <1>\n" + broken
    assert "strange" in parse_bytes(data, "a.eml").text or b"Subject: =?" in broken


def test_a_damaged_outlook_message_is_said(parse_bytes):
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + "__substg1.0".encode("utf-16-le")
    with pytest.raises(ParseFailed, match="damaged Outlook message"):
        parse_bytes(data, "a.msg")


@pytest.mark.data
def test_an_outlook_message_with_a_pdf(shared_data):
    from ingest.parse import parse_file

    path = shared_data / "office-docs" / "haystack__sample.msg"
    document = parse_file(path, path.name, ParseLimits())
    assert document.title == "This is a Subject"
    assert "This is an example email with a body." in document.text
    assert "A sample PDF file" in document.text
    assert [h.text for h in document.headings][:2] == ["This is a Subject", "sample_pdf_1.pdf"]


@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [
        ("shift_jis", "cp932", "①料金、髙橋さん"),
        ("gb2312", "gb18030", "朱镕基先生"),
        ("ks_c_5601-1987", "cp949", "똠방각하"),
        ("us-ascii", "iso-2022-jp", "料金は九十九ユーロです。"),
        ("utf-7", "utf-7", "Größe"),
    ],
)
def test_a_text_is_read_in_what_mail_programs_mean_by_its_charset(parse_bytes, charset, codec, text):
    head = f"From: a@example.org\r\nSubject: T\r\nContent-Type: text/plain; charset={charset}\r\n\r\n"
    assert parse_bytes(head.encode() + text.encode(codec), "a.eml").text.endswith("\n\n" + text)
