"""Calls about conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict, Unpack, cast

import httpx

from app import replies
from app.line import CONNECT_TIMEOUT_S, FileSource, Line, given, seg
from app.wire import EventStream

MAX_CHATS = 2000  # that are listed at once


class Among(TypedDict, total=False):
    """What a question is answered from; what is left out, or None, is as the conversation has it."""

    collections: Sequence[str] | None
    answer_policy: str | None
    only_files: bool  # the conversation's own files alone


class How(Among, total=False):
    """And by whom."""

    strategy: str | None
    model: str | None  # one of those that ``strategies`` lists; None: the server's own


class ChatCalls(Line):
    def create_chat(
        self, collections: Sequence[str], *, strategy: str | None = None, title: str | None = None
    ) -> replies.Chat:
        body = {"collections": list(collections)} | given(strategy=strategy, title=title)
        return cast(replies.Chat, self._json("POST", "/v1/chats", json=body))

    def chats(self, words: str = "") -> list[replies.Chat]:
        """Those used last first, without their messages; with ``words``, only those in which all of them are said."""
        return cast("list[replies.Chat]", self._all_chats("/v1/chats", words))

    def _all_chats(self, path: str, words: str) -> list[Any]:
        found: list[Any] = []
        following: str | None = None
        while True:
            page = self._json("GET", path, params=given(q=words or None, cursor=following))
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

    def delete_chat(self, chat_id: str, *, purge: bool = False) -> None:
        """With its files and traces; ``purge`` waits until no byte of them is left."""
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S) if purge else None
        asked = given(purge="true" if purge else None)
        self._send("DELETE", f"/v1/chats/{seg(chat_id)}", params=asked, **given(timeout=timeout))

    def chat_stream(self, chat_id: str, question: str, **how: Unpack[How]) -> EventStream:
        """Asks within a conversation (with ``only_files``, of its own files alone); the server keeps both messages, and the part that was said of a dropped one."""
        body = {"question": question, "stream": True} | _sent(how)
        return self._stream("POST", f"/v1/chats/{seg(chat_id)}/messages", json=body)

    def keep_question(self, chat_id: str, question: str, **among: Unpack[Among]) -> str:
        """Keeps a question that waits (for files that come with it, say) and returns its message id: ``regenerate_stream`` has it answered."""
        body = {"question": question, "only_keep": True} | _sent(among)
        return str(self._json("POST", f"/v1/chats/{seg(chat_id)}/messages", json=body)["message_id"])

    def edit_stream(self, chat_id: str, message_id: str, question: str, **how: Unpack[How]) -> EventStream:
        """Asks another question in the place of one; the older one stays among its versions."""
        body = {"question": question, "stream": True} | _sent(how)
        return self._stream("POST", f"{_message(chat_id, message_id)}/edit", json=body)

    def regenerate_stream(self, chat_id: str, message_id: str, **how: Unpack[How]) -> EventStream:
        """Answers a question again; the older answer stays among the versions of the new one."""
        body = {"stream": True} | _sent(how)
        return self._stream("POST", f"{_message(chat_id, message_id)}/regenerate", json=body)

    def select_version(self, chat_id: str, message_id: str) -> replies.Chat:
        """Shows the thread that goes through a message."""
        return cast(replies.Chat, self._json("POST", f"{_message(chat_id, message_id)}/select"))

    def compare_answer(self, chat_id: str, message_id: str, **among: Unpack[Among]) -> replies.Compared | None:
        """Has a question answered once more in a way that the server draws, and waits for it; None where the answer is the
        same. Which is which is said after the vote."""
        body = _sent(among)
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        found = self._json("POST", f"{_message(chat_id, message_id)}/compare", json=body, timeout=timeout)
        return cast("replies.Compared | None", found["compared"])

    def compare_stream(self, chat_id: str, message_id: str, **among: Unpack[Among]) -> EventStream:
        """The same as events: ``run``, by which it can be stopped, then ``compared`` or ``error``."""
        body = {"stream": True} | _sent(among)
        return self._stream("POST", f"{_message(chat_id, message_id)}/compare", json=body)

    def pair_stream(
        self,
        chat_id: str,
        question: str,
        *,
        ways: Sequence[replies.WayToAnswer] = (),
        instead_of: str | None = None,
        **among: Unpack[Among],
    ) -> EventStream:
        """Has a question answered in two of ``ways`` (none: of all there are) that the server draws: ``run`` for each answer as it
        begins, then ``compared`` or ``error``, and no word of either before that.

        Args:
            instead_of: a question of the conversation, by message id, in whose place it is asked.
        """
        body = {"question": question, "stream": True} | _sent(among)
        body |= given(ways=list(ways) or None, instead_of=instead_of)
        return self._stream("POST", f"/v1/chats/{seg(chat_id)}/pairs", json=body)

    def vote_on_answers(self, chat_id: str, message_id: str, choice: str) -> replies.Compared:
        """``choice`` is "1", "2", "equal" or "both bad", once for each question."""
        found = self._json("POST", f"{_message(chat_id, message_id)}/vote", json={"choice": choice})
        return cast(replies.Compared, found["compared"])

    def chat_votes(self, *, from_start: bool = False) -> dict[str, Any]:
        """Strengths of the ways to answer from this person's votes in the chat, with intervals; with ``from_start`` from those
        alone in which neither answer had been seen before."""
        return self._json("GET", "/v1/chats/votes", params={"only": "from_start"} if from_start else {})

    def give_feedback(self, chat_id: str, message_id: str, good: bool, reason: str = "") -> dict[str, Any]:
        """A thumb on an answer; another one takes its place."""
        return self._json("PUT", f"{_message(chat_id, message_id)}/feedback", json={"good": good, "reason": reason})

    def take_feedback_back(self, chat_id: str, message_id: str) -> None:
        self._send("DELETE", f"{_message(chat_id, message_id)}/feedback")

    def attach(self, chat_id: str, files: Sequence[FileSource]) -> list[replies.Job]:
        """Sends files into this conversation only; returns a job for each."""
        reply = self._upload(f"/v1/chats/{seg(chat_id)}/files", files)
        return cast("list[replies.Job]", reply["files"])

    def detach(self, chat_id: str, job_id: str) -> None:
        """Takes a file of a conversation away, named by its job."""
        self._send("DELETE", f"/v1/chats/{seg(chat_id)}/files/{seg(job_id)}")

    def export_chat(self, chat_id: str, form: str = "markdown") -> str:
        """The conversation as a file's text: "markdown" or "json"."""
        return self._send("GET", f"/v1/chats/{seg(chat_id)}/export", params={"format": form}).text

    def share_chat(self, chat_id: str) -> replies.Chat:
        """Lets everybody of this server read it who may read each collection that its answers were looked for in."""
        return cast(replies.Chat, self._json("PUT", f"/v1/chats/{seg(chat_id)}/share"))

    def unshare_chat(self, chat_id: str) -> None:
        self._send("DELETE", f"/v1/chats/{seg(chat_id)}/share")

    def shared_chats(self, words: str = "") -> list[replies.SharedChat]:
        """What others share with this person, as ``chats`` lists one's own."""
        return cast("list[replies.SharedChat]", self._all_chats("/v1/chats/shared", words))

    def shared_chat(self, chat_id: str) -> replies.SharedChat:
        return cast(replies.SharedChat, self._json("GET", f"/v1/chats/shared/{seg(chat_id)}"))

    def export_shared_chat(self, chat_id: str, form: str = "markdown") -> str:
        """As ``export_chat``; JSON too has what is shown alone."""
        return self._send("GET", f"/v1/chats/shared/{seg(chat_id)}/export", params={"format": form}).text


def _message(chat_id: str, message_id: str) -> str:
    return f"/v1/chats/{seg(chat_id)}/messages/{seg(message_id)}"


def _sent(how: Among) -> dict[str, Any]:
    """What was said of it, as the server takes it."""
    found = given(**how)
    if "collections" in found:
        found["collections"] = list(found["collections"])
    if not found.get("only_files"):
        found.pop("only_files", None)
    return found
