"""Questions asked worse, harder contexts, and results by slice."""

from __future__ import annotations

import pytest

from core.errors import InvalidRequest
from core.types import Sample
from eval.datasets import QaDataset
from eval.slices import Question, slices, word_overlap
from eval.stress import counterfactual, stressed, with_distractors

ASKED = "Who built the large bridge over the Thames in 1894?"


def data(*samples: Sample) -> QaDataset:
    return QaDataset(name="made", samples=samples, sha256="")


A = Sample(id="a", question="?", answers=("Odo Harrow",), contexts=(("", "The mill was built by Odo Harrow in 1402."),))
B = Sample(id="b", question="?", answers=("Ada Vance",), contexts=(("", "Ada Vance painted the hall."),))
C = Sample(id="c", question="?", answers=("1402",), contexts=(("", "It fell in 1510. Nobody knows of 1402."),))


def test_typos_change_long_words_only_and_are_the_same_each_time() -> None:
    typed = stressed(ASKED, "typos", seed=3)
    assert typed != ASKED and typed == stressed(ASKED, "typos", seed=3) and "1894" in typed
    changed = [(x, y) for x, y in zip(ASKED.split(), typed.split(), strict=True) if x != y]
    assert 1 <= len(changed) <= 2 and all(len(x) >= 4 and x[0] == y[0] for x, y in changed)
    assert stressed("3 < 5?", "typos") == "3 < 5?"


def test_a_paraphrase_says_the_same_in_other_words() -> None:
    assert stressed(ASKED, "paraphrase") == (
        "Name the person or group that constructed the big bridge over the Thames in 1894."
    )
    assert stressed("Wie heißt der Fluss?", "paraphrase") == "Wie heißt der Fluss?"


def test_distractors_hold_no_answer_and_the_own_context_stays() -> None:
    hard = with_distractors(data(A, B, C), 5)
    assert hard.samples[0].contexts[0] in (*A.contexts, *B.contexts, *C.contexts)
    assert set(hard.samples[0].contexts) == {*A.contexts, *B.contexts, *C.contexts}
    assert set(hard.samples[2].contexts) == {*C.contexts, *B.contexts}  # A's holds 1402
    with pytest.raises(InvalidRequest, match=r"no question has a distractor.*the first is '\?'"):
        with_distractors(data(A), 1)


def test_a_short_answer_stands_in_a_passage_as_a_word_only() -> None:
    three = Sample(id="3", question="How many?", answers=("3",), contexts=(("", "The board has 3 members."),))
    sales = Sample(
        id="s", question="?", answers=("100",), contexts=(("", "Sales were 13.3 million in 2023 (Note 31)."),)
    )
    hard = with_distractors(data(three, sales), 5)
    assert [len(s.contexts) for s in hard.samples] == [2, 2] and hard.name == "made, 5 distractors"


def test_a_question_without_a_distractor_is_left_out_and_counted_and_the_others_are_asked() -> None:
    of = Sample(id="o", question="?", answers=("of",), contexts=(("", "Made of oaks."),))
    hard = with_distractors(data(C, of), 5)
    assert [s.id for s in hard.samples] == ["c"] and len(hard.samples[0].contexts) == 2  # C's knows "of 1402"
    assert hard.name == "made, 5 distractors, 1 of 2 questions without any left out"


def test_a_counterfactual_has_another_answer_of_its_shape_everywhere() -> None:
    changed = counterfactual(data(A, B, C))
    assert [s.id for s in changed.samples] == ["a", "b"]  # no other number
    assert changed.samples[0].answers == ("Ada Vance",)
    assert changed.samples[0].contexts == (("", "The mill was built by Ada Vance in 1402."),)
    with pytest.raises(InvalidRequest):
        counterfactual(data(C))


def test_slices_are_shown_where_there_are_two_with_enough_questions() -> None:
    assert word_overlap("Who built the large bridge?", "A bridge was built.") == pytest.approx(2 / 3)
    assert word_overlap("Who is it?", "x") is None
    questions = {
        str(i): Question(kind="cloze" if i < 6 else "heading", document="d", text="four words are here", overlap=i / 12)
        for i in range(12)
    }
    values = [{str(i): float(i < 6) for i in range(12)}, {str(i): 0.5 for i in range(12)}]
    found = {(s["by"], s["name"]): (s["n"], s["means"]) for s in slices(questions, values)}
    assert found[("kind", "cloze")] == (6, [1.0, 0.5]) and found[("kind", "heading")] == (6, [0.0, 0.5])
    assert found[("words that the passage has", "1 few (under half)")][0] == 6
    assert not any(by in ("document", "length") for by, _ in found)
