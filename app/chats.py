"""Conversations. SQL owner of ``chats``, ``chat_searched`` and ``messages``.

Every read and write names whose conversation it is; another person's is as if it did not exist. What others may read of it,
``app.shared_chats`` says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, or_, select

from app.chat_rows import (
    as_chat,
    insert_message,
    leaf_of,
    read_messages,
    title_by,
    title_from,
    tree_of,
    tree_with,
)
from app.chat_tables import Chat, ChatMessage, chat_searched, chats, messages
from core.clock import now_iso
from core.database import Database, has_word
from core.errors import Conflict, NotFound
from core.ids import new_id
from core.paging import after_place, place_of
from core.types import Message, Principal

PURGED = "[removed: the document was purged]"


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
                    searched_known=True,
                )
            )
        return chat

    def list_chats(
        self, principal: Principal, limit: int = 200, *, words: str = "", after: str | None = None
    ) -> tuple[list[Chat], str | None]:
        """One page of a person's conversations, those used last first, and the cursor to go on after (None: no more).

        Args:
            words: only conversations whose title or some message has all of these, in any case.
            after: the cursor that the page before gave. Raises InvalidRequest where it is none.
        """
        query = select(chats).where(chats.c.user_id == principal.user_id, *map(_has, words.split()))
        if after is not None:
            query = query.where(after_place(chats.c.updated_at, chats.c.chat_id, after))
        with self._database.read() as connection:
            ordered = query.order_by(chats.c.updated_at.desc(), chats.c.chat_id).limit(limit + 1)
            found = [as_chat(row) for row in connection.execute(ordered)]
        last = found[limit - 1] if len(found) > limit else None
        return found[:limit], None if last is None else place_of(last.updated_at, last.chat_id)

    def get(self, principal: Principal, chat_id: str) -> Chat:
        with self._database.read() as connection:
            return self._get(connection, principal, chat_id)

    def messages(self, principal: Principal, chat_id: str) -> list[ChatMessage]:
        """The thread that is shown, from its first question on."""
        with self._database.read() as connection:
            self._get(connection, principal, chat_id)
            tree = tree_of(connection, chat_id)
            return read_messages(connection, tree, tree.thread(leaf_of(connection, chat_id)))

    def all_messages(self, principal: Principal, chat_id: str) -> list[ChatMessage]:
        """Every message with every version, in the order in which they were said."""
        with self._database.read() as connection:
            self._get(connection, principal, chat_id)
            query = select(messages.c.message_id).where(messages.c.chat_id == chat_id).order_by(messages.c.sequence)
            said = connection.scalars(query).all()
            return read_messages(connection, tree_of(connection, chat_id), said)

    def update(
        self,
        principal: Principal,
        chat_id: str,
        *,
        title: str | None = None,
        collections: Sequence[str] | None = None,
        strategy: str | None = None,
        check: Callable[[], None] | None = None,
    ) -> Chat:
        """``check`` is called once nobody else can change anything any more, and raises if nothing is to be changed."""
        changed: dict[str, Any] = {"updated_at": now_iso()}
        if title is not None:
            changed["title"] = title
        if collections is not None:
            changed["collections"] = list(collections)
        if strategy is not None:
            changed["strategy"] = strategy
        with self._database.write() as connection:
            self._get(connection, principal, chat_id)
            if check is not None:
                check()
            connection.execute(chats.update().where(chats.c.chat_id == chat_id).values(**changed))
            return self._get(connection, principal, chat_id)

    def check(self, connection: Connection, principal: Principal, chat_id: str) -> Chat:
        """Raises NotFound where there is no such conversation of this person."""
        return self._get(connection, principal, chat_id)

    def share(self, connection: Connection, principal: Principal, chat_id: str, shared: bool) -> Chat:
        """Lets others read it, or no longer; who may, ``app.shared_chats`` says. Twice is as once.

        Raises:
            NotFound: there is no such conversation of this person.
            Conflict: it is to be shared, and what its answers were looked for in is not known.
        """
        chat = self._get(connection, principal, chat_id)
        this = chats.c.chat_id == chat_id
        if shared and not connection.execute(select(chats.c.searched_known).where(this)).scalar_one():
            raise Conflict(
                "some of its answers are from before it was kept which collections an answer was looked for in, so nobody can "
                "say who may read them: ask in a new conversation, and share that",
                code="sources-unknown",
            )
        if shared != (chat.shared_at is not None):
            connection.execute(chats.update().where(this).values(shared_at=now_iso() if shared else None))
        return self._get(connection, principal, chat_id)

    def delete(self, connection: Connection, principal: Principal, chat_id: str) -> list[str]:
        """Deletes a conversation; returns the ids of the runs that answered in it, for what else is known of them."""
        self._get(connection, principal, chat_id)
        runs = _runs(connection, chat_id)
        connection.execute(chats.delete().where(chats.c.chat_id == chat_id))
        return runs

    def ask(
        self,
        principal: Principal,
        chat_id: str,
        question: str,
        *,
        instead_of: str | None = None,
        searched: Collection[int] = (),
    ) -> str:
        """Keeps a question at the end of the thread that is shown, or beside the one that it is asked instead of, and
        shows it. An untitled chat is named after its first question.

        Args:
            searched: as for ``answer``; noted now, so that the question waits for its answer before the same eyes.

        Returns:
            The question's message id.
        """
        with self._database.write() as connection:
            chat = self._get(connection, principal, chat_id)
            if instead_of is None:
                parent = leaf_of(connection, chat_id)
            else:
                parent = tree_with(connection, chat_id, instead_of).parent(instead_of)
            message_id = insert_message(connection, chat_id, parent, role="user", content=question)
            title = chat.title
            if not title or (parent is None and instead_of is not None and title == title_by(connection, instead_of)):
                title = title_from(question)
            change = chats.update().where(chats.c.chat_id == chat_id)
            connection.execute(change.values(updated_at=now_iso(), title=title, leaf_id=message_id))
            _note_searched(connection, chat_id, searched)
        return message_id

    def answer(
        self,
        principal: Principal,
        chat_id: str,
        question_id: str,
        *,
        content: str,
        answer: Mapping[str, Any] | None = None,
        partial: bool = False,
        run_id: str | None = None,
        problem: str = "",
        searched: Collection[int] | None = None,
    ) -> str:
        """Keeps an answer below its question and returns its id. It is shown, unless another thread is by now.

        Args:
            searched: the ``collection_id`` of everything that it was looked for in. None: nobody knows, and then the
                conversation is never others' to read.
        """
        with self._database.write() as connection:
            self._get(connection, principal, chat_id)
            tree = tree_with(connection, chat_id, question_id)
            message_id = insert_message(
                connection,
                chat_id,
                question_id,
                role="assistant",
                content=content,
                answer=dict(answer) if answer is not None else None,
                partial=partial,
                run_id=run_id,
                problem=problem,
            )
            # What was asked on before this answer was there follows it.
            early = tree.children(question_id, "user")
            connection.execute(messages.update().where(messages.c.message_id.in_(early)).values(parent_id=message_id))
            changed: dict[str, Any] = {"updated_at": now_iso()}
            if leaf_of(connection, chat_id) in (question_id, *tree.children(question_id, "assistant")):
                changed["leaf_id"] = message_id
            if searched is None:
                changed["searched_known"] = False
            else:
                _note_searched(connection, chat_id, searched)
            connection.execute(chats.update().where(chats.c.chat_id == chat_id).values(**changed))
        return message_id

    def answers_to(self, principal: Principal, chat_id: str, question_id: str) -> list[ChatMessage]:
        """Every version of the answer to a question, the oldest first."""
        with self._database.read() as connection:
            self._get(connection, principal, chat_id)
            tree = tree_with(connection, chat_id, question_id)
            return read_messages(connection, tree, tree.children(question_id, "assistant"))

    def question_of(self, principal: Principal, chat_id: str, message_id: str) -> ChatMessage:
        """The question that ``message_id`` is, or answers."""
        with self._database.read() as connection:
            self._get(connection, principal, chat_id)
            tree = tree_with(connection, chat_id, message_id)
            found = read_messages(connection, tree, [message_id])[0]
            if found.role == "user":
                return found
            asked = tree.parent(message_id)
            return read_messages(connection, tree, [asked] if asked else [message_id])[0]

    def select(self, principal: Principal, chat_id: str, message_id: str) -> None:
        """Shows the thread that goes through a message, to where it was last gone on."""
        with self._database.write() as connection:
            self._get(connection, principal, chat_id)
            leaf = tree_with(connection, chat_id, message_id).leaf_below(message_id)
            connection.execute(chats.update().where(chats.c.chat_id == chat_id).values(leaf_id=leaf))

    def history(self, principal: Principal, chat_id: str, before: str | None = None) -> list[Message]:
        """What a strategy may know of the conversation so far: the thread that is shown, or what led to ``before``."""
        with self._database.read() as connection:
            self._get(connection, principal, chat_id)
            if before is None:
                thread = tree_of(connection, chat_id).thread(leaf_of(connection, chat_id))
            else:
                thread = tree_with(connection, chat_id, before).thread(before)[:-1]
            said = {
                row.message_id: Message(role="user" if row.role == "user" else "assistant", content=row.content)
                for row in connection.execute(
                    select(messages.c.message_id, messages.c.role, messages.c.content).where(
                        messages.c.chat_id == chat_id
                    )
                )
            }
        return [said[message_id] for message_id in thread]

    def runs_of(self, principal: Principal, chat_id: str) -> list[str]:
        """The ids of every run that answered in a conversation, the oldest first, those of versions that are not shown too."""
        with self._database.read() as connection:
            self._get(connection, principal, chat_id)
            return _runs(connection, chat_id)

    def told_by(self, principal: Principal, run_ids: Sequence[str]) -> dict[str, Chat]:
        """Run id → the conversation of this person in which it answered; runs outside of conversations are left out."""
        query = (
            select(messages.c.run_id.label("told_by"), chats)
            .join(chats, chats.c.chat_id == messages.c.chat_id)
            .where(messages.c.run_id.in_(run_ids), chats.c.user_id == principal.user_id)
        )
        with self._database.read() as connection:
            return {row.told_by: as_chat(row) for row in connection.execute(query)}

    def quoting(self, connection: Connection, doc_id: str, since: str) -> Iterator[Any]:
        """The JSON of every answer, whosesoever, that was given ``since`` then and in which a document is named."""
        given = select(messages.c.message_id).where(messages.c.created_at >= since)
        for message_id in connection.scalars(given).all():
            query = select(messages.c.answer).where(messages.c.message_id == message_id)
            found = connection.execute(query).scalar_one()
            if found is not None and doc_id in json.dumps(found):
                yield found

    def concerned(self, connection: Connection, touches: Callable[[Any], bool], user_id: str, since: str) -> set[str]:
        """The ids of a person's chats, and of those of others in which ``touches`` holds for an answer given ``since`` then."""
        mine = connection.scalars(select(chats.c.chat_id).where(chats.c.user_id == user_id)).all()
        found = set(mine)
        others = select(messages.c.message_id, messages.c.chat_id).join(chats).where(chats.c.user_id != user_id)
        given = others.where(messages.c.answer.is_not(None), messages.c.created_at >= since)
        for row in connection.execute(given).all():
            query = select(messages.c.answer).where(messages.c.message_id == row.message_id)
            if row.chat_id not in found and touches(connection.execute(query).scalar_one()):
                found.add(row.chat_id)
        return found

    def rewrite(
        self,
        connection: Connection,
        clean_text: Callable[[str], str],
        clean_answer: Callable[[Any], Any],
        runs: Collection[str],
        among: Collection[str],
        user_id: str,
        since: str,
    ) -> tuple[int, int]:
        """Passes the titles and messages of the chats ``among`` through the two functions; of others than the person ``user_id``
        the messages from ``since`` then on.

        Args:
            runs: of which a message that has no structured answer (it broke off) is emptied as a whole.

        Returns:
            How many titles and how many messages of the person were changed.
        """
        n_chats = n_messages = 0
        for chat in connection.execute(select(chats.c.chat_id, chats.c.title, chats.c.user_id)).all():
            if chat.chat_id not in among:
                continue
            if (title := clean_text(chat.title)) != chat.title:
                connection.execute(chats.update().where(chats.c.chat_id == chat.chat_id).values(title=title))
                n_chats += chat.user_id == user_id
            said = select(messages.c.message_id).where(messages.c.chat_id == chat.chat_id)
            if chat.user_id != user_id:
                said = said.where(messages.c.created_at >= since)
            for message_id in connection.scalars(said).all():
                changed = self._rewrite_one(connection, message_id, clean_text, clean_answer, runs)
                n_messages += changed and chat.user_id == user_id
        return n_chats, n_messages

    def _rewrite_one(
        self,
        connection: Connection,
        message_id: str,
        clean_text: Callable[[str], str],
        clean_answer: Callable[[Any], Any],
        runs: Collection[str],
    ) -> bool:
        row = connection.execute(select(messages).where(messages.c.message_id == message_id)).one()
        answer = clean_answer(row.answer) if row.answer is not None else None
        if answer is not None and row.content == row.answer.get("answer"):
            content = answer["answer"]
        elif row.run_id in runs:
            content = PURGED
        else:
            content = clean_text(row.content)
        if (content, answer) == (row.content, row.answer):
            return False
        change = messages.update().where(messages.c.message_id == message_id)
        connection.execute(change.values(content=content, answer=answer))
        return True

    def _get(self, connection: Connection, principal: Principal, chat_id: str) -> Chat:
        query = select(chats).where(chats.c.chat_id == chat_id, chats.c.user_id == principal.user_id)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"no chat {chat_id!r}: list yours with GET /v1/chats", code="unknown-chat")
        return as_chat(row)


def _has(word: str) -> ColumnElement[bool]:
    """That a chat's title, or one of its messages, has a word. Only messages of the chats that are asked for are read."""
    said = exists().where(messages.c.chat_id == chats.c.chat_id, has_word(messages.c.content, word))
    return or_(has_word(chats.c.title, word), said)


def _runs(connection: Connection, chat_id: str) -> list[str]:
    query = (
        select(messages.c.run_id)
        .where(messages.c.chat_id == chat_id, messages.c.run_id.is_not(None))
        .order_by(messages.c.created_at)
    )
    return [str(run_id) for run_id in connection.scalars(query)]


def _note_searched(connection: Connection, chat_id: str, searched: Collection[int]) -> None:
    query = select(chat_searched.c.collection_id).where(chat_searched.c.chat_id == chat_id)
    more = set(searched) - set(connection.scalars(query))
    if more:
        rows = [{"chat_id": chat_id, "collection_id": collection_id} for collection_id in sorted(more)]
        connection.execute(chat_searched.insert(), rows)
