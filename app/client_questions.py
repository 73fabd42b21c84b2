"""Calls about searching and asking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from app import replies
from app.line import STREAM_SILENCE_S, Line, given, seg
from app.wire import EventStream


class QuestionCalls(Line):
    # ---------------------------------------------------------------- finding and asking

    def search(
        self,
        query: str,
        collections: Sequence[str],
        *,
        k: int | None = None,
        retriever: str | None = None,
        rerank: bool | None = None,
        collapse_duplicates: bool | None = None,
    ) -> list[replies.Hit]:
        """The hits of ``search_whole``, for those who choose little."""
        found = self.search_whole(
            query, collections, k=k, retriever=retriever, rerank=rerank, collapse_duplicates=collapse_duplicates
        )
        return found["hits"]

    def search_whole(
        self,
        query: str,
        collections: Sequence[str],
        *,
        k: int | None = None,
        retriever: str | None = None,
        explain: bool = False,
        sparse: str | None = None,
        dense: str | None = None,
        fusion: str | None = None,
        rerank: bool | None = None,
        collapse_duplicates: bool | None = None,
        hyde: bool | None = None,
        decompose: bool | None = None,
        max_per_document: int | None = None,
        mmr_lambda: float | None = None,
        highlight: str | None = None,
        filters: Mapping[str, Sequence[str]] | None = None,
    ) -> replies.SearchReply:
        """What is found, how the query may have been meant, and with ``explain`` why. None is what the server's settings say."""
        body = {"query": query, "collections": list(collections), "explain": explain}
        chosen = given(
            k=k,
            retriever=retriever,
            sparse=sparse,
            dense=dense,
            fusion=fusion,
            rerank=rerank,
            collapse_duplicates=collapse_duplicates,
            hyde=hyde,
            decompose=decompose,
            max_per_document=max_per_document,
            mmr_lambda=mmr_lambda,
            highlight=highlight,
            filters=None if filters is None else {field: list(values) for field, values in filters.items()},
        )
        return cast(replies.SearchReply, self._json("POST", "/v1/search", json=body | chosen, timeout=STREAM_SILENCE_S))

    def facets(self, collections: Sequence[str]) -> replies.Facets:
        """What the documents of these collections can be filtered by."""
        return cast(replies.Facets, self._json("GET", "/v1/search/facets", params={"collection": list(collections)}))

    def check(self, claim: str, collections: Sequence[str]) -> replies.Checked:
        body = {"claim": claim, "collections": list(collections)}
        return cast(replies.Checked, self._json("POST", "/v1/check", json=body, timeout=STREAM_SILENCE_S))

    def ask(
        self,
        question: str,
        collections: Sequence[str],
        *,
        strategy: str | None = None,
        limits: Mapping[str, Any] | None = None,
        query_rewrite: str | None = None,
        hyde: bool | None = None,
        decompose: bool | None = None,
        answer_policy: str | None = None,
        timeout_s: float = STREAM_SILENCE_S,
    ) -> replies.Answer:
        """None is what the server's settings say."""
        chosen = given(
            strategy=strategy,
            limits=limits,
            query_rewrite=query_rewrite,
            hyde=hyde,
            decompose=decompose,
            answer_policy=answer_policy,
        )
        body = {"question": question, "collections": list(collections)} | chosen
        return cast(replies.Answer, self._json("POST", "/v1/ask", json=body, timeout=timeout_s))

    def ask_stream(self, question: str, collections: Sequence[str], *, strategy: str | None = None) -> EventStream:
        """The same as events: run, step, token, sentence, citation, usage, and last ``done`` or ``error``."""
        body = {"question": question, "collections": list(collections), "stream": True}
        return self._stream("POST", "/v1/ask", json=body | given(strategy=strategy))

    def cancel_run(self, run_id: str) -> None:
        self._send("POST", f"/v1/runs/{seg(run_id)}/cancel")

    def runs(self) -> list[dict[str, Any]]:
        """Those in progress; "pending" is what each waits for."""
        return list(self._json("GET", "/v1/runs")["runs"])

    def approve_run(self, run_id: str, *, yes: bool, approval_id: str | None = None) -> dict[str, Any]:
        """Says yes or no to what a run would do; returns what it was."""
        body = {"yes": yes, "approval_id": approval_id}
        return dict(self._json("POST", f"/v1/runs/{seg(run_id)}/approve", json=body))

    # ---------------------------------------------------------------- traces

    def trace_page(
        self,
        *,
        strategy: str | None = None,
        chat: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        words: str = "",
        limit: int | None = None,
        cursor: str | None = None,
    ) -> replies.TracePage:
        """Your runs, the last first. ``words``: only those whose question has all of them."""
        asked = given(
            strategy=strategy,
            chat=chat,
            since=since.isoformat() if since else None,
            until=until.isoformat() if until else None,
            q=words or None,
            limit=limit,
            cursor=cursor,
        )
        return cast(replies.TracePage, self._json("GET", "/v1/traces", params=asked))

    def trace_differences(self, run_id: str, other: str) -> list[dict[str, Any]]:
        """What ``other`` did differently, each as {"at", "was", "is"}."""
        found = self._json("GET", f"/v1/traces/{seg(run_id)}/diff", params={"other": other})
        return list(found["differences"])

    def delete_trace(self, run_id: str) -> None:
        self._send("DELETE", f"/v1/traces/{seg(run_id)}")

    def trace(self, run_id: str) -> dict[str, Any]:
        """Every step of a run, with what it asked and heard."""
        return self._json("GET", f"/v1/traces/{seg(run_id)}")

    def exported_trace(self, run_id: str, form: str) -> str:
        """The same as text for other programs: "jsonl" or "otlp"."""
        return self._send("GET", f"/v1/traces/{seg(run_id)}", params={"form": form}).text

    def replay(self, run_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Runs it again from its recording, with ``changes`` (question, strategy, said)."""
        return self._json("POST", f"/v1/traces/{seg(run_id)}/replay", json=dict(changes), timeout=STREAM_SILENCE_S)

    def strategies(self) -> replies.Strategies:
        return cast(replies.Strategies, self._json("GET", "/v1/strategies"))
