"""A conversation as a Markdown file: questions, answers, and under each answer the passages that it quotes.

What documents and models said is escaped, so that opening the file fetches nothing and links nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.chat_tables import Chat, ChatMessage, SharedChat
from app.ui.inert import inert_markdown
from core.wording import VERDICT_MARKS

# Verdicts that a reader of the file must not overlook.
DOUBTFUL = ("partial", "contradicted", "unsupported")


def as_markdown(chat: Chat | SharedChat, messages: Sequence[ChatMessage]) -> str:
    asked_of = ", ".join(map(inert_markdown, chat.collections)) or "all collections"
    parts = [f"# {inert_markdown(chat.title) or 'Untitled'}", f"{chat.created_at} · {asked_of}"]
    for message in messages:
        if message.role == "user":
            parts += [f"## {inert_markdown(message.content)}"]
        elif message.answer is None:
            why = f": {inert_markdown(message.problem)}" if message.problem else ""
            parts += [_text(message.content), f"*Not finished{why}*"]
        else:
            parts += _answer(message.answer)
    return "\n\n".join(part for part in parts if part) + "\n"


def _answer(answer: Mapping[str, Any]) -> list[str]:
    if answer["abstained"]:
        return [f"**I don't know.** {inert_markdown(answer['reason'])}"]
    doubts = [s for s in answer["sentences"] if s["verdict"] in DOUBTFUL]
    sources = [f"[{c['n']}] {_place(c)}: “{inert_markdown(c['quote'])}”" for c in answer["citations"]]
    return [
        _text(answer["answer"]),
        "\n".join(f"- {VERDICT_MARKS[s['verdict']]} {s['verdict']}: {inert_markdown(s['text'])}" for s in doubts),
        inert_markdown(answer["reason"]),
        "\n".join(f"- {source}" for source in sources),
        f"*{answer['strategy']}, {answer['seconds']:.1f} s*",
    ]


def _place(citation: Mapping[str, Any]) -> str:
    title = f"**{inert_markdown(citation['title'])}**"
    return title if citation["page"] is None else f"{title}, page {citation['page']}"


def _text(text: str) -> str:
    return "\n\n".join(inert_markdown(paragraph) for paragraph in text.split("\n\n"))
