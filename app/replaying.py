"""Runs a recorded run again from what its models, searches and verifier said then. Part of the wiring.

Nothing of it is stored. Without changes nothing is asked anew: what the recording does not have is an error, and the result
is the recorded trace byte for byte, or it is said what is not. With changes, what they lead to beyond the recording is asked
of the present models and collections.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from agents.prompts import Prompts
from agents.taping import ReplayedLM, Tape, TapedExpandingRetriever, TapedLibrary, TapedVerifier
from agents.taping_tools import TapedOutside, TapedPerson
from agents.watch import replayed
from app.dates import document_dates
from app.library import StoreLibrary
from app.query_sides import QueryOptions
from app.retrievers import retriever_for
from app.runs import end_of
from app.services import Services
from app.shapes import trace_json
from app.strategies import Parts, assemble
from app.trace_diff import differences, in_fields_of, with_times_of
from core.errors import InvalidRequest, OpenbookError
from core.events import RunFailed
from core.settings import Settings
from core.types import Limits, Message, Principal, Recorded, Where

Json = dict[str, Any]
LEAST_SECONDS = 60.0  # that a replay may take, however short the run had to be


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is otherwise than it was. ``said`` replaces what the model said in its n-th call, from 1."""

    question: str | None = None
    strategy: str | None = None
    said: Mapping[int, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.question is not None or self.strategy is not None or bool(self.said)


async def replay(services: Services, principal: Principal, recorded: Mapping[str, Any], changes: Changes) -> Json:
    """{"run_id", "identical", "changed", "differences", "anew", "error", "trace"} of a trace's JSON.

    Raises:
        InvalidRequest: the run kept no recording, or a changed call is not there.
    """
    inputs = recorded.get("inputs") or {}
    if not inputs:
        raise InvalidRequest(
            f"run {recorded['run_id']} has no recording: it was stopped, is older than recordings are, or read a document that "
            "was purged since",
            code="no-recording",
        )
    calls = [Recorded(**c) for c in recorded["calls"]]
    tape = Tape(_changed(calls, changes.said))
    limits = Limits(**inputs["limits"])
    strategy = assemble(
        changes.strategy or recorded["strategy"],
        _parts(services, principal, tape, recorded, inputs, limits, live=bool(changes)),
    )
    stream = strategy.run(
        changes.question or recorded["question"],
        history=[Message(role=role, content=content) for role, content in inputs["history"]],
        # Looks at the clock are those of the recorded run only while it is the same run.
        limits=replayed(_with_time(limits), None if changes else inputs.get("late", {}), limits.max_seconds),
        where=Where(
            principal=principal,
            collections=tuple(inputs["collections"]),
            filters={field: tuple(values) for field, values in inputs["filters"].items()},
        ),
        run_id=recorded["run_id"],
    )
    outcome = await end_of(stream)
    found = _plain(trace_json(outcome.trace))
    found |= {"inputs": recorded["inputs"], "calls": recorded["calls"]}
    found |= {"settings_hash": recorded["settings_hash"]}  # of paths, too, which are this place's
    found = in_fields_of(with_times_of(found, recorded), recorded)
    return {
        "run_id": recorded["run_id"],
        "identical": _bytes(found) == _bytes(recorded),
        "changed": {"question": changes.question, "strategy": changes.strategy, "said": dict(changes.said)},
        "differences": differences(recorded, found),
        "anew": tape.anew,
        "error": outcome.message if isinstance(outcome, RunFailed) else "",
        "trace": found,
    }


def _with_time(limits: Limits) -> Limits:
    """The run's limits, with time enough to read the recording: what ended by the clock is recorded as having ended."""
    return replace(limits, max_seconds=max(limits.max_seconds, LEAST_SECONDS)) if limits.max_seconds else limits


def _changed(calls: list[Recorded], said: Mapping[int, str]) -> list[Recorded]:
    """The calls with the model's n-th words replaced, in the order in which they began."""
    model = [i for i, c in sorted(enumerate(calls), key=lambda at: at[1].started_s) if c.kind == "model"]
    found = list(calls)
    for n, text in said.items():
        if not 1 <= n <= len(model):
            raise InvalidRequest(f"the model was asked {len(model)} times: there is no call {n}", code="no-such-call")
        call = found[model[n - 1]]
        response = {**call.response, "pieces": [[text, None]], "tool_calls": [], "end": "done", "finish": "stop"}
        response.setdefault("usage", {})
        found[model[n - 1]] = replace(call, response=response)
    return found


def _parts(
    services: Services,
    principal: Principal,
    tape: Tape,
    recorded: Mapping[str, Any],
    inputs: Mapping[str, Any],
    limits: Limits,
    *,
    live: bool,
) -> Parts:
    queue = services.models.lm if live else None
    lm = queue.for_user(principal.user_id) if queue is not None else None
    known = inputs["lm"]
    if known is None and lm is not None:
        known = {"name": lm.name, "context_tokens": lm.context_tokens, "native_tools": False, "constrained": False}
    return Parts(
        settings=_settings(services, inputs),
        retriever=TapedExpandingRetriever(retriever_for(services) if live else None, tape, replaying=True),
        encoder=services.encoder,
        lm=ReplayedLM(tape, known, limits.max_seconds, lm) if known is not None else None,
        verifier=TapedVerifier(services.verifier, tape, replaying=True),
        offload=services.offload,
        index_version=lambda: str(recorded["index_version"]),
        query_options=QueryOptions(**inputs["options"]),
        threshold=inputs["threshold"],
        dates=document_dates(services.store, principal),
        outside=TapedOutside(None, tape, replaying=True),
        person=TapedPerson(services.approvals, tape, replaying=True),
        prompts=Prompts(inputs.get("prompts")),
        notes=tuple(inputs.get("notes", ())),
        library=TapedLibrary(StoreLibrary(services.store) if live else None, tape, replaying=True),
    )


def _settings(services: Services, inputs: Mapping[str, Any]) -> Settings:
    """Those of the run, in this place. Raises InvalidRequest where this version no longer knows one of them."""
    try:
        return Settings(**{**inputs["settings"], "data_dir": services.settings.data_dir})
    except ValueError as e:
        raise InvalidRequest(f"the run's settings are not those of this version: {e}", code="old-recording") from e


def _plain(value: Json) -> Json:
    """As it comes back from JSON: lists for tuples, strings for keys."""
    found: Json = json.loads(json.dumps(value))
    return found


def _bytes(trace: Mapping[str, Any]) -> bytes:
    return json.dumps(trace, sort_keys=True, ensure_ascii=True).encode()


async def replay_within(
    services: Services, principal: Principal, recorded: Mapping[str, Any], changes: Changes, seconds: float
) -> Json:
    """``replay``, given up after so many seconds. Raises OpenbookError, code "limit-reached", then."""
    try:
        async with asyncio.timeout(seconds):
            return await replay(services, principal, recorded, changes)
    except TimeoutError:
        raise OpenbookError(f"the replay took more than {seconds:g} seconds", code="limit-reached") from None
