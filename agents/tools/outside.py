"""Tools of others (MCP servers that the settings name), as a run uses them. Knows no protocol.

They are listed when the run begins, before any document is read. What is listed then is all that the run may ever use: later
the description of one may change, never the list. A tool that had an outside effect once keeps it for the run.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from core.lexical import coverage, rarity
from core.text import fold, words
from core.types import Proposal, ToolCall, ToolResult, ToolSpec

MOST_TOOLS = 20  # that a model is shown; of more, those whose words fit the question best


class OutsideSession(Protocol):
    """The tools of others, for one run."""

    @property
    def problems(self) -> Sequence[str]:
        """What of them cannot be had, for people."""
        ...

    async def specs(self) -> Sequence[ToolSpec]:
        """As they are now: asked anew where a server has said that they changed."""
        ...

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        """Raises ToolFailed with what would be valid, or why it failed."""
        ...


class Outside(Protocol):
    """Where sessions come from."""

    def open(self) -> AbstractAsyncContextManager[OutsideSession]: ...


class Nothing:
    """No tools of others."""

    problems: Sequence[str] = ()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OutsideSession]:
        yield self

    async def specs(self) -> Sequence[ToolSpec]:
        return ()

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        del arguments
        return ToolResult(call_id="", content=f"there is no tool {name!r}", error=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person said of a call with outside effect. ``call`` is what they were shown; ``why`` is for the model."""

    yes: bool
    call: ToolCall
    why: str = ""


class Person(Protocol):
    """Who is asked before a call with outside effect."""

    @property
    def seconds(self) -> float:
        """How long they are waited for."""
        ...

    async def decide(self, run_id: str, user_id: str, proposal: Proposal) -> tuple[bool, str]:
        """Their yes or no, and what the model is told where it is no."""
        ...


# Asks a person about a call of the tool; bounded in time by whoever made it.
Consent = Callable[[ToolSpec, ToolCall], Awaitable[Decision]]


class OutsideTools:
    """What one run uses of a session. ``listed`` must be awaited before a document is read."""

    def __init__(self, session: OutsideSession, question: str) -> None:
        self._session = session
        self._question = question
        self._specs: dict[str, ToolSpec] = {}

    async def listed(self) -> None:
        """Fixes which tools the run may use: those listed now, of more than 20 the best fitting."""
        self._specs = {s.name: s for s in chosen(await self._session.specs(), self._question)}

    async def renewed(self) -> None:
        """Takes over what has changed of them; what is gone is offered no more, what is new is not for this run."""
        if not self._specs:
            return
        now = {s.name: s for s in await self._session.specs()}
        self._specs = {
            name: replace(now[name], outside_effect=now[name].outside_effect or old.outside_effect)
            for name, old in self._specs.items()
            if name in now
        }

    def tools(self) -> list[OutsideTool]:
        return [OutsideTool(self._session, spec) for spec in self._specs.values()]


class OutsideTool:
    """A ``core.protocols.Tool``."""

    def __init__(self, session: OutsideSession, spec: ToolSpec) -> None:
        self._session = session
        self.spec = spec

    async def __call__(self, arguments: Mapping[str, Any]) -> ToolResult:
        return await self._session.call(self.spec.name, arguments)


def chosen(specs: Sequence[ToolSpec], question: str, most: int = MOST_TOOLS) -> list[ToolSpec]:
    """At most ``most`` of them, in their order: those with most of the question's words, rare ones counting more."""
    if len(specs) <= most:
        return list(specs)
    texts = [set(words(fold(f"{s.name.replace('_', ' ')} {s.description}"))) for s in specs]
    weights = rarity(words(fold(question)), texts)
    best = sorted(range(len(specs)), key=lambda i: -coverage(weights, texts[i].__contains__))[:most]
    return [specs[i] for i in sorted(best)]
