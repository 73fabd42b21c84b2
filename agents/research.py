"""Research, for models that call tools: a plan of sub-questions, looked into side by side, then a cited report.

Each sub-question is a native ReAct loop with search, lookup, read, outline and calculator, within the one budget of the run. Its
answer becomes a note. The report is written from the passages that the notes name and from the notes; it is cited and
checked against the passages alone, so a note that no passage supports cannot pass for a fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents import context
from agents.cite import MARKER, numbers_in
from agents.decompose import read_parts
from agents.desk import AtDesk, Desk, Kit
from agents.react import NATIVE, Attempt, by_tool_calls
from agents.saying import together
from core.errors import LimitReached
from core.types import Hit, Message

PLAN, REPORT = "research_plan.j2", "research_user.j2"
MOST_QUESTIONS, TURNS = 3, 6
_PLAN_TOKENS = 160
_MOST_PASSAGES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of one sub-question; markers name the desk's passages. ``answer`` is empty where it was not answered."""

    question: str
    text: str
    answer: str = ""


def research(kit: Kit, *, turns: int = TURNS) -> AtDesk:
    """The strategy; its language model must have native tool calls."""

    async def loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
        await desk.open(question, history)
        parts = await _plan(desk)
        findings: list[Finding] = []
        limits: list[str] = []

        async def look_into(part: str) -> None:
            began = desk.recorder.now_s()
            attempt = await by_tool_calls(desk, question=part, turns=turns)
            limits.extend([attempt.limit] if attempt.limit else [])
            text = _note(attempt)
            findings.append(Finding(question=part, text=text, answer=text if attempt.answer else ""))
            desk.step("plan", thought=f"Looked into: {part}\n{text}", started_s=began)

        await together(look_into(part) for part in parts)
        findings.sort(key=lambda f: parts.index(f.question))
        if not desk.hits:
            desk.do_not_know("Nothing was found for any part of it.", limit="; ".join(dict.fromkeys(limits)))
            return
        await _report(desk, findings, limits)

    return AtDesk("research", loop, kit, (PLAN, REPORT, NATIVE, context.SYSTEM), calls_outside=True)


async def _plan(desk: Desk) -> list[str]:
    desk.budget.take_step()
    began = desk.recorder.now_s()
    said = await desk.ask(
        desk.kit.prompts.render(PLAN, question=desk.question, most=MOST_QUESTIONS), max_tokens=_PLAN_TOKENS
    )
    parts = list(read_parts(said.text, desk.question))[:MOST_QUESTIONS] or [desk.question]
    desk.step("plan", thought="Looks into: " + " | ".join(parts), usage=said.usage, started_s=began)
    return parts


def _note(attempt: Attempt) -> str:
    return " ".join((attempt.answer or attempt.why or "No answer was found.").split())


async def _report(desk: Desk, findings: Sequence[Finding], limits: Sequence[str]) -> None:
    """Writes the report from as many passages as fit, those that notes name first. Where a limit leaves no room for it, the answers to the
    sub-questions are given as they are."""
    named = [n for f in findings for m in MARKER.finditer(f.text) for n in numbers_in(m.group())]
    order = list(dict.fromkeys([n for n in named if 1 <= n <= len(desk.hits)] + list(range(1, len(desk.hits) + 1))))
    hits = [desk.hits[n - 1] for n in order[:_MOST_PASSAGES]]
    room = max(128, min(desk.kit.max_answer_tokens, desk.kit.lm.context_tokens // 4))
    began = desk.recorder.now_s()
    try:
        while len(hits) > 1 and not await desk.fits(_messages(desk, hits, findings), room):
            hits.pop()
        desk.budget.take_step()
        said = await desk.ask(_messages(desk, hits, findings))
    except LimitReached as e:
        notes = "\n".join(f.answer for f in findings if f.answer)
        await desk.cite(notes, limit="; ".join(dict.fromkeys([*limits, e.message])))
        return
    desk.step("plan", thought="Wrote the report.", usage=said.usage, started_s=began)
    await desk.cite(said.text, limit="; ".join(dict.fromkeys(limits)), logprobs=said.logprobs)


def _messages(desk: Desk, hits: Sequence[Hit], findings: Sequence[Finding]) -> list[Message]:
    passages = [context.passage(desk.number(h), h, desk.mark) for h in hits]
    inert = [Finding(question=desk.inert(f.question), text=desk.inert(f.text)) for f in findings]
    prompts = desk.kit.prompts
    return [
        Message(role="system", content=prompts.render(context.SYSTEM, mark=desk.mark)),
        Message(
            role="user",
            content=prompts.render(REPORT, mark=desk.mark, passages=passages, findings=inert, question=desk.question),
        ),
    ]
