"""Tables and records of conversations. ``app.chats`` writes them, but for ``COMPARED`` within an answer, which is
``app.chat_votes``'s; ``app.shared_chats`` reads those of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Integer, String, Table, Text, false

from core.database import metadata

COMPARED = "compared"  # within the answer of a message: that it stands blind beside another one, and the vote

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
    Column("leaf_id", String),  # the last message of the thread that is shown
    Column("shared_at", String),  # since when others of this server may read it; null: its owner alone
    # Whether ``chat_searched`` has all; not of answers that were given before it was kept. See decision 0225.
    Column("searched_known", Boolean, nullable=False, server_default=false()),
)

# What the answers of a conversation were looked for in, versions that are not shown included. No reference: of a collection
# that was deleted an answer still quotes, and its number is never given again.
chat_searched = Table(
    "chat_searched",
    metadata,
    Column("chat_id", String, ForeignKey("chats.chat_id", ondelete="CASCADE"), primary_key=True),
    Column("collection_id", Integer, primary_key=True, autoincrement=False),
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
    Column("run_id", String, index=True),
    Column("created_at", String, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    Column("parent_id", String),  # the message that it follows; those with the same one are versions of each other
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    chat_id: str
    title: str
    collections: tuple[str, ...]
    strategy: str
    created_at: str
    updated_at: str
    shared_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """``answer`` is the JSON of ``ask``; ``partial`` marks an answer that was stopped or broke off, and then
    ``problem`` says why, unless a person stopped it. ``versions`` are the messages that stand in the same place,
    itself among them, the oldest first; the others are reached by ``Chats.select``."""

    message_id: str
    role: str
    content: str
    answer: Mapping[str, Any] | None
    partial: bool
    run_id: str | None
    created_at: str
    problem: str
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedChat:
    """A conversation as others read it: ``owner`` is a name, ``collections`` those that its answers were looked for in."""

    chat_id: str
    title: str
    owner: str
    collections: tuple[str, ...]
    created_at: str
    updated_at: str
    shared_at: str
