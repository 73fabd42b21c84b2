"""Calls about evaluations and their questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import httpx

from app import replies
from app.line import CONNECT_TIMEOUT_S, Line, given, seg
from app.table_text import text_of_table
from app.wire import EventStream


class EvalCalls(Line):
    # ---------------------------------------------------------------- questions

    def make_questions(
        self,
        collection: str,
        n: int,
        *,
        name: str = "",
        seed: int = 0,
        unanswerable: float | None = None,
        multi_hop: float | None = None,
        written: int = 0,
    ) -> dict[str, Any]:
        """A set of questions of a collection, made by rule, or some ``written`` by the language model; with its questions."""
        body = {"collection": collection, "n": n, "name": name, "seed": seed}
        body |= given(unanswerable=unanswerable, multi_hop=multi_hop, written=written or None)
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        return self._json("POST", "/v1/evals/sets", json=body, timeout=timeout)

    def import_questions(
        self,
        collection: str,
        table: str | bytes,
        form: str,
        mapping: Mapping[str, str | None] | None,
        *,
        name: str = "",
    ) -> dict[str, Any]:
        """A set of a table's questions; without a mapping, the table's columns and what they seem to be.

        Raises:
            InvalidRequest: the bytes of a file that are no text.
        """
        text = table if isinstance(table, str) else text_of_table(table)
        body = {"collection": collection, "text": text, "form": form, "mapping": mapping, "name": name}
        timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
        return self._json("POST", "/v1/evals/sets/import", json=body, timeout=timeout)

    def question_sets(self, collection: str | None = None) -> list[dict[str, Any]]:
        """All of one's own, the newest first."""
        return self._every_page("/v1/evals/sets", "sets", collection=collection)

    def question_set(self, set_id: str) -> dict[str, Any]:
        return self._json("GET", f"/v1/evals/sets/{seg(set_id)}")

    def decide_questions(
        self, set_id: str, approved: bool | None, question_ids: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Approves or rejects questions; without ids, all of which nobody has decided."""
        body = {"approved": approved, "question_ids": None if question_ids is None else list(question_ids)}
        return self._json("POST", f"/v1/evals/sets/{seg(set_id)}/decide", json=body)

    def delete_question_set(self, set_id: str) -> None:
        self._send("DELETE", f"/v1/evals/sets/{seg(set_id)}")

    # ---------------------------------------------------------------- evaluations

    def start_eval(
        self, set_id: str, configurations: Sequence[Mapping[str, Any]], *, which: str = "approved", split: str = "all"
    ) -> dict[str, Any]:
        body = {"set_id": set_id, "configurations": [dict(c) for c in configurations], "which": which, "split": split}
        return self._json("POST", "/v1/evals", json=body)

    def start_grid(
        self, set_id: str, grid: Mapping[str, Any], *, which: str = "approved", split: str = "all"
    ) -> dict[str, Any]:
        """Every combination of ``retrievers``, ``fusions``, ``rerank`` and ``chunkers``, or of ``strategies``, ``models`` and
        ``prompts``."""
        body = {"set_id": set_id, "grid": dict(grid), "which": which, "split": split}
        return self._json("POST", "/v1/evals", json=body)

    def eval_choices(self) -> dict[str, list[str]]:
        """The ``models`` and the sets of ``prompts`` that ways to answer may name."""
        return cast("dict[str, list[str]]", self._json("GET", "/v1/evals/choices"))

    def leaderboard(self, eval_id: str, metric: str | None = None) -> dict[str, Any]:
        """The configurations of an evaluation, best first."""
        return self._json("GET", f"/v1/evals/{seg(eval_id)}/leaderboard", params=given(metric=metric))

    def set_leaderboard(self, set_id: str, *, kind: str = "retrieval", metric: str | None = None) -> dict[str, Any]:
        """All that was measured on a set and still holds, best first."""
        params = given(kind=kind, metric=metric)
        return self._json("GET", f"/v1/evals/sets/{seg(set_id)}/leaderboard", params=params)

    def feedback_set(self, collection: str, *, name: str = "") -> dict[str, Any]:
        """A set of the questions whose answers got a thumb, for a person to look at."""
        return self._json("POST", "/v1/evals/sets/from-feedback", json={"collection": collection, "name": name})

    def contamination(self, set_id: str) -> dict[str, Any]:
        """Which questions of a set stand in its collection."""
        return self._json("GET", f"/v1/evals/sets/{seg(set_id)}/contamination")

    def ballot(self, eval_id: str) -> dict[str, Any]:
        """Two answers without names; ``ballot`` is None when there is nothing left to vote on."""
        return self._json("GET", f"/v1/evals/{seg(eval_id)}/ballot")

    def vote(self, eval_id: str, ballot: str, choice: str) -> dict[str, Any]:
        """``choice`` is left, right or tie."""
        return self._json("POST", f"/v1/evals/{seg(eval_id)}/votes", json={"ballot": ballot, "choice": choice})

    def votes(self, eval_id: str) -> dict[str, Any]:
        """Strengths from the votes, with intervals."""
        return self._json("GET", f"/v1/evals/{seg(eval_id)}/votes")

    def judge_eval(
        self, eval_id: str, a: int, b: int, *, model: str | None = None, n: int | None = None
    ) -> dict[str, Any]:
        """Has a language model judge which of two configurations answers better; the judging has an ``eval_id`` of its own, by which it
        is followed and cancelled."""
        body = {"a": a, "b": b} | given(model=model, n=n)
        return self._json("POST", f"/v1/evals/{seg(eval_id)}/judge", json=body)

    def judging(self, eval_id: str, a: int, b: int, *, model: str | None = None) -> replies.Judgement:
        """What is judged so far, by ``model`` or by whichever was asked last, and kappa against this person's votes."""
        params = {"a": a, "b": b} | given(model=model)
        return cast(replies.Judgement, self._json("GET", f"/v1/evals/{seg(eval_id)}/judge", params=params))

    def evals(self, set_id: str | None = None) -> list[dict[str, Any]]:
        """All of one's own, the newest first."""
        return self._every_page("/v1/evals", "evals", set=set_id)

    def eval(self, eval_id: str) -> dict[str, Any]:
        return self._json("GET", f"/v1/evals/{seg(eval_id)}")

    def eval_events(self, eval_id: str, after: int = 0) -> EventStream:
        """Events `eval` until it has ended, from after the event ``after`` on."""
        return self._stream("GET", f"/v1/evals/{seg(eval_id)}/events", headers={"Last-Event-ID": str(after)})

    def eval_result(self, eval_id: str, metric: str | None = None) -> dict[str, Any]:
        """``metric``: what its slices are of; else the first that tells questions apart."""
        return self._json("GET", f"/v1/evals/{seg(eval_id)}/result", params=given(metric=metric))

    def compare_eval(self, eval_id: str, a: int, b: int) -> dict[str, Any]:
        """Configuration ``b`` against ``a``, counted from 0."""
        return self._json("GET", f"/v1/evals/{seg(eval_id)}/compare", params={"a": a, "b": b})

    def eval_report(self, eval_id: str, form: Literal["html", "markdown"] = "html") -> str:
        """One self-contained HTML page, or its tables."""
        return self._send("GET", f"/v1/evals/{seg(eval_id)}/report", params={"form": form}).text

    def cancel_eval(self, eval_id: str) -> dict[str, Any]:
        return self._json("POST", f"/v1/evals/{seg(eval_id)}/cancel")

    def resume_eval(self, eval_id: str) -> dict[str, Any]:
        return self._json("POST", f"/v1/evals/{seg(eval_id)}/resume")

    def delete_eval(self, eval_id: str) -> None:
        self._send("DELETE", f"/v1/evals/{seg(eval_id)}")

    def _every_page(self, path: str, name: str, *, limit: int = 200, **which: str | None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        following: str | None = None
        while True:
            page = self._json("GET", path, params=given(limit=limit, cursor=following, **which))
            found += page[name]
            following = page["next_cursor"]
            if following is None:
                return found
