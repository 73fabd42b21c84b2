"""Blind votes in the chat: what is shown before the vote and after it, and what the votes add up to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.chat_votes import ChatVotes, mark, way_of
from app.chats import Chats
from core.errors import Conflict, InvalidRequest, NotFound
from core.types import Principal
from eval.bradley_terry import LEAST
from tests.support.library import LOCAL, Library, library

STRANGER = Principal(user_id="stranger")


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[Library]:
    with library(tmp_path / "data") as found:
        yield found


def answer(text: str, strategy: str, **more: Any) -> dict[str, Any]:
    return {"answer": text, "strategy": strategy, "abstained": False, "sentences": [], "citations": []} | more


class Conversation:
    """One question with an answer, and a rival's when ``compare`` is called."""

    def __init__(self, lib: Library, question: str = "How tall?") -> None:
        self.chats = Chats(lib.database)
        self.votes = ChatVotes(lib.database, self.chats)
        self.chat_id = self.chats.create(LOCAL, title="", collections=[], strategy="extract").chat_id
        self.question = self.chats.ask(LOCAL, self.chat_id, question)
        self.older = self.say(answer("110.6 metres", "extract"))

    def say(self, said: dict[str, Any]) -> str:
        return self.chats.answer(LOCAL, self.chat_id, self.question, content=said["answer"], answer=said)

    def compare(
        self, text: str = "about 110", ways: tuple[str, ...] = ("extract", "rag"), from_start: bool = False, **more: Any
    ) -> str:
        older, way = self.votes.draw(LOCAL, self.chat_id, self.older, ways)
        said = answer("110.6 metres", "extract")
        return self.say(
            mark(answer(text, way, **more), said, older.message_id, ("extract", way), from_start=from_start)
        )

    def seen(self) -> dict[str, Any]:
        pair = self.votes.pair_of(LOCAL, self.chat_id, self.question)
        assert pair is not None
        return pair.to_json()


def test_before_the_vote_nothing_says_which_is_which(lib: Library) -> None:
    talk = Conversation(lib)
    talk.compare()
    seen = talk.seen()
    assert sorted(seen.pop("answers")) == ["110.6 metres", "about 110"]
    assert seen == {"choice": None, "from_start": False}
    shown = talk.chats.messages(LOCAL, talk.chat_id)[-1].answer
    assert shown is not None and "compared" not in shown


def test_the_rival_is_shown_first_about_as_often_as_second() -> None:
    x, y = answer("x", "rag"), answer("y", "extract")
    sides = [mark(x, y, "m1", ("extract", "rag"), from_start=True)["compared"]["swapped"] for _ in range(60)]
    assert 10 < sum(sides) < 50  # 30 are expected; chance is outside once in 10 million times


def test_another_way_than_the_answers_own_is_drawn_each_at_some_time(lib: Library) -> None:
    talk = Conversation(lib)
    drawn = {talk.votes.draw(LOCAL, talk.chat_id, talk.older, ["extract", "rag", "cot"])[1] for _ in range(60)}
    assert drawn == {"rag", "cot"}
    with pytest.raises(InvalidRequest, match="no other way"):
        talk.votes.draw(LOCAL, talk.chat_id, talk.older, ["extract"])


@pytest.mark.parametrize("better", ["110.6 metres", "about 110"])
def test_a_vote_names_the_ways_is_kept_once_and_shows_the_preferred_answer(lib: Library, better: str) -> None:
    talk = Conversation(lib)
    newer = talk.compare()
    side: Any = str(talk.seen()["answers"].index(better) + 1)
    voted = talk.votes.vote(LOCAL, talk.chat_id, talk.question, side).to_json()
    ways = dict(zip(voted["answers"], voted["ways"], strict=True))
    assert ways == {"110.6 metres": "extract", "about 110": "rag"}
    assert voted["choice"] == side and set(voted["message_ids"]) == {talk.older, newer}
    assert talk.chats.messages(LOCAL, talk.chat_id)[-1].content == better
    with pytest.raises(Conflict, match="kept once"):
        talk.votes.vote(LOCAL, talk.chat_id, newer, "equal")
    best = talk.votes.standing(LOCAL)["strengths"][0]
    assert best["label"] == ways[better] and best["chance"] > 0.5 and best["ci_low"] is None


def test_equal_and_both_bad_are_ties_and_both_bad_are_counted(lib: Library) -> None:
    for choice in ("equal", "both bad"):
        talk = Conversation(lib, f"question {choice}")
        talk.compare()
        talk.votes.vote(LOCAL, talk.chat_id, talk.older, choice)  # type: ignore[arg-type]
    standing = talk.votes.standing(LOCAL)
    assert (standing["n_votes"], standing["n_both_bad"]) == (2, 1)
    assert [s["chance"] for s in standing["strengths"]] == pytest.approx([0.5, 0.5])


