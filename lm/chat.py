"""What every runtime does to a request before its model sees it. Knows no tokenizer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.errors import InvalidRequest, TooLarge
from core.types import Message, SamplingParams, ToolSpec
from lm.schemas import regex_of
from lm.thinking import Room

# The control tokens of the chat formats in use: ChatML, Llama, Gemma, Mistral, Phi.
_CONTROL = re.compile(r"<(?=\|[^\s<>|]{1,40}\|>|/?s>|(?:start|end)_of_turn>)|\[(?=/?(?:INST|SYSTEM_PROMPT)\])")


MAX_BEAMS = 16


def defuse(text: str, control_tokens: Sequence[str] = ()) -> str:
    """Breaks control tokens in a message's text, so that a document cannot end its own turn and begin another.

    A tokenizer turns the characters "<|im_end|>" into the token that ends a turn, whoever wrote them. A space
    after the first character makes them plain text again. ``control_tokens`` are the model's own further ones.
    A lone surrogate, which has no UTF-8 and no token, becomes a question mark.
    """
    text = text.encode("utf-8", "replace").decode()
    text = _CONTROL.sub(lambda m: m.group() + " ", text)
    for token in control_tokens:
        if len(token) > 1 and token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def plain_prompt(messages: Sequence[Message]) -> str:
    """A completion prompt for a base model, which has no chat template: "Role: text" paragraphs."""
    turns = [m.content if m.role == "system" else f"{m.role.capitalize()}: {m.content}" for m in messages]
    return "\n\n".join([*turns, "Assistant:"])


# A base model goes on to write the next question itself; that is where its answer ends.
PLAIN_STOPS = ("\n\nUser:", "\n\nAssistant:", "\n\nTool:")


def check_request(messages: Sequence[Message], params: SamplingParams) -> None:
    """Raises InvalidRequest for what no model could do."""
    if not messages:
        raise InvalidRequest("no messages: a language model needs at least one")
    bounds = (
        ("temperature", params.temperature, 0.0 <= params.temperature <= 10.0, "0 (greedy) to 10"),
        ("top_p", params.top_p, 0.0 < params.top_p <= 1.0, "more than 0, at most 1 (off)"),
        ("top_k", params.top_k, params.top_k >= 0, "0 (off) or more"),
        ("max_tokens", params.max_tokens, params.max_tokens >= 1, "1 or more"),
        ("thought_tokens", params.thought_tokens, params.thought_tokens >= 0, "0 or more"),
        ("min_p", params.min_p, 0.0 <= params.min_p < 1.0, "0 (off) to less than 1"),
        ("no_repeat_ngram", params.no_repeat_ngram, params.no_repeat_ngram >= 0, "0 (off) or more"),
        ("beams", params.beams, 1 <= params.beams <= MAX_BEAMS, f"1 (off) to {MAX_BEAMS}"),
        ("contrast", params.contrast, 0.0 <= params.contrast <= 10.0, "0 (off) to 10"),
        ("repetition_penalty", params.repetition_penalty, params.repetition_penalty > 0, "more than 0; 1 is off"),
    )
    for name, value, good, valid in bounds:
        if not good:
            raise InvalidRequest(f"{name} is {value}: it must be {valid}", code="bad-sampling")
    if params.beams > 1 and params.temperature > 0:
        raise InvalidRequest(
            f"{params.beams} beams at temperature {params.temperature}: beams are for greedy requests, so use"
            " temperature 0 or one beam",
            code="bad-sampling",
        )
    if params.schema and params.regex:
        raise InvalidRequest("a regex and a schema: an answer has one form, so give one of them", code="bad-sampling")
    if params.schema:
        regex_of(params.schema)
    try:
        re.compile(params.regex)
    except re.error as e:
        raise InvalidRequest(f"regex {params.regex!r} cannot be read: {e}", code="bad-sampling") from e


def refuse_tools(tools: Sequence[ToolSpec], model: str) -> None:
    """For runtimes without native tool calls. Raises InvalidRequest if there are tools."""
    if tools:
        raise InvalidRequest(
            f"{model} has no native tool calls, and {len(tools)} tools were given: use a strategy that writes its"
            " actions as text, or a model server with tool calls (lm_runtime = openai)",
            code="tools-unsupported",
        )


def prompt_too_long(model: str, prompt_tokens: int, context_tokens: int) -> TooLarge:
    return TooLarge(
        f"the prompt has {prompt_tokens} tokens and {model} holds {context_tokens}, answer included:"
        " give it fewer or shorter passages, or a model with a larger context",
        code="prompt-too-long",
    )


def room_for_answer(
    model: str, prompt_tokens: int, context_tokens: int, max_tokens: int, thought_tokens: int = 0
) -> Room:
    """How many tokens the answer may have; raises TooLarge if the prompt leaves no room for one."""
    if prompt_tokens >= context_tokens:
        raise prompt_too_long(model, prompt_tokens, context_tokens)
    left = context_tokens - prompt_tokens
    answer = min(max_tokens, left)
    return Room(answer, min(thought_tokens, left - answer))
