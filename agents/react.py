"""ReAct (Yao et al. 2022): thought, action, observation, in turns.

As text, exactly as the authors' HotpotQA code does it: the prompt grows by "Thought i: … Action i: … Observation i: …"; the
model is asked with "Thought i:" at its end, greedily, and stopped at "\\nObservation i:"; what has no "\\nAction i: " in
it is asked again once for the action alone, stopped at the end of the line, by a grammar where the runtime has one; seven turns at
most, then finish[].

With a language model that calls tools natively the same loop uses its tool calls: an assistant's turn is thought and action,
a tool's message is the observation, and ``finish`` is a tool like the others.

Where the authors search Wikipedia, this searches the collections: search[…] shows the best passages, numbered, and opens the
first one's document; lookup[…] goes through its sentences as theirs does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agents.abstain import I_DO_NOT_KNOW
from agents.desk import AtDesk, Desk, Kit
from agents.examples import nearest
from agents.limits import LATE
from agents.looping import Circles
from agents.tools.calculating import CalculatorTool
from agents.tools.reading import LookupTool, OutlineTool, Reading, ReadTool, SearchTool
from agents.tools.simulating import PROMPT as SIMULATE
from agents.tools.simulating import consent_of
from agents.tools.table import TableTool
from agents.tools.toolbox import Toolbox
from core.errors import LimitReached, RetryModel
from core.protocols import Tool
from core.types import Message, ToolCall, ToolResult, ToolSpec

TURNS = 7
SYSTEM, USER, NATIVE = "react_system.j2", "react_user.j2", "react_native.j2"
EXAMPLES = "react_examples.txt"
NOTES = "notes.j2"
PROMPTS = (SYSTEM, USER, NATIVE, "reflections.j2", NOTES, EXAMPLES)
TURN_TOKENS = 160
SHOWN = 6  # worked examples at most, as many as the authors have: those most like the question
_ACTION = re.compile(r"(\w+)\[(.*)\]", re.DOTALL)
# Of an action that is asked for alone: one of the three, with at most sixteen words.
ACTION_FORM = r" ?(search|lookup|finish)\[[^ \]\n]+( [^ \]\n]+){0,15}\]"
_NAMES = ("search", "lookup", "finish")
_ARGUMENT = {"search": "query", "lookup": "string"}
_KEPT_TOOL_CHARACTERS = 240  # of a tool's result that had to make room

FINISH = ToolSpec(
    name="finish",
    description="Gives the answer and ends.",
    parameters={
        "type": "object",
        "properties": {"answer": {"type": "string"}},
        "required": ["answer"],
        "additionalProperties": False,
    },
)


@dataclass(slots=True, kw_only=True)
class Attempt:
    """What came of one loop. ``answer`` is None where it ended without one; ``why`` then says how."""

    answer: str | None = None
    why: str = ""
    limit: str = ""
    transcript: str = ""  # thoughts, actions and observations, as the text form writes them
    errors: list[str] = field(default_factory=list)

    def cut_off(self, limit: str) -> Attempt:
        """Itself, ended by a limit."""
        self.limit, self.why = limit, "The model had not finished."
        return self

    def going_in_circles(self) -> Attempt:
        """Itself, ended because nothing new came of it."""
        self.why = "The model did the same thing again and again."
        self.errors.append(self.why)
        return self


def react(kit: Kit, *, native: bool = False, turns: int = TURNS) -> AtDesk:
    """The strategy.

    Args:
        native: with the model's own tool calls.
    """

    async def loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
        await desk.open(question, history)
        attempt = await (by_tool_calls if native else by_text)(desk, turns=turns)
        await conclude(desk, attempt)

    return AtDesk("react", loop, kit, (*PROMPTS, SIMULATE) if native else PROMPTS, calls_outside=native)


async def conclude(desk: Desk, attempt: Attempt) -> None:
    """Ends the run with what an attempt came to."""
    if attempt.answer is None or not attempt.answer.strip():
        desk.do_not_know(attempt.why or "The model gave no answer.", limit=attempt.limit)
        return
    await desk.cite(attempt.answer, limit=attempt.limit)


# ------------------------------------------------------------ as text


async def by_text(desk: Desk, *, reflections: Sequence[str] = (), turns: int = TURNS) -> Attempt:
    """One attempt in the text form. A limit ends it; what was found until then stays at the desk."""
    prompts = desk.kit.prompts
    examples = nearest(desk.question, shown_examples(prompts.source(EXAMPLES)), SHOWN, _question_of)
    system = prompts.render(SYSTEM, examples=examples)
    user = noted(desk, prompts.render(USER, question=desk.question, reflections=reflections))
    reading = Reading(desk)
    toolbox = Toolbox([SearchTool(reading), LookupTool(reading)], desk.budget)
    attempt = Attempt()
    circles = Circles()
    try:
        if not await desk.fits(_messages(system, user), desk.kit.lm.context_tokens // 2):
            system = prompts.render(SYSTEM, examples=examples[-1:])  # half of the context is for what is found
        for i in range(1, turns + 1):
            desk.budget.take_step()
            began = desk.recorder.now_s()
            thought, action, usage_error = await _turn(desk, system, f"{user}\n{attempt.transcript}", i)
            try:
                observation, done, error = await act(toolbox, action, i)
            except LimitReached as e:
                _note_late(desk, e, thought, _as_call(action, i), began)
                raise
            attempt.transcript += f"Thought {i}: {thought}\nAction {i}: {action}\nObservation {i}: {observation}\n"
            if error or usage_error:
                attempt.errors.append(error or usage_error)
            desk.step(
                "act",
                thought=thought,
                tool_call=_as_call(action, i),
                observation=observation,
                error=error or usage_error,
                started_s=began,
            )
            if done is not None:
                attempt.answer = done
                return attempt
            if circles.note(action, observation):  # invalid actions, too
                return attempt.going_in_circles()
    except LimitReached as e:
        return attempt.cut_off(e.message)
    desk.step("act", tool_call=_as_call("finish[]", turns + 1), observation="Episode finished.")
    return attempt.cut_off(f"no answer within {turns} turns")


def noted(desk: Desk, prompt: str) -> str:
    """``prompt``, after what earlier questions of the conversation taught."""
    notes = [desk.inert(note) for note in desk.kit.notes]
    return f"{desk.kit.prompts.render(NOTES, notes=notes)}\n{prompt}" if notes else prompt


async def _turn(desk: Desk, system: str, user: str, i: int) -> tuple[str, str, str]:
    """Thought and action of turn i, and what was wrong with how they were said."""
    prompt = user.rstrip("\n")
    said = await desk.ask(
        _messages(system, f"{prompt}\nThought {i}:"), stop=(f"\nObservation {i}:",), max_tokens=TURN_TOKENS
    )
    parts = said.text.strip().split(f"\nAction {i}: ")
    if len(parts) == 2:
        return parts[0].removeprefix(f"Thought {i}:").strip(), parts[1].strip(), ""
    thought = said.text.strip().split("\n")[0].removeprefix(f"Thought {i}:").strip()
    again = await desk.ask(
        _messages(system, f"{prompt}\nThought {i}: {thought}\nAction {i}:"),
        stop=("\n",),
        max_tokens=TURN_TOKENS,
        regex=ACTION_FORM,
    )
    return thought, again.text.strip(), "no action was written; asked again for the action alone"


async def act(toolbox: Toolbox, action: str, i: int) -> tuple[str, str | None, str]:
    """The observation of an action, the answer if it was finish, and what was wrong with it.

    The first letter may be a capital, as in the authors' code; all else that is none of the three is an invalid action.
    """
    action = _lowered(action)
    m = _ACTION.fullmatch(action)
    if m is None or m[1] not in _NAMES:
        written = " ".join(action.split())
        return f"Invalid action: {written}", None, f"invalid action: {written}"
    if m[1] == "finish":
        return "Episode finished.", m[2].strip(), ""
    result = await toolbox.call(ToolCall(call_id=f"action-{i}", name=m[1], arguments={_ARGUMENT[m[1]]: m[2]}))
    observation = " ".join(result.content.split())  # in one line, which no passage can end
    return observation, None, observation if result.error else ""


def is_action(written: str) -> bool:
    """Whether it is one of the three, as the loop reads it."""
    m = _ACTION.fullmatch(_lowered(written))
    return m is not None and m[1] in _NAMES


def _lowered(action: str) -> str:
    return action[:1].lower() + action[1:]


def _as_call(action: str, i: int) -> ToolCall | None:
    """The call that an action is; None of what is no action, for nothing was called then."""
    m = _ACTION.fullmatch(_lowered(action))
    if m is None or m[1] not in _NAMES:
        return None
    return ToolCall(call_id=f"action-{i}", name=m[1], arguments={_ARGUMENT.get(m[1], "answer"): m[2]})


def _messages(system: str, user: str) -> list[Message]:
    return [Message(role="system", content=system), Message(role="user", content=user)]


def shown_examples(text: str) -> list[str]:
    """The worked examples of a file, which blank lines part."""
    return [example.strip() for example in text.split("\n\n") if example.strip()]


def _question_of(example: str) -> str:
    return example.split("\n", 1)[0].removeprefix("Question:")


# ------------------------------------------------------------ by native tool calls


def tools_of(desk: Desk, k: int | None = None) -> list[Tool]:
    """What a native loop may use; nothing here has an effect outside."""
    reading = Reading(desk, k)
    return [
        SearchTool(reading),
        LookupTool(reading),
        ReadTool(reading),
        OutlineTool(reading),
        TableTool(reading),
        CalculatorTool(),
    ]


async def by_tool_calls(
    desk: Desk, *, reflections: Sequence[str] = (), turns: int = TURNS, question: str = ""
) -> Attempt:
    """One attempt with the model's own tool calls. A turn may call several tools; an answer in plain words finishes."""
    attempt = Attempt()
    toolbox = Toolbox(tools_of(desk), desk.budget, desk.outside, consent_of(desk, lambda: attempt.transcript))
    asked = question or desk.question
    system = noted(desk, desk.kit.prompts.render(NATIVE, reflections=reflections))
    messages = [Message(role="system", content=system), Message(role="user", content=asked)]
    try:
        for i in range(1, turns + 1):
            desk.budget.take_step()
            began = desk.recorder.now_s()
            await make_room(desk, messages)
            await toolbox.renew()
            specs = (*toolbox.specs, FINISH)
            try:
                said = await desk.ask(messages, tools=specs)
            except RetryModel as e:
                attempt.errors.append(e.message)
                desk.step("act", error=e.message, started_s=began)
                messages.append(Message(role="user", content=f"That call could not be read: {e.message}. Call again."))
                continue
            thought = said.text.strip()
            attempt.transcript += f"Thought {i}: {thought}\n"
            if not said.tool_calls:
                desk.step("act", thought=thought, usage=said.usage, started_s=began)
                attempt.answer = thought
                return attempt
            messages.append(Message(role="assistant", content=said.text, tool_calls=said.tool_calls))
            for call in said.tool_calls:
                # What there is not was not called.
                shown = call if any(call.name == spec.name for spec in specs) else None
                try:
                    result = await _called(toolbox, call)
                except LimitReached as e:
                    _note_late(desk, e, thought, shown, began)
                    raise
                error = result.content if result.error else ""
                desk.step(
                    "act",
                    thought=thought,
                    tool_call=shown,
                    observation=result.content,
                    error=error,
                    started_s=began,
                )
                if error:
                    attempt.errors.append(error)
                attempt.transcript += f"Action {i}: {_written(call)}\nObservation {i}: {result.content}\n"
                messages.append(Message(role="tool", content=result.content, tool_call_id=call.call_id))
                if call.name == FINISH.name and not result.error:
                    attempt.answer = str(call.arguments["answer"])
                    return attempt
                thought, began = "", desk.recorder.now_s()
            if toolbox.in_circles:
                return attempt.going_in_circles()
    except LimitReached as e:
        return attempt.cut_off(e.message)
    return attempt.cut_off(f"no answer within {turns} turns")


