"""Calls about conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from app import replies
from app.line import Line, given, seg
from app.wire import EventStream

MAX_CHATS = 2000  # that are listed at once


class ChatCalls(Line):
    def create_chat(
        self, collections: Sequence[str], *, strategy: str | None = None, title: str | None = None
    ) -> replies.Chat:
        body = {"collections": list(collections)} | given(strategy=strategy, title=title)
        return cast(replies.Chat, self._json("POST", "/v1/chats", json=body))

    def chats(self, words: str = "") -> list[replies.Chat]:
        """Those used last first, without their messages; with ``words``, only those in which all of them are said."""
        found: list[replies.Chat] = []
        following: str | None = None
        while True:
            page = self._json("GET", "/v1/chats", params=given(q=words or None, cursor=following))
            found += page["chats"]
            following = page.get("next_cursor")
            if not following or len(found) >= MAX_CHATS:
                return found

    def chat(self, chat_id: str) -> replies.Chat:
        return cast(replies.Chat, self._json("GET", f"/v1/chats/{seg(chat_id)}"))

    def update_chat(
        self,
        chat_id: str,
        *,
        title: str | None = None,
        collections: Sequence[str] | None = None,
        strategy: str | None = None,
    ) -> replies.Chat:
        body = given(title=title, collections=None if collections is None else list(collections), strategy=strategy)
        return cast(replies.Chat, self._json("PATCH", f"/v1/chats/{seg(chat_id)}", json=body))

    def delete_chat(self, chat_id: str) -> None:
        self._send("DELETE", f"/v1/chats/{seg(chat_id)}")

    def chat_stream(
        self,
        chat_id: str,
        question: str,
        *,
        strategy: str | None = None,
        collections: Sequence[str] | None = None,
        answer_policy: str | None = None,
    ) -> EventStream:
        """Asks within a conversation; the server keeps both messages, and the part that was said of a dropped one."""
        body = {"question": question, "stream": True} | _how(strategy, collections, answer_policy)
        return self._stream("POST", f"/v1/chats/{seg(chat_id)}/messages", json=body)

    def edit_stream(
        self,
        chat_id: str,
        message_id: str,
        question: str,
        *,
        strategy: str | None = None,
        collections: Sequence[str] | None = None,
        answer_policy: str | None = None,
    ) -> EventStream:
        """Asks another question in the place of one; the older one stays among its versions."""
        body = {"question": question, "stream": True} | _how(strategy, collections, answer_policy)
        return self._stream("POST", f"{_message(chat_id, message_id)}/edit", json=body)

    def regenerate_stream(
        self,
        chat_id: str,
        message_id: str,
        *,
        strategy: str | None = None,
        collections: Sequence[str] | None = None,
        answer_policy: str | None = None,
    ) -> EventStream:
        """Answers a question again; the older answer stays among the versions of the new one."""
        body = {"stream": True} | _how(strategy, collections, answer_policy)
        return self._stream("POST", f"{_message(chat_id, message_id)}/regenerate", json=body)

    def select_version(self, chat_id: str, message_id: str) -> replies.Chat:
        """Shows the thread that goes through a message."""
        return cast(replies.Chat, self._json("POST", f"{_message(chat_id, message_id)}/select"))

    def give_feedback(self, chat_id: str, message_id: str, good: bool, reason: str = "") -> dict[str, Any]:
        """A thumb on an answer; another one takes its place."""
        return self._json("PUT", f"{_message(chat_id, message_id)}/feedback", json={"good": good, "reason": reason})

    def take_feedback_back(self, chat_id: str, message_id: str) -> None:
        self._send("DELETE", f"{_message(chat_id, message_id)}/feedback")

    def export_chat(self, chat_id: str, form: str = "markdown") -> str:
        """The conversation as a file's text: "markdown" or "json"."""
        return self._send("GET", f"/v1/chats/{seg(chat_id)}/export", params={"format": form}).text


def _message(chat_id: str, message_id: str) -> str:
    return f"/v1/chats/{seg(chat_id)}/messages/{seg(message_id)}"


def _how(strategy: str | None, collections: Sequence[str] | None, answer_policy: str | None) -> dict[str, Any]:
    return given(
        strategy=strategy,
        collections=None if collections is None else list(collections),
        answer_policy=answer_policy,
    )