def test_votes_that_were_blind_from_the_start_can_be_counted_by_themselves(lib: Library) -> None:
    for n, from_start in enumerate((False, True, False)):
        talk = Conversation(lib, f"question {n}")
        talk.compare(from_start=from_start)
        talk.votes.vote(LOCAL, talk.chat_id, talk.older, "equal")
    everything, alone = talk.votes.standing(LOCAL), talk.votes.standing(LOCAL, from_start=True)
    assert (everything["n_votes"], everything["n_from_start"]) == (3, 1)
    assert (alone["n_votes"], alone["n_from_start"]) == (1, 1)


def test_where_markers_stand_is_not_shown_and_makes_no_difference(lib: Library) -> None:
    cited = {"citations": [{"n": 1}]}
    x = answer("It is [1] tall [2019].", "rag", **cited)
    talk = Conversation(lib)
    assert "compared" not in mark(
        x, answer("It is tall [1] [2019].", "cot", **cited), "m1", ("cot", "rag"), from_start=True
    )
    talk.compare("About 110 [1].", **cited)
    assert "About 110." in talk.seen()["answers"]


def test_another_model_is_another_way() -> None:
    assert way_of(answer("x", "rag")) == "rag" and way_of(answer("x", "rag", model="large")) == "rag by large"


def test_an_interval_takes_ten_questions_and_one_asked_twice_is_one(lib: Library) -> None:
    def vote_for_the_newer(question: str) -> dict[str, Any]:
        talk = Conversation(lib, question)
        talk.compare()
        side: Any = str(talk.seen()["answers"].index("about 110") + 1)
        talk.votes.vote(LOCAL, talk.chat_id, talk.older, side)
        return talk.votes.standing(LOCAL)

    for n in range(LEAST - 1):
        vote_for_the_newer(f"Question {n}?")
    assert vote_for_the_newer("question  0?")["strengths"][0]["ci_low"] is None
    standing = vote_for_the_newer("the tenth")
    assert standing["n_votes"] == LEAST + 1
    first = standing["strengths"][0]
    assert first["label"] == "rag" and first["ci_low"] <= first["chance"] <= first["ci_high"]


def test_answers_that_say_the_same_are_no_choice_and_not_to_know_is_an_answer(lib: Library) -> None:
    talk = Conversation(lib)
    talk.compare("110.6 metres")
    assert talk.votes.pair_of(LOCAL, talk.chat_id, talk.question) is None
    with pytest.raises(NotFound, match="nothing is compared"):
        talk.votes.vote(LOCAL, talk.chat_id, talk.older, "1")
    talk.compare("", abstained=True)
    assert sorted(talk.seen()["answers"]) == ["110.6 metres", "I don't know."]


def test_an_answer_that_broke_off_has_no_rival(lib: Library) -> None:
    talk = Conversation(lib)
    question = talk.chats.ask(LOCAL, talk.chat_id, "And then?")
    broken = talk.chats.answer(LOCAL, talk.chat_id, question, content="It w", partial=True)
    with pytest.raises(InvalidRequest, match="no whole answer"):
        talk.votes.draw(LOCAL, talk.chat_id, broken, ["extract", "rag"])


def test_another_person_finds_neither_pair_nor_vote_and_a_deleted_conversation_takes_its_votes_along(
    lib: Library,
) -> None:
    talk = Conversation(lib)
    talk.compare()
    for call in (
        lambda: talk.votes.draw(STRANGER, talk.chat_id, talk.older, ["rag"]),
        lambda: talk.votes.pairs_in(STRANGER, talk.chat_id),
        lambda: talk.votes.vote(STRANGER, talk.chat_id, talk.older, "1"),
    ):
        with pytest.raises(NotFound, match="no chat"):
            call()
    talk.votes.vote(LOCAL, talk.chat_id, talk.older, "1")
    assert talk.votes.standing(STRANGER)["n_votes"] == 0
    with lib.database.write() as connection:
        talk.chats.delete(connection, LOCAL, talk.chat_id)
    assert talk.votes.standing(LOCAL)["n_votes"] == 0


def test_an_older_question_is_voted_on_without_leaving_the_thread_that_went_on(lib: Library) -> None:
    talk = Conversation(lib)
    talk.chats.ask(LOCAL, talk.chat_id, "And how wide?")
    talk.compare()
    side: Any = str(talk.seen()["answers"].index("about 110") + 1)
    talk.votes.vote(LOCAL, talk.chat_id, talk.older, side)
    said = [m.content for m in talk.chats.messages(LOCAL, talk.chat_id)]
    assert said == ["How tall?", "110.6 metres", "And how wide?"]
