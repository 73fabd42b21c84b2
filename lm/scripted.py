"""A language model that replays a script and records what it was asked. For tests, demonstrations and replay.

A script is a list of replies, or a function from the messages to a reply. As a file it is JSON or TOML:

    {"replies": [
        {"text": "Paris [1]."},
        {"when": "capital of Peru", "text": "Lima [1].", "times": 0, "delay_s": 0.5},
        {"text": "half an ans", "error": {"code": "model-unavailable", "message": "the server went away"}},
        {"tool_calls": [{"name": "search", "arguments": {"query": "Paris"}}]}
    ]}

For each request the first reply that is left and whose ``when`` occurs in a message is used. A reply is used
``times`` times (once, unless it says otherwise; 0 is without end).

``logprobs`` lists the log-probabilities of a reply's tokens. A token of this model is a word with the white space before it.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import tomllib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, get_args

from core import errors
from core.errors import InvalidRequest, OpenbookError
from core.events import LMDone, LMEvent, ToolCallMade
from core.types import FinishReason, Message, SamplingParams, ToolCall, ToolSpec, Usage
from lm.chat import check_request, room_for_answer
from lm.spoken import Spoken

_TOKEN = re.compile(r"\s*\S+|\s+$")
_TOKENS_PER_MESSAGE = 3  # a role and two separators, as in a usual chat template


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of the script. ``error`` is raised after ``text`` was said."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    error: OpenbookError | None = None
    delay_s: float = 0.0  # before the first word
    delta_delay_s: float = 0.0  # before each further word
    finish_reason: FinishReason | None = None  # None: what follows from the rest
    when: str = ""
    times: int = 1
    logprobs: tuple[float, ...] = ()  # of its tokens, in order; none of those past the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]
    params: SamplingParams


Script: TypeAlias = Sequence[Reply | str] | Callable[[Sequence[Message]], Reply | str]


class ScriptedLM:
    """Replays ``script``. ``asked`` holds every request; ``cancelled`` counts the streams closed before their end.

    Args:
        structured: whether it says that it heeds schemas. It says what the script says, as a server does that leaves them unheeded.
        thinks: whether it says that it thinks before it answers, as it does where a reply begins with ``<think>…</think>``.

    Raises (from ``stream``):
        InvalidRequest: no reply of the script is left for this request, code "script-exhausted".
    """

    native_tools = True

    def __init__(
        self,
        script: Script,
        *,
        name: str = "scripted",
        context_tokens: int = 8192,
        structured: bool = False,
        thinks: bool = False,
    ) -> None:
        self._name = name
        self._context_tokens = context_tokens
        self.structured = structured
        self.thinks = thinks
        self._function = script if callable(script) else None
        self._replies = [] if callable(script) else [_as_reply(r) for r in script]
        self._used = [0] * len(self._replies)
        self.asked: list[Asked] = []
        self.cancelled = 0

    @classmethod
    def from_file(cls, path: Path, *, context_tokens: int = 8192) -> ScriptedLM:
        """Reads a script; raises InvalidRequest if it cannot be understood."""
        return cls(load_script(path), name=f"scripted:{path.name}", context_tokens=context_tokens)

    @property
    def name(self) -> str:
        return self._name

    @property
    def context_tokens(self) -> int:
        return self._context_tokens

    @property
    def logprobs(self) -> bool:
        return any(reply.logprobs for reply in self._replies)

    def load(self, report: Callable[[str, float], None] | None = None) -> None:
        """There is nothing to load."""
        if report is not None:
            report("ready", 1.0)

    def close(self) -> None:
        """There is nothing to free."""

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return sum(len(_TOKEN.findall(m.content)) + _TOKENS_PER_MESSAGE for m in messages)

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncGenerator[LMEvent, None]:
        check_request(messages, params)
        prompt_tokens = self.count_tokens(messages)
        room = room_for_answer(
            self._name,
            prompt_tokens,
            self._context_tokens,
            params.max_tokens,
            params.thought_tokens if self.thinks else 0,
        )
        self.asked.append(Asked(messages=tuple(messages), tools=tuple(tools), params=params))
        reply = self._next(messages)
        began = time.monotonic()
        n = 0
        try:
            await asyncio.sleep(reply.delay_s)
            spoken = Spoken(params.stop)
            words = _TOKEN.findall(reply.text)
            full = False
            for n, word in enumerate(words, 1):
                if n > 1:
                    await asyncio.sleep(reply.delta_delay_s)
                if (said := spoken.feed(word, reply.logprobs[n - 1 : n])) is not None:
                    yield said
                full = room.take(thinking=spoken.thinking)
                if spoken.stopped or full:
                    break
            if (said := spoken.end()) is not None:
                yield said
            if reply.error is not None:
                raise reply.error
            for call in reply.tool_calls:
                yield ToolCallMade(call=call)
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled += 1
            raise
        finish: FinishReason = "stop"
        if reply.finish_reason is not None:
            finish = reply.finish_reason
        elif not spoken.stopped and full and len(words) > n:
            finish = "length"
        elif reply.tool_calls:
            finish = "tool_calls"
        usage = Usage(prompt_tokens=prompt_tokens, completion_tokens=n, duration_s=time.monotonic() - began)
        yield LMDone(finish_reason=finish, usage=usage, thought=spoken.thought)

    def _next(self, messages: Sequence[Message]) -> Reply:
        if self._function is not None:
            return _as_reply(self._function(messages))
        for i, reply in enumerate(self._replies):
            left = reply.times == 0 or self._used[i] < reply.times
            if left and any(reply.when in m.content for m in messages):
                self._used[i] += 1
                return reply
        raise InvalidRequest(
            f"the script of {self._name} has {len(self._replies)} replies and none is left for request"
            f" {len(self.asked)}, which ends in {messages[-1].content[-80:]!r}: add a reply, or set times to 0",
            code="script-exhausted",
        )


def _as_reply(reply: Reply | str) -> Reply:
    return Reply(text=reply) if isinstance(reply, str) else reply


def load_script(path: Path) -> list[Reply]:
    """Reads a script file (JSON or TOML, by its suffix); raises InvalidRequest naming what is wrong."""
    try:
        text = path.read_text("utf-8")
        data: Any = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as e:
        raise InvalidRequest(f"cannot read the script {path}: {e}", code="bad-script") from e
    replies = data.get("replies") if isinstance(data, dict) else None
    if not isinstance(replies, list) or not replies:
        raise InvalidRequest(
            f'the script {path} has no replies: it is {{"replies": [{{"text": …}}, …]}}', code="bad-script"
        )
    return [_parse_reply(r, f"{path}, reply {i}") for i, r in enumerate(replies, 1)]


_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "text": str,
    "tool_calls": list,
    "error": dict,
    "delay_s": (int, float),
    "delta_delay_s": (int, float),
    "finish_reason": str,
    "when": str,
    "times": int,
    "logprobs": list,
}


def _parse_reply(raw: object, where: str) -> Reply:
    if isinstance(raw, str):
        return Reply(text=raw)
    if not isinstance(raw, dict):
        raise InvalidRequest(f"{where}: {raw!r} is neither a text nor an object", code="bad-script")
    for key, value in raw.items():
        if key not in _FIELDS:
            raise InvalidRequest(f"{where}: unknown key {key!r}; known are {', '.join(_FIELDS)}", code="bad-script")
        if not isinstance(value, _FIELDS[key]):
            raise InvalidRequest(f"{where}: {key} is {value!r}, which is of the wrong type", code="bad-script")
    if raw.get("finish_reason", "stop") not in get_args(FinishReason):
        valid = ", ".join(get_args(FinishReason))
        raise InvalidRequest(f"{where}: finish_reason is one of {valid}", code="bad-script")
    values = dict(raw)
    values["tool_calls"] = tuple(_parse_call(c, i, where) for i, c in enumerate(raw.get("tool_calls", [])))
    if not all(isinstance(p, int | float) and p <= 0 for p in raw.get("logprobs", [])):
        raise InvalidRequest(f"{where}: logprobs are logarithms of probabilities, 0 or less", code="bad-script")
    values["logprobs"] = tuple(map(float, raw.get("logprobs", [])))
    if "error" in raw:
        values["error"] = _parse_error(raw["error"], where)
    return Reply(**values)


def _parse_call(raw: object, i: int, where: str) -> ToolCall:
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
        raise InvalidRequest(f"{where}: a tool call is {{name, arguments}}, not {raw!r}", code="bad-script")
    return ToolCall(call_id=raw.get("call_id", f"call-{i}"), name=raw["name"], arguments=raw.get("arguments", {}))


def _parse_error(raw: Mapping[str, Any], where: str) -> OpenbookError:
    kinds = {
        kind.code: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, OpenbookError)
    }
    kind = kinds.get(raw.get("code", "model-unavailable"))
    if kind is None:
        raise InvalidRequest(
            f"{where}: unknown error code {raw['code']!r}; known are {', '.join(kinds)}", code="bad-script"
        )
    return kind(str(raw.get("message", "the script says so")))
