"""Conversations of others, as far as one may read them. Reads ``chats`` and ``messages``; writes nothing.

A conversation is open to somebody while four things hold, each looked at anew at every read: its owner shares it and is let in
here, something was asked in it (of one that is empty nobody knows whom it will concern, and its title says something already), it is
known what its answers were looked for in, and the reader may read every one of those collections today. Otherwise it does not exist. Versions that are not shown count for the right to read, and are not shown.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, or_, select

from app.chat_rows import leaf_of, read_messages, tree_of
from app.chat_tables import ChatMessage, SharedChat, chat_searched, chats, messages
from app.people import users
from core.database import Database, has_word
from core.errors import NotFound
from core.paging import after_place, place_of
from core.types import Principal
from retrieval.access import readable_collections

# Why an answer broke off may name what its owner has elsewhere.
BROKE_OFF = "It broke off."


class SharedChats:
    def __init__(self, database: Database) -> None:
        self._database = database

    def list_shared(
        self, principal: Principal, limit: int, *, words: str = "", after: str | None = None
    ) -> tuple[list[SharedChat], str | None]:
        """One page of what others share with this person, what was used last first, and the cursor to go on after (None: no more).

        Args:
            words: only those of which the title or a message that is shown has all of these, in any case.
            after: the cursor that the page before gave. Raises InvalidRequest where it is none.
        """
        with self._database.read() as connection:
            readable = _readable(connection, principal)
            query = _open_to(principal, readable).where(*_have(words.split()))
            if after is not None:
                query = query.where(after_place(chats.c.updated_at, chats.c.chat_id, after))
            ordered = query.order_by(chats.c.updated_at.desc(), chats.c.chat_id).limit(limit + 1)
            found = [_as_shared(connection, readable, row) for row in connection.execute(ordered).all()]
        last = found[limit - 1] if len(found) > limit else None
        return found[:limit], None if last is None else place_of(last.updated_at, last.chat_id)

    def get(self, principal: Principal, chat_id: str) -> tuple[SharedChat, list[ChatMessage]]:
        """A conversation with the thread that its owner has on show. Raises NotFound, as for one that never was."""
        with self._database.read() as connection:
            readable = _readable(connection, principal)
            row = _one(connection, principal, readable, chat_id)
            tree = tree_of(connection, chat_id)
            thread = read_messages(connection, tree, tree.thread(leaf_of(connection, chat_id)))
            return _as_shared(connection, readable, row), [_for_others(message) for message in thread]


def _readable(connection: Connection, principal: Principal) -> Mapping[int, str]:
    """collection_id → name of all that may be read now; nothing that is attached to a conversation."""
    return {number: name for name, number in readable_collections(connection, principal).items()}


def _open_to(principal: Principal, readable: Mapping[int, str]) -> Select[Any]:
    barred = exists().where(
        chat_searched.c.chat_id == chats.c.chat_id, chat_searched.c.collection_id.not_in(list(readable))
    )
    return (
        select(chats, users.c.name.label("owner"))
        .join(users, users.c.user_id == chats.c.user_id)
        .where(
            chats.c.user_id != principal.user_id,
            chats.c.shared_at.is_not(None),
            chats.c.searched_known,
            users.c.active,
            exists().where(messages.c.chat_id == chats.c.chat_id),
            ~barred,
        )
    )


def _one(connection: Connection, principal: Principal, readable: Mapping[int, str], chat_id: str) -> Row[Any]:
    row = connection.execute(_open_to(principal, readable).where(chats.c.chat_id == chat_id)).one_or_none()
    if row is None:
        raise NotFound(f"no chat {chat_id!r} is shared with you: GET /v1/chats/shared lists those", code="unknown-chat")
    return row


def _as_shared(connection: Connection, readable: Mapping[int, str], row: Row[Any]) -> SharedChat:
    searched = select(chat_searched.c.collection_id).where(chat_searched.c.chat_id == row.chat_id)
    return SharedChat(
        chat_id=row.chat_id,
        title=row.title,
        owner=row.owner,
        collections=tuple(sorted(readable[number] for number in connection.scalars(searched))),
        created_at=row.created_at,
        updated_at=row.updated_at,
        shared_at=row.shared_at,
    )


def _for_others(message: ChatMessage) -> ChatMessage:
    problem = BROKE_OFF if message.problem else ""
    return dataclasses.replace(message, problem=problem, versions=(message.message_id,))


def _have(words: Sequence[str]) -> list[ColumnElement[bool]]:
    """That a shared chat has each word, in its title or a message of the thread on show: what is not shown cannot be guessed at."""
    said = (messages.c.message_id, messages.c.parent_id, messages.c.chat_id, messages.c.content)
    last = select(*said).join(chats, chats.c.leaf_id == messages.c.message_id).where(chats.c.shared_at.is_not(None))
    shown = last.cte("shown", recursive=True)
    shown = shown.union_all(select(*said).join(shown, shown.c.parent_id == messages.c.message_id))

    def has(word: str) -> ColumnElement[bool]:
        in_it = select(shown.c.chat_id).where(has_word(shown.c.content, word))
        return or_(has_word(chats.c.title, word), chats.c.chat_id.in_(in_it))

    return list(map(has, words))
