"""Thumbs on answers become questions, also of answers that no longer stand in the thread that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.chats import Chats
from app.feedback import Feedback
from core.database import Database
from tests.support.library import LOCAL, migrated_database

UNKNOWN = {"answer": "I don't know.", "abstained": True, "citations": []}


class Talk:
    """One conversation, and thumbs in it."""

    def __init__(self, database: Database) -> None:
        self.chats = Chats(database)
        self.feedback = Feedback(database, self.chats)
        self.chat_id = self.chats.create(LOCAL, title="t", collections=["filings"], strategy="extract").chat_id

    def ask(self, question: str, instead_of: str | None = None) -> str:
        return self.chats.ask(LOCAL, self.chat_id, question, instead_of=instead_of)

    def answer(self, question_id: str, text: str, answer: dict[str, Any] | None = None) -> str:
        said = answer or {"answer": text, "abstained": False, "citations": []}
        return self.chats.answer(LOCAL, self.chat_id, question_id, content=text, answer=said, searched=[])

    def thumb(self, message_id: str, good: bool) -> None:
        self.feedback.give(LOCAL, self.chat_id, message_id, good)

    def candidates(self) -> list[tuple[str, str, bool]]:
        made = self.feedback.candidates(LOCAL, "filings", [])
        return [(one.question, one.kind, one.answerable) for one in made]


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Talk]:
    database = migrated_database(tmp_path)
    yield Talk(database)
    database.close()


def test_a_thumb_counts_when_the_answer_was_asked_for_again(talk: Talk) -> None:
    asked = talk.ask("How much did sales grow?")
    talk.thumb(talk.answer(asked, "wrong"), False)
    right = talk.answer(asked, "right")
    assert talk.candidates() == [("How much did sales grow?", "disliked", True)]
    talk.thumb(right, True)
    assert talk.candidates() == [("How much did sales grow?", "liked", True)], "the newest thumb of a question counts"


def test_a_thumb_counts_when_the_question_was_edited_away(talk: Talk) -> None:
    first = talk.ask("How much did sales grow?")
    talk.thumb(talk.answer(first, "wrong"), False)
    second = talk.ask("How much did net sales grow?", instead_of=first)
    talk.thumb(talk.answer(second, "right"), True)
    assert talk.candidates() == [
        ("How much did net sales grow?", "liked", True),
        ("How much did sales grow?", "disliked", True),
    ]


def test_who_likes_that_nothing_is_known_says_that_it_cannot_be_answered(talk: Talk) -> None:
    asked = talk.ask("Who won the lottery?")
    said = talk.answer(asked, "I don't know.", UNKNOWN)
    talk.thumb(said, True)
    assert talk.candidates() == [("Who won the lottery?", "liked", False)]
    talk.thumb(said, False)
    assert talk.candidates() == [("Who won the lottery?", "disliked", True)]
