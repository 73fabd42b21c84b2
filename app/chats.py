"""Conversations. SQL owner of ``chats`` and ``messages``.

Every read and write names whose conversation it is; another person's is as if it did not exist.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, ForeignKey, Integer, Row, String, Table, Text, func, select

from core.clock import now_iso
from core.database import Database, metadata
from core.errors import NotFound
from core.ids import new_id
from core.types import Message, Principal

chats = Table(
    "chats",
    metadata,
    Column("chat_id", String, primary_key=True),
    Column("user_id", String, ForeignKey("users.user_id"), nullable=False, index=True),
    Column("title", Text, nullable=False),
    Column("collections", JSON, nullable=False),
    Column("strategy", String, nullable=False),
    Column("created_at", String, nullable=False),
    Column("updated_at", String, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("message_id", String, primary_key=True),
    Column("chat_id", String, ForeignKey("chats.chat_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("sequence", Integer, nullable=False),
    Column("role", String, nullable=False),
    Column("content", Text, nullable=False),
    Column("answer", JSON(none_as_null=True)),
    Column("partial", Boolean, nullable=False),
    Column("run_id", String),
    Column("created_at", String, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
)

TITLE_CHARACTERS = 60
PURGED = "[removed: the document was purged]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    chat_id: str
    title: str
    collections: tuple[str, ...]
    strategy: str
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """``answer`` is the JSON of ``ask``; ``partial`` marks an answer that was stopped or broke off, and then
    ``problem`` says why, unless a person stopped it."""

    message_id: str
    role: str
    content: str
    answer: Mapping[str, Any] | None
    partial: bool
    run_id: str | None
    created_at: str
    problem: str


class Chats:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, principal: Principal, *, title: str, collections: Sequence[str], strategy: str) -> Chat:
        now = now_iso()
        chat = Chat(
            chat_id=new_id("h"),
            title=title,
            collections=tuple(collections),
            strategy=strategy,
            created_at=now,
            updated_at=now,
        )
        with self._database.write() as connection:
            connection.execute(
                chats.insert().values(
                    chat_id=chat.chat_id,
                    user_id=principal.user_id,
                    title=title,
                    collections=list(collections),
                    strategy=strategy,
                    created_at=now,
                    updated_at=now,
                )
            )
        return chat

    def list_chats(self, principal: Principal, limit: int = 200) -> list[Chat]:
        """The newest first."""
        query = select(chats).where(chats.c.user_id == principal.user_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(chats.c.updated_at.desc(), chats.c.chat_id).limit(limit))
            return [_chat(row) for row in rows]

    def get(self, principal: Principal, chat_id: str) -> Chat:
        with self._database.read() as connection:
            return self._get(connection, principal, chat_id)

    def messages(self, principal: Principal, chat_id: str) -> list[ChatMessage]:
        with self._database.read() as connection:
            self._get(connection, principal, chat_id)
            query = select(messages).where(messages.c.chat_id == chat_id).order_by(messages.c.sequence)
            return [
                ChatMessage(
                    message_id=row.message_id,
                    role=row.role,
                    content=row.content,
                    answer=row.answer,
                    partial=row.partial,
                    run_id=row.run_id,
                    created_at=row.created_at,
                    problem=row.problem,
                )
                for row in connection.execute(query)
            ]

    def update(
        self,
        principal: Principal,
        chat_id: str,
        *,
        title: str | None = None,
        collections: Sequence[str] | None = None,
        strategy: str | None = None,
    ) -> Chat:
        changed: dict[str, Any] = {"updated_at": now_iso()}
        if title is not None:
            changed["title"] = title
        if collections is not None:
            changed["collections"] = list(collections)
        if strategy is not None:
            changed["strategy"] = strategy
        with self._database.write() as connection:
            self._get(connection, principal, chat_id)
            connection.execute(chats.update().where(chats.c.chat_id == chat_id).values(**changed))
            return self._get(connection, principal, chat_id)

    def delete(self, principal: Principal, chat_id: str) -> None:
        with self._database.write() as connection:
            self._get(connection, principal, chat_id)
            connection.execute(chats.delete().where(chats.c.chat_id == chat_id))

    def append(
        self,
        principal: Principal,
        chat_id: str,
        *,
        role: str,
        content: str,
        answer: Mapping[str, Any] | None = None,
        partial: bool = False,
        run_id: str | None = None,
        problem: str = "",
    ) -> str:
        """Adds a message and returns its id; an untitled chat is named after its first question."""
        now = now_iso()
        message_id = new_id("m")
        with self._database.write() as connection:
            chat = self._get(connection, principal, chat_id)
            last = connection.execute(
                select(func.max(messages.c.sequence)).where(messages.c.chat_id == chat_id)
            ).scalar()
            connection.execute(
                messages.insert().values(
                    message_id=message_id,
                    chat_id=chat_id,
                    sequence=0 if last is None else last + 1,
                    role=role,
                    content=content,
                    answer=dict(answer) if answer is not None else None,
                    partial=partial,
                    run_id=run_id,
                    created_at=now,
                    problem=problem,
                )
            )
            title = chat.title or (title_from(content) if role == "user" else "")
            connection.execute(chats.update().where(chats.c.chat_id == chat_id).values(updated_at=now, title=title))
        return message_id

    def history(self, principal: Principal, chat_id: str) -> list[Message]:
        """What a strategy may know of the conversation so far."""
        return [
            Message(role="user" if m.role == "user" else "assistant", content=m.content)
            for m in self.messages(principal, chat_id)
        ]

    def quoting(self, connection: Connection, doc_id: str) -> Iterator[Any]:
        """The JSON of every answer, whosesoever, in which a document is named."""
        for message_id in connection.scalars(select(messages.c.message_id)).all():
            query = select(messages.c.answer).where(messages.c.message_id == message_id)
            found = connection.execute(query).scalar_one()
            if found is not None and doc_id in json.dumps(found):
                yield found

    def rewrite(
        self,
        connection: Connection,
        clean_text: Callable[[str], str],
        clean_answer: Callable[[Any], Any],
        runs: Collection[str],
    ) -> tuple[int, int]:
        """Passes every title and message, whosesoever, through the two functions.

        Args:
            runs: of which a message that has no structured answer (it broke off) is emptied as a whole.

        Returns:
            How many titles and how many messages were changed.
        """
        n_chats = n_messages = 0
        for row in connection.execute(select(chats.c.chat_id, chats.c.title)).all():
            if (title := clean_text(row.title)) != row.title:
                connection.execute(chats.update().where(chats.c.chat_id == row.chat_id).values(title=title))
                n_chats += 1
        for message_id in connection.scalars(select(messages.c.message_id)).all():
            row = connection.execute(select(messages).where(messages.c.message_id == message_id)).one()
            answer = clean_answer(row.answer) if row.answer is not None else None
            if answer is not None and row.content == row.answer.get("answer"):
                content = answer["answer"]
            elif row.run_id in runs:
                content = PURGED
            else:
                content = clean_text(row.content)
            if (content, answer) != (row.content, row.answer):
                change = messages.update().where(messages.c.message_id == message_id)
                connection.execute(change.values(content=content, answer=answer))
                n_messages += 1
        return n_chats, n_messages

    def _get(self, connection: Connection, principal: Principal, chat_id: str) -> Chat:
        query = select(chats).where(chats.c.chat_id == chat_id, chats.c.user_id == principal.user_id)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"no chat {chat_id!r}: list yours with GET /v1/chats", code="unknown-chat")
        return _chat(row)


def title_from(question: str) -> str:
    """A chat's title: its first question on one line, cut at a word."""
    line = " ".join(question.split())
    if len(line) <= TITLE_CHARACTERS:
        return line
    return line[:TITLE_CHARACTERS].rsplit(" ", 1)[0].rstrip(",;:.") + "…"


def _chat(row: Row[Any]) -> Chat:
    return Chat(
        chat_id=row.chat_id,
        title=row.title,
        collections=tuple(row.collections),
        strategy=row.strategy,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
