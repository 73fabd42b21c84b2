"""Compares calls with what is accepted: parsed trees, never strings (the AST evaluation of Gorilla, Patil et al. 2023).

What is accepted of a call is, for each parameter, a list of values; "" in it means that the parameter may be left out. Two
strings are the same if they differ in case, spaces, quotes or ``, . / - _ * ^`` alone, as in the leaderboard. Where the
leaderboard takes the first call that fits, here any assignment of calls to what is accepted may succeed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

OPTIONAL = ""
Schema: TypeAlias = Mapping[str, Any]

_LOOSE = re.compile(r"[ ,./\-_*^]")
# The declared types, by what Python's parser or JSON gives. A whole number is accepted as a float, a bool never as a number.
_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "float": (float, int),
    "number": (float, int),
    "boolean": (bool,),
    "array": (list, tuple),
    "tuple": (list, tuple),
    "dict": (dict,),
    "object": (dict,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that was made."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedCall:
    """``arguments``: for each parameter the values that are accepted."""

    name: str
    arguments: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A tool of a case; ``parameters`` as the data set writes its schema."""

    name: str
    description: str
    parameters: Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """``reason`` says what was wrong; empty where nothing was."""

    right: bool
    reason: str = ""


def judge_calls(made: Sequence[Call], accepted: Sequence[AcceptedCall], functions: Sequence[Function]) -> Judgement:
    """Whether ``made`` are exactly the calls that are accepted, in any order.

    Args:
        accepted: empty where no function fits the question, so that none must be called.
    """
    if len(made) != len(accepted):
        return Judgement(right=False, reason=f"{len(made)} calls were made, {len(accepted)} are right")
    declared = {tool_name(f.name): f for f in functions}
    faults = [[_fault(call, wanted, declared) for wanted in accepted] for call in made]
    lonely = _unmatched([[not fault for fault in row] for row in faults])
    if lonely is None:
        return Judgement(right=True)
    # Of the call that found no place, the fault against what it is most like.
    closest = min(faults[lonely], key=len) if len(accepted) > 1 else faults[lonely][0]
    return Judgement(right=False, reason=closest or f"{made[lonely].name} was called once too often")


def tool_name(name: str) -> str:
    """As servers take it: "math.factorial" must be "math_factorial" there."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)


def _fault(call: Call, wanted: AcceptedCall, declared: Mapping[str, Function]) -> str:
    """What is wrong with ``call``, if it was to be ``wanted``; empty where nothing is."""
    if tool_name(call.name) != tool_name(wanted.name):
        return f"{call.name} was called, {wanted.name} is right"
    function = declared.get(tool_name(call.name))
    schema = function.parameters if function is not None else {}
    properties: Schema = schema.get("properties", {})
    for parameter in (*schema.get("required", ()), *wanted.arguments):
        may_lack = OPTIONAL in wanted.arguments.get(parameter, (OPTIONAL,)) and parameter not in schema.get(
            "required", ()
        )
        if parameter not in call.arguments and not may_lack:
            return f"{call.name} lacks {parameter}"
    for parameter, value in call.arguments.items():
        if parameter not in wanted.arguments:
            return f"{call.name} has no {parameter}"
        options = wanted.arguments[parameter]
        if not _typed(value, properties.get(parameter, {}), options):
            declared_type = properties.get(parameter, {}).get("type")
            return f"{parameter} of {call.name} is {value!r}, which is no {declared_type}"
        if not any(_same(value, option) for option in options):
            return f"{parameter} of {call.name} is {value!r}; right is {' or '.join(map(repr, options))}"
    return ""


def _typed(value: Any, schema: Schema, options: Sequence[Any]) -> bool:
    """Whether ``value`` is of the declared type, or of the type of an accepted value (a variable's name, None)."""
    kinds = _KINDS.get(str(schema.get("type", "any")))
    if kinds is None or any(type(value) is type(option) for option in options if option != OPTIONAL):
        return True
    if isinstance(value, bool):
        return bool in kinds
    if not isinstance(value, kinds):
        return False
    items: Schema = schema.get("items", {})
    if isinstance(value, list | tuple) and items:
        return all(
            _typed(item, items, [i for o in options if isinstance(o, list | tuple) for i in o]) for item in value
        )
    return True


def _same(value: Any, option: Any) -> bool:
    """Whether ``value`` is the accepted ``option``. In a dict that is accepted, each key has a list of values again."""
    match value, option:
        case (bool(), _) | (_, bool()):
            return type(value) is type(option) and value == option
        case str(), str():
            return _plain(value) == _plain(option)
        case (list() | tuple(), list() | tuple()):
            return len(value) == len(option) and all(_same(v, o) for v, o in zip(value, option, strict=True))
        case dict(), dict():
            return _same_dict(value, option)
    return bool(value == option)


def _same_dict(value: Mapping[str, Any], option: Mapping[str, Any]) -> bool:
    if not set(value) <= set(option):
        return False
    for key, accepted in option.items():
        choices = accepted if isinstance(accepted, list) else [accepted]
        if key not in value:
            if OPTIONAL not in choices:
                return False
        # A list may be the value itself as well as the list of what is accepted.
        elif not any(_same(value[key], choice) for choice in (*choices, accepted)):
            return False
    return True


def _plain(text: str) -> str:
    return _LOOSE.sub("", text).lower().replace("'", '"')


def _unmatched(fits: Sequence[Sequence[bool]]) -> int | None:
    """A row that has no column of its own in the best assignment (Kuhn's augmenting paths); None if all have one."""
    taken: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in seen:
                seen.add(column)
                if column not in taken or place(taken[column], seen):
                    taken[column] = row
                    return True
        return False

    for row in range(len(fits)):
        if not place(row, set()):
            return row
    return None
