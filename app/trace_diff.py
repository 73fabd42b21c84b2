"""What differs between two traces, as JSON. Times are no difference, nor is the id of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = dict[str, Any]

_TIMES = ("started_s", "duration_s", "seconds")
_FIELDS = ("strategy", "question", "stop_reason", "settings_hash", "prompt_hash", "index_version")
_STEP_FIELDS = ("kind", "parent_index", "thought", "tool_call", "observation", "error")


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Json]:
    """Each as {"at", "was", "is"}, in the order of the trace; an absent step is null."""
    found: list[Json] = []

    def compare(at: str, was: Any, now: Any) -> None:
        if was != now:
            found.append({"at": at, "was": was, "is": now})

    for name in _FIELDS:
        compare(name, a.get(name), b.get(name))
    before, after = a.get("steps", []), b.get("steps", [])
    for i in range(max(len(before), len(after))):
        if i >= len(before) or i >= len(after):
            there = (before if i < len(before) else after)[i]
            shown = {name: there[name] for name in _STEP_FIELDS if there.get(name)}
            compare(f"step {i}", shown if i < len(before) else None, shown if i < len(after) else None)
            continue
        for name in _STEP_FIELDS:
            compare(f"step {i}, {name}", before[i].get(name), after[i].get(name))
        for name in ("prompt_tokens", "completion_tokens"):
            compare(f"step {i}, {name}", before[i]["usage"][name], after[i]["usage"][name])
    answers = a.get("answer") or {}, b.get("answer") or {}
    for name in ("answer", "abstained", "reason"):
        compare(name, answers[0].get(name), answers[1].get(name))
    for name in ("sentences", "citations"):
        said, says = ([_told(one) for one in answer.get(name, [])] for answer in answers)
        _lists(name, said, says, compare)
    hits = [[h["chunk_id"] for h in answer.get("hits", [])] for answer in answers]
    compare("hits", hits[0], hits[1])
    return found


def _told(part: Mapping[str, Any]) -> Json:
    """Without where a citation's document lies: its id follows from that, and answers of before do not say it."""
    return {name: value for name, value in part.items() if name not in ("uri", "collection")}


def _lists(name: str, was: Sequence[Any], now: Sequence[Any], compare: Any) -> None:
    for i in range(max(len(was), len(now))):
        compare(f"{name.removesuffix('s')} {i + 1}", was[i] if i < len(was) else None, now[i] if i < len(now) else None)


def with_times_of(trace: Mapping[str, Any], recorded: Mapping[str, Any]) -> Json:
    """``trace`` with the times of ``recorded``, step for step: a replay takes no time of its own."""
    steps = [
        {**step, **_timed(old)} | {"usage": {**step["usage"], "duration_s": old["usage"]["duration_s"]}}
        for step, old in zip(trace["steps"], recorded["steps"], strict=False)
    ]
    steps += trace["steps"][len(steps) :]
    found: Json = {**trace, **_timed(recorded), "steps": steps}
    found["usage"] = {**trace["usage"], "duration_s": recorded["usage"]["duration_s"]}
    answer, old_answer = trace.get("answer"), recorded.get("answer")
    if answer and old_answer:
        usage = {**answer["usage"], "duration_s": old_answer["usage"]["duration_s"]}
        found["answer"] = {**answer, **_timed(old_answer), "usage": usage}
    return found


def in_fields_of(trace: Mapping[str, Any], recorded: Mapping[str, Any]) -> Json:
    """``trace`` without the fields that steps did not have when ``recorded`` was written."""
    steps = [
        {name: value for name, value in step.items() if name in old}
        for step, old in zip(trace["steps"], recorded["steps"], strict=False)
    ]
    return {**trace, "steps": steps + trace["steps"][len(steps) :]}


def _timed(of: Mapping[str, Any]) -> Json:
    return {name: of[name] for name in _TIMES if name in of}
