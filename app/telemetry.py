"""Spans of what the server does: a request, a search with its stages, a run with its steps and calls.

Off without ``otlp_endpoint``: then nothing is made and nothing sent. What is in a span are routes, names of stages and strategies,
numbers and ids; questions, passages and answers only with ``otlp_content``, and then in spans of runs alone.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from typing import ParamSpec

from app.request_context import SPAN, SpanContext, new_span_id, span_below
from app.shapes import trace_json
from app.span_sender import SpanSender
from app.spans import FAILED, SERVER, Json, run_spans, span
from core.settings import Settings
from core.types import Trace
from retrieval.search_record import Stage

_NANO = 1_000_000_000
logger = logging.getLogger(__name__)
P = ParamSpec("P")


def _harmless(function: Callable[P, None]) -> Callable[P, None]:
    """What is only told must not break what it tells of: a mistake here is logged, and the request goes on."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except Exception:
            logger.exception("no span was made by %s", function.__name__)

    return wrapped


class Telemetry:
    def __init__(self, settings: Settings) -> None:
        self._content = settings.otlp_content
        self._sender = SpanSender(settings.otlp_endpoint, settings.otlp_headers) if settings.otlp_endpoint else None

    @property
    def on(self) -> bool:
        return self._sender is not None

    @property
    def sent(self) -> int:
        """Spans that the collector has taken, since the start."""
        return self._sender.sent if self._sender is not None else 0

    @property
    def dropped(self) -> int:
        return self._sender.dropped if self._sender is not None else 0

    def begin(self, traceparent: str) -> SpanContext | None:
        """The span of a request that comes in; None where none is to be made."""
        return span_below(traceparent) if self.on else None

    @_harmless
    def request_ended(
        self, here: SpanContext, method: str, route: str, status: int, request_id: str, began_ns: int
    ) -> None:
        """Args: route: as it is declared, "" where none fits. status: 0 where it broke off before there was one."""
        attributes = {"http.request.method": method, "openbook.request_id": request_id}
        attributes |= {"http.route": route} if route else {}
        self._offer(
            [
                span(
                    f"{method} {route}".strip(),
                    began_ns,
                    time.time_ns(),
                    {**attributes, **({"http.response.status_code": status} if status else {})},
                    trace_id=here.trace_id,
                    span_id=here.span_id,
                    parent=here.parent,
                    kind=SERVER,
                    status={"code": FAILED} if status >= 500 or not status else None,
                )
            ]
        )

    @_harmless
    def searched(self, stages: Sequence[Stage], hits: int, *, cached: bool, began_ns: int, seconds: float) -> None:
        """A search of this request. Of stages only the lengths are known: they are laid one after the other."""
        here = SPAN.get()
        if here is None or not self.on:
            return
        own = new_span_id()
        end = time.time_ns()
        facts = {"openinference.span.kind": "RETRIEVER", "openbook.hits": hits, "openbook.cached": cached}
        made = [span("search", began_ns, end, facts, trace_id=here.trace_id, span_id=own, parent=here.span_id)]
        # What comes before the search itself is waiting for a thread.
        at = max(began_ns, end - int(seconds * _NANO))
        for stage in () if cached else stages:
            until = at + int(stage.seconds * _NANO)
            made.append(
                span(
                    f"search {stage.name}",
                    at,
                    until,
                    {"openbook.candidates": stage.candidates},
                    trace_id=here.trace_id,
                    span_id=new_span_id(),
                    parent=own,
                )
            )
            at = until
        self._offer(made)

    @_harmless
    def run_ended(self, trace: Trace, here: SpanContext, end_ns: int, took_s: float) -> None:
        """A run that a request has begun, with its steps and its calls of models and searches.

        Args:
            took_s: for a run that was cut off, whose trace does not know.
        """
        found = trace_json(trace)
        found["duration_s"] = found["duration_s"] or took_s
        self._offer(run_spans(found, end_ns, trace_id=here.trace_id, parent=here.span_id, content=self._content))

    def close(self) -> None:
        if self._sender is not None:
            self._sender.close()

    def _offer(self, spans: Sequence[Json]) -> None:
        if self._sender is not None:
            self._sender.offer(spans)
