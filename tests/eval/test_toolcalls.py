"""Calls compared with what is accepted: by hand, over the whole of the leaderboard's data, and by mutation."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidRequest, ModelUnavailable
from core.types import Completion, Message, ToolCall, ToolSpec, Usage
from eval.toolcalls.cases import ToolCase, json_schema, load_tool_cases
from eval.toolcalls.matching import AcceptedCall, Call, Function, judge_calls
from eval.toolcalls.run import run_toolcalls
from eval.toolcalls.text import parse_calls, prompted

BFCL = Path(__file__).resolve().parents[3] / "shared" / "data" / "bfcl"
needs_data = pytest.mark.skipif(not BFCL.is_dir(), reason="development data is not beside the checkout")

WEATHER = Function(
    name="weather.now",
    description="The weather.",
    parameters={
        "type": "dict",
        "properties": {
            "place": {"type": "string"},
            "days": {"type": "integer"},
            "height": {"type": "float"},
            "units": {"type": "string"},
            "hours": {"type": "array", "items": {"type": "integer"}},
            "options": {"type": "dict"},
            "point": {"type": "tuple", "items": {"type": "float"}},
            "exact": {"type": "boolean"},
        },
        "required": ["place"],
    },
)


def accepted(**arguments: list[Any]) -> AcceptedCall:
    return AcceptedCall(name="weather.now", arguments={"place": ["Port Ellis", "Port Ellis, NS"], **arguments})


def made(name: str = "weather.now", place: Any = "Port Ellis", **arguments: Any) -> Call:
    return Call(name=name, arguments={"place": place, **arguments})


def right(call: Call, wanted: AcceptedCall) -> bool:
    return judge_calls([call], [wanted], [WEATHER]).right


@pytest.mark.parametrize(
    ("call", "wanted", "expected"),
    [
        (made(), accepted(), True),
        (made(place="port-ellis"), accepted(), True),  # strings are compared loosely
        (made(place="Port Alice"), accepted(), False),
        (made("weather_now"), accepted(), True),  # as servers want names
        (made("weather.then"), accepted(), False),
        (Call(name="weather.now", arguments={}), accepted(), False),
        (made(days=3), accepted(days=[3]), True),
        (made(days="3"), accepted(days=[3]), False),
        (made(days=3.0), accepted(days=[3]), False),
        (made(days=True), accepted(days=[1]), False),
        (made(), accepted(days=[3]), False),
        (made(), accepted(days=["", 3]), True),  # may be left out
        (made(days=4), accepted(days=["", 3]), False),
        (made(colour="red"), accepted(), False),
        (made(height=2), accepted(height=[2.0]), True),  # a whole number is a float
        (made(hours=[1, 2]), accepted(hours=[[1, 2]]), True),
        (made(hours=(1, 2)), accepted(hours=[[1, 2]]), True),
        (made(hours=[2, 1]), accepted(hours=[[1, 2]]), False),
        (made(hours=[1]), accepted(hours=[[1, 2]]), False),
        (made(hours=["1", "2"]), accepted(hours=[["1", "2"], [1, 2]]), True),  # the type of what is accepted
        (made(point=[1, 2.5]), accepted(point=[[1.0, 2.5]]), True),
        (made(exact=1), accepted(exact=[True]), False),
        (made(options={"a": "X"}), accepted(options=[{"a": ["x", "y"], "b": ["", 1]}]), True),
        (made(options={"a": "z"}), accepted(options=[{"a": ["x", "y"]}]), False),
        (made(options={"a": "x", "c": 1}), accepted(options=[{"a": ["x"]}]), False),
        (made(options={}), accepted(options=[{"a": ["x"]}]), False),
        (made(options={"a": ["x", "y"]}), accepted(options=[{"a": ["x", "y"]}]), True),  # a list as it stands
    ],
)
def test_a_call_is_compared_value_by_value(call: Call, wanted: AcceptedCall, expected: bool) -> None:
    assert right(call, wanted) is expected


def test_several_calls_may_come_in_any_order_but_each_once() -> None:
    wanted = [accepted(days=[1, 2]), accepted(days=[1])]
    # The first of them fits both: whoever takes the first that fits leaves the other without a place.
    assert judge_calls([made(days=1), made(days=2)], wanted, [WEATHER]).right
    assert judge_calls([made(days=2), made(days=1)], wanted, [WEATHER]).right
    assert not judge_calls([made(days=2), made(days=2)], wanted, [WEATHER]).right
    judged = judge_calls([made(days=1)], wanted, [WEATHER])
    assert (judged.right, judged.reason) == (False, "1 calls were made, 2 are right")
    assert judge_calls([], [], [WEATHER]).right and not judge_calls([made()], [], [WEATHER]).right


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('[f(a=1, b="x"), g.h(c=[1, -2.5], d={"k": (True, None)})]', ["f", "g.h"]),
        ("f(a=1)", ["f"]),
        ("```python\n[f(a=1)]\n```", ["f"]),
        ("[f(a=my_variable)]", ["f"]),
        ("[]", []),
        ("I cannot do that.", None),
        ("[f(1)]", None),
        ("[f(**{'a': 1})]", None),
        ("[f(a=__import__('os').system('true'))]", None),
        ("[f(a=1), 2]", None),
        ("[" * 5000, None),
        ("f(a=" + "9" * 30_000 + ")", None),
    ],
)
def test_calls_are_read_from_text_without_evaluating_any(text: str, calls: list[str] | None) -> None:
    found = parse_calls(text)
    assert (None if found is None else [call.name for call in found]) == calls


def test_the_schema_is_json_schema_on_the_way_to_a_server() -> None:
    schema = json_schema(WEATHER.parameters)
    assert schema["type"] == "object" and schema["properties"]["height"] == {"type": "number"}
    assert schema["properties"]["point"] == {"type": "array", "items": {"type": "number"}}
    assert json_schema({"type": "any", "description": "x"}) == {"description": "x"}


# ---------------------------------------------------------------- the whole of the data


def answers(case: ToolCase, pick: random.Random) -> list[Call]:
    """Calls that are accepted: of each parameter one accepted value, left out now and then where that is accepted."""
    calls = []
    for wanted in case.accepted:
        required = next(f for f in case.functions if f.name == wanted.name).parameters.get("required", ())
        arguments = {}
        for name, options in wanted.arguments.items():
            value = pick.choice([o for o in options if o != ""] if name in required else options)
            if value != "":
                arguments[name] = concrete(value, pick)
        calls.append(Call(name=wanted.name, arguments=arguments))
    return calls


def concrete(value: Any, pick: random.Random) -> Any:
    """A dict that is accepted has lists of values at its keys: one of each is taken."""
    if isinstance(value, dict):
        chosen = {k: pick.choice(v) if isinstance(v, list) else v for k, v in value.items()}
        return {k: concrete(v, pick) for k, v in chosen.items() if v != ""}
    return [concrete(item, pick) for item in value] if isinstance(value, list) else value


@needs_data
def test_every_accepted_answer_of_the_leaderboard_is_accepted() -> None:
    pick = random.Random(1)
    cases = [case for case in load_tool_cases(BFCL).cases if case.accepted]
    assert len(cases) == 1000
    for case in cases:
        for _ in range(5):
            calls = answers(case, pick)
            pick.shuffle(calls)
            judged = judge_calls(calls, case.accepted, case.functions)
            assert judged.right, (case.id, calls, judged.reason)


def spoiled(calls: list[Call], pick: random.Random) -> list[Call] | None:
    """One thing made wrong; None where the thing drawn is not there to be spoiled."""
    at = pick.randrange(len(calls))
    call, arguments = calls[at], copy.deepcopy(dict(calls[at].arguments))
    kind = pick.choice(("name", "extra", "value", "type", "missing call", "extra call"))
    if kind == "missing call":
        return calls[:at] + calls[at + 1 :]
    if kind == "extra call":
        return [*calls, call]
    name = pick.choice(list(arguments)) if arguments else ""
    match kind, arguments.get(name):
        case "name", _:
            call = Call(name=call.name + "x", arguments={})
        case "extra", _:
            arguments["not_a_parameter"] = 1
        case "value", bool() | dict() | None:
            return None
        case "value", int() | float() as value:
            arguments[name] = value + 7919
        case "value", str() as value:
            arguments[name] = value + " zzqx"
        case "value", list() as value:
            arguments[name] = [*value, "zzqx"]
        case "type", bool() | int() | float() as value:
            arguments[name] = f"about {value}"
        case "type", list() | dict() | str():
            arguments[name] = 7919
        case _:
            return None
    return [*calls[:at], Call(name=call.name, arguments=arguments), *calls[at + 1 :]]


@needs_data
def test_a_thousand_spoiled_answers_are_refused() -> None:
    pick = random.Random(2)
    cases = [case for case in load_tool_cases(BFCL).cases if case.accepted]
    refused = 0
    while refused < 1000:
        case = pick.choice(cases)
        calls = spoiled(answers(case, pick), pick)
        if calls is None:
            continue
        judged = judge_calls(calls, case.accepted, case.functions)
        assert not judged.right and judged.reason, (case.id, calls)
        refused += 1


# ---------------------------------------------------------------- runs


def write_dataset(folder: Path) -> Path:
    (folder / "possible_answer").mkdir(parents=True)
    function = {"name": "weather.now", "description": "d", "parameters": dict(WEATHER.parameters)}
    question = [[{"role": "user", "content": "Weather in Port Ellis?"}]]
    lines = [{"id": f"simple_{i}", "question": question, "function": [function]} for i in range(3)]
    truth = [{"id": f"simple_{i}", "ground_truth": [{"weather.now": {"place": ["Port Ellis"]}}]} for i in range(3)]
    (folder / "simple.json").write_text("\n".join(map(json.dumps, lines)))
    (folder / "possible_answer" / "simple.json").write_text("\n".join(map(json.dumps, truth)))
    (folder / "irrelevance.json").write_text(
        json.dumps({"id": "irrelevance_0", "question": question, "function": [function]})
    )
    return folder


def completion(text: str = "", *calls: ToolCall) -> Completion:
    return Completion(text=text, tool_calls=calls, finish_reason="stop", usage=Usage())


def test_a_native_run_counts_by_category_and_hands_over_the_tools(tmp_path: Path) -> None:
    seen: list[Sequence[ToolSpec]] = []

    async def ask(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Completion:
        seen.append(tools)
        return completion("", ToolCall(call_id="1", name="weather_now", arguments={"place": "Port Ellis"}))

    result = asyncio.run(run_toolcalls(load_tool_cases(write_dataset(tmp_path / "d")), ask, model="m", mode="native"))
    found = result.to_json()
    assert found["by_category"] == {"irrelevance": 0.0, "simple": 1.0}
    assert (found["n"], found["accuracy"], found["mean_accuracy"]) == (4, 0.75, 0.5)
    assert {tool.name for tools in seen for tool in tools} == {"weather_now"}
    assert found["answers"]["irrelevance_0"]["reason"] == "1 calls were made, 0 are right"


def test_a_run_in_words_tells_wrong_from_unparsable_from_failed(tmp_path: Path) -> None:
    said = iter(["Sure, let me see!", '[weather.now(place="Port Ellis")]', "I think it rains.", None])

    async def ask(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Completion:
        assert not tools and "weather.now" in messages[0].content
        text = next(said)
        if text is None:
            raise ModelUnavailable("it went away")
        return completion(text)

    result = asyncio.run(run_toolcalls(load_tool_cases(write_dataset(tmp_path / "d")), ask, model="m", mode="text"))
    # Words where no function fits are right; where one does they are no answer.
    assert [o.state for o in result.outcomes] == ["right", "right", "unparsable", "failed"]


def test_bad_data_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="is no folder"):
        load_tool_cases(tmp_path / "nowhere")
    with pytest.raises(InvalidRequest, match=r"no \*\.json"):
        load_tool_cases(tmp_path)
    folder = write_dataset(tmp_path / "d")
    (folder / "possible_answer" / "simple.json").write_text('{"id": "simple_0", "ground_truth": [{"f": {"a": 1}}]}')
    with pytest.raises(InvalidRequest, match=r"simple\.json, line 1: what is accepted of f must be a list"):
        load_tool_cases(folder)
    (folder / "possible_answer" / "simple.json").write_text('{"id": "other", "ground_truth": []}')
    with pytest.raises(InvalidRequest, match=r"has no 'simple_0'"):
        load_tool_cases(folder)


def test_what_is_asked_in_words_shows_every_function() -> None:
    case = ToolCase(
        id="1", category="c", messages=(Message(role="user", content="q"),), functions=(WEATHER,), accepted=()
    )
    system, user = prompted(case)
    assert system.role == "system" and '"name": "weather.now"' in system.content and user.content == "q"
