"""Sentences and words: nothing lost, nothing invented, in time that grows with the text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.text import fold, sentence_spans, strip_marks, word_spans, words

# Pieces that meet in awkward ways, so that the property tests reach the rules and not only random letters.
PIECES = st.sampled_from(
    ["Dr. ", "U.S. ", "3.5", " 1,234 ", "Fig. 2", "e.g. ", "The ", "word ", ". ", "… ", "! ", "?", "” ", "(", ") ", "“",
     "\n", "\n\n", "\r\n", "\f", "# ", "- ", "1. ", "| a | b |\n", "。", "！", "中国", "؟ ", "। ", "हिन्दी", " ", "\t", "\u00a0", "x"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join))


def sentences(text: str) -> list[str]:
    return [text[a:b] for a, b in sentence_spans(text)]


@settings(deadline=None)  # a busy machine is no failure
@given(TEXTS, st.sampled_from([1, 7, 40, 1200]))
def test_spans_are_trimmed_ordered_disjoint_and_hold_everything_visible(text: str, limit: int) -> None:
    spans = sentence_spans(text, max_characters=limit)
    covered = [False] * len(text)
    end = 0
    for a, b in spans:
        assert end <= a < b <= len(text)
        assert text[a:b] == text[a:b].strip()
        covered[a:b] = [True] * (b - a)
        end = b
    assert all(c or t.isspace() for c, t in zip(covered, text, strict=True))


@settings(deadline=None)  # a busy machine is no failure
@given(TEXTS)
def test_words_are_ordered_disjoint_and_hold_every_letter_and_digit(text: str) -> None:
    end = 0
    kept = ""
    for a, b in word_spans(text):
        assert end <= a < b
        end = b
        kept += text[a:b]
    assert [c for c in kept if c.isalnum()] == [c for c in text if c.isalnum()]


@settings(deadline=None)  # a busy machine is no failure
@given(TEXTS)
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith left. He ran.", ["Dr. Smith left.", "He ran."]),
        ("J. R. R. Tolkien wrote. The end.", ["J. R. R. Tolkien wrote.", "The end."]),
        ("Er stieg auf 1,5 Mio. Euro. Das ist viel.", ["Er stieg auf 1,5 Mio. Euro.", "Das ist viel."]),
        ("Es waren 3 Mrd. Die Kosten sanken.", ["Es waren 3 Mrd.", "Die Kosten sanken."]),
        ("Der Preis inkl. Versand gilt gem. § 5 Abs. 2 so.", ["Der Preis inkl. Versand gilt gem. § 5 Abs. 2 so."]),
        ("Sie wohnt in der Hauptstr. 5 im Hof. Er nicht.", ["Sie wohnt in der Hauptstr. 5 im Hof.", "Er nicht."]),
        ("The museum is a hidden gem. Visitors love it.", ["The museum is a hidden gem.", "Visitors love it."]),
        ("È un amico mio. Domani arriva qui.", ["È un amico mio.", "Domani arriva qui."]),
        ("Treatment of the STD. Patients recover.", ["Treatment of the STD.", "Patients recover."]),
        ("See Fig. 2 for it. Next.", ["See Fig. 2 for it.", "Next."]),
        ("Call ext. 4417. Ask for Ms Meier.", ["Call ext. 4417.", "Ask for Ms Meier."]),
        ("Ring extn. 12 or tel. +49 30 555. Good.", ["Ring extn. 12 or tel. +49 30 555.", "Good."]),
        ("See para. 5 and cl. 3 of it. Next.", ["See para. 5 and cl. 3 of it.", "Next."]),
        ("He rang by tel. Nobody answered.", ["He rang by tel.", "Nobody answered."]),
        ("It rose 5.5%. Then fell to 1.25.", ["It rose 5.5%.", "Then fell to 1.25."]),
        (
            "The U.S. Army won. It lives in the U.S. The end.",
            ["The U.S. Army won.", "It lives in the U.S.", "The end."],
        ),
        ("At 3.5 p.m. on Jan. 5. See below.", ["At 3.5 p.m. on Jan. 5.", "See below."]),
        ("Wait... What? No!", ["Wait...", "What?", "No!"]),
        ("I ... do not. Ok.", ["I ... do not.", "Ok."]),
        ('He said "I am here." Then left.', ['He said "I am here."', "Then left."]),
        ("(He was gone.) Next.", ["(He was gone.)", "Next."]),
        ("“Really?” he asked.", ["“Really?” he asked."]),
        ("Use it, e.g. Here or there. Good.", ["Use it, e.g. Here or there.", "Good."]),
        ("a force . The rank of private", ["a force .", "The rank of private"]),
        ("careless gameplay. the league", ["careless gameplay.", "the league"]),
        ("Am 3. Oktober 1990. Im 19. Jahrhundert.", ["Am 3. Oktober 1990.", "Im 19. Jahrhundert."]),
        ("¿Qué es? ¡Vale! Sí.", ["¿Qué es?", "¡Vale!", "Sí."]),
        ("中国很大。他说：“你好！”然后走了。", ["中国很大。", "他说：“你好！”", "然后走了。"]),
        ("ما هذا؟ هذا كتاب.", ["ما هذا؟", "هذا كتاب."]),
        ("यह एक है। दूसरा है।", ["यह एक है।", "दूसरा है।"]),
        ("# Title\nText one. Two", ["# Title", "Text one.", "Two"]),
        ("- one\n- two. More", ["- one", "- two.", "More"]),
        ("1. First thing.\n2. Second", ["1. First thing.", "2. Second"]),
        ("| a | b |\n| 1 | 2 |\nafter", ["| a | b |", "| 1 | 2 |", "after"]),
        ("Sales 90,146 82,959\nCost 45,000 (46,000)\n", ["Sales 90,146 82,959", "Cost 45,000 (46,000)"]),
        (
            "Brochure, 16 pages 2000 EUR 0.85 EUR 1,700.00\nRoll-up banner 3 EUR 79.00 EUR 237.00\n",
            ["Brochure, 16 pages 2000 EUR 0.85 EUR 1,700.00", "Roll-up banner 3 EUR 79.00 EUR 237.00"],
        ),
        ("no end here\n\nNew paragraph", ["no end here", "New paragraph"]),
        ("page one\fpage two", ["page one", "page two"]),
        ("a line that is\nwrapped goes on.", ["a line that is\nwrapped goes on."]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_title_without_full_stop_is_cut_from_the_wrapped_paragraph_below_it() -> None:
    text = "Item 2. Discussion\nThe following discussion should be read with the statements of\nthe company and so on."
    assert sentences(text)[0] == "Item 2. Discussion"
    assert len(sentences(text)) == 2


def test_a_piece_without_end_is_cut_at_white_space_near_the_limit() -> None:
    pieces = sentences("word " * 1000)
    assert max(map(len, pieces)) <= 1200
    assert " ".join(pieces) == ("word " * 1000).strip()


def test_words_keep_numbers_and_apostrophes_and_vowel_signs() -> None:
    text = "Don’t pay 1,234.5 हिन्दी 中国 x-ray"
    assert [text[a:b] for a, b in word_spans(text)] == ["Don’t", "pay", "1,234.5", "हिन्दी", "中", "国", "x", "ray"]
    assert words("Don’t SHOUT") == ["don't", "shout"]


def test_accents_go_and_vowel_signs_stay() -> None:
    assert strip_marks("São Köln हिन्दी") == "Sao Koln हिन्दी"


@pytest.mark.parametrize(
    "unit", [".", ".)", ". ", "a. ", "\n", "\n \n", "|", "#", "- ", "。", "_ ", "\n1. x", "\t", "1.1", "“”", "U.S. "]
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    def seconds(n: int) -> float:
        text = unit * (n // len(unit))
        began = time.thread_time()  # not the clock: other tests may share the machine
        sentence_spans(text)
        word_spans(text)
        return time.thread_time() - began

    seconds(1000)
    # Eight times the text: about 8 times the time if linear, 64 if quadratic; 30 leaves room for a busy machine.
    small, large = max(min(seconds(10_000) for _ in range(3)), 1e-3), min(seconds(80_000) for _ in range(3))
    assert large / small < 30
