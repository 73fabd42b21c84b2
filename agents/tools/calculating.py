"""The calculator as a tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.tools.calculator import calculate
from core.types import ToolResult, ToolSpec


class CalculatorTool:
    """A ``core.protocols.Tool``."""

    spec = ToolSpec(
        name="calculator",
        description=(
            "Works out an expression exactly: numbers, percentages, units, dates. Examples: (12500 - 9800) / 9800 in %; "
            "3 km + 200 m in miles; 2022-03-01 - 2021-12-25; max(3, 7) ^ 2"
        ),
        parameters={
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
            "additionalProperties": False,
        },
    )

    async def __call__(self, arguments: Mapping[str, Any]) -> ToolResult:
        return ToolResult(call_id="", content=calculate(arguments["expression"]))
