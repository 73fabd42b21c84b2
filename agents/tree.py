"""Tree of Thoughts (Yao et al. 2023): propose, value, select, breadth first or depth first.

It knows states as texts and asks through a function; what a state means is its ``Task``'s. As in the authors' code: a state
that stands twice among the candidates of a step is valued once and then counts 0, a prompt that was valued before is not
asked again, and ties keep the order of proposal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

# (prompt, n) → n answers of the model to it.
Ask = Callable[[str, int], Awaitable[Sequence[str]]]
# Told of every candidate of a step: (step from 1, state, value, whether it is kept).
Seen = Callable[[int, str, float, bool], None]

SURE, LIKELY, IMPOSSIBLE = 20.0, 1.0, 0.001  # the worth of one vote


class Task(Protocol):
    """One problem."""

    @property
    def depth(self) -> int:
        """How many steps a whole solution has."""
        ...

    def propose_prompt(self, state: str) -> str: ...

    def proposals(self, state: str, said: str) -> list[str]:
        """The states that follow from ``state`` by what the model said."""
        ...

    def value_prompt(self, state: str) -> str | None:
        """None where a state is worth nothing without asking."""
        ...

    def value(self, state: str, votes: Sequence[str]) -> float: ...


@dataclass(slots=True)
class Tree:
    """One search. ``proposed`` and ``valued`` count what was asked of the model; ``whole`` are the whole states that are known by now, with
    their values, None of one that is not valued yet: what there is where a search is broken off.

    Args:
        samples: votes of one valuation.
        seen: told of each candidate.
    """

    task: Task
    ask: Ask
    samples: int = 3
    seen: Seen | None = None
    proposed: int = 0
    valued: int = 0
    whole: dict[str, float | None] = field(default_factory=dict)
    _values: dict[str, float] = field(default_factory=dict)

    async def breadth_first(self, keep: int = 5, start: str = "") -> list[str]:
        """The ``keep`` best whole states, best first."""
        states = [start]
        for step in range(1, self.task.depth + 1):
            whole = step == self.task.depth
            candidates: list[str] = []
            for state in states:
                candidates += await self._propose(state)
                if whole:
                    self.whole = dict.fromkeys(candidates)
            values = await self._value_all(candidates, whole=whole)
            best = sorted(range(len(candidates)), key=lambda i: -values[i])[:keep]
            if self.seen is not None:
                for i, candidate in enumerate(candidates):
                    self.seen(step, candidate, values[i], i in best)
            states = [candidates[i] for i in best]
        return states

    async def depth_first(
        self, accepts: Callable[[str], bool], *, above: float = 3 * IMPOSSIBLE, most: int = 100, start: str = ""
    ) -> str | None:
        """The first whole state that ``accepts``; a state worth no more than ``above`` is not gone into.

        Args:
            most: states gone into at most.
        """
        left = most

        async def visit(state: str, step: int) -> str | None:
            nonlocal left
            if step > self.task.depth:
                return state if accepts(state) else None
            if left == 0:
                return None
            left -= 1
            candidates = list(dict.fromkeys(await self._propose(state)))
            values = await self._value_all(candidates)
            for i in sorted(range(len(candidates)), key=lambda i: -values[i]):
                if values[i] <= above:
                    break
                if self.seen is not None:
                    self.seen(step, candidates[i], values[i], True)
                found = await visit(candidates[i], step + 1)
                if found is not None:
                    return found
            return None

        return await visit(start, 1)

    async def _propose(self, state: str) -> list[str]:
        self.proposed += 1
        said = await self.ask(self.task.propose_prompt(state), 1)
        return self.task.proposals(state, said[0])

    async def _value_all(self, candidates: Sequence[str], *, whole: bool = False) -> list[float]:
        values: list[float] = []
        before: set[str] = set()
        for candidate in candidates:
            if candidate in before:
                values.append(0.0)
                continue
            before.add(candidate)
            values.append(await self._value(candidate))
            if whole:
                self.whole[candidate] = values[-1]
        return values

    async def _value(self, state: str) -> float:
        prompt = self.task.value_prompt(state)
        if prompt is None:
            return 0.0
        if prompt not in self._values:
            self.valued += self.samples
            self._values[prompt] = self.task.value(state, await self.ask(prompt, self.samples))
        return self._values[prompt]


def votes_value(votes: Sequence[str]) -> float:
    """Σ over the votes of 20 for sure, 1 for likely, 0.001 for impossible, by the last word of the last line of each; a word that
    is denied ("not sure") is no vote."""
    worth = {"sure": SURE, "likely": LIKELY, "impossible": IMPOSSIBLE}
    total = 0.0
    for vote in votes:
        last = vote.strip().split("\n")[-1].strip().strip(".").casefold().split()
        total += worth.get(last[-1], 0.0) if last and last[-2:-1] != ["not"] else 0.0
    return total
