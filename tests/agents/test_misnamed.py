"""A name in a question in whose place the passage has another."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agents.irregular import base
from agents.misnamed import may_be, named_in, stands_in, without_possessive
from agents.premise import FalsePremise, false_premise
from core.text import sentence_spans
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
        pytest.param(
            "What is the hotel limit in Tokyo?", ["The hotel limit is €140 in Germany and €180 in all other countries."], id="all others"
        ),
        pytest.param(
            "What does shipping to Japan cost?",
            ["Shipping to Austria costs 5 euros. In all other countries it costs 12 euros."],
            id="all others in the next sentence",
        ),
        pytest.param(
            "How long is the probation period in Leeds?", ["The probation period is six months in Kassel and three elsewhere."], id="elsewhere"
        ),
        pytest.param(
            "What is the rate of tax in Brazil?", ["The rate of tax is 19% in Germany, and 21% in the rest of the world."], id="the rest"
        ),
        pytest.param(
            "What was the rate of tax in 2020?", ["The rate of tax was 16% in 2021. In any other year it was 19%."], id="another year"
        ),
    ],
)  # fmt: skip
def test_nothing_is_said_where_the_name_may_be_right(question: str, texts: list[str]) -> None:
    assert asked(question, *texts) is None


@pytest.mark.parametrize(
    "behind", ["Others were built of wood.", "The rest of the valley has fords.", "It is seen from everywhere else."]
)
def test_when_a_thing_happened_is_not_what_is_said_of_all_others(behind: str) -> None:
    found = asked(
        "Why was the stone bridge of Alby opened in 1992?", f"The stone bridge of Alby was opened in 1987. {behind}"
    )
    assert found is not None and "1987, not 1992" in found.detail


def test_of_others_somewhere_else_in_the_passage_nothing_follows() -> None:
    text = CURIE + " She was a Pole. Others left Paris, and they loved each other."
    found = asked("Who did Marie Curie marry in Vienna?", text)
    assert found is not None and found.item == "Vienna"


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


@pytest.mark.slow
def test_of_a_hundred_names_exchanged_in_sentences_of_real_articles_most_are_named(shared_data: Path) -> None:
    """ "How did it come that SENTENCE?", with one name of another article; of the sentences as they are nothing is said."""
    lines = (shared_data / "xquad" / "en-train.jsonl").read_text("utf-8").splitlines()
    passages = list(dict.fromkeys((c["title"], c["text"]) for line in lines for c in json.loads(line)["contexts"]))
    library = PassageRetriever(
        [StoredText(doc_id=f"p{n}", title=title, text=text) for n, (title, text) in enumerate(passages)]
    )
    drawn = list(_exchanged_sentences(passages))
    random.Random(0).shuffle(drawn)
    named, replaced = 0, 0
    for true, false, right, wrong in drawn[:100]:
        assert false_premise(true, library.search(true, 8, EVERYTHING)) is None, true
        found = false_premise(false, library.search(false, 8, EVERYTHING))
        if found is not None and found.item == without_possessive(wrong):
            named += 1
            replaced += f"says {without_possessive(right)}," in found.detail
    assert len(drawn) >= 100
    assert named >= 65 and replaced >= named - 3, (named, replaced)


def _exchanged_sentences(passages: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, str, str]]:
    """(question, the same with another name, the right name, the other) of sentences with a name that the passage has once."""
    from bench.premises import names_of  # with the indexes and the statistics that it needs: seconds

    behind: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for title, named in names_of(passages):
        behind[named.before].append((title, named.name))
    for title, text in passages:
        for a, b in sentence_spans(text):
            sentence = text[a:b].rstrip(".")
            for one in named_in(sentence):
                if text.count(one.name) > 1 or not one.before or not 6 <= len(sentence.split()) <= 40:
                    continue
                others = behind[one.before]
                turned = others[len(sentence) % len(others) :] + others
                wrong = next((n for t, n in turned if t != title and not stands_in(n, text)), None)
                if wrong is not None:
                    true = f"How did it come that {sentence}?"
                    yield true, true.replace(one.name, wrong, 1), one.name, wrong
