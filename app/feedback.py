"""What people thought of answers: a thumb up or down, with a reason. SQL owner of ``feedback``.

One thumb per person and answer: a second one takes the place of the first. Nothing is learned from it by itself: it becomes a
candidate question, which a person looks at before it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from app.chat_tables import messages
from app.chats import Chats
from core.clock import now_iso
from core.database import Database, metadata
from core.errors import InvalidRequest, NotFound
from core.types import Principal
from eval.questions import Gold, MadeQuestion
from retrieval.records import DocumentInfo

feedback = Table(
    "feedback",
    metadata,
    Column("message_id", String, ForeignKey("messages.message_id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", String, ForeignKey("users.user_id"), primary_key=True),
    Column("good", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", String, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumb:
    message_id: str
    good: bool
    reason: str


class Feedback:
    def __init__(self, database: Database, chats: Chats) -> None:
        self._database = database
        self._chats = chats

    def give(self, principal: Principal, chat_id: str, message_id: str, good: bool, reason: str = "") -> Thumb:
        """Raises NotFound for another person's chat or no such message, InvalidRequest for one that is no answer."""
        found = [m for m in self._chats.messages(principal, chat_id) if m.message_id == message_id]
        if not found:
            raise NotFound(f"no message {message_id!r} in this conversation", code="unknown-message")
        if found[0].role != "assistant":
            raise InvalidRequest("that is a question: thumbs are for answers", code="usage")
        with self._database.write() as connection:
            connection.execute(delete(feedback).where(_one(principal, message_id)))
            connection.execute(
                insert(feedback).values(
                    message_id=message_id,
                    user_id=principal.user_id,
                    good=good,
                    reason=reason.strip(),
                    created_at=now_iso(),
                )
            )
        return Thumb(message_id=message_id, good=good, reason=reason.strip())

    def take_back(self, principal: Principal, message_id: str) -> None:
        """Nothing happens where there is none."""
        with self._database.write() as connection:
            connection.execute(delete(feedback).where(_one(principal, message_id)))

    def of(self, principal: Principal, message_ids: Sequence[str] | None = None) -> dict[str, Thumb]:
        """This person's thumbs by message; all of them where none is named."""
        query = select(feedback).where(feedback.c.user_id == principal.user_id)
        if message_ids is not None:
            query = query.where(feedback.c.message_id.in_(list(message_ids)))
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(feedback.c.created_at)).all()
        return {r.message_id: Thumb(message_id=r.message_id, good=r.good, reason=r.reason) for r in rows}

    def candidates(self, principal: Principal, collection: str, infos: Sequence[DocumentInfo]) -> list[MadeQuestion]:
        """A question for each of this person's thumbs on an answer that was read from ``collection``, whichever version is shown by
        now; each question once, by its newest thumb.

        After a thumb up what was cited is taken for the span that answers, and what was said for no gold answer: a person has
        liked it, which proves little. Liking an "I don't know" says that the documents do not answer it. After a thumb down nothing
        is known but that somebody asks this.
        """
        thumbs = self.of(principal)
        newest = {message_id: -i for i, message_id in enumerate(thumbs)}
        shas = {info.doc_id: info.sha256 for info in infos}
        said = [
            (chat.chat_id, message)
            for chat in self._chats.list_chats(principal, limit=10_000)[0]
            for message in self._chats.all_messages(principal, chat.chat_id)
            if message.message_id in thumbs
            # A conversation may ask several collections, or all, and others by now than when this was answered.
            and (_was_read_from(shas, message.answer or {}) or chat.collections == (collection,))
        ]
        found: dict[str, MadeQuestion] = {}
        for chat_id, message in sorted(said, key=lambda one: newest[one[1].message_id]):
            asked = self._chats.question_of(principal, chat_id, message.message_id)
            if asked.role == "user":
                made = _candidate(asked.content, message.answer or {}, thumbs[message.message_id], shas)
                found.setdefault(" ".join(asked.content.split()).casefold(), made)
        return list(found.values())


def _was_read_from(docs: Collection[str], answer: Mapping[str, Any]) -> bool:
    """By what it cites, or where it cites nothing by what was found."""
    read = {place["doc_id"] for place in answer.get("citations") or answer.get("hits") or ()}
    return not read.isdisjoint(docs)


def _candidate(question: str, answer: Mapping[str, Any], thumb: Thumb, shas: Mapping[str, str]) -> MadeQuestion:
    answerable = not (thumb.good and answer.get("abstained"))
    cited = answer.get("citations", []) if thumb.good and answerable else []
    gold = [
        Gold(doc_id=c["doc_id"], title=c["title"], start=c["start"], end=c["end"], sha256=shas[c["doc_id"]])
        for c in cited
        if c["doc_id"] in shas
    ]
    return MadeQuestion(
        question=question,
        answers=(),
        answerable=answerable,
        kind="liked" if thumb.good else "disliked",
        gold=tuple(dict.fromkeys(gold)),
        split="dev",
    )


def clean_reasons(connection: Connection, clean_text: Callable[[str], str], among: Collection[str]) -> None:
    """For a purge: a reason may quote. Those of answers in the chats ``among`` are looked at."""
    query = select(feedback, messages.c.chat_id).join(messages, messages.c.message_id == feedback.c.message_id)
    for row in connection.execute(query.where(feedback.c.reason != "")).all():
        if row.chat_id in among and (reason := clean_text(row.reason)) != row.reason:
            one = (feedback.c.message_id == row.message_id) & (feedback.c.user_id == row.user_id)
            connection.execute(update(feedback).where(one).values(reason=reason))


def _one(principal: Principal, message_id: str) -> ColumnElement[bool]:
    return (feedback.c.message_id == message_id) & (feedback.c.user_id == principal.user_id)
