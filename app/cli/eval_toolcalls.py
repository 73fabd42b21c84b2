"""``openbook eval toolcalls``."""

from __future__ import annotations

import asyncio
import enum
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app import wiring
from app.cli.common import AsJson, DataDir, print_json, told
from core.errors import ModelUnavailable
from core.protocols import calls_tools
from core.types import Completion, Message, SamplingParams, ToolSpec
from lm.complete import complete

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eval.toolcalls.cases import ToolDataset
    from eval.toolcalls.run import Mode


class CallMode(enum.StrEnum):
    native = "native"
    text = "text"


def toolcalls(
    dataset: Annotated[
        Path, typer.Option("--dataset", help="A folder: NAME.json, and possible_answer/NAME.json for what is accepted.")
    ],
    mode: Annotated[
        CallMode | None,
        typer.Option(
            "--mode", help="Native tool calls, or calls written as text. Default: native where the model can."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="So many questions of each file, drawn by --seed.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draw.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Questions under way at once.")] = 1,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Measure how well the language model calls tools: the right ones, with the right arguments, or none.

    Example: openbook eval toolcalls --dataset bfcl --limit 20
    """
    from eval.report import toolcalls_report
    from eval.toolcalls.cases import load_tool_cases
    from eval.toolcalls.run import run_toolcalls

    settings = wiring.load_cli_settings(data_dir=data_dir)
    data = drawn(load_tool_cases(dataset), limit, seed)
    lm = wiring.build_lm(settings)
    if lm is None:
        raise ModelUnavailable("tool calls are a language model's, and lm_runtime is none: choose one in the settings")
    lm.load()
    chosen: Mode = mode.value if mode is not None else ("native" if calls_tools(lm) else "text")
    params = SamplingParams(temperature=0.0, max_tokens=settings.max_answer_tokens)

    async def ask(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Completion:
        return await complete(lm, messages, tools, params)

    try:
        with told("eval toolcalls") as progress:
            result = asyncio.run(
                run_toolcalls(data, ask, model=lm.name, mode=chosen, concurrency=concurrency, progress=progress)
            )
    finally:
        lm.close()
    print_json(result.to_json()) if as_json else print(toolcalls_report(result))


def drawn(data: ToolDataset, limit: int | None, seed: int) -> ToolDataset:
    """At most ``limit`` questions of each category, in the order of the files."""
    if limit is None:
        return data
    kept: set[str] = set()
    for category in dict.fromkeys(case.category for case in data.cases):
        ids = [case.id for case in data.cases if case.category == category]
        kept.update(random.Random(f"{seed} {category}").sample(ids, min(limit, len(ids))))
    return replace(data, cases=tuple(case for case in data.cases if case.id in kept))
