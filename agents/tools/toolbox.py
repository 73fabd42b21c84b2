"""The tools of one run: fixed before anything is read, called by name, bounded, and every wrong call answered usefully.

A model that calls what there is not, or with arguments that do not fit, is told what there is. A tool with an effect
outside is run only after a person's yes to this very call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agents.limits import Budget
from agents.looping import Circles
from agents.tools.outside import Consent, OutsideTools
from core.errors import InvalidRequest, NotFound, ToolFailed
from core.protocols import Tool
from core.types import ToolCall, ToolResult, ToolSpec

MAX_RESULT_CHARACTERS = 6_000
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict,
    "null": type(None),
}  # fmt: skip
_LISTED_ELSEWHERE = ("patternProperties", "allOf", "anyOf", "oneOf", "$ref")


class Toolbox:
    """Calls tools within ``budget``. Which it holds cannot grow after it was made.

    Args:
        outside: tools of others; they yield to ``tools`` of the same name.
        consent: asks a person about a call with outside effect; without it there is none.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        budget: Budget,
        outside: OutsideTools | None = None,
        consent: Consent | None = None,
    ) -> None:
        self._own = {t.spec.name: t for t in tools}
        self._outside = outside
        self._consent = consent
        self._budget = budget
        self._circles = Circles()

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(t.spec for t in self._all().values())

    async def renew(self) -> None:
        """Takes over what changed of the tools of others since the last turn."""
        if self._outside is not None:
            await self._budget.bounded(self._outside.renewed())

    def _all(self) -> Mapping[str, Tool]:
        others = {} if self._outside is None else {t.spec.name: t for t in self._outside.tools()}
        return {**others, **self._own}

    @property
    def in_circles(self) -> bool:
        """Whether the last calls were all the same, and so were their results."""
        return self._circles.in_circles

    async def call(self, call: ToolCall) -> ToolResult:
        """The result, or an error that tells the model what would be right.

        Raises:
            LimitReached: tool calls or seconds are used up.
        """
        self._budget.take_tool_call()
        result = await self._answer(call)
        if len(result.content) > MAX_RESULT_CHARACTERS:
            result = _with(call, result.content[: MAX_RESULT_CHARACTERS - 1] + "…", error=result.error)
        arguments = json.dumps(dict(call.arguments), sort_keys=True, default=str)
        self._circles.note(f"{call.name} {arguments}", result.content)
        return result

    async def _answer(self, call: ToolCall) -> ToolResult:
        known = self._all()
        tool = known.get(call.name)
        if tool is None:
            return _with(call, f"there is no tool {call.name!r}: there are {', '.join(known)}", error=True)
        if wrong := wrong_arguments(tool.spec, call.arguments):
            return _with(call, wrong, error=True)
        if tool.spec.outside_effect:
            if self._consent is None:
                return _with(call, f"{call.name} has an effect outside and needs a person's yes: not done", error=True)
            decision = await self._consent(tool.spec, call)
            if not decision.yes:
                return _with(call, f"{call.name} was not done: {decision.why}", error=True)
            call = decision.call
        try:
            result = await self._budget.bounded(tool(call.arguments))
        except (ToolFailed, InvalidRequest, NotFound) as e:
            return _with(call, e.message, error=True)
        return _with(call, result.content, error=result.error)


def wrong_arguments(spec: ToolSpec, arguments: Mapping[str, Any]) -> str:
    """What is wrong with the arguments of a call, and which would be right; empty if nothing is.

    Names and plain types alone, as JSON Schema has them; whoever runs the tool of another checks the rest. Where a schema lists arguments
    and does not say whether there are others, there are none: a name that is not listed is a slip of the model's.
    """
    parameters = spec.parameters
    properties: Mapping[str, Any] = parameters.get("properties") or {}
    required: Sequence[str] = parameters.get("required") or ()
    schemas = {name: properties.get(name, _of_others(parameters)) for name in arguments}
    wrong = [f"unknown argument {name!r}" for name, schema in schemas.items() if schema is False]
    wrong += [f"{name!r} is missing" for name in required if name not in arguments]
    for name, value in arguments.items():
        kinds = _kinds(schemas[name])
        if kinds and not any(_is(value, kind) for kind in kinds):
            wrong.append(f"{name!r} is {value!r}, which is no {' or '.join(kinds)}")
    if not wrong:
        return ""
    valid = [
        f"{name} ({' or '.join(_kinds(p)) or 'any'}{'' if name in required else ', optional'})"
        for name, p in properties.items()
        if p is not False
    ]
    others = _of_others(parameters)
    if others is not False:
        valid.append(f"others ({' or '.join(_kinds(others)) or 'any'})")
    return f"{spec.name}: {'; '.join(wrong)}. Its arguments are: {', '.join(valid) or 'none'}"


def _of_others(parameters: Mapping[str, Any]) -> Any:
    """The schema of arguments that are not listed; False where there may be none."""
    if any(key in parameters for key in _LISTED_ELSEWHERE):
        return True
    return parameters.get("additionalProperties", "properties" not in parameters)


def _kinds(schema: Any) -> Sequence[str]:
    """The types that a schema names; none where it does not say, as of the schema true, which anything fits."""
    said = schema.get("type") if isinstance(schema, Mapping) else None
    kinds = [said] if isinstance(said, str) else said if isinstance(said, list | tuple) else []
    return kinds if all(isinstance(kind, str) and kind in _TYPES for kind in kinds) else []


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _with(call: ToolCall, content: str, *, error: bool) -> ToolResult:
    return ToolResult(call_id=call.call_id, content=content, error=error)
