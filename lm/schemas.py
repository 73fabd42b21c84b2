"""JSON Schemas as regular expressions of the subset that ``lm.forms`` reads, so that whatever writes by a form writes by a schema, too.

What is read: objects whose properties are all required and that have no others, arrays, texts, enums and constants, numbers,
booleans, null, and ``anyOf`` of these. JSON can be spaced in many ways; this knows one, that of ``json.dumps``: a model that may
always add a blank need never come to an end. Bounds of numbers are left to whoever checks.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.errors import InvalidRequest
from core.types import SamplingParams

_SAID_ASIDE = frozenset({"title", "description", "default", "examples", "$schema"})
_KNOWN: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"pattern"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "boolean": frozenset(),
    "null": frozenset(),
}
_ESCAPED = re.compile(r"[\\.^$*+?()\[\]{}|]")
# At most 15 digits: what a double holds exactly.
_WHOLE = r"-?(0|[1-9][0-9]?[0-9]?[0-9]?[0-9]?[0-9]?[0-9]?[0-9]?[0-9]?[0-9]?[0-9]?[0-9]?[0-9]?[0-9]?[0-9]?)"
_PLAIN: Mapping[str, str] = {
    "integer": _WHOLE,
    "number": _WHOLE + r"(\.[0-9][0-9]?[0-9]?[0-9]?[0-9]?[0-9]?)?",
    "boolean": "(true|false)",
    "null": "null",
    "string": r'"([^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F])*"',
}


@functools.lru_cache(maxsize=32)
def regex_of(schema: str) -> str:
    """What the JSON of ``schema``, itself JSON, looks like.

    Raises:
        InvalidRequest: it is no JSON object, or has something that is not read; the message names it.
    """
    try:
        found = json.loads(schema)
    except ValueError as e:
        raise InvalidRequest(f"schema {schema[:80]!r} is no JSON: {e}", code="bad-sampling") from e
    return _any(found, "schema")


def as_regex(params: SamplingParams) -> SamplingParams:
    """``params`` with the expression of their schema, if they have one, in its place."""
    return replace(params, regex=regex_of(params.schema), schema="") if params.schema else params


def _any(schema: Any, where: str) -> str:
    if not isinstance(schema, dict):
        raise _unread(where, f"is {schema!r}, and no object")
    said = {key: value for key, value in schema.items() if key not in _SAID_ASIDE}
    if "enum" in said or "const" in said:
        _only(said, {"enum", "const", "type"}, where)
        return _one_of([_literal(value) for value in said.get("enum", [said.get("const")])])
    if "anyOf" in said:
        _only(said, {"anyOf"}, where)
        return _one_of([_any(one, f"{where}.anyOf") for one in said["anyOf"]])
    kind = said.pop("type", None)
    if kind not in _KNOWN:
        raise _unread(where, f"has the type {kind!r}: choose {', '.join(_KNOWN)}, enum, const or anyOf")
    _only(said, _KNOWN[kind], where)
    match kind:
        case "object":
            return _object(said, where)
        case "array":
            return _array(said, where)
        case "string" if "pattern" in said:
            return f'"({_pattern(said["pattern"], where)})"'
    return _PLAIN[kind]


def _object(said: Mapping[str, Any], where: str) -> str:
    properties: Mapping[str, Any] = said.get("properties", {})
    if set(said.get("required", ())) != set(properties) or said.get("additionalProperties") is not False:
        raise _unread(where, "must require all of its properties and allow no others (additionalProperties false)")
    inner = [f"{_literal(name)}: {_any(one, f'{where}.{name}')}" for name, one in properties.items()]
    return r"\{" + ", ".join(inner) + r"\}"


def _array(said: Mapping[str, Any], where: str) -> str:
    one = _any(said.get("items"), f"{where}.items")
    least, most = said.get("minItems", 0), said.get("maxItems")
    if most == 0:
        return r"\[\]"
    rest = f"(, {one}){{{max(0, least - 1)},{'' if most is None else most - 1}}}"
    return rf"\[{one}{rest}\]" if least else rf"\[({one}{rest})?\]"


def _pattern(pattern: str, where: str) -> str:
    """Of the text as it stands in JSON: its classes leave out quotes, backslashes and line ends."""
    if not (pattern.startswith("^") and pattern.endswith("$")):
        raise _unread(where, f"has the pattern {pattern!r}: it must begin with ^ and end with $")
    return pattern[1:-1]


def _literal(value: Any) -> str:
    return _ESCAPED.sub(lambda m: "\\" + m[0], json.dumps(value, ensure_ascii=False))


def _one_of(choices: list[str]) -> str:
    return f"({'|'.join(choices)})"


def _only(said: Mapping[str, Any], known: frozenset[str] | set[str], where: str) -> None:
    if others := sorted(set(said) - known):
        raise _unread(where, f"has {', '.join(others)}, which is not read here")


def _unread(where: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{where} {what}", code="bad-sampling")
