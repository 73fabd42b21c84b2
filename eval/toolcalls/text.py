"""For models without native tool calls: how calls are asked for in words, and read from what was written."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from typing import Any

from core.types import Message
from eval.toolcalls.cases import ToolCase, json_schema
from eval.toolcalls.matching import Call

MAX_CHARACTERS = 20_000  # of an answer that is parsed

_INSTRUCTIONS = """You call functions. Answer with nothing but a list of calls in Python's syntax, with keyword arguments:
[name(parameter=value, other=value)]
Make every call that the question needs. If no function fits, answer with the empty list: []

Functions, as JSON:
{functions}"""


def prompted(case: ToolCase) -> tuple[Message, ...]:
    """The messages that ask for the calls in words."""
    shown = "\n".join(
        json.dumps({"name": f.name, "description": f.description, "parameters": json_schema(f.parameters)})
        for f in case.functions
    )
    return (Message(role="system", content=_INSTRUCTIONS.format(functions=shown)), *case.messages)


def parse_calls(text: str) -> list[Call] | None:
    """The calls in a text that is ``[f(a=1), g.h(b="x")]``, one call without brackets, or either in a code fence.

    Only literals are read and nothing is evaluated. None where the text is anything else.
    """
    stripped = _unfenced(text.strip())
    if len(stripped) > MAX_CHARACTERS:
        return None
    try:
        tree = ast.parse(stripped, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    nodes: Sequence[ast.expr] = tree.elts if isinstance(tree, ast.List | ast.Tuple) else [tree]
    calls = [_call(node) for node in nodes]
    return None if None in calls else [call for call in calls if call is not None]


def _unfenced(text: str) -> str:
    if not text.startswith("```"):
        return text
    lines = text.splitlines()
    return "\n".join(lines[1:-1] if lines[-1].strip() == "```" else lines[1:]).strip()


def _call(node: ast.expr) -> Call | None:
    if not isinstance(node, ast.Call) or node.args:
        return None
    arguments: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            return None
        try:
            arguments[keyword.arg] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            # A variable's name stands for itself: the data set accepts some.
            if not isinstance(keyword.value, ast.Name | ast.Attribute):
                return None
            arguments[keyword.arg] = ast.unparse(keyword.value)
    return Call(name=ast.unparse(node.func), arguments=arguments)
