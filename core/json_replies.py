"""Replies in JSON: the shape that is wanted, what is wrong with a reply, and asking again, so often and no more.

    prompt ─▶ model ─▶ reply ─▶ of the shape? ─▶ of use to whoever asks? ─▶ value
                ▲                    │ no                │ no
                └──── what is wrong ─┴───────────────────┘         at most ``TRIES`` times in all

A model is held to the shape where its runtime says that it can be (``core.protocols.structures``), and every reply is checked wherever
it comes from: there are servers that leave a schema unheeded, that refuse it, and that cut a reply off. Knows no model: it is
handed a function that asks one.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeAlias, TypeVar

from core.protocols import LanguageModel, structures
from core.types import Message, SamplingParams
from core.wording import shortened

T = TypeVar("T")
Json: TypeAlias = dict[str, Any]
AskText: TypeAlias = Callable[[Sequence[Message], SamplingParams], Awaitable[str]]

TRIES = 3
_READ = 50_000  # characters of a reply that are looked at
_SHOWN = 160  # characters of what is wrong with it
_BEGINS = re.compile(r'\{(?=[ \t\n\r]*["}])')  # where an object may begin


class Shape:
    """An object of a JSON Schema.

    Args:
        schema: of the subset that ``SamplingParams.schema`` names. A ``pattern`` in it, and that there are no other properties, says
            how a model is to write; a reply is not held to these, because whoever reads it can say better what is wrong with a text, and
            leave unread what they did not ask for.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self.text = json.dumps(schema)

    def held(self, lm: LanguageModel, params: SamplingParams) -> SamplingParams:
        """``params``, with the schema where ``lm`` can be held to one."""
        return replace(params, schema=self.text) if structures(lm) else params

    def read(self, reply: str) -> Json | str:
        """The object in a reply, whatever stands around it; or what is wrong, in words for whoever wrote it."""
        found = _objects(reply[:_READ])
        if not found:
            begun = "{" in reply
            return "its JSON object has no end, or cannot be read" if begun else "it has no JSON object"
        right = [value for value in found if not self._wrong(value)]
        if not right:
            return self._wrong(found[-1])
        return right[0] if all(other == right[0] for other in right) else "it has several JSON objects that differ"

    @functools.cached_property
    def _validator(self) -> Any:
        from jsonschema import Draft202012Validator  # 0.1 s, which only who reads replies shall pay

        return Draft202012Validator(_loosened(self.schema))

    def _wrong(self, value: Json) -> str:
        from jsonschema.exceptions import best_match

        error = best_match(self._validator.iter_errors(value))
        if error is None:
            return ""
        place = ".".join(map(str, error.absolute_path))
        return shortened(f"its {place}: {error.message}" if place else f"of its JSON, {error.message}", _SHOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard(Generic[T]):
    """What came of asking. Without a ``value``, ``trouble`` says what was wrong with the last reply, or is empty where none was asked for."""

    value: T | None
    reply: str = ""  # the last
    trouble: str = ""
    asked: int = 0


async def ask_json(
    shape: Shape,
    lm: LanguageModel,
    prompt: Callable[[str], Sequence[Message] | None],
    read: Callable[[Json], T | str],
    ask: AskText,
    params: SamplingParams,
    *,
    tries: int = TRIES,
    held: bool = True,
) -> Heard[T]:
    """Asks ``lm`` until a reply has the shape and can be used.

    Args:
        prompt: what to ask, given what was wrong with the last reply ("" the first time); None where nothing can be asked.
        read: what an object of the shape means, or why it is of no use.
        ask: one request; what it raises ends the asking.
        held: whether the model is held to the shape where it can be.
    """
    heard: Heard[T] = Heard(value=None)
    for asked in range(1, tries + 1):
        messages = prompt(heard.trouble)
        if messages is None:
            break
        # Anew each time: it may have turned out that it cannot be held.
        reply = await ask(messages, shape.held(lm, params) if held else params)
        found = shape.read(reply)
        value = found if isinstance(found, str) else read(found)
        if not isinstance(value, str):
            return Heard(value=value, reply=reply, asked=asked)
        heard = Heard(value=None, reply=reply, trouble=value, asked=asked)
    return heard


def fits_schema(schema: str, text: str) -> bool:
    """Whether ``text`` is an object of ``schema``, itself JSON, and nothing else; patterns do not count."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and Shape(json.loads(schema)).read(text) == value


def again(prompt: str, trouble: str) -> str:
    """``prompt``, and what was wrong with the last reply to it."""
    if not trouble:
        return prompt
    return f"{prompt}\n\nYour last reply was of no use: {trouble}. Reply with the JSON object alone."


def _objects(text: str) -> list[Json]:
    """The JSON objects in a text, from left to right, none within another."""
    decoder = json.JSONDecoder(parse_constant=_no_number)
    found: list[Json] = []
    begun = _BEGINS.search(text)
    while begun is not None:
        try:
            value, end = decoder.raw_decode(text, begun.start())
        except RecursionError:
            break  # what is nested so deep is no reply, and to begin anew at each of its braces would take seconds
        except ValueError:
            end = begun.start() + 1
        else:
            found.append(value)
        begun = _BEGINS.search(text, end)
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _loosened(schema: Mapping[str, Any]) -> Json:
    """``schema`` as replies are checked by it."""
    found = {key: value for key, value in schema.items() if key not in ("pattern", "additionalProperties")}
    if "properties" in found:
        found["properties"] = {name: _loosened(one) for name, one in found["properties"].items()}
    if "items" in found:
        found["items"] = _loosened(found["items"])
    if "anyOf" in found:
        found["anyOf"] = [_loosened(one) for one in found["anyOf"]]
    return found
