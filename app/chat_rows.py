"""Rows of ``chats`` and ``messages`` as records, for those who own the tables: ``app.chats`` and ``app.shared_chats``.

It knows nothing of whose they are: whoever calls has looked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from app.chat_tables import COMPARED, Chat, ChatMessage, chats, messages
from app.chat_tree import Node, Tree
from core.clock import now_iso
from core.errors import NotFound
from core.ids import new_id

TITLE_CHARACTERS = 60


def title_from(question: str) -> str:
    """A chat's title: its first question on one line, cut at a word."""
    line = " ".join(question.split())
    if len(line) <= TITLE_CHARACTERS:
        return line
    return line[:TITLE_CHARACTERS].rsplit(" ", 1)[0].rstrip(",;:.") + "…"


def as_chat(row: Row[Any]) -> Chat:
    return Chat(
        chat_id=row.chat_id,
        title=row.title,
        collections=tuple(row.collections),
        strategy=row.strategy,
        created_at=row.created_at,
        updated_at=row.updated_at,
        shared_at=row.shared_at,
    )


def leaf_of(connection: Connection, chat_id: str) -> str | None:
    leaf: str | None = connection.execute(select(chats.c.leaf_id).where(chats.c.chat_id == chat_id)).scalar_one()
    return leaf


def tree_of(connection: Connection, chat_id: str) -> Tree:
    query = select(messages.c.message_id, messages.c.parent_id, messages.c.role).where(messages.c.chat_id == chat_id)
    return Tree(
        Node(message_id=row.message_id, parent_id=row.parent_id, role=row.role)
        for row in connection.execute(query.order_by(messages.c.sequence))
    )


def tree_with(connection: Connection, chat_id: str, message_id: str) -> Tree:
    tree = tree_of(connection, chat_id)
    if message_id not in tree:
        raise NotFound(
            f"no message {message_id!r} in this chat: list them with GET /v1/chats/{chat_id}", code="unknown-message"
        )
    return tree


def title_by(connection: Connection, message_id: str) -> str:
    """The title that a chat has from this question."""
    query = select(messages.c.content).where(messages.c.message_id == message_id)
    return title_from(connection.execute(query).scalar_one())


def insert_message(
    connection: Connection,
    chat_id: str,
    parent_id: str | None,
    *,
    role: str,
    content: str,
    answer: dict[str, Any] | None = None,
    partial: bool = False,
    run_id: str | None = None,
    problem: str = "",
) -> str:
    message_id = new_id("m")
    last = connection.execute(select(func.max(messages.c.sequence)).where(messages.c.chat_id == chat_id)).scalar()
    connection.execute(
        messages.insert().values(
            message_id=message_id,
            chat_id=chat_id,
            sequence=0 if last is None else last + 1,
            role=role,
            content=content,
            answer=answer,
            partial=partial,
            run_id=run_id,
            created_at=now_iso(),
            problem=problem,
            parent_id=parent_id,
        )
    )
    return message_id


def read_messages(connection: Connection, tree: Tree, message_ids: Sequence[str]) -> list[ChatMessage]:
    found: list[ChatMessage] = []
    for message_id in message_ids:
        row = connection.execute(select(messages).where(messages.c.message_id == message_id)).one()
        found.append(
            ChatMessage(
                message_id=row.message_id,
                role=row.role,
                content=row.content,
                answer={k: v for k, v in row.answer.items() if k != COMPARED} if row.answer is not None else None,
                partial=row.partial,
                run_id=row.run_id,
                created_at=row.created_at,
                problem=row.problem,
                versions=tree.versions(message_id),
            )
        )
    return found
