"""Reads questions, their functions and the accepted calls from a folder of the leaderboard's files.

``NAME.json`` has JSON lines {id, question: [[{role, content}]], function: [{name, description, parameters}]}, and
``possible_answer/NAME.json`` {id, ground_truth: [{function: {parameter: [accepted values]}}]}. Without the latter the
questions are those that no function fits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

from core.types import Message, ToolSpec
from eval.jsonl import Line, bad_data, read_jsonl
from eval.toolcalls.matching import AcceptedCall, Function, tool_name

ANSWERS = "possible_answer"
# JSON Schema's names for the data set's types.
_SCHEMA_TYPES = {"dict": "object", "float": "number", "tuple": "array"}
Role: TypeAlias = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCase:
    """One question. ``category`` is the file's name without its ending."""

    id: str
    category: str
    messages: tuple[Message, ...]
    functions: tuple[Function, ...]
    accepted: tuple[AcceptedCall, ...]

    def specs(self) -> list[ToolSpec]:
        """The functions as native tools."""
        return [
            ToolSpec(name=tool_name(f.name), description=f.description, parameters=json_schema(f.parameters))
            for f in self.functions
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDataset:
    name: str
    sha256: str
    cases: tuple[ToolCase, ...]


def load_tool_cases(folder: Path) -> ToolDataset:
    """Every ``*.json`` of the folder, in order of names.

    Raises:
        InvalidRequest: no such folder, no such file in it, or a line that is none; file and line are named.
    """
    if not folder.is_dir():
        raise bad_data(folder, None, "is no folder: give one with JSON lines of questions and their functions")
    files = sorted(folder.glob("*.json"))
    if not files:
        raise bad_data(folder, None, "holds no *.json: give a folder of the leaderboard's files")
    digest = hashlib.sha256()
    cases: list[ToolCase] = []
    for file in files:
        answers = folder / ANSWERS / file.name
        accepted = _accepted(answers) if answers.is_file() else None
        for path in (file, answers):
            if path.is_file():
                digest.update(path.read_bytes())
        cases.extend(_case(line, file.stem, accepted) for line in read_jsonl(file))
    return ToolDataset(name=folder.name, sha256=digest.hexdigest(), cases=tuple(cases))


def json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The data set's types by their names in JSON Schema; "any" by leaving the type out."""
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, str):
            if value != "any":
                found[key] = _SCHEMA_TYPES.get(value, value)
        elif key == "properties" and isinstance(value, Mapping):
            found[key] = {name: json_schema(one) for name, one in value.items()}
        elif isinstance(value, Mapping):
            found[key] = json_schema(value)
        else:
            found[key] = value
    return found


def _case(line: Line, category: str, accepted: Mapping[str, tuple[AcceptedCall, ...]] | None) -> ToolCase:
    case_id = line.identifier("id")
    if accepted is not None and case_id not in accepted:
        raise line.error(f"{ANSWERS}/{line.path.name} has no {case_id!r}")
    return ToolCase(
        id=case_id,
        category=category,
        messages=_messages(line),
        functions=_functions(line),
        accepted=accepted[case_id] if accepted is not None else (),
    )


def _messages(line: Line) -> tuple[Message, ...]:
    turns = line.values.get("question")
    if not isinstance(turns, list) or len(turns) != 1 or not isinstance(turns[0], list) or not turns[0]:
        raise line.error('"question" must be a list of one turn, which is a list of messages')
    messages = []
    for said in turns[0]:
        if not isinstance(said, dict) or said.get("role") not in ("system", "user", "assistant"):
            raise line.error(f'"question" holds {said!r}: a message is {{role: system, user or assistant, content}}')
        messages.append(Message(role=cast(Role, said["role"]), content=str(said.get("content", ""))))
    return tuple(messages)


def _functions(line: Line) -> tuple[Function, ...]:
    listed = line.values.get("function")
    if not isinstance(listed, list) or not listed:
        raise line.error('"function" must be a list of at least one function')
    found = []
    for one in listed:
        if (
            not isinstance(one, dict)
            or not isinstance(one.get("name"), str)
            or not isinstance(one.get("parameters"), dict)
        ):
            raise line.error('"function" must hold objects with a name and parameters')
        found.append(
            Function(name=one["name"], description=str(one.get("description", "")), parameters=one["parameters"])
        )
    return tuple(found)


def _accepted(path: Path) -> dict[str, tuple[AcceptedCall, ...]]:
    found = {}
    for line in read_jsonl(path):
        truth = line.values.get("ground_truth")
        if not isinstance(truth, list) or not all(isinstance(call, dict) and len(call) == 1 for call in truth):
            raise line.error('"ground_truth" must be a list of {function: {parameter: [accepted values]}}')
        calls = []
        for call in truth:
            ((name, arguments),) = call.items()
            if not isinstance(arguments, dict) or not all(isinstance(v, list) for v in arguments.values()):
                raise line.error(f"what is accepted of {name} must be a list for each parameter")
            calls.append(AcceptedCall(name=name, arguments=arguments))
        found[line.identifier("id")] = tuple(calls)
    return found
