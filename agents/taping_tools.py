"""Records the tools of others and what a person said of their calls, and plays both back. See ``agents.taping``."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from agents.taping import Tape
from agents.tools.outside import Outside, OutsideSession, Person
from core.errors import LimitReached, ToolFailed
from core.types import Proposal, ToolResult, ToolSpec


class TapedOutside:
    """An Outside that records ``inner``; where ``replaying``, nothing is reached and nothing has an effect."""

    def __init__(self, inner: Outside | None, tape: Tape, *, replaying: bool = False) -> None:
        self._inner = inner
        self._tape = tape
        self._replaying = replaying

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OutsideSession]:
        async with AsyncExitStack() as stack:
            inner = None
            if self._inner is not None and not self._replaying:
                inner = await stack.enter_async_context(self._inner.open())
            yield _TapedSession(inner, self._tape)


class _TapedSession:
    def __init__(self, inner: OutsideSession | None, tape: Tape) -> None:
        self._inner = inner
        self._tape = tape
        self.problems: Sequence[str] = ()

    async def specs(self) -> Sequence[ToolSpec]:
        began = self._tape.now_s()
        if self._inner is None:
            found = self._tape.take("tools", {}) or {"specs": [], "problems": []}
            self.problems = tuple(found["problems"])
            return [ToolSpec(**s) for s in found["specs"]]
        specs = await self._inner.specs()
        self.problems = self._inner.problems
        if specs or self.problems:
            said = {"specs": [dataclasses.asdict(s) for s in specs], "problems": list(self.problems)}
            self._tape.add("tools", {}, said, began)
        return specs

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        request = {"tool": name, "arguments": dict(arguments)}
        if self._inner is None:
            found = self._tape.take("tool", request)
            if found is None:
                raise ToolFailed(f"a replay calls nobody else's tools, and {name} was not called like this then")
            if found.get("end") == "closed":
                raise LimitReached(f"stopped while {name} was waited for", code="limit-seconds")
            return ToolResult(call_id="", content=found["content"], error=found["error"])
        began = self._tape.now_s()
        try:
            result = await self._inner.call(name, arguments)
        except ToolFailed as e:
            self._tape.add("tool", request, {"content": e.message, "error": True}, began)
            raise
        except asyncio.CancelledError:  # the time was up, or a person stopped the run
            self._tape.add("tool", request, {"content": "", "error": True, "end": "closed"}, began)
            raise
        self._tape.add("tool", request, {"content": result.content, "error": result.error}, began)
        return result


class TapedPerson:
    """A Person whose word is recorded; where ``replaying``, nobody is asked: what was not said then is a no."""

    def __init__(self, inner: Person, tape: Tape, *, replaying: bool = False) -> None:
        self._inner = inner
        self._tape = tape
        self._replaying = replaying

    @property
    def seconds(self) -> float:
        return self._inner.seconds

    async def decide(self, run_id: str, user_id: str, proposal: Proposal) -> tuple[bool, str]:
        request = {"tool": proposal.call.name, "arguments": dict(proposal.call.arguments)}
        if self._replaying:
            found = self._tape.take("consent", request) or {"yes": False, "why": "nobody is asked in a replay"}
            return bool(found["yes"]), str(found["why"])
        began = self._tape.now_s()
        yes, why = await self._inner.decide(run_id, user_id, proposal)
        self._tape.add("consent", request, {"yes": yes, "why": why}, began)
        return yes, why
