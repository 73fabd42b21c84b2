"""A name in a question in whose place the passage has another."""

from __future__ import annotations

import pytest

from agents.irregular import base
from agents.misnamed import may_be
from agents.premise import FalsePremise, false_premise
from tests.support.facts import NAMED_FACTS
from tests.support.passages import EVERYTHING, PassageRetriever, StoredText

CURIE = "She was born in Warsaw. Marie Curie married Pierre in Paris in 1895."
SCOTT = "The Terra Nova was a whaler. Scott led the Terra Nova expedition in 1910. Captain Scott did not come back."
AMUNDSEN = "Amundsen reached the Pole before Scott. He had sailed in the Fram."


def asked(question: str, *texts: str) -> FalsePremise | None:
    library = PassageRetriever([StoredText(doc_id=f"d{n}", title="Notes", text=t) for n, t in enumerate(texts)])
    return false_premise(question, library.search(question, 8, EVERYTHING))


@pytest.mark.parametrize(
    ("question", "text", "wrong", "right"),
    [
        ("Who did Marie Curie marry in Vienna?", CURIE, "Vienna", "Paris"),
        ("When did Amundsen lead the Terra Nova expedition?", SCOTT, "Amundsen", "Scott"),
        ("How long did Siemens supply the mill of Alby?", "Brandt Foods supplied the mill of Alby for a year.", "Siemens", "Brandt Foods"),
        ("Why did Hamlet by Marlowe open in Leeds?", "Hamlet by Shakespeare opened in Leeds.", "Marlowe", "Shakespeare"),
        ("In which year did Keller's orchard in Alby burn?", "Lindqvist's orchard in Alby burned in 1987.", "Keller", "Lindqvist"),
    ],
)  # fmt: skip
def test_the_wrong_name_is_named_with_what_stands_in_its_place(
    question: str, text: str, wrong: str, right: str
) -> None:
    found = asked(question, text)
    assert found is not None and found.item == wrong
    assert found.detail == f"the passage says {right}, not {wrong}"


@pytest.mark.parametrize(
    ("question", "texts"),
    [
        pytest.param("Who did Marie Curie marry in Paris?", [CURIE], id="it is the passage's own"),
        pytest.param("Did Marie Curie marry in Vienna?", [CURIE], id="it asks whether it is so"),
        pytest.param("When did Amundsen lead the Terra Nova expedition?", [AMUNDSEN], id="of something else"),
        pytest.param(
            "When did Amundsen lead the Terra Nova expedition?",
            [SCOTT, "Amundsen bought the Terra Nova for an expedition."],
            id="another passage may say it",
        ),
        pytest.param("When did Skott lead the Terra Nova expedition?", [SCOTT], id="misspelt"),
        pytest.param(
            "When did the United Kingdom join the old union of Alby?", ["The UK joined the old union of Alby in 1972."],
            id="initials",
        ),
        pytest.param(
            "When did Norway join the old union of Alby?", ["Norwegian towns joined the old union of Alby."], id="a form of it"
        ),
        pytest.param("Where in Europe did Keller plant the orchard?", ["Keller planted the orchard in Alby."], id="the answer"),
        pytest.param(
            "What is the forest known as in Brazil?", ["The forest is known in English as Amazonia."], id="a language is no place"
        ),
        pytest.param("when did amundsen lead the terra nova expedition?", [SCOTT], id="small letters"),
    ],
)  # fmt: skip
def test_nothing_is_said_where_the_name_may_be_right(question: str, texts: list[str]) -> None:
    assert asked(question, *texts) is None


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How old was Manning when he played in Super Bowl 50?", "Manning played in a Super Bowl at the age of 39."),
        ("What drama from Spelling was shown on ABC in the 80s?", "A drama from Spelling was shown on ABC in 1981."),
    ],
)
def test_a_number_that_belongs_to_a_name_or_a_decade_is_no_number(question: str, text: str) -> None:
    assert asked(question, text) is None


def test_where_two_names_do_not_go_together_one_of_them_is_named() -> None:
    found = asked("How long did the choir of Alby sing in Riga?", "The choir of Alby sang in Oslo for a week.",
                  "The choir of Brenna sang in Riga for a day.")  # fmt: skip
    assert found is not None and (found.item, found.detail.split(",")[0]) in [
        ("Riga", "the passage says Oslo"),
        ("Alby", "the passage says Brenna"),
    ]


def test_forms_of_a_verb_are_one() -> None:
    assert base("led") == base("lead") and base("written") == base("wrote") == base("writes")
    assert base("opened") == base("opens") != base("operate")


def test_two_names_that_share_a_word_may_be_the_same() -> None:
    assert may_be("Marie Curie", "Curie") and may_be("UN", "United Nations") and not may_be("Vienna", "Paris")


def test_of_a_hundred_true_premises_with_names_none_is_called_false() -> None:
    library = PassageRetriever([f.document for f in NAMED_FACTS])
    questions = [f.assuming.replace(f.wrong, f.right) for f in NAMED_FACTS]
    assert [q for q in questions if false_premise(q, library.search(q, 8, EVERYTHING)) is not None] == []
