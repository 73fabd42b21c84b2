"""Misspelt words of a query, put right by the words that the person may see."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import new_id
from core.types import Principal, Where
from retrieval.did_you_mean import Correction, edit_distance, one_off
from tests.support.library import LOCAL, Library, library, open_library

TEXTS = {
    "a": "The committee approved several mergers in the third quarter",
    "b": "The quarterly report lists committee members and mergers",
    "c": "A government shall receive the report",
}


@pytest.fixture(scope="module")
def lib(tmp_path_factory):
    opened = open_library(tmp_path_factory.mktemp("spelling"))
    opened.create("office")
    opened.put_many("office", TEXTS)
    yield opened
    opened.close()


def meant(lib: Library, query: str, *collections: str, principal: Principal = LOCAL) -> Correction | None:
    return lib.engine.did_you_mean(query, Where(principal=principal, collections=collections))


@pytest.mark.parametrize(
    ("query", "suggested", "terms"),
    [
        ("comittee", "committee", (("comittee", "committee"),)),  # one letter lost
        ("recieve", "receive", (("recieve", "receive"),)),  # two letters swapped
        ("goverrnmant", "government", (("goverrnmant", "government"),)),  # distance 2
        ("xuarter report", "quarter report", (("xuarter", "quarter"),)),  # the first letter
        ("Comittee, 2019?", "Committee, 2019?", (("Comittee", "Committee"),)),
        ("COMITTEE", "COMMITTEE", (("COMITTEE", "COMMITTEE"),)),
        ("comittee recieve", "committee receive", (("comittee", "committee"), ("recieve", "receive"))),
        ('"comittee members"', '"committee members"', (("comittee", "committee"),)),
    ],
)
def test_a_misspelt_word_is_replaced_and_the_rest_stays_as_it_is(lib, query, suggested, terms):
    assert meant(lib, query) == Correction(suggested, terms)


@pytest.mark.parametrize(
    "query",
    [
        "committee report",  # all there
        "approving merger",  # other forms of what is there
        "with their",  # stop words
        "teh",  # too short to tell
        "zzyzx qwghlm",  # nothing alike
        "quarter1 comittee.py comittee@x.org",  # identifiers
        "東京委員会",
        "",
        "  ",
    ],
)
def test_what_is_right_or_beyond_help_is_left_alone(lib, query):
    assert meant(lib, query) is None


def test_of_two_words_equally_near_the_one_in_more_passages_is_suggested(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        lib.put_many("a", {str(i): "the stone" if i else "the stove" for i in range(4)})
        assert meant(lib, "stoxe") == Correction("stone", (("stoxe", "stone"),))


def test_nothing_is_said_of_collections_that_the_person_cannot_read(tmp_path):
    other = Principal(user_id=new_id("u"))
    with library(tmp_path) as lib:
        lib.create("open")
        lib.create("secret")
        lib.put("open", "o", "ordinary matters of an ordinary day")
        lib.put("secret", "s", "project nightingale and its budget")
        assert meant(lib, "nightingle") == Correction("nightingale", (("nightingle", "nightingale"),))
        # Not searched, and not readable: either way there is no such word.
        assert meant(lib, "nightingle", "open") is None
        assert meant(lib, "nightingle", principal=other) is None
        # Being spelt right elsewhere does not keep a word from being put right here.
        lib.put("open", "p", "nightingales sing")
        assert meant(lib, "nightingaled", "open") == meant(lib, "nightingaled", "open")


def test_a_word_that_was_deleted_is_suggested_no_more(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        lib.put("a", "x", "the albatross")
        assert meant(lib, "albatros") is not None
        lib.delete("a", "x")
        assert meant(lib, "albatros") is None


def test_words_of_an_edition_that_waits_are_not_suggested_and_other_engines_suggest_nothing(tmp_path):
    with library(tmp_path, sparse="rank-bm25") as lib:
        lib.create("a")
        lib.put("a", "x", "the albatross")
        assert meant(lib, "albatros") is None


def test_every_word_of_many_with_one_error_comes_back(tmp_path):
    words = [
        "harbour",
        "lighthouse",
        "keeper",
        "winter",
        "storm",
        "signal",
        "engine",
        "bearing",
        "captain",
        "passenger",
    ]
    generator = random.Random(4)
    with library(tmp_path) as lib:
        lib.create("a")
        lib.put_many("a", {w: f"about the {w} itself" for w in words})
        for word in words:
            at = generator.randrange(len(word) - 1)
            swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
            for wrong in {word[:at] + word[at + 1 :], swapped, word[:at] + "q" + word[at:]} - {word}:
                if len(wrong) >= 4 and not lib.search(wrong, 1, retriever="bm25"):
                    assert meant(lib, wrong) == Correction(word, ((wrong, word),))


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("", "", 0), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("abc", "xbc", 1), ("ca", "abc", 3)],
)
def test_the_distance_by_hand(a, b, distance):
    assert edit_distance(a, b, 9) == distance


@given(st.text("abc", max_size=6))
def test_all_words_at_a_distance_of_one_are_written_down(word):
    made = one_off(word, "abc")
    assert len(made) == len(set(made))
    assert all(edit_distance(word, other, 2) == 1 for other in made)
    for other in ("".join(letters) for n in range(5) for letters in itertools.product("abc", repeat=n)):
        assert (other in made) == (edit_distance(word, other, 2) == 1)


def test_letters_without_a_known_alphabet_are_put_right_too(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        lib.put("a", "x", "المدرسة الكبيرة")
        lib.put("a", "y", "Größe und решение", metadata={"language": "de"})
        assert meant(lib, "المدرسه") == Correction("المدرسة", (("المدرسه", "المدرسة"),))
        assert meant(lib, "решеие") == Correction("решение", (("решеие", "решение"),))


@given(st.text("abc", max_size=8), st.text("abc", max_size=8), st.integers(0, 3))
def test_the_distance_is_symmetric_and_bounded(a, b, at_most):
    distance = edit_distance(a, b, at_most)
    assert distance == edit_distance(b, a, at_most) <= at_most + 1
    assert (distance == 0) == (a == b)
    assert distance == min(edit_distance(a, b, 99), at_most + 1)
