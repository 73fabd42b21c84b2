"""Thumbs on answers become questions, also of answers that no longer stand in the thread that is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.chats import Chats
from app.feedback import Feedback
from core.database import Database
from retrieval.records import DocumentInfo
from tests.support.library import LOCAL, migrated_database

UNKNOWN = {"answer": "I don't know.", "abstained": True, "citations": []}


class Talk:
    """One conversation, and thumbs in it."""

    def __init__(self, database: Database, collections: Sequence[str] = ("filings",)) -> None:
        self.chats = Chats(database)
        self.feedback = Feedback(database, self.chats)
        self.chat_id = self.chats.create(LOCAL, title="t", collections=collections, strategy="extract").chat_id

    def ask(self, question: str, instead_of: str | None = None) -> str:
        return self.chats.ask(LOCAL, self.chat_id, question, instead_of=instead_of)

    def answer(self, question_id: str, text: str, answer: dict[str, Any] | None = None) -> str:
        said = answer or {"answer": text, "abstained": False, "citations": []}
        return self.chats.answer(LOCAL, self.chat_id, question_id, content=text, answer=said, searched=[])

    def thumb(self, message_id: str, good: bool) -> None:
        self.feedback.give(LOCAL, self.chat_id, message_id, good)

    def candidates(self, documents: Sequence[DocumentInfo] = ()) -> list[tuple[str, str, bool]]:
        made = self.feedback.candidates(LOCAL, "filings", documents)
        return [(one.question, one.kind, one.answerable) for one in made]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = migrated_database(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def talk(database: Database) -> Talk:
    return Talk(database)


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


@pytest.mark.parametrize("collections", [(), ("filings", "letters")])
def test_where_several_collections_are_asked_a_thumb_is_for_the_one_that_was_read(
    database: Database, collections: Sequence[str]
) -> None:
    talk = Talk(database, collections)
    for question, doc_id in (("How much did sales grow?", "d-filing"), ("When do you come?", "d-letter")):
        place = {"doc_id": doc_id, "title": "t", "start": 0, "end": 4}
        said = {"answer": "So.", "abstained": False, "citations": [place]}
        talk.thumb(talk.answer(talk.ask(question), "So.", said), True)
    found = {"answer": "I don't know.", "abstained": True, "citations": [], "hits": [{"doc_id": "d-filing"}]}
    talk.thumb(talk.answer(talk.ask("Who won the lottery?"), "I don't know.", found), True)
    filing = DocumentInfo(
        doc_id="d-filing", collection="filings", uri="u", title="t", mime_type="text/plain", sha256="0" * 64, size=0,
        characters=9, pages=0, chunks=1, encoder_revision="e", chunker_version="c", created_at="now", metadata={},
    )  # fmt: skip
    assert talk.candidates([filing]) == [
        ("Who won the lottery?", "liked", False),
        ("How much did sales grow?", "liked", True),
    ]
