"""Blind votes: two answers to one question side by side, without their names. SQL owner of ``eval_votes``."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from sqlalchemy import delete, insert, select

from app.eval_results import EvalResult, different_answers
from app.eval_tables import eval_votes
from core.clock import now_iso
from core.database import Database
from core.errors import InvalidRequest
from core.types import Principal
from eval.bradley_terry import Vote, strengths
from eval.judge import Verdict

Choice = Literal["left", "right", "tie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """``swapped``: the left one is ``b``. It is known to the server only; the ballot that people see holds no names."""

    question_id: str
    question: str
    a: int
    b: int
    swapped: bool
    left: str
    right: str

    def to_json(self, n_cast: int, n_all: int) -> dict[str, Any]:
        return {
            "ballot": f"{self.question_id}:{self.a}:{self.b}",
            "question": self.question,
            "left": self.left,
            "right": self.right,
            "n_cast": n_cast,
            "n_all": n_all,
        }


class EvalVotes:
    def __init__(self, database: Database) -> None:
        self._database = database

    def next(self, principal: Principal, result: EvalResult) -> dict[str, Any] | None:
        """The next ballot: of the pair with fewest votes; None where everything that differs was voted on.

        Raises:
            InvalidRequest: an evaluation without answers to compare.
        """
        ballots = _ballots(result, principal)
        cast = {(q, a, b) for q, a, b, _ in self._cast(principal, result.run.eval_id)}
        open_ = [x for x in ballots if (x.question_id, x.a, x.b) not in cast]
        if not open_:
            return None
        per_pair = Counter((a, b) for _, a, b in cast)
        # In an order that says nothing of who answered, the same for the same person.
        chosen = min(open_, key=lambda x: (per_pair[(x.a, x.b)], _hash(principal, result, x.question_id, x.a, x.b)))
        return chosen.to_json(len(ballots) - len(open_), len(ballots))

    def vote(self, principal: Principal, result: EvalResult, ballot: str, choice: Choice) -> None:
        """Counts once per person, question and pair; a second vote takes the place of the first.

        Raises:
            InvalidRequest: no such ballot.
        """
        found = [x for x in _ballots(result, principal) if f"{x.question_id}:{x.a}:{x.b}" == ballot]
        if not found:
            raise InvalidRequest(f"no ballot {ballot!r} in this evaluation: ask for the next one", code="usage")
        one = found[0]
        kept = "tie" if choice == "tie" else "b" if (choice == "left") == one.swapped else "a"
        v = eval_votes.c
        mine = (v.eval_id == result.run.eval_id) & (v.user_id == principal.user_id)
        this = mine & (v.question_id == one.question_id) & (v.a == one.a) & (v.b == one.b)
        with self._database.write() as connection:
            connection.execute(delete(eval_votes).where(this))
            connection.execute(
                insert(eval_votes).values(
                    eval_id=result.run.eval_id,
                    question_id=one.question_id,
                    a=one.a,
                    b=one.b,
                    user_id=principal.user_id,
                    choice=kept,
                    created_at=now_iso(),
                )
            )

    def standing(self, principal: Principal, result: EvalResult) -> dict[str, Any]:
        """Strengths from the votes cast, with intervals; no names while there is no vote."""
        cast = self._cast(principal, result.run.eval_id)
        votes = [Vote(a=a, b=b, outcome={"a": 1.0, "b": 0.0, "tie": 0.5}[c], question=q) for q, a, b, c in cast]
        n = len(result.run.configurations)
        found = strengths(votes, n) if votes and n > 1 else []
        labels = [c.label() for c in result.run.configurations]
        return {"n_votes": len(votes), "strengths": [{**s.to_json(), "label": labels[s.index]} for s in found]}

    def labels(self, principal: Principal, eval_id: str, a: int, b: int) -> dict[str, Verdict]:
        """What this person's votes say of the answers of two configurations, by question: to hold a judge against."""
        swap: dict[str, Verdict] = {"a": "b", "b": "a", "tie": "tie"} if a > b else {"a": "a", "b": "b", "tie": "tie"}
        return {q: swap[c] for q, x, y, c in self._cast(principal, eval_id) if (x, y) == (min(a, b), max(a, b))}

    def _cast(self, principal: Principal, eval_id: str) -> list[tuple[str, int, int, str]]:
        v = eval_votes.c
        query = select(v.question_id, v.a, v.b, v.choice).where(v.eval_id == eval_id, v.user_id == principal.user_id)
        with self._database.read() as connection:
            return [(r.question_id, r.a, r.b, r.choice) for r in connection.execute(query.order_by(v.created_at))]


def _ballots(result: EvalResult, principal: Principal) -> list[Ballot]:
    if result.run.configurations[0].kind != "qa":
        raise InvalidRequest("votes are on answers: evaluate two strategies", code="usage")
    found = []
    for question in result.questions:
        for a, b in combinations(range(len(result.measured)), 2):
            texts = different_answers(result, a, b, question.question_id)
            if texts is None:
                continue  # there is nothing to choose
            swapped = bool(_hash(principal, result, question.question_id, a, b)[0] & 1)
            left, right = reversed(texts) if swapped else texts
            found.append(
                Ballot(
                    question_id=question.question_id,
                    question=question.question,
                    a=a,
                    b=b,
                    swapped=swapped,
                    left=left,
                    right=right,
                )
            )
    return found


def _hash(principal: Principal, result: EvalResult, question_id: str, a: int, b: int) -> bytes:
    return hashlib.sha256(f"{principal.user_id} {result.run.eval_id} {question_id} {a} {b}".encode()).digest()
