"""Personal data by their form: what is found, that nothing of it is left, and that nothing else is touched."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.intake import redacted_name
from ingest.known_names import KnownNames
from ingest.parse.document import OCR_WORDS, Heading, Page, ParsedDocument, ParseWarning
from ingest.pii import MARKERS, count_pii, find_pii, redact_document, redact_text
from models.person_names import PersonNames
from tests.support.tiny_models import save_tiny_names

EMAILS = ["jo.doe@example.com", "o'neil+news@sub.example.co.uk", "müller@straße.de", "a_b-c@xn--bcher-kva.example"]
PHONES = ["(212) 736-5000", "+49 30 901820", "+44 20 7946 0958", "212-736-5000", "+1 212.736.5000"]
IBANS = ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "NL91 ABNA 0417 1643 00", "de89370400440532013000"]

words = st.text(st.characters(whitelist_categories=("Ll", "Lu", "Lo")), min_size=1, max_size=8)
clean = st.lists(words, max_size=8).map(" ".join)
personal = st.sampled_from(EMAILS + PHONES + IBANS)
around = st.sampled_from([" ", "\n", ", ", " (", ") ", ": ", "; ", " | ", "\n\n"])
pieces = st.lists(st.tuples(clean, around, personal, around), min_size=1, max_size=6)


def found(text: str, *regions: str) -> list[tuple[str, str]]:
    return [(text[f.start : f.end], f.kind) for f in find_pii(text, regions or ("US",))]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("email", e) for e in EMAILS] + [("phone", p) for p in PHONES] + [("iban", i) for i in IBANS],
)
def test_each_form_is_found_as_a_whole_and_as_one(kind: str, value: str) -> None:
    assert found(f"Please note {value}, and nothing else.") == [(value, kind)]
    assert found(value) == [(value, kind)]


@pytest.mark.parametrize(
    "text",
    [
        "On 2024-10-11 net sales were 1,234,567.89 and 17.5 % more.",
        "See section 12.3.4, version 2026.11.21 and pages 100-200.",
        "@keeper wrote to us @ noon; a@b is no address, and neither is @example.com.",
        "DE89 3704 0044 0532 0130 01 has a wrong check digit",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
        "",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert found(text) == []
    assert redact_text(text) == text


def test_a_number_without_a_country_code_is_of_the_regions_that_are_named() -> None:
    text = "Ring 030 901820 any time."
    assert found(text, "US") == []
    assert found(text, "US", "DE") == [("030 901820", "phone")]


@pytest.mark.parametrize("between", [" ", "\u00a0", "-", "\u2010", ".", "\n", "\t", "\r\n", " \n    "])
def test_an_iban_is_found_whatever_parts_its_groups(between: str) -> None:
    everywhere = between.join(["DE89", "3704", "0044", "0532", "0130", "00"])
    once = f"DE89 3704 0044 0532{between}0130 00"
    for iban in (everywhere, once):
        assert found(f"Pay to {iban}, please.") == [(iban, "iban")]
        assert redact_text(f"Pay to {iban}{between}Thank you.") == f"Pay to [IBAN]{between}Thank you."


@pytest.mark.parametrize("between", ["\n", "\r\n", " \n   ", "-\n", "\u202f", "\u2009"])
def test_a_phone_number_with_its_country_goes_on_below_the_end_of_a_line(between: str) -> None:
    assert found(f"Call +1 212{between}736-5000 today.") == [(f"+1 212{between}736-5000", "phone")]
    assert found(f"Call +49 30 90{between}1820") == [(f"+49 30 90{between}1820", "phone")]


@pytest.mark.parametrize(
    "address",
    [
        "jo.doe@\nexample.com",
        "jo.doe@ example.com",
        "jo.doe@\r\n   example.com",
        "jo.doe@exam-\nple.com",
        "jo.doe@example.\ncom",
    ],
)
def test_an_address_goes_on_below_the_end_of_a_line(address: str) -> None:
    assert found(f"Write to {address}, or do not.") == [(address, "email")]


def test_an_at_sign_at_the_end_of_a_line_is_not_yet_an_address() -> None:
    for text in (
        "a@\nand more",
        "a@b.\nThen they left",
        "a @\nexample.com",
        "cost @ 3.50 each",
        "a@ 3.50 each",
        "see a@b-\n\nc.d",
    ):
        assert found(text) == []


def test_a_number_ends_with_its_line() -> None:
    assert found("+49 30 901820\n12345 items") == [("+49 30 901820", "phone")]


@settings(max_examples=150, deadline=None)
@given(pieces, clean)
def test_nothing_of_it_is_left_and_every_other_word_is(parts: list[tuple[str, str, str, str]], last: str) -> None:
    text = "".join("".join(part) for part in parts) + last
    redacted = redact_text(text)
    for _, _, value, _ in parts:
        assert value not in redacted
        assert "".join(c for c in value if c.isdigit())[-7:] not in "".join(redacted.split()) or value in EMAILS
    assert find_pii(redacted, ("US",)) == []
    assert redact_text(redacted) == redacted
    for marker in MARKERS.values():
        redacted = redacted.replace(marker, "")
    assert redacted == "".join(f"{before}{a}{b}" for before, a, _, b in parts) + last


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab1290+-.() @DE\n"), max_size=60) | st.text(max_size=80))
def test_any_text_at_all_comes_out_without_a_find(text: str) -> None:
    spans = find_pii(text, ("US", "DE"))
    assert all(a.end <= b.start for a, b in pairwise(spans))
    assert all(0 <= f.start < f.end <= len(text) for f in spans)
    assert find_pii(redact_text(text, ("US", "DE")), ("US", "DE")) == []


@settings(max_examples=100, deadline=None)
@given(st.lists(pieces, min_size=1, max_size=5))
def test_pages_and_headings_keep_their_places(bodies: list[list[tuple[str, str, str, str]]]) -> None:
    """Each page is what it would be if it were redacted by itself."""
    text, pages, headings = "", [], []
    for number, body in enumerate(bodies, start=1):
        page = "Heading\n" + "".join("".join(part) for part in body) + "\nend"
        headings.append(Heading(1, f"Heading of {body[0][2]}", len(text)))
        pages.append(Page(number, len(text), len(text) + len(page)))
        text += page + "\n"
    parsed = ParsedDocument(text=text, title="t", mime_type="text/plain", pages=tuple(pages), headings=tuple(headings))
    redacted, counts = redact_document(parsed)
    for before, after, heading in zip(pages, redacted.pages, redacted.headings, strict=True):
        assert redacted.text[after.start : after.end] == redact_text(text[before.start : before.end])
        assert redacted.text[heading.start :].startswith("Heading\n")
        assert find_pii(heading.text) == []
    assert sum(counts.values()) >= len(find_pii(text))


def test_title_headings_metadata_and_warnings_are_redacted_as_well() -> None:
    parsed = ParsedDocument(
        text=f"From {EMAILS[0]}",
        title=f"Letter of {EMAILS[0]}",
        mime_type="message/rfc822",
        metadata={"author": EMAILS[1], "to": [PHONES[0], {"deep": IBANS[0]}], EMAILS[2]: 7},
        warnings=(ParseWarning("lost", f"{EMAILS[0]}.png could not be read"),),
    )
    redacted, counts = redact_document(parsed)
    said = repr(redacted)
    assert not any(value in said for value in EMAILS + PHONES + IBANS)
    assert redacted.metadata["to"] == [MARKERS["phone"], {"deep": MARKERS["iban"]}]
    assert counts == {"email": 1, "phone": 0, "iban": 0}


def test_captions_keep_their_places_and_the_words_of_a_scan_are_left_out() -> None:
    text = f"{EMAILS[0]}\nFigure 1. Made by {EMAILS[1]}\nend"
    start = text.index("Figure")
    figure = {"label": "Figure 1", "page": 1, "start": start, "end": text.index("\nend")}
    metadata = {"figures": [figure], OCR_WORDS: {"1": EMAILS[0]}}
    redacted, _ = redact_document(ParsedDocument(text=text, title="t", mime_type="application/pdf", metadata=metadata))
    (moved,) = redacted.metadata["figures"]
    assert redacted.text[moved["start"] : moved["end"]] == "Figure 1. Made by [e-mail]"
    assert OCR_WORDS not in redacted.metadata


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> PersonNames:
    """A tiny model that knows the names Jane, Doe and Ana."""
    return PersonNames(str(save_tiny_names(tmp_path_factory.mktemp("names") / "tiny")), device="cpu")


def test_names_are_found_beside_what_has_a_form_and_not_within_it(names: PersonNames) -> None:
    text = "Jane Doe (Jane.Doe@example.com) met Ana."
    assert [(text[f.start : f.end], f.kind) for f in find_pii(text, names=names)] == [
        ("Jane Doe", "name"),
        ("Jane.Doe@example.com", "email"),
        ("Ana", "name"),
    ]
    assert count_pii(find_pii(text, names=names), names=True) == {"email": 1, "phone": 0, "iban": 0, "name": 2}
    assert [f.kind for f in find_pii(text)] == ["email"], "without a model names are not looked for"


def test_names_are_redacted_wherever_the_document_says_them(names: PersonNames) -> None:
    text = f"Minutes\n\nJane Doe met Ana.\n\nJane Doe left {EMAILS[0]}."
    figure = {"label": "Figure 1", "page": 1, "start": text.index("Jane"), "end": text.index(" met")}
    parsed = ParsedDocument(
        text=text,
        title="Doe, minutes",
        mime_type="text/plain",
        pages=(Page(1, 0, 10), Page(2, text.index("Jane"), len(text))),
        headings=(Heading(1, "Minutes", 0), Heading(1, "Of Ana", text.index("Jane Doe left"))),
        metadata={"author": "somebody unheard of", "keywords": ["Ana", "geese"], "figures": [figure]},
        warnings=(ParseWarning("lost", "Jane Doe.png could not be read"),),
    )
    redacted, counts = redact_document(parsed, names=names)
    assert redacted.text == "Minutes\n\n[name] met [name].\n\n[name] left [e-mail]."
    assert counts == {"email": 1, "phone": 0, "iban": 0, "name": 3}
    assert redacted.title == "[name], minutes"
    assert [h.text for h in redacted.headings] == ["Minutes", "Of [name]"]
    assert redacted.text[redacted.headings[1].start :].startswith("[name] left")
    assert redacted.metadata["author"] == "[name]" and redacted.metadata["keywords"] == ["[name]", "geese"]
    (moved,) = redacted.metadata["figures"]
    assert redacted.text[moved["start"] : moved["end"]] == "[name]"
    assert redacted.warnings[0].message == "[name].png could not be read"
    assert redacted.text[redacted.pages[1].start : redacted.pages[1].end].startswith("[name] met")


def test_a_name_of_several_words_that_is_known_is_one_where_the_model_misses_it() -> None:
    text = "Jane Doe spoke. Then JANE DOE, and Jane Doeling, and Jane Doe; Will will."
    known = KnownNames.of(text, [(0, 8), (text.index("Will"), text.index(" will."))])
    assert [text[a:b] for a, b in known.spans(text)] == ["Jane Doe", "Jane Doe", "Will"]
    assert known.spans("Will of Jane Doe") == [(8, 16)]
    assert known.spans("Will of Jane Doe", alone=True) == [(0, 4), (8, 16)]


def test_counts_name_every_kind() -> None:
    text = f"{EMAILS[0]} and {EMAILS[1]}, {PHONES[0]}"
    assert count_pii(find_pii(text)) == {"email": 2, "phone": 1, "iban": 0}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("letters/plain name.pdf", "letters/plain name.pdf"),
        ("mail of jo.doe@example.com.eml", "0123456789ab mail of [e-mail].eml"),
        ("jo.doe@example.com", "0123456789ab [e-mail]"),
        ("calls/+49 30 901820.txt", "0123456789ab calls/[phone].txt"),
    ],
)
def test_a_file_name_keeps_its_ending_and_files_of_two_people_stay_two(name: str, kept: str) -> None:
    assert redacted_name(name, "0123456789abcdef", ("US",)) == kept


@pytest.mark.parametrize("text", ["@" * 100_000, "a@" * 50_000, "DE89" * 50_000, "1234567 89 " * 3000, "+" * 100_000])
def test_a_text_made_to_take_long_takes_no_time_to_speak_of(text: str) -> None:
    begun = time.monotonic()
    find_pii(text)
    assert time.monotonic() - begun < 5


def test_a_long_search_can_be_ended() -> None:
    class Enough(Exception):
        pass

    def tick() -> None:
        raise Enough

    with pytest.raises(Enough):
        find_pii("+49 30 901820\n" * 10, ("US",), tick)
