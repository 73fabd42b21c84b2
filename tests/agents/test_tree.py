"""Tree search beyond what conformance covers: depth first, and how votes count."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from agents.tree import Tree, votes_value


class Spelling:
    """Finds the word "tree" letter by letter; wrong letters are impossible."""

    depth = 4

    def propose_prompt(self, state: str) -> str:
        return state

    def proposals(self, state: str, said: str) -> list[str]:
        return [state + letter for letter in said]

    def value_prompt(self, state: str) -> str | None:
        return f"value {state}"

    def value(self, state: str, votes: Sequence[str]) -> float:
        return votes_value(votes)


async def spell(prompt: str, n: int) -> list[str]:
    if not prompt.startswith("value "):
        return ["xerte"[::-1]]
    return ["sure" if "tree".startswith(prompt[6:]) else "impossible"] * n


def test_depth_first_finds_what_is_accepted_and_goes_into_nothing_impossible() -> None:
    entered: list[str] = []
    tree = Tree(Spelling(), spell, seen=lambda _step, state, _value, _kept: entered.append(state))
    assert asyncio.run(tree.depth_first(lambda s: s == "tree")) == "tree"
    assert entered == ["t", "tr", "tre", "tree"]
    assert tree.proposed == 4


def test_depth_first_gives_up_after_so_many_states() -> None:
    assert asyncio.run(Tree(Spelling(), spell).depth_first(lambda s: s == "never", most=2)) is None


def test_votes_are_read_from_the_last_line_and_anything_else_counts_nothing() -> None:
    assert votes_value(["it fits\nsure", "Likely.", "I say: impossible", "perhaps", ""]) == 20 + 1 + 0.001
