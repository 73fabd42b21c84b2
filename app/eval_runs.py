"""Evaluations and what they measured. SQL owner of ``evals`` and ``eval_results``.

A result is named by what it follows from (``app.eval_keys.result_key``), and holds a row per question, named by what it
asks: two evaluations of the same thing share it, and one that broke off goes on from its last row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from app.eval_configs import Configuration
from app.eval_sets import EvalSet, KeptQuestion
from app.eval_tables import eval_results, evals
from core.clock import now_iso
from core.database import Database
from core.errors import Conflict, NotFound
from core.ids import new_id
from core.paging import after_place, place_of
from core.types import Principal

EvalState = Literal["queued", "running", "done", "failed", "cancelled"]
FINAL: frozenset[str] = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """A language model is asked which answers of the evaluation ``of`` are better, those of configuration ``a`` or of ``b``.

    ``model`` is a name of ``lm_choices``, None the server's own; ``judge`` is what it calls itself, "" until it was first asked.
    """

    of: str
    a: int
    b: int
    model: str | None
    judge: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRun:
    """``done`` of ``total`` answers are there, ``reused`` of them from before; ``seq`` grows with every change.

    With ``judging`` it has no configurations of its own, and counts pairs of answers; ``questions`` are those they answer.
    """

    eval_id: str
    user_id: str
    set_id: str
    configurations: tuple[Configuration, ...]
    questions: tuple[str, ...]
    questions_sha256: str
    result_keys: tuple[str, ...]
    state: EvalState
    stage: str
    done: int
    total: int
    reused: int
    seq: int
    error: str
    created_at: str
    ended_at: str | None
    judging: Judging | None = None

    def to_json(self) -> dict[str, Any]:
        shown = asdict(self)
        for key in ("user_id", "questions", "seq", *(() if self.judging else ("judging",))):
            del shown[key]
        shown["configurations"] = [c.to_json() for c in self.configurations]
        shown["n_questions"] = len(self.questions)
        shown["progress"] = self.done / self.total if self.total else 0.0
        return shown


def question_key(question: KeptQuestion) -> str:
    """Names a question by what it asks and what answers it."""
    asked = [question.question, list(question.answers), question.answerable, [asdict(g) for g in question.gold]]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def questions_sha256(questions: Sequence[KeptQuestion]) -> str:
    """Names the questions of an evaluation, whatever set they are in."""
    return hashlib.sha256("\n".join(map(question_key, questions)).encode()).hexdigest()


class EvalRuns:
    def __init__(self, database: Database) -> None:
        self._database = database

    def start(
        self,
        principal: Principal,
        of: EvalSet,
        questions: Sequence[KeptQuestion],
        configurations: Sequence[Configuration],
    ) -> EvalRun:
        """Lets an evaluation wait for its turn."""
        with self._database.write() as connection:
            return _add(
                connection,
                principal,
                set_id=of.set_id,
                configurations=[asdict(c) for c in configurations],
                questions=[q.question_id for q in questions],
                questions_sha256=questions_sha256(questions),
                total=len(questions) * len(configurations),
            )

    def start_judging(self, principal: Principal, of: EvalRun, judging: Judging, questions: Sequence[str]) -> EvalRun:
        """Lets a judging of the answers to these questions of ``of`` wait for its turn.

        One that has ended is taken away for it, since what was replied is kept by itself; one that has not is what is returned.
        Raises NotFound where ``of`` was deleted since it was read.
        """
        with self._database.write() as connection:
            _get(connection, principal, judging.of)
            for found in _judgings(connection, principal, judging.of):
                if found.judging is None or _same(found.judging) != _same(judging):
                    continue
                if found.state not in FINAL:
                    return found
                connection.execute(delete(evals).where(evals.c.eval_id == found.eval_id))
            return _add(
                connection,
                principal,
                set_id=of.set_id,
                configurations=[],
                questions=list(questions),
                questions_sha256=of.questions_sha256,
                total=len(questions),
                judging=asdict(judging),
            )

    def judgings(self, principal: Principal, eval_id: str) -> list[EvalRun]:
        """Of an evaluation's answers, the newest first."""
        with self._database.read() as connection:
            return _judgings(connection, principal, eval_id)

    def get(self, principal: Principal, eval_id: str) -> EvalRun:
        """Raises NotFound, also for another person's."""
        with self._database.read() as connection:
            return _get(connection, principal, eval_id)

    def all_of(self, principal: Principal, set_id: str) -> list[EvalRun]:
        """Those of a set, the newest first; without those that judge the answers of another."""
        with self._database.read() as connection:
            return [_as_run(row) for row in connection.execute(_evaluations(principal, set_id))]

    def list_runs(
        self, principal: Principal, limit: int, *, set_id: str | None = None, after: str | None = None
    ) -> tuple[list[EvalRun], str | None]:
        """One page of them, of one set or of all, the newest first, and the cursor to go on after (None: no more).

        Args:
            after: the cursor that the page before gave. Raises InvalidRequest where it is none.
        """
        query = _evaluations(principal, set_id).limit(limit + 1)
        if after is not None:
            query = query.where(after_place(evals.c.created_at, evals.c.eval_id, after))
        with self._database.read() as connection:
            found = [_as_run(row) for row in connection.execute(query)]
        last = found[limit - 1] if len(found) > limit else None
        return found[:limit], None if last is None else place_of(last.created_at, last.eval_id)

    def cancel(self, principal: Principal, eval_id: str) -> EvalRun:
        """What was measured stays. Raises NotFound; Conflict if it has ended."""
        with self._database.write() as connection:
            run = _get(connection, principal, eval_id)
            if run.state in FINAL:
                raise Conflict(f"the evaluation is {run.state} already: there is nothing to cancel")
            _change(connection, eval_id, state="cancelled", ended_at=now_iso())
            return _get(connection, principal, eval_id)

    def resume(self, principal: Principal, eval_id: str) -> EvalRun:
        """Lets one that was cancelled or failed wait again. Raises NotFound; Conflict if it has not broken off."""
        with self._database.write() as connection:
            run = _get(connection, principal, eval_id)
            if run.state not in ("cancelled", "failed"):
                raise Conflict(f"the evaluation is {run.state}: only a cancelled or failed one is resumed")
            _change(connection, eval_id, state="queued", error="", ended_at=None)
            return _get(connection, principal, eval_id)

    def delete(self, principal: Principal, eval_id: str) -> None:
        """With what judges its answers. Its results stay, for other evaluations to share. Raises NotFound."""
        with self._database.write() as connection:
            _get(connection, principal, eval_id)
            for judging in _judgings(connection, principal, eval_id):
                connection.execute(delete(evals).where(evals.c.eval_id == judging.eval_id))
            connection.execute(delete(evals).where(evals.c.eval_id == eval_id))

    # ------------------------------------------------------------ the one who runs them

    def requeue_interrupted(self) -> None:
        """At start: what a server was at when it ended waits again."""
        with self._database.write() as connection:
            for row in connection.execute(select(evals.c.eval_id).where(evals.c.state == "running")).all():
                _change(connection, row.eval_id, state="queued")

    def take(self) -> EvalRun | None:
        """The oldest that waits, whosesoever, now running."""
        with self._database.write() as connection:
            query = select(evals).where(evals.c.state == "queued").order_by(evals.c.created_at).limit(1)
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            _change(connection, row.eval_id, state="running")
            return _as_run(row)

    def note(self, eval_id: str, **values: Any) -> bool:
        """Notes how far it is; False if it is no longer to be run."""
        with self._database.write() as connection:
            query = select(evals.c.state).where(evals.c.eval_id == eval_id)
            if connection.execute(query).scalar_one_or_none() != "running":
                return False
            _change(connection, eval_id, **values)
            return True

    def is_running(self, eval_id: str) -> bool:
        """Whether it is still to be run; notes nothing."""
        with self._database.read() as connection:
            query = select(evals.c.state).where(evals.c.eval_id == eval_id)
            return connection.execute(query).scalar_one_or_none() == "running"

    def end(self, eval_id: str, state: EvalState, error: str = "") -> None:
        """Unless it was cancelled meanwhile."""
        self.note(eval_id, state=state, error=error, stage="", ended_at=now_iso())

    # ------------------------------------------------------------ results

    def result(self, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """(rows by ``question_key``, facts); empty where nothing was measured."""
        with self._database.read() as connection:
            row = connection.execute(select(eval_results).where(eval_results.c.key == key)).one_or_none()
        return (dict(row.rows), dict(row.facts)) if row is not None else ({}, {})

    def keep(self, key: str, collection_id: int, rows: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Adds rows to a result, and replaces its facts."""
        with self._database.write() as connection:
            _keep(connection, key, collection_id, rows, facts)

    def keep_judged(self, key: str, collection_id: int, rows: Mapping[str, Any], of: Sequence[str]) -> bool:
        """Adds what a judge said of the results ``of``; False, and nothing is added, where one of these is gone: what it said of
        what was purged may repeat it."""
        with self._database.write() as connection:
            if not _all_there(connection, of):
                return False
            if rows:
                _keep(connection, key, collection_id, rows, {})
            return True

    def are_kept(self, keys: Sequence[str]) -> bool:
        """Whether these results are all there."""
        with self._database.read() as connection:
            return _all_there(connection, keys)

    def forget(self, key: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(eval_results).where(eval_results.c.key == key))

    def forget_answers(self, connection: Connection, collection_id: int) -> None:
        """For a purge: all that was measured of a collection. It can be measured again, and holds answers that quote."""
        connection.execute(delete(eval_results).where(eval_results.c.collection_id == collection_id))


def _add(connection: Connection, principal: Principal, **values: Any) -> EvalRun:
    eval_id = new_id("e")
    connection.execute(
        insert(evals).values(
            eval_id=eval_id,
            user_id=principal.user_id,
            result_keys=[],
            state="queued",
            stage="",
            done=0,
            reused=0,
            seq=1,
            error="",
            created_at=now_iso(),
            ended_at=None,
            **values,
        )
    )
    return _get(connection, principal, eval_id)


def _keep(
    connection: Connection, key: str, collection_id: int, rows: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    found = connection.execute(select(eval_results.c.rows).where(eval_results.c.key == key)).one_or_none()
    values = {"rows": {**(found.rows if found else {}), **rows}, "facts": dict(facts)}
    if found:
        connection.execute(update(eval_results).where(eval_results.c.key == key).values(**values))
    else:
        connection.execute(
            insert(eval_results).values(key=key, collection_id=collection_id, created_at=now_iso(), **values)
        )


def _all_there(connection: Connection, keys: Sequence[str]) -> bool:
    found = connection.execute(select(eval_results.c.key).where(eval_results.c.key.in_(keys))).scalars()
    return set(found) == set(keys)


def _evaluations(principal: Principal, set_id: str | None) -> Select[Any]:
    query = select(evals).where(evals.c.user_id == principal.user_id, evals.c.judging.is_(None))
    if set_id is not None:
        query = query.where(evals.c.set_id == set_id)
    return query.order_by(evals.c.created_at.desc(), evals.c.eval_id)


def _judgings(connection: Connection, principal: Principal, eval_id: str) -> list[EvalRun]:
    query = select(evals).where(evals.c.user_id == principal.user_id, evals.c.judging["of"].as_string() == eval_id)
    return [_as_run(row) for row in connection.execute(query.order_by(evals.c.created_at.desc(), evals.c.eval_id))]


def _same(judging: Judging) -> tuple[frozenset[int], str | None]:
    """Both orders are asked, so that a against b and b against a are one thing."""
    return frozenset((judging.a, judging.b)), judging.model


def _change(connection: Connection, eval_id: str, **values: Any) -> None:
    connection.execute(update(evals).where(evals.c.eval_id == eval_id).values(seq=evals.c.seq + 1, **values))


def _get(connection: Connection, principal: Principal, eval_id: str) -> EvalRun:
    query = select(evals).where(evals.c.eval_id == eval_id, evals.c.user_id == principal.user_id)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"no evaluation {eval_id!r}: list them to see their ids", code="unknown-eval")
    return _as_run(row)


def _as_run(row: Row[Any]) -> EvalRun:
    values = dict(row._mapping)
    values["configurations"] = tuple(Configuration(**c) for c in row.configurations)
    values["questions"] = tuple(row.questions)
    values["result_keys"] = tuple(row.result_keys)
    values["judging"] = Judging(**row.judging) if row.judging else None
    return EvalRun(**values)
