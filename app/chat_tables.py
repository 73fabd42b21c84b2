"""Tables and records of conversations. ``app.chats`` alone reads and writes them, but for ``COMPARED`` within an answer, which is
``app.chat_votes``'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Integer, String, Table, Text

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
