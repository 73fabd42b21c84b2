"""A recorded run as text for a person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.replies import TraceLine
from core.types import Limits, Usage
from core.wording import shortened


def line_of_run(run: TraceLine) -> str:
    """One run in a list."""
    tokens = run["prompt_tokens"] + run["completion_tokens"]
    where = f"  in {run['chat']['chat_id']}" if run["chat"] else ""
    return (
        f"{run['created_at'][:19]}  {run['run_id']}  {run['strategy']:<16} {run['stop_reason']:<9} "
        f"{run['duration_s']:>6.1f} s {tokens:>7,} tokens{where}  {shortened(run['question'], 80)}"
    )


def lines_of(trace: Mapping[str, Any]) -> Iterator[str]:
    """Line by line: the run, its steps with what was thought, found and wrong, and the answer."""
    yield f"{trace['run_id']}  {trace['strategy']}  {trace['stop_reason']}  {float(trace['duration_s']):.1f} s"
    yield f"question: {trace['question']}"
    model = ((trace.get("inputs") or {}).get("lm") or {}).get("name", "")
    asked = [c for c in trace.get("calls", ()) if c["kind"] == "model"]
    if asked:
        cost = Limits(**trace["inputs"]["limits"]).cost(Usage(**trace["usage"]))
        paid = f", cost {cost:.4g}" if cost else ""
        yield f"model: {model}, asked {len(asked)} times, {trace['usage']['completion_tokens']} tokens said{paid}"
    for step in trace["steps"]:
        call = step.get("tool_call")
        action = f" {call['name']}({shortened(json.dumps(call['arguments'], ensure_ascii=False), 80)})" if call else ""
        yield f"{step['index']:>3} {step['kind']:<8}{action}  {step['duration_s']:.2f} s"
        for label in ("thought", "observation", "error"):
            if step[label]:
                yield f"      {label}: {shortened(step[label], 300)}"
    answer = trace.get("answer")
    if answer:
        yield f"answer: {shortened(answer['answer'], 400)}"
        if answer["reason"]:
            yield f"  ({answer['reason']})"
