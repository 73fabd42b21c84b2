"""The OpenAI chat completions format: requests out, streamed chunks in. Knows no network."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import ModelUnavailable, RetryModel
from core.types import FinishReason, Message, SamplingParams, ToolCall, ToolSpec, Usage
from lm.abilities import Wish
from lm.chat import defuse

# A token is rarely less than three bytes of text in the vocabularies in use, so this seldom counts too few.
_BYTES_PER_TOKEN = 3
_TOKENS_PER_MESSAGE = 8
_THOUGHTS = ("reasoning_content", "reasoning")  # where servers put them that keep them apart


def estimate_tokens(messages: Sequence[Message]) -> int:
    """Without the server's tokenizer: more than it is, as a rule."""
    size = sum(len(m.content.encode("utf-8", "replace")) for m in messages)
    return -(-size // _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE * len(messages)


def chat_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [_chat_message(m) for m in messages]


def _chat_message(message: Message) -> dict[str, Any]:
    out: dict[str, Any] = {"role": message.role, "content": defuse(message.content)}
    if message.tool_calls:
        out["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        out["tool_call_id"] = message.tool_call_id
    return out


def chat_request(
    model: str,
    messages: Sequence[Message],
    tools: Sequence[ToolSpec],
    params: SamplingParams,
    max_tokens: int,
    *,
    wishes: Collection[Wish] = (),
) -> dict[str, Any]:
    """The body of a streamed request. What is off is left out: some servers reject what they do not know."""
    body: dict[str, Any] = {
        "model": model,
        "messages": chat_messages(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": max_tokens,
        "temperature": params.temperature,
    }
    optional: dict[str, tuple[Any, Any]] = {  # value, and what it is when off
        "top_p": (params.top_p, 1.0),
        "top_k": (params.top_k, 0),
        "seed": (params.seed, None),
        "min_p": (params.min_p, 0.0),
        "repetition_penalty": (params.repetition_penalty, 1.0),
        "stop": (list(params.stop), []),
    }
    body.update({key: value for key, (value, off) in optional.items() if value != off})
    if "logprobs" in wishes:
        # llama.cpp takes 0 of the likeliest to mean that none are wanted at all, and without a number sends twenty.
        body |= {"logprobs": True, "top_logprobs": 1}
    if "form" in wishes:
        body |= {"structured_outputs": {"regex": params.regex}, "regex": params.regex}
    if "schema" in wishes:
        wanted = {"name": "reply", "schema": json.loads(params.schema), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    if tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": t.name, "description": t.description, "parameters": dict(t.parameters)},
            }
            for t in tools
        ]
    return body


def parse_chunk(data: str, server: str) -> dict[str, Any]:
    """One chunk of a stream; raises ModelUnavailable if it is none, or is an error that the server reports."""
    try:
        chunk = json.loads(data)
    except ValueError as e:
        raise ModelUnavailable(f"{server} sent something that is not JSON in its stream: {data[:120]!r}") from e
    if not isinstance(chunk, dict):
        raise ModelUnavailable(f"{server} sent {data[:120]!r} where a chunk of an answer should be")
    if chunk.get("error"):
        raise ModelUnavailable(f"{server} broke off its answer: {error_text(chunk)}")
    return chunk


def first_choice(chunk: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    """The delta (or the whole message, from a server that does not stream) and the finish reason of a chunk."""
    choices = chunk.get("choices") or [{}]
    choice = choices[0] if isinstance(choices, list) and isinstance(choices[0], dict) else {}
    delta = choice.get("delta") or choice.get("message") or {}
    finish = choice.get("finish_reason")
    return (delta if isinstance(delta, dict) else {}), (finish if isinstance(finish, str) else None)


def text_of(delta: Mapping[str, Any]) -> str:
    """The text of a delta, which may come as a string or in parts."""
    return _joined(delta.get("content"))


def thought_of(delta: Mapping[str, Any]) -> str:
    """What a delta says of the model's thoughts, from servers that keep them apart, under a key of their own or as parts of the content."""
    said = next((said for key in _THOUGHTS if isinstance(said := delta.get(key), str)), "")
    parts = delta.get("content")
    if said or not isinstance(parts, list):
        return said
    return "".join(_joined(p.get("thinking")) for p in parts if isinstance(p, dict) and p.get("type") == "thinking")


def _joined(content: Any) -> str:
    """A string, or the text of a list of parts; parts of other kinds have none."""
    if isinstance(content, list):
        texts = [
            part if isinstance(part, str) else part.get("text") for part in content if isinstance(part, str | dict)
        ]
        return "".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def token_logprobs(chunk: Mapping[str, Any]) -> list[float]:
    """The log-probabilities of the tokens of a chunk; none unless every token has one, and where the tokens are thoughts."""
    choices = chunk.get("choices") or [{}]
    choice = choices[0] if isinstance(choices, list) and isinstance(choices[0], dict) else {}
    delta = first_choice(chunk)[0]
    if not text_of(delta) and thought_of(delta):
        return []
    said = choice.get("logprobs")
    tokens = said.get("content") if isinstance(said, dict) else None
    if not isinstance(tokens, list):
        return []
    values = [t.get("logprob") if isinstance(t, dict) else None for t in tokens]
    found = [float(v) for v in values if isinstance(v, int | float) and math.isfinite(v)]
    return found if len(found) == len(values) else []


def usage_of(chunk: Mapping[str, Any], estimate: int) -> Usage | None:
    """What a chunk says was read and written; ``estimate`` of the prompt where it gives no number. None of one that counts nothing."""
    counted = chunk.get("usage")
    if not isinstance(counted, dict) or not counted:
        return None
    read, written = counted.get("prompt_tokens"), counted.get("completion_tokens")
    return Usage(
        prompt_tokens=read if isinstance(read, int) and read else estimate,
        completion_tokens=written if isinstance(written, int) else 0,
    )


def finish_reason(said: str | None, has_calls: bool) -> FinishReason:
    """Ours for theirs; servers differ in what they call the end of a tool call."""
    if has_calls:
        return "tool_calls"
    return "length" if said == "length" else "stop"


def error_text(body: Mapping[str, Any]) -> str:
    """The message of an error object, in any of the shapes in use."""
    error = body.get("error") or body.get("detail") or body.get("message") or body
    if isinstance(error, dict):
        error = error.get("message") or error
    return str(error)[:300]


@dataclass(slots=True)
class _Part:
    """A call as far as it has come. ``index``: the server's number, which several calls may share."""

    index: int
    call_id: str = ""
    name: str = ""
    arguments: str = ""

    def is_over(self, name: str, arguments: str) -> bool:
        """Whether a fragment without an id, which has this name and these arguments, is of the next call."""
        return bool(self.name and name) and (self.name != name or bool(arguments and _is_object(self.arguments)))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


class ToolCallAssembler:
    """Joins the fragments of tool calls, which come by index: the name once, the arguments in pieces.

    Not every server numbers them (Ollama numbers all 0): a fragment that names a function under an id of its own begins another call.
    Where there are no ids either, one begins that names another function, or has arguments where those of the last are whole.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []

    def feed(self, fragments: Sequence[Mapping[str, Any]]) -> None:
        for position, fragment in enumerate(fragments):
            number = fragment.get("index")
            function = fragment.get("function") or {}
            name, call_id = function.get("name") or "", fragment.get("id") or ""
            arguments = function.get("arguments") or ""
            arguments = arguments if isinstance(arguments, str) else json.dumps(arguments)
            part = self._part(number if isinstance(number, int) else position, call_id if name else "")
            if not call_id and part.is_over(name, arguments):
                part = self._begin(part.index)
            part.call_id = part.call_id or call_id
            part.name = part.name or name
            part.arguments += arguments

    def _part(self, index: int, call_id: str) -> _Part:
        """The call that a fragment belongs to: of those with its index the last, or the one that has ``call_id``, if it has one."""
        own = [p for p in self._parts if p.index == index and (not call_id or p.call_id in ("", call_id))]
        return own[-1] if own else self._begin(index)

    def _begin(self, index: int) -> _Part:
        self._parts.append(_Part(index))
        return self._parts[-1]

    def calls(self) -> list[ToolCall]:
        """All calls, in order; raises RetryModel if the model wrote arguments that are not a JSON object."""
        out = []
        for n, part in enumerate(sorted(self._parts, key=lambda p: p.index)):
            try:
                arguments = json.loads(part.arguments or "{}")
            except ValueError:
                arguments = None
            if not isinstance(arguments, dict):
                raise RetryModel(
                    f"the arguments of the call of {part.name!r} are not a JSON object: {part.arguments[:200]!r}"
                )
            out.append(ToolCall(call_id=part.call_id or f"call-{n}", name=part.name, arguments=arguments))
        return out
