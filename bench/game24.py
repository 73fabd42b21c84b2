"""Game of 24 for Tree of Thoughts: four numbers, each used once, make 24 with + - * and /.

    openbook bench game24 -- --puzzles ../shared/data/game24/24.csv --ranks 801-900          # with a perfect evaluator
    openbook bench game24 -- … --model                                                       # with the settings' model

Steps are lines "4 + 8 = 12 (left: 5 6 12)", the fourth is "Answer: … = 24". An answer counts if exact arithmetic says so.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from agents.tree import Tree, votes_value

STEPS = 4
_LEFT = re.compile(r"\(left: ([^)]*)\)\s*$")


class Game24:
    """An ``agents.tree.Task``. A state is the steps so far, one a line."""

    depth = STEPS

    def __init__(self, puzzle: str) -> None:
        self.puzzle = puzzle  # "4 5 6 10"

    def numbers(self, state: str) -> str:
        """The numbers that are left, as they are written."""
        lines = state.strip().split("\n")
        found = _LEFT.search(lines[-1])
        return found[1] if found else self.puzzle

    def propose_prompt(self, state: str) -> str:
        left = self.numbers(state)
        if left == "24":
            return (
                "Use the numbers and + - * / to make 24. Join the steps to one expression.\n"
                f"Input: {self.puzzle}\nSteps:\n{state.strip()}\nAnswer:"
            )
        return f"Join two of the numbers by + - * or /. Write each possible next step.\nInput: {left}\nPossible next steps:"

    def proposals(self, state: str, said: str) -> list[str]:
        lines = [line.strip() for line in said.strip().split("\n") if line.strip()]
        if self.numbers(state) == "24":
            lines = [line if line.startswith("Answer") else f"Answer: {line}" for line in lines[:1]]
        return [f"{state}{line}\n" for line in lines]

    def value_prompt(self, state: str) -> str | None:
        last = state.strip().split("\n")[-1]
        if last.startswith("Answer"):
            answer = last.removeprefix("Answer:").strip()
            return f"Does the answer use each number once and make 24? sure or impossible\nInput: {self.puzzle}\nAnswer: {answer}"
        if state.strip().count("\n") + 1 >= STEPS:
            return None  # four steps and no answer
        return f"Can these numbers make 24? sure, likely or impossible\n{self.numbers(state)}"

    def value(self, state: str, votes: Sequence[str]) -> float:
        del state
        return votes_value(votes)

    def solved(self, state: str) -> bool:
        """Whether the state's answer is right, by exact arithmetic."""
        last = state.strip().split("\n")[-1]
        return last.startswith("Answer:") and is_solution(self.puzzle, last.removeprefix("Answer:"))


def is_solution(puzzle: str, answer: str) -> bool:
    """Whether ``answer``, "(10 - 4) * (9 - 5) = 24", uses the numbers of ``puzzle`` once each and makes 24."""
    expression = answer.split("=")[0].strip()
    if not re.fullmatch(r"[\d\s+*/()-]+", expression):
        return False
    if sorted(re.findall(r"\d+", expression)) != sorted(puzzle.split()):
        return False
    try:
        return _value(re.findall(r"\d+|[-+*/()]", expression)) == 24
    except (ZeroDivisionError, IndexError):
        return False


def _value(tokens: list[str]) -> Fraction:
    """Of an infix expression, exactly; raises IndexError where it is none."""

    def atom() -> Fraction:
        token = tokens.pop(0)
        if token == "(":
            value = total()
            if tokens.pop(0) != ")":
                raise IndexError("no closing parenthesis")
            return value
        if not token.isdigit():
            raise IndexError(f"no number: {token}")
        return Fraction(token)

    def product() -> Fraction:
        value = atom()
        while tokens and tokens[0] in "*/":
            value = value * atom() if tokens.pop(0) == "*" else value / atom()
        return value

    def total() -> Fraction:
        value = product()
        while tokens and tokens[0] in "+-":
            value = value + product() if tokens.pop(0) == "+" else value - product()
        return value

    result = total()
    if tokens:
        raise IndexError(f"left over: {tokens}")
    return result


# ------------------------------------------------------------ a model that knows


def written(number: Fraction) -> str:
    return str(number)


def next_steps(left: str) -> list[str]:
    """Every step that two of the numbers allow, each once: "4 + 8 = 12 (left: 5 6 12)"."""
    numbers = [Fraction(n) for n in left.split()]
    found: dict[str, None] = {}
    for i, j in itertools.permutations(range(len(numbers)), 2):
        a, b = numbers[i], numbers[j]
        rest = [n for k, n in enumerate(numbers) if k not in (i, j)]
        for op, value in _results(a, b, ordered=i < j):
            kept = " ".join(written(n) for n in sorted([*rest, value]))
            found[f"{written(a)} {op} {written(b)} = {written(value)} (left: {kept})"] = None
    return list(found)


