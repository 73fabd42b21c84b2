"""A model for the looping strategies that reasons correctly about the orchard, whichever of their prompts it is given."""

from __future__ import annotations

from collections.abc import Sequence

from core.types import Message, ToolCall
from lm.scripted import Reply

ANSWER = "The orchard was planted in 1987 by Maria Keller [1]."


def reasons(messages: Sequence[Message]) -> Reply:
    """The reply to one request of any strategy about who planted the orchard."""
    prompt = messages[-1].content
    return Reply(text=_text(messages, prompt))


def _text(messages: Sequence[Message], prompt: str) -> str:
    if "Therefore, the answer is" in prompt:
        return "Maria Keller."
    if prompt.rstrip().endswith("Thought 1:"):
        return "I need to find who planted the orchard.\nAction 1: search[Who planted the orchard]"
    if "\nThought 2:" in prompt:
        return "Maria Keller planted it.\nAction 2: finish[Maria Keller planted the orchard in 1987 [1].]"
    if "Reply with yes or no" in prompt:
        return "Yes."
    if "fully, partially or no" in prompt:
        return "Fully."
    if "from 1 (not at all) to 5" in prompt:
        return "5"
    if "different short plans" in prompt:
        return "Plan: find who planted the orchard\n2. find the year of the orchard"
    if "answers to choose from" in prompt:
        return f"1. {ANSWER}\n2. I don't know."
    if "Judge whether this plan" in prompt:
        return "It names what is asked.\nlikely"
    if "Judge whether this answer" in prompt:
        return "It is in the passage.\nsure" if "Maria Keller [1]" in prompt else "It says nothing.\nimpossible"
    if "one sentence after the other" in prompt:
        return "Maria Keller planted it in 1987. So the answer is Maria Keller."
    if "must be looked into" in prompt:
        return "Who planted the orchard?\nWhen was the orchard planted?"
    return ANSWER


def calls(messages: Sequence[Message]) -> Reply:
    """The same with native tool calls: it searches once, then finishes."""
    system = messages[0].content
    if "with the tools you are given" not in system:
        return reasons(messages)
    if messages[-1].role == "tool":
        return Reply(
            tool_calls=(ToolCall(call_id="2", name="finish", arguments={"answer": "Maria Keller planted it [1]."}),)
        )
    call = ToolCall(call_id="1", name="search", arguments={"query": messages[-1].content})
    return Reply(text="I look it up.", tool_calls=(call,))
