"""Share of valid ReAct actions with and without a grammar: ``python -m bench.actions [--questions N]``.

The first turn of strategy ``react`` on questions of a QA file, drawn evenly, with the language model of the settings: what it writes as
thought and action, and what it writes where the action alone is asked for, as text and by the grammar. Valid is what the loop
would carry out. Nothing is searched, so no retrieval is in it; seconds are those of one request each.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from agents.prompts import Prompts
from agents.react import ACTION_FORM, EXAMPLES, SYSTEM, TURN_TOKENS, USER, is_action, shown_examples
from app.wiring import build_lm, load_cli_settings
from core.protocols import LanguageModel
from core.types import Message, SamplingParams
from eval.datasets import load_qa
from lm.complete import complete

DATA = Path(__file__).parents[2] / "shared" / "data" / "clapnq" / "dev.jsonl"


async def first_turns(lm: LanguageModel, questions: Sequence[str]) -> dict[str, list[tuple[bool, float, str]]]:
    """For each way of asking: whether the action was valid, seconds, and what was written."""
    prompts = Prompts()
    examples = shown_examples(prompts.source(EXAMPLES))[:1]  # what fits a small model
    system = Message(role="system", content=prompts.render(SYSTEM, examples=examples))
    found: dict[str, list[tuple[bool, float, str]]] = {"thought and action": [], "action alone": [], "by grammar": []}

    async def ask(way: str, prompt: str, stop: str, regex: str = "") -> str:
        began = time.perf_counter()
        params = SamplingParams(max_tokens=TURN_TOKENS, stop=(stop,), regex=regex)
        said = await complete(lm, [system, Message(role="user", content=prompt)], (), params)
        action = said.text.strip().partition("\nAction 1: ")[2] if way == "thought and action" else said.text
        found[way].append((is_action(action.strip()), time.perf_counter() - began, said.text))
        return said.text

    for n, question in enumerate(questions, 1):
        user = prompts.render(USER, question=question, reflections=())
        said = await ask("thought and action", f"{user}\nThought 1:", "\nObservation 1:")
        thought = said.strip().split("\n")[0].removeprefix("Thought 1:").strip()
        alone = f"{user}\nThought 1: {thought}\nAction 1:"
        await ask("action alone", alone, "\n")
        await ask("by grammar", alone, "\n", ACTION_FORM)
        print(f"{n} of {len(questions)}", end="\r", file=sys.stderr, flush=True)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.actions", description=__doc__)
    parser.add_argument("--dataset", type=Path, default=DATA)
    parser.add_argument("--questions", type=int, default=40)
    options = parser.parse_args(argv)
    samples = load_qa(options.dataset).samples
    step = max(1, len(samples) // options.questions)
    lm = build_lm(load_cli_settings())
    if lm is None:
        print("settings want no language model: set lm_runtime", file=sys.stderr)
        return 1
    lm.load()
    try:
        found = asyncio.run(first_turns(lm, [s.question for s in samples[::step]][: options.questions]))
    finally:
        lm.close()
    print(f"{lm.name}, {len(next(iter(found.values())))} questions")
    print("| asked for | valid actions | finish at once | different | median s |\n|---|---|---|---|---|")
    for way, rows in found.items():
        valid = sum(good for good, _, _ in rows)
        finish = sum("finish[" in text.lower() for good, _, text in rows if good)
        different = len({text.strip() for _, _, text in rows})
        seconds = statistics.median(s for _, s, _ in rows)
        print(f"| {way} | {valid} of {len(rows)} | {finish} | {different} | {seconds:.1f} |")
    for way, rows in found.items():
        print(f"\n{way}: {rows[0][2].strip()[:160]!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
