"""Blind votes in the chat: two answers to one question, given in two ways, and which of them a person prefers.

What is kept stands within the newer answer, under ``COMPARED``: the id of the older one, the two ways by name, which is shown
first, whether neither had been seen before, and the vote. No text is copied, and all of it goes with the conversation. Knows
nothing of how answers are made.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import select, update

from app.chat_tables import COMPARED, ChatMessage, chats, messages
from app.chats import Chats
from core.database import Database
from core.errors import Conflict, InvalidRequest, NotFound
from core.types import Principal
from eval.bradley_terry import Vote, strengths
from eval.qa_scores import without_markers

Choice = Literal["1", "2", "equal", "both bad"]
NO_ANSWER = "I don't know."
# Of the older answer against the newer one; neither is better where both are bad.
_OUTCOMES: Mapping[str, float] = {"older": 1.0, "newer": 0.0, "equal": 0.5, "both bad": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """``texts`` and ``ways`` of the older and the newer answer. ``swapped``: the newer is shown first. ``from_start``: neither
    had been seen before the vote."""

    question_id: str
    message_ids: tuple[str, str]
    ways: tuple[str, str]
    texts: tuple[str, str]
    swapped: bool
    from_start: bool
    kept: str | None  # "older", "newer", "equal" or "both bad"

    def to_json(self) -> dict[str, Any]:
        """As a person sees it: without what would tell the two apart, until there is a vote."""
        found: dict[str, Any] = {
            "answers": self._shown(self.texts),
            "choice": self._choice(),
            "from_start": self.from_start,
        }
        if self.kept is not None:
            found |= {"ways": self._shown(self.ways), "message_ids": self._shown(self.message_ids)}
        return found

    def preferred(self) -> str | None:
        """The id of the answer that was voted for."""
        return {"older": self.message_ids[0], "newer": self.message_ids[1]}.get(self.kept or "")

    def _shown(self, of: tuple[str, str]) -> list[str]:
        return list(reversed(of)) if self.swapped else list(of)

    def _choice(self) -> str | None:
        if self.kept in ("older", "newer"):
            return "1" if (self.kept == "newer") == self.swapped else "2"
        return self.kept


class ChatVotes:
    def __init__(self, database: Database, chats: Chats) -> None:
        self._database = database
        self._chats = chats

    def draw(self, principal: Principal, chat_id: str, message_id: str, ways: Sequence[str]) -> tuple[ChatMessage, str]:
        """The answer that gets a rival, and the way of the rival: any of ``ways`` but its own, each as likely.

        Raises:
            NotFound: another person's conversation, or no such message.
            InvalidRequest: there is no whole answer to compare with, or no other way.
        """
        question = self._chats.question_of(principal, chat_id, message_id)
        answers = self._chats.answers_to(principal, chat_id, question.message_id)
        whole = [a for a in answers if a.answer is not None and not a.partial]
        named = [a for a in whole if a.message_id == message_id] or whole[-1:]
        if not named or named[0].answer is None:
            raise InvalidRequest("this question has no whole answer yet to compare another one with", code="no-answer")
        others = [w for w in ways if w != way_of(named[0].answer)]
        if not others:
            raise InvalidRequest(
                "there is no other way to answer just now: a language model makes more of them (GET /v1/strategies says what is "
                "missing)",
                code="one-way",
            )
        return named[0], secrets.choice(others)

    def pair_of(self, principal: Principal, chat_id: str, question_id: str) -> Pair | None:
        """What is compared of a question. Raises NotFound for another person's conversation."""
        pairs = self.pairs_in(principal, chat_id).values()
        return next((p for p in pairs if p.question_id == question_id), None)

    def pairs_in(self, principal: Principal, chat_id: str) -> dict[str, Pair]:
        """The pairs of a conversation, by the id of either answer. Raises NotFound for another person's."""
        mark = messages.c.answer[COMPARED].as_string()
        query = select(messages.c.message_id, messages.c.parent_id, messages.c.answer).where(
            messages.c.chat_id == chat_id, mark.is_not(None)
        )
        found: dict[str, Pair] = {}
        with self._database.read() as connection:
            self._chats.check(connection, principal, chat_id)
            for row in connection.execute(query.order_by(messages.c.sequence)).all():
                kept = row.answer[COMPARED]
                older = select(messages.c.answer).where(messages.c.message_id == kept["against"])
                pair = Pair(
                    question_id=row.parent_id,
                    message_ids=(kept["against"], row.message_id),
                    ways=(kept["ways"][0], kept["ways"][1]),
                    texts=(_text(connection.execute(older).scalar_one()), _text(row.answer)),
                    swapped=kept["swapped"],
                    from_start=kept.get("from_start", False),
                    kept=kept["vote"],
                )
                found |= dict.fromkeys(pair.message_ids, pair)
        return found

    def vote(self, principal: Principal, chat_id: str, message_id: str, choice: Choice) -> Pair:
        """Keeps a vote, and shows the preferred answer where the conversation ends with one of the two.

        Raises:
            NotFound: another person's conversation, or nothing is compared there.
            Conflict: it was voted on: the ways are known by now.
        """
        question = self._chats.question_of(principal, chat_id, message_id)
        pair = self.pair_of(principal, chat_id, question.message_id)
        if pair is None:
            raise NotFound("nothing is compared here: ask for a second answer first", code="no-pair")
        kept: str = choice
        if choice in ("1", "2"):
            kept = "newer" if (choice == "1") == pair.swapped else "older"
        mine = messages.c.message_id == pair.message_ids[1]
        with self._database.write() as connection:
            answer = connection.execute(select(messages.c.answer).where(mine)).scalar_one()
            if answer[COMPARED]["vote"] is not None:
                raise Conflict("you have voted on these two, and know by now which is which: a vote is kept once")
            changed = {**answer, COMPARED: {**answer[COMPARED], "vote": kept}}
            connection.execute(update(messages).where(mine).values(answer=changed))
        voted = self.pair_of(principal, chat_id, question.message_id)
        if voted is None:
            raise NotFound("the conversation was deleted meanwhile", code="no-pair")
        preferred = voted.preferred()
        if preferred and self._chats.messages(principal, chat_id)[-1].message_id in voted.message_ids:
            self._chats.select(principal, chat_id, preferred)
        return voted

    def standing(self, principal: Principal, from_start: bool = False) -> dict[str, Any]:
        """Strengths of the ways from this person's votes, with intervals. The same question asked twice is one question.

        Args:
            from_start: count only votes on pairs of which neither answer had been seen before.
        """
        mark = messages.c.answer[COMPARED].as_string()
        asked = messages.alias("asked")
        query = (
            select(mark.label("mark"), asked.c.content)
            .join(chats, chats.c.chat_id == messages.c.chat_id)
            .join(asked, asked.c.message_id == messages.c.parent_id)
            .where(chats.c.user_id == principal.user_id, mark.is_not(None))
        )
        with self._database.read() as connection:
            kept = [(cast("dict[str, Any]", json.loads(row.mark)), row.content) for row in connection.execute(query)]
        voted = [(mark, asked) for mark, asked in kept if mark["vote"] is not None]
        blind = [(mark, asked) for mark, asked in voted if mark.get("from_start", False)]
        cast_ = blind if from_start else voted
        ways = sorted({way for mark, _ in cast_ for way in mark["ways"]})
        votes = [
            Vote(
                a=ways.index(mark["ways"][0]),
                b=ways.index(mark["ways"][1]),
                outcome=_OUTCOMES[mark["vote"]],
                question=" ".join(asked.split()).casefold(),
            )
            for mark, asked in cast_
        ]
        found = strengths(votes, len(ways)) if votes else []
        return {
            "n_votes": len(votes),
            "n_from_start": len(blind),
            "n_both_bad": sum(mark["vote"] == "both bad" for mark, _ in cast_),
            "strengths": [{**s.to_json(), "label": ways[s.index]} for s in found],
        }


def mark(
    answer: dict[str, Any], other: Mapping[str, Any], other_id: str, ways: tuple[str, str], *, from_start: bool
) -> dict[str, Any]:
    """The newer answer as it is kept; not compared where it says the same as the older, which leaves nothing to choose.

    Args:
        other: the older answer, kept as the message ``other_id``.
        ways: of the older and of the newer.
        from_start: nobody has seen the older one.
    """
    if _text(answer) == _text(other):
        return answer
    swapped = bool(secrets.randbits(1))
    kept = {"against": other_id, "ways": list(ways), "swapped": swapped, "from_start": from_start, "vote": None}
    return {**answer, COMPARED: kept}


def way_name(strategy: str, model: str | None) -> str:
    """``model``: another one than the server's own."""
    return f"{strategy} by {model}" if model else strategy


def way_of(answer: Mapping[str, Any]) -> str:
    """The way in which an answer was given, by name."""
    return way_name(answer["strategy"], answer.get("model"))


def _text(answer: Mapping[str, Any]) -> str:
    """Without markers: where those stand says how it was made."""
    if answer["abstained"]:
        return NO_ANSWER
    return without_markers(str(answer["answer"]), frozenset(c["n"] for c in answer["citations"]))
