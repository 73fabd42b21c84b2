"""Auto: the cheapest route that gives an answer which passes its check (after Adaptive-RAG, Jeong et al. 2024).

    a sum                  → the calculator
    a courtesy             → the model alone
    what one look answers  → quotes or a written answer
    several hops           → multihop, or react where the model calls tools
    a failed check         → the next dearer route; reflexion last, then quotes

The paper trains a classifier of questions; here rules read the question, and what the cheap route returned decides whether a
dearer one is tried. Every choice is a step of the trace, with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agents.desk import AtDesk, Desk, Kit
from agents.nested import Nested, holds
from agents.prompts import prompt_names
from agents.run import check_question
from agents.tools.calculator import calculate
from core.errors import LimitReached, OpenbookError, ToolFailed
from core.events import TokenSaid
from core.protocols import Strategy
from core.types import Answer, Message, ToolCall

Kind = Literal["sum", "courtesy", "single", "several"]

_COURTESY = re.compile(
    r"\W*(?:hi|hello|hey|good (?:morning|evening|day)|thanks?(?: you)?|thank you(?: very much)?|bye|goodbye|"
    r"who are you|what can you do|how are you)\b\W*",
    re.IGNORECASE,
)
_ASKS_SUM = re.compile(
    r"^\s*(?:please\s+)?(?:what(?:'s| is)|how much is|calculate|compute|work out)?\s*(?P<sum>[-+(\d$€£.].*?)\s*[?=.]*\s*$",
    re.IGNORECASE,
)
_OPERATOR = re.compile(
    r"\d\s*(?:%|[-+*/^×÷]|\bof\b|\b(?:in|to)\s+[a-z])|[a-zµ%°)]\s*(?:[-+*/^×÷]|\bin\b|\bto\b)\s*[\d(a-z]"
)
# Signs that one passage will not do: a comparison, two questions in one, a thing named only through another.
_SEVERAL = (
    ("compares two things", re.compile(r"\b(?:more|less|fewer|older|younger|larger|smaller|higher|lower|earlier|later|longer|"
                                       r"taller|bigger|better) than\b|\bcompared?\b|\bdifference between\b|\bboth\b", re.I)),
    ("chooses between things", re.compile(r"\bwhich (?:of|one)\b.*\bor\b|\b(?:first|earlier|older|larger|higher)\b,.*\bor\b", re.I)),
    ("asks two things", re.compile(r"\b(?:and|or) (?:who|when|where|what|which|how|why)\b", re.I)),
    ("names a thing through another", re.compile(
        r"\b(?:who|that|which|whose)\b[^?]*\b(?:of|by|in|from) the\b[^?]*\b(?:who|that|which|whose|where)\b"
        r"|\bof the [^?]{3,40}\b(?:of|by|in|that|who|which) the\b|\b(?:same) \w+ (?:as|that)\b", re.I)),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a question looks like, and by which sign."""

    kind: Kind
    why: str


def route_of(question: str) -> Route:
    """What kind of route a question needs, by its words alone; a question that is not understood is a single one."""
    if _COURTESY.fullmatch(question):
        return Route(kind="courtesy", why="nothing is asked of the documents")
    if (found := _as_sum(question)) is not None:
        return Route(kind="sum", why=f"it is a sum: {found}")
    for why, sign in _SEVERAL:
        if sign.search(question):
            return Route(kind="several", why=f"the question {why}")
    return Route(kind="single", why="one look may do: no sign of several hops")


def _as_sum(question: str) -> str | None:
    m = _ASKS_SUM.match(question)
    if m is None or not _OPERATOR.search(m["sum"]):
        return None
    try:
        calculate(m["sum"])
    except ToolFailed:
        return None
    return m["sum"]


def auto(kit: Kit, routes: Mapping[str, Callable[[], Strategy]], plans: Mapping[Kind, Sequence[str]]) -> AtDesk:
    """The strategy.

    Args:
        routes: how each strategy is made, by name.
        plans: for each kind of question the names of the strategies to try, cheapest first.
    """

    async def loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
        desk.asked = desk.question = check_question(question)  # each route makes follow-ups standalone for itself
        route = route_of(desk.asked)
        if route.kind == "sum":
            _work_out(desk, route)
            return
        names = [name for name in plans[route.kind] if name in routes]
        desk.step("plan", thought=f"Route: {names[0]}, because {route.why}. If its check fails: {_then(names[1:])}.")
        tried: list[tuple[float, Nested]] = []
        limit = ""
        for i, name in enumerate(names):
            inner = Nested(routes[name](), desk.recorder, desk.budget, desk.emit)
            try:
                desk.budget.require()
                await inner.run(question, history, desk.where)
            except LimitReached as e:
                limit = e.message
                break
            except OpenbookError as e:
                desk.step("reflect", error=e.message, thought=f"{name} failed.")
                if i == len(names) - 1 and not tried:
                    raise
                continue
            passed, why = _judged(inner, route)
            following = f" Next: {names[i + 1]}." if not passed and i + 1 < len(names) else ""
            desk.step("reflect", thought=f"{name}: {'kept' if passed else 'check failed'}, {why}.{following}")
            tried.append((_worth(inner, passed), inner))
            if passed:
                break
        if not tried:
            raise LimitReached(limit or "no route could be tried")
        _, best = max(tried, key=lambda t: t[0])  # the cheapest of equals
        best.say()
        answer = best.answer
        if answer is None:
            raise OpenbookError(f"strategy {best.strategy.name!r} ended without an answer")
        if limit:  # a dearer route was not gone to its end
            answer = replace(answer, reason=f"{answer.reason} Not finished: {limit}.".strip())
        desk.finish(answer, "limit" if limit else best.stop_reason)

    return AtDesk("auto", loop, kit, prompt_names())


def _judged(inner: Nested, route: Route) -> tuple[bool, str]:
    if inner.answer is None:
        return False, "it gave no answer"
    if route.kind == "courtesy":
        return True, "there is nothing to check"
    return holds(inner.answer)


def _worth(tried: Nested, passed: bool) -> float:
    """Orders what was tried: what passed, then the share of supported sentences, among them an abstention; last what a limit left
    without an answer."""
    answer = tried.answer
    if answer is None:
        return -1.0
    if passed:
        return 2.0
    if answer.abstained:
        return -0.5 if tried.stop_reason == "limit" else 0.5
    claims = [s for s in answer.sentences if s.verdict not in ("not_a_claim", "unverified")]
    good = sum(s.verdict in ("supported", "partial") for s in claims)
    return good / len(claims) if claims else 0.0


def _then(names: Sequence[str]) -> str:
    return ", then ".join(names) or "nothing else"


def _work_out(desk: Desk, route: Route) -> None:
    expression = _as_sum(desk.asked) or ""
    result = calculate(expression)
    call = ToolCall(call_id="calculator-1", name="calculator", arguments={"expression": expression})
    desk.step("plan", thought=f"Route: calculator, because {route.why}.")
    desk.step("act", tool_call=call, observation=result)
    text = f"{expression} = {result.removeprefix('≈ ')}" if not result.startswith("≈") else f"{expression} {result}"
    desk.emit(TokenSaid(text=text))
    desk.finish(Answer(text=text, reason="Worked out by the calculator; no document was read."), "answered")
