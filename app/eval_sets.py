"""Questions with known answers, by collection. SQL owner of ``eval_sets`` and ``eval_questions``.

A set belongs to whoever made it, and is there only while that person may read its collection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from app.eval_tables import eval_questions, eval_sets
from core.clock import now_iso
from core.database import Database
from core.errors import InvalidRequest, NotFound
from core.ids import new_id
from core.paging import after_place, place_of
from core.types import Principal
from eval.questions import Gold, MadeQuestion
from retrieval.access import readable_collections

MAX_QUESTIONS = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptQuestion:
    """``approved`` None: nobody has looked at it."""

    question_id: str
    question: str
    answers: tuple[str, ...]
    answerable: bool
    kind: str
    split: str
    gold: tuple[Gold, ...]
    approved: bool | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSet:
    set_id: str
    name: str
    collection: str
    collection_id: int
    origin: Mapping[str, Any]
    created_at: str
    n: int
    n_approved: int
    n_rejected: int
    n_unanswerable: int

    def to_json(self) -> dict[str, Any]:
        shown = asdict(self)
        del shown["collection_id"]
        return shown


class EvalSets:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        principal: Principal,
        collection: str,
        name: str,
        questions: Sequence[MadeQuestion],
        origin: Mapping[str, Any],
    ) -> EvalSet:
        """Raises NotFound for a collection that this person cannot read, InvalidRequest for no or too many questions."""
        if not questions:
            raise InvalidRequest("no question was made or given: a set needs one or more", code="no-questions")
        if len(questions) > MAX_QUESTIONS:
            raise InvalidRequest(f"{len(questions):,} questions: a set holds {MAX_QUESTIONS:,} at most", code="usage")
        set_id = new_id("s")
        with self._database.write() as connection:
            collection_id = readable_collections(connection, principal, [collection])[collection]
            connection.execute(
                insert(eval_sets).values(
                    set_id=set_id,
                    user_id=principal.user_id,
                    collection_id=collection_id,
                    name=name.strip() or f"{collection} {now_iso()[:16].replace('T', ' ')}",
                    origin=dict(origin),
                    created_at=now_iso(),
                )
            )
            connection.execute(
                insert(eval_questions),
                [
                    {
                        "question_id": new_id("q"),
                        "set_id": set_id,
                        "position": position,
                        "question": q.question,
                        "answers": list(q.answers),
                        "answerable": q.answerable,
                        "kind": q.kind,
                        "split": q.split,
                        "gold": [asdict(g) for g in q.gold],
                        "approved": True if q.kind == "uploaded" else None,
                    }
                    for position, q in enumerate(questions)
                ],
            )
        return self.get(principal, set_id)

    def list_sets(
        self, principal: Principal, limit: int, *, collection: str | None = None, after: str | None = None
    ) -> tuple[list[EvalSet], str | None]:
        """One page of a person's own sets, the newest first, and the cursor to go on after (None: no more).

        Args:
            after: the cursor that the page before gave.

        Raises:
            NotFound: a named collection that this person cannot read.
            InvalidRequest: ``after`` is no cursor.
        """
        with self._database.read() as connection:
            readable = readable_collections(connection, principal, [collection] if collection else [])
            names = {collection_id: name for name, collection_id in readable.items()}
            query = (
                select(eval_sets)
                .where(eval_sets.c.user_id == principal.user_id, eval_sets.c.collection_id.in_(list(names)))
                .order_by(eval_sets.c.created_at.desc(), eval_sets.c.set_id)
                .limit(limit + 1)
            )
            if after is not None:
                query = query.where(after_place(eval_sets.c.created_at, eval_sets.c.set_id, after))
            rows = connection.execute(query).all()
            found = [_as_set(connection, row, names[row.collection_id]) for row in rows[:limit]]
        return found, place_of(found[-1].created_at, found[-1].set_id) if len(rows) > limit else None

    def get(self, principal: Principal, set_id: str) -> EvalSet:
        """Raises NotFound."""
        with self._database.read() as connection:
            return self._get(connection, principal, set_id)

    def _get(self, connection: Connection, principal: Principal, set_id: str) -> EvalSet:
        query = select(eval_sets).where(eval_sets.c.set_id == set_id, eval_sets.c.user_id == principal.user_id)
        row = connection.execute(query).one_or_none()
        readable = {number: name for name, number in readable_collections(connection, principal, []).items()}
        if row is None or row.collection_id not in readable:
            raise NotFound(f"no set of questions {set_id!r}: list them to see their ids", code="unknown-set")
        return _as_set(connection, row, readable[row.collection_id])

    def questions(self, principal: Principal, set_id: str) -> list[KeptQuestion]:
        """In their order. Raises NotFound."""
        with self._database.read() as connection:
            self._get(connection, principal, set_id)
            query = select(eval_questions).where(eval_questions.c.set_id == set_id)
            return [_as_question(row) for row in connection.execute(query.order_by(eval_questions.c.position))]

    def decide(
        self, principal: Principal, set_id: str, approved: bool | None, question_ids: Sequence[str] | None = None
    ) -> int:
        """Approves, rejects or (None) takes either back; ``question_ids`` None is all of which nobody has decided.

        Returns:
            How many were changed.

        Raises:
            NotFound: no such set, or no such question in it.
        """
        with self._database.write() as connection:
            self._get(connection, principal, set_id)
            change = update(eval_questions).where(eval_questions.c.set_id == set_id).values(approved=approved)
            if question_ids is None:
                return int(connection.execute(change.where(eval_questions.c.approved.is_(None))).rowcount)
            wanted = list(dict.fromkeys(question_ids))
            n = int(connection.execute(change.where(eval_questions.c.question_id.in_(wanted))).rowcount)
            if n < len(wanted):
                raise NotFound(f"{len(wanted) - n} of these questions are not in the set", code="unknown-question")
            return n

    def delete(self, principal: Principal, set_id: str) -> None:
        """With its evaluations. Raises NotFound."""
        with self._database.write() as connection:
            self._get(connection, principal, set_id)
            connection.execute(delete(eval_sets).where(eval_sets.c.set_id == set_id))

    def forget_document(
        self, connection: Connection, doc_id: str, clean: Callable[[Any], Any], collection_id: int
    ) -> int:
        """For a purge: takes away, whosesoever, the questions made from a document, and cleans the others of its
        collection."""
        n = 0
        of_collection = select(eval_sets.c.set_id).where(eval_sets.c.collection_id == collection_id)
        for row in connection.execute(select(eval_questions).where(eval_questions.c.set_id.in_(of_collection))).all():
            one = eval_questions.c.question_id == row.question_id
            if any(gold["doc_id"] == doc_id for gold in row.gold):
                connection.execute(delete(eval_questions).where(one))
                n += 1
                continue
            values = {"question": clean(row.question), "answers": clean(row.answers), "gold": clean(row.gold)}
            if values != {"question": row.question, "answers": row.answers, "gold": row.gold}:
                connection.execute(update(eval_questions).where(one).values(**values))
                n += 1
        return n


def _as_set(connection: Connection, row: Row[Any], collection: str) -> EvalSet:
    q = eval_questions.c
    counts = connection.execute(
        select(q.approved, q.answerable, func.count()).where(q.set_id == row.set_id).group_by(q.approved, q.answerable)
    ).all()
    return EvalSet(
        set_id=row.set_id,
        name=row.name,
        collection=collection,
        collection_id=row.collection_id,
        origin=row.origin,
        created_at=row.created_at,
        n=sum(n for _, _, n in counts),
        n_approved=sum(n for approved, _, n in counts if approved is True),
        n_rejected=sum(n for approved, _, n in counts if approved is False),
        n_unanswerable=sum(n for _, answerable, n in counts if not answerable),
    )


def _as_question(row: Row[Any]) -> KeptQuestion:
    return KeptQuestion(
        question_id=row.question_id,
        question=row.question,
        answers=tuple(row.answers),
        answerable=row.answerable,
        kind=row.kind,
        split=row.split,
        gold=tuple(Gold(**g) for g in row.gold),
        approved=row.approved,
    )
