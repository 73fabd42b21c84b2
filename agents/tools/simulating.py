"""Simulate, score, then act (after WebDreamer, Gu et al. 2024), before a call with outside effect is shown to a person.

The model's own call is one candidate; it is asked for ``OTHERS`` more in its stead. Of each it is asked what would happen, and how much that
would bring the goal nearer, from 0 to 10. The best is what the person is shown, with what was expected of it; the earlier of equals. What
the model cannot say well costs nothing but its own words: nothing is called before the person's yes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from agents.desk import Desk
from agents.tools.outside import Consent, Decision
from agents.tools.toolbox import wrong_arguments
from core.errors import RetryModel
from core.events import ApprovalWanted
from core.ids import new_id
from core.types import Message, Proposal, ToolCall, ToolSpec

PROMPT = "simulate.j2"
OTHERS = 2
_TEMPERATURE = 0.7
_DONE_CHARACTERS = 4_000
_PREDICTION_TOKENS, _SCORE_TOKENS, _CALL_TOKENS = 96, 8, 160
_SCORE_FORM = "10|[0-9]"
_SCORE = re.compile(r"\b(?:10|[0-9])\b")


async def best_call(desk: Desk, spec: ToolSpec, call: ToolCall, done: str) -> Proposal:
    """What to show the person. ``done`` is what the run did until now, as text."""
    calls = [call]
    for seed in range(1, OTHERS + 1):
        calls += await _another(desk, spec, call, done, seed)
    rated: list[tuple[float, str, ToolCall]] = []
    for candidate in _different(calls):
        predicted = await _predicted(desk, spec, candidate, done)
        rated.append((await _worth(desk, spec, candidate, predicted), predicted, candidate))
    worth, predicted, best = max(rated, key=lambda r: r[0])
    return Proposal(
        approval_id=new_id("ok"),
        call=ToolCall(call_id=call.call_id, name=best.name, arguments=best.arguments),
        description=spec.description,
        predicted=predicted,
        worth=worth,
        others=tuple((dict(c.arguments), p, w) for w, p, c in rated if c is not best),
    )


def _different(calls: list[ToolCall]) -> list[ToolCall]:
    found: dict[str, ToolCall] = {}
    for call in calls:
        found.setdefault(_shown(call.arguments), call)
    return list(found.values())


async def _another(desk: Desk, spec: ToolSpec, call: ToolCall, done: str, seed: int) -> list[ToolCall]:
    """Another way to call the tool, if the model has one that it could be called with."""
    prompt = _prompt(desk, "another", spec, call, done)
    try:
        said = await desk.ask(prompt, tools=(spec,), temperature=_TEMPERATURE, seed=seed, max_tokens=_CALL_TOKENS)
    except RetryModel:
        return []  # it could not be read; the first call stands
    return [c for c in said.tool_calls if c.name == spec.name and not wrong_arguments(spec, c.arguments)][:1]


async def _predicted(desk: Desk, spec: ToolSpec, call: ToolCall, done: str) -> str:
    began = desk.recorder.now_s()
    said = await desk.ask(_prompt(desk, "predict", spec, call, done), max_tokens=_PREDICTION_TOKENS, stop=("\n\n",))
    predicted = " ".join(said.text.split())
    desk.step(
        "expand", thought=f"If {spec.name} {_shown(call.arguments)}: {predicted}", usage=said.usage, started_s=began
    )
    return predicted


async def _worth(desk: Desk, spec: ToolSpec, call: ToolCall, predicted: str) -> float:
    """In [0, 1]; 0 where the model gives no number."""
    prompt = _prompt(desk, "score", spec, call, "", predicted)
    said = await desk.ask(prompt, max_tokens=_SCORE_TOKENS, regex=_SCORE_FORM)
    found = _SCORE.search(said.text)
    return int(found.group()) / 10 if found else 0.0


def _prompt(desk: Desk, ask: str, spec: ToolSpec, call: ToolCall, done: str, predicted: str = "") -> list[Message]:
    text = desk.kit.prompts.render(
        PROMPT,
        ask=ask,
        mark=desk.mark,
        question=desk.question,
        tool=spec.name,
        description=desk.inert(spec.description),
        arguments=desk.inert(_shown(call.arguments)),
        done=desk.inert(done),
        predicted=desk.inert(predicted),
    )
    return [Message(role="user", content=text)]


def _shown(arguments: Mapping[str, Any]) -> str:
    return json.dumps(dict(arguments), ensure_ascii=False, sort_keys=True, default=str)


def consent_of(desk: Desk, done: Callable[[], str]) -> Consent | None:
    """Asks the desk's person, who is shown the best call that could be found; None where there is nobody to ask.

    Args:
        done: what the run did until now, as text.
    """
    person = desk.kit.person
    if person is None:
        return None

    async def consent(spec: ToolSpec, call: ToolCall) -> Decision:
        proposal = await best_call(desk, spec, call, done()[-_DONE_CHARACTERS:])
        desk.emit(ApprovalWanted(run_id=desk.recorder.run_id, proposal=proposal, seconds=person.seconds))
        began = desk.recorder.now_s()
        with desk.budget.paused():
            yes, why = await person.decide(desk.recorder.run_id, desk.where.principal.user_id, proposal)
        said = "yes" if yes else f"no: {why}"
        shown = f"{spec.name} {_shown(proposal.call.arguments)}"
        desk.step("plan", thought=f"Asked a person about {shown}: {said}", started_s=began)
        return Decision(yes=yes, call=proposal.call, why=why)

    return consent