def _results(a: Fraction, b: Fraction, *, ordered: bool) -> Iterator[tuple[str, Fraction]]:
    if ordered:
        yield "+", a + b
        yield "*", a * b
    yield "-", a - b
    if b:
        yield "/", a / b


@lru_cache(maxsize=200_000)
def reaches_24(numbers: tuple[Fraction, ...]) -> bool:
    """Whether they can make 24. ``numbers`` sorted."""
    if len(numbers) == 1:
        return numbers[0] == 24
    for i, j in itertools.combinations(range(len(numbers)), 2):
        rest = [n for k, n in enumerate(numbers) if k not in (i, j)]
        for a, b in ((numbers[i], numbers[j]), (numbers[j], numbers[i])):
            for _, value in _results(a, b, ordered=True):
                if reaches_24(tuple(sorted([*rest, value]))):
                    return True
    return False


def perfect(prompt: str) -> str:
    """What a model that makes no mistake answers to one of the prompts above."""
    if prompt.startswith("Use the numbers"):
        steps = prompt.split("Steps:\n")[1].removesuffix("\nAnswer:").split("\n")
        return f"Answer: {expression(steps)} = 24"
    if prompt.startswith("Join two"):
        left = prompt.split("Input: ")[1].split("\n")[0]
        return "\n".join(next_steps(left))
    if prompt.startswith("Does the answer"):
        puzzle, answer = prompt.split("Input: ")[1].split("\nAnswer: ")
        return "sure" if is_solution(puzzle, answer) else "impossible"
    numbers = tuple(sorted(Fraction(n) for n in prompt.split("\n")[1].split()))
    return "sure" if reaches_24(numbers) else "impossible"


def expression(steps: Sequence[str]) -> str:
    """The steps as one expression, by putting each step's operands in the place of its result."""
    made: list[tuple[str, str]] = []  # (result, expression), the latest last

    def taken(number: str) -> str:
        for i in range(len(made) - 1, -1, -1):
            if made[i][0] == number:
                return made.pop(i)[1]
        return number

    for step in steps:
        a, op, b, _, result = step.split(" (left")[0].split(" ")
        # A number that is both given and a result may be taken as either: the steps left the same numbers.
        right, left = taken(b), taken(a)
        made.append((result, f"({left} {op} {right})"))
    return made[-1][1]


def read_puzzles(path: Path, first: int, last: int) -> list[str]:
    """The puzzles of these ranks, from 1."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [row["Puzzles"] for row in rows if first <= int(row["Rank"]) <= last]


async def solve(puzzle: str, *, keep: int = 5) -> tuple[bool, int]:
    """Whether breadth-first search with the perfect model solves it, and how often that was asked."""
    calls = 0

    async def ask(prompt: str, n: int) -> list[str]:
        nonlocal calls
        calls += n
        return [perfect(prompt) for _ in range(n)]

    game = Game24(puzzle)
    states = await Tree(game, ask).breadth_first(keep)
    return bool(states) and game.solved(states[0]), calls


async def solve_with_model(puzzles: Sequence[str]) -> list[bool]:
    """The same with the language model of the settings, greedily proposing and sampling its votes at T = 0.7."""
    from app.wiring import build_lm, load_cli_settings
    from core.types import Message, SamplingParams
    from lm.complete import complete

    lm = build_lm(load_cli_settings())
    if lm is None:
        raise SystemExit("settings want no language model: set lm_runtime")
    lm.load()

    async def ask(prompt: str, n: int) -> list[str]:
        params = SamplingParams(temperature=0.7 if n > 1 else 0.0, max_tokens=200)
        messages = [Message(role="user", content=prompt)]
        return [(await complete(lm, messages, params=params)).text for _ in range(n)]

    solved = []
    for puzzle in puzzles:
        game = Game24(puzzle)
        states = await Tree(game, ask).breadth_first()
        solved.append(bool(states) and game.solved(states[0]))
    lm.close()
    return solved


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--puzzles", type=Path, required=True)
    parser.add_argument("--ranks", default="801-900")
    parser.add_argument("--model", action="store_true")
    chosen = parser.parse_args(arguments)
    first, last = map(int, chosen.ranks.split("-"))
    puzzles = read_puzzles(chosen.puzzles, first, last)
    if chosen.model:
        solved = asyncio.run(solve_with_model(puzzles))
        print(f"{sum(solved)} of {len(solved)} solved by the model")
        return

    async def every() -> list[tuple[bool, int]]:
        return [await solve(p) for p in puzzles]

    done = asyncio.run(every())
    print(
        f"{sum(s for s, _ in done)} of {len(done)} solved with a perfect evaluator, {sum(c for _, c in done):,} calls"
    )


if __name__ == "__main__":
    main()