def _note_late(desk: Desk, limit: LimitReached, thought: str, call: ToolCall | None, began_s: float) -> None:
    """The step of a call that was waited for until the time was up; any other limit is met before a call is made."""
    if limit.code == LATE:
        desk.step("act", thought=thought, tool_call=call, error=limit.message, started_s=began_s)


async def _called(toolbox: Toolbox, call: ToolCall) -> ToolResult:
    if call.name != FINISH.name:
        return await toolbox.call(call)
    if not isinstance(call.arguments.get("answer"), str):
        return ToolResult(call_id=call.call_id, content="finish takes one argument: answer (string)", error=True)
    return ToolResult(call_id=call.call_id, content="Episode finished.")


def _written(call: ToolCall) -> str:
    return f"{call.name}[{', '.join(str(v) for v in call.arguments.values())}]"


async def make_room(desk: Desk, messages: list[Message]) -> None:
    """Shortens the oldest tool results until a quarter of the context is free; the newest stays whole."""
    size = desk.kit.lm.context_tokens
    free = size - size * 3 // 4
    tools = [i for i, m in enumerate(messages) if m.role == "tool"]
    for i in tools[:-1]:
        if await desk.fits(messages, free):
            return
        content = messages[i].content
        if len(content) > _KEPT_TOOL_CHARACTERS:
            shorter = content[:_KEPT_TOOL_CHARACTERS] + " … (shortened to make room; search again to see it)"
            messages[i] = Message(role="tool", content=shorter, tool_call_id=messages[i].tool_call_id)


def unknown(answer: str | None) -> bool:
    """Whether an attempt ended without an answer, or with "I don't know"."""
    return answer is None or not answer.strip() or answer.strip() == I_DO_NOT_KNOW
