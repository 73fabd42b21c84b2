"""Tree of Thoughts over ways to answer: plans are proposed and valued, then answers by the best plans; breadth first.

The search is ``agents.tree``, as in the paper: three votes of sure, likely or impossible for each state. A state is a
plan, and a plan with an answer. What is kept is in the trace as steps of kind "expand".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agents.abstain import is_abstention
from agents.desk import AtDesk, Desk, Kit
from agents.saying import together
from agents.tree import Tree, votes_value
from core.errors import LimitReached
from core.types import Message

PROMPT = "tot.j2"
PLANS, ANSWERS, KEEP, VOTES = 3, 2, 2, 3
_VOTE_TEMPERATURE = 0.7
_PROPOSAL_TOKENS, _VOTE_TOKENS = 256, 64
_BULLET = re.compile(r"^\s*(?:[-*•–]|\(?\d{1,2}[.):]|(?:plan|answer)\s*\d*\s*:)\s*", re.IGNORECASE)


def tot(kit: Kit, *, plans: int = PLANS, answers: int = ANSWERS, keep: int = KEEP, votes: int = VOTES) -> AtDesk:
    """The strategy."""

    async def loop(desk: Desk, question: str, history: Sequence[Message]) -> None:
        await desk.open(question, history)
        desk.budget.take_step()
        found = await desk.search(desk.question)
        if not found:
            desk.do_not_know("")
            return
        task = _Answering(desk, plans, answers)

        async def ask(prompt: str, n: int) -> list[str]:
            desk.budget.take_step()
            if n == 1:
                return [(await desk.ask(prompt, max_tokens=_PROPOSAL_TOKENS)).text]
            said = [
                desk.ask(prompt, max_tokens=_VOTE_TOKENS, temperature=_VOTE_TEMPERATURE, seed=seed) for seed in range(n)
            ]
            return [s.text for s in await together(said)]

        def seen(step: int, state: str, value: float, kept: bool) -> None:
            plan, answer = split(state)
            thought = (
                f"{'Plan' if step == 1 else 'Answer'}, worth {value:g}{', kept' if kept else ''}: {answer or plan}"
            )
            desk.step("expand", thought=thought)

        tree = Tree(task, ask, votes, seen)
        limit = ""
        try:
            states = await tree.breadth_first(keep)
        except LimitReached as e:
            if not tree.whole:
                raise
            limit = e.message
            states = sorted(tree.whole, key=lambda s: -(tree.whole[s] or 0.0))[:keep]
        finals = [answer for answer in (split(s)[1] for s in states) if answer]
        speaking = [a for a in finals if not is_abstention(a)]
        await desk.cite((speaking or finals or [""])[0], limit=limit)

    return AtDesk("tot", loop, kit, (PROMPT,))


class _Answering:
    """An ``agents.tree.Task``: a state is "plan" or "plan\\nanswer"."""

    depth = 2

    def __init__(self, desk: Desk, plans: int, answers: int) -> None:
        self._desk = desk
        self._n = {"plans": plans, "answers": answers}
        self._passages = [desk.shown(h) for h in desk.hits]

    def propose_prompt(self, state: str) -> str:
        plan, _ = split(state)
        return self._render("answers" if plan else "plans", plan)

    def proposals(self, state: str, said: str) -> list[str]:
        plan, _ = split(state)
        lines = [_BULLET.sub("", line).strip() for line in said.splitlines()]
        lines = list(dict.fromkeys(line for line in lines if line))[: self._n["answers" if plan else "plans"]]
        return [f"{plan}\n{line}" if plan else line for line in lines]

    def value_prompt(self, state: str) -> str | None:
        plan, answer = split(state)
        return self._render("value answer" if answer else "value plan", plan, answer)

    def value(self, state: str, votes: Sequence[str]) -> float:
        del state
        return votes_value(votes)

    def _render(self, ask: str, plan: str = "", answer: str = "") -> str:
        return self._desk.kit.prompts.render(
            PROMPT,
            ask=ask,
            mark=self._desk.mark,
            passages=self._passages,
            question=self._desk.question,
            plan=plan,
            answer=answer,
            n=self._n.get(ask, 0),
        )


def split(state: str) -> tuple[str, str]:
    """A state's plan and answer, empty where there is none yet."""
    plan, _, answer = state.partition("\n")
    return plan, answer
