"""What a model streams becomes text that is never taken back, sentences as they close, and markers that are real."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.cite import Bibliography, numbers_in
from agents.writer import AnswerWriter, ClosedSentence
from core.types import Chunk, Hit

FIRST = "The orchard was planted in 1987. It has 412 trees."
SECOND = "Ferries leave every forty minutes. The keeper retired in 2003."


def hit(number: int, text: str) -> Hit:
    chunk = Chunk(chunk_id=f"c{number}", doc_id=f"d{number}", text=text, start=100, end=100 + len(text), n_tokens=9)
    return Hit(chunk=chunk, title=f"T{number}", collection="test", score=1.0, rank=number, source="test")


HITS = (hit(1, FIRST), hit(2, SECOND))


def write(deltas: list[str], hits: tuple[Hit, ...] = HITS) -> tuple[str, list[ClosedSentence], AnswerWriter, list[str]]:
    """Streams, closing and taking after each piece, as the strategies do."""
    writer = AnswerWriter(Bibliography(hits))
    closed: list[ClosedSentence] = []
    given: list[str] = []
    for delta in [*deltas, None]:
        final = delta is None
        if delta is None:
            writer.finish()
        else:
            writer.feed(delta)
        while (sentence := writer.close(final=final)) is not None:
            closed.append(sentence)
            given.append(writer.take_closed())
        given.append(writer.take(final=final))
    return "".join(given), closed, writer, given


def one_by_one(text: str) -> list[str]:
    return list(text)


def in_words(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+$", text)


SAID = [
    "The orchard was planted in 1987 [1]. Ferries leave often [2].",
    "The orchard was planted in 1987. [1] Ferries leave every forty minutes. [2]",
    "It has 412 trees [1][2] and ferries [2].",
    "No marker here. None here either.",
    "It stands near the market. It has a bell. Shall I go on?",
    "Made up [99]. And [1, 7] too [0].",
    "[1] It was planted in 1987.\n[2] The keeper retired.",
    "In the U.S. Theory counts. Dr. Smith said 3.5 [1]. End",
    "A list:\n- one [1]\n- two [2]\n\nAnd a paragraph. [2]",
    "An open [bracket, and [1",
    "I don't know.",
    "",
    "   ",
    "中国很大。[1]真的吗？",
]


@pytest.mark.parametrize("said", SAID)
@pytest.mark.parametrize("cut", [one_by_one, in_words, lambda t: [t]])
def test_what_was_given_is_the_text_and_sentences_are_slices_of_it(said: str, cut) -> None:  # type: ignore[no-untyped-def]
    text, closed, writer, _ = write(cut(said))
    assert text == writer.text
    end = 0
    for sentence in closed:
        assert end <= sentence.start < sentence.end <= len(text)
        assert text[sentence.start : sentence.end] == sentence.text
        end = sentence.end


@pytest.mark.parametrize("said", SAID)
def test_how_the_stream_is_cut_changes_nothing(said: str) -> None:
    found = [write(cut(said)) for cut in (one_by_one, in_words, lambda t: [t])]
    assert len({text for text, _, _, _ in found}) == 1
    assert len({tuple(s.text for s in closed) for _, closed, _, _ in found}) == 1


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(alphabet="ab .\n[]12,9中。A\"'", max_size=80), st.integers(1, 7))
@example("[A[9]", 1)
def test_any_stream_keeps_the_promises(said: str, size: int) -> None:
    text, closed, writer, _ = write([said[i : i + size] for i in range(0, len(said), size)])
    assert text == writer.text
    for sentence in closed:
        assert text[sentence.start : sentence.end] == sentence.text
        assert all(1 <= m <= 4 for m in sentence.markers)
    # Every digit and letter that is no marker was kept.
    visible = re.sub(r"[\[【][^\[【\]】]*[\]】]", "", text)
    assert [c for c in visible if c in "abA中"] == [
        c for c in re.sub(r"[\[【][^\[【\]】]*[\]】]", "", said) if c in "abA中"
    ]


def test_markers_go_to_their_sentence_wherever_they_stand() -> None:
    _, closed, _, _ = write(in_words("Planted in 1987 [1]. Ferries leave every forty minutes. [2] The end."))
    assert [(s.claim, s.markers) for s in closed] == [
        ("Planted in 1987 .", [1]),
        ("Ferries leave every forty minutes.", [2]),
        ("The end.", []),
    ]


def test_a_marker_at_the_start_of_a_line_goes_to_the_sentence_behind_it() -> None:
    text, closed, _, _ = write(in_words("[1] It was planted in 1987.\n[2] The keeper retired."))
    assert text == "It was planted in 1987. [1]\nThe keeper retired. [2]"
    assert [s.markers for s in closed] == [[1], [2]]


def test_markers_that_name_no_passage_vanish_and_are_counted() -> None:
    text, closed, writer, _ = write(in_words("Made up [99]. And [1, 7] too [0]. Fine [2]."))
    assert "99" not in text
    assert "7" not in text
    assert writer.removed == ["[99]", "[1, 7]", "[0]"]
    assert text.startswith("Made up. And")
    assert [len(s.markers) for s in closed] == [0, 1, 1]


def test_the_number_of_a_marker_names_one_passage_and_one_quote() -> None:
    text, closed, _, _ = write(
        in_words("The keeper retired in 2003 [2]. It has 412 trees [1]. Planted in 1987 [1]. He retired in 2003 [2].")
    )
    # Passage 2 is named first, so it becomes 1; passage 1 is quoted twice in different places.
    assert [s.markers for s in closed] == [[1], [2], [3], [1]]
    assert "[3]" in text


def test_the_next_word_waits_until_the_sentence_before_it_is_decided() -> None:
    writer = AnswerWriter(Bibliography(HITS))
    writer.feed("It ended. Th")
    assert writer.close() is None
    assert writer.take() == "It ended."
    writer.feed("e next ")
    sentence = writer.close()
    assert sentence is not None
    writer.cite(sentence, [1])
    assert writer.take() == " [1] The next"


@pytest.mark.parametrize(
    ("marker", "numbers"),
    [
        ("[1]", [1]),
        ("[1, 2]", [1, 2]),
        ("[1-3]", [1, 2, 3]),
        ("[1,3–5]", [1, 3, 4, 5]),
        ("[1 and 2]", [1, 2]),
        ("[Passage 2]", [2]),
        ("[source 3]", [3]),
        ("[^4]", [4]),
        ("【2】", [2]),
        ("[2, 2]", [2]),
        ("[1-9999]", [1, 9999]),
        ("[note]", []),
        ("[]", []),
    ],
)
def test_markers_as_models_write_them(marker: str, numbers: list[int]) -> None:
    assert numbers_in(marker) == numbers


def test_a_marker_that_is_made_up_again_and_again_is_named_once() -> None:
    text, _, writer, _ = write([f"{FIRST} [99][99] It is old [99] [98]."])
    assert writer.removed == ["[99]", "[98]"]
    assert "[9" not in text
