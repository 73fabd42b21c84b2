"""From a request to a run: checks the question, picks the strategy, bounds the run."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from agents.run import check_question
from app.query_sides import AS_SET, QueryOptions, query_side
from app.request_context import SPAN
from app.runs import Hook, Run
from app.services import Services
from app.strategies import build_strategy, run_limits
from core.errors import InvalidRequest, NotFound
from core.settings import Settings
from core.types import Limits, Message, Principal, Where
from retrieval.filters import check_filters


class Bounds(Protocol):
    def within(self, bounds: Limits) -> Limits: ...


def check_collections(services: Services, principal: Principal, collections: Sequence[str]) -> None:
    """Raises NotFound for a collection that is not there, or is not this person's."""
    known = [c.name for c in services.store.list_collections(principal)]
    for name in collections:
        if name not in known:
            have = ", ".join(known) or "none yet"
            raise NotFound(f"no collection {name!r}: there are {have}", code="unknown-collection")


def check_asked(settings: Settings, question: str) -> None:
    """Raises InvalidRequest for an empty or too long question."""
    check_question(question)
    if len(question) > settings.max_question_characters:
        raise InvalidRequest(
            f"the question has {len(question):,} characters and may have {settings.max_question_characters:,}: "
            "put long text into a document and ask about it",
            code="question-too-long",
        )


def begin(
    services: Services,
    principal: Principal,
    *,
    question: str,
    collections: tuple[str, ...],
    strategy: str | None,
    limits: Bounds | None,
    history: tuple[Message, ...],
    on_end: Hook,
    on_begin: Hook | None = None,
    filters: Mapping[str, tuple[str, ...]] | None = None,
    options: QueryOptions = AS_SET,
    searched: tuple[str, ...] | None = None,
    notes: tuple[str, ...] = (),
) -> Run:
    """Starts answering ``question``.

    Args:
        searched: what is searched, where that is more than the ``collections`` that somebody named: the caller has seen to
            it that this person may.
        notes: what failed attempts of the same conversation taught (``app.notes``).

    Raises:
        InvalidRequest: an empty or too long question, an unknown strategy, a filter that cannot be.
        NotFound: a collection that is not there (or not this person's).
        NotReady, ModelUnavailable, Busy: see core.errors.
    """
    settings = services.settings
    check_asked(settings, question)
    check_filters(filters or {})
    check_collections(services, principal, collections)
    searched = collections if searched is None else searched
    before = query_side(settings, writes=True, options=options).tokens
    name = strategy or settings.strategy
    bounds = run_limits(settings, name, before)
    here, began = SPAN.get(), time.monotonic()

    async def ended(run: Run) -> None:
        at_ns, took_s = time.time_ns(), time.monotonic() - began
        try:
            await on_end(run)
        finally:
            if here is not None:
                await services.offload(services.telemetry.run_ended, run.trace(), here, at_ns, took_s)

    return services.runs.start(
        build_strategy(
            name, services, principal, options, collections=searched if searched == collections else (), notes=notes
        ),
        question,
        history=history,
        limits=limits.within(bounds) if limits is not None else bounds,
        where=Where(principal=principal, collections=searched, filters=filters or {}),
        on_end=ended,
        on_begin=on_begin,
    )
