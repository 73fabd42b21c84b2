"""Game of 24: exact arithmetic, and Tree of Thoughts with a model that makes no mistake."""

from __future__ import annotations

import asyncio
import re
from fractions import Fraction
from pathlib import Path

import pytest

from agents.tree import Tree
from bench.game24 import Game24, is_solution, next_steps, perfect, reaches_24, read_puzzles, solve

PUZZLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "game24" / "24.csv"


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("(10 - 4) * (9 - 5) = 24", True),
        ("(5 - 9) * (4 - 10)", True),
        ("10 + 9 + 5 = 24", False),  # 4 is not used
        ("10 * 4 - 9 - 5 = 24", False),  # 26
        ("10 + 9 + 5 + 4 - 4", False),  # 4 twice
        ("__import__('os')", False),
        ("(10 - 4) * (9 - 5", False),
        ("10 / (5 - 5) * 4 * 9", False),
    ],
)
def test_an_answer_counts_if_exact_arithmetic_says_so(answer: str, right: bool) -> None:
    assert is_solution("4 5 9 10", answer) is right


def test_thirds_are_exact() -> None:
    assert is_solution("3 3 8 8", "8 / (3 - 8 / 3) = 24")  # 8 / (1/3)
    assert reaches_24((Fraction(3), Fraction(3), Fraction(8), Fraction(8)))


def test_steps_name_what_is_left() -> None:
    assert "4 + 6 = 10 (left: 10)" in next_steps("4 6")
    assert "6 / 4 = 3/2 (left: 3/2)" in next_steps("4 6")
    assert len(next_steps("4 6")) == 6  # + and * once, - and / both ways


def test_it_is_found_with_exactly_as_many_calls_as_the_definition_implies() -> None:
    puzzle = "4 5 6 10"
    asked: list[str] = []

    async def ask(prompt: str, n: int) -> list[str]:
        asked.extend([prompt] * n)
        return [perfect(prompt)] * n

    game = Game24(puzzle)
    states = asyncio.run(Tree(game, ask).breadth_first(5))
    assert game.solved(states[0])
    assert len(asked) == definition(puzzle)


def definition(puzzle: str) -> int:
    """Model calls of four steps, five kept, three votes a valuation: counted without the search.

    A state's value follows from the numbers that are left: one valuation for each set of them, over the whole run.
    """
    frontier: list[tuple[str, tuple[str, ...]]] = [(puzzle, ())]
    calls, valued = 0, set[str]()
    for step in range(4):
        candidates: list[tuple[float, int, tuple[str, tuple[str, ...]]]] = []
        seen: set[tuple[str, ...]] = set()
        for left, path in frontier:
            calls += 1
            if left == "24":
                if _answer(path) not in valued:
                    calls += 3
                    valued.add(_answer(path))
                candidates.append((-60.0, len(candidates), ("", (*path, "answer"))))
                continue
            for line in next_steps(left):
                new = (*path, line)
                rest = line.split("(left: ")[1].rstrip(")")
                worth = 0.0
                if new not in seen and step < 3:
                    if rest not in valued:
                        calls += 3
                        valued.add(rest)
                    worth = 60.0 if reaches_24(tuple(sorted(Fraction(n) for n in rest.split()))) else 0.003
                seen.add(new)
                candidates.append((-worth, len(candidates), (rest, new)))
        frontier = [c[2] for c in sorted(candidates, key=lambda c: c[:2])[:5]]
    return calls


def _answer(path: tuple[str, ...]) -> str:
    steps = "\n".join(path)
    return perfect(f"Use the numbers\nSteps:\n{steps}\nAnswer:").removeprefix("Answer:").strip()


@pytest.mark.skipif(not PUZZLES.is_file(), reason="the puzzles are not here")
@pytest.mark.parametrize("rank", [801, 850, 900])
def test_hard_puzzles_are_solved(rank: int) -> None:
    (puzzle,) = read_puzzles(PUZZLES, rank, rank)
    assert re.fullmatch(r"\d+( \d+){3}", puzzle)
    assert asyncio.run(solve(puzzle)) == (True, definition(puzzle))


@pytest.mark.slow
@pytest.mark.skipif(not PUZZLES.is_file(), reason="the puzzles are not here")
def test_ranks_801_to_900_are_solved_one_hundred_of_one_hundred() -> None:
    puzzles = read_puzzles(PUZZLES, 801, 900)
    assert len(puzzles) == 100
    assert [asyncio.run(solve(p)) for p in puzzles] == [(True, definition(p)) for p in puzzles]
