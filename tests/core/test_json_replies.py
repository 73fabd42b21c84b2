"""JSON replies are checked wherever they come from, and asked for again only so often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from core.json_replies import Heard, Json, Shape, again, ask_json, fits_schema
from core.types import Message, SamplingParams
from lm.complete import complete
from lm.scripted import ScriptedLM

SHAPE = Shape(
    {
        "type": "object",
        "properties": {
            "town": {"type": "string", "pattern": "^[a-z]+$"},
            "kind": {"enum": ["port", "spa"]},
            "of": {
                "type": "object",
                "properties": {"n": {"type": "integer"}},
                "required": ["n"],
                "additionalProperties": False,
            },
        },
        "required": ["town", "kind", "of"],
        "additionalProperties": False,
    }
)
RIGHT = '{"town": "Brunn {old}", "kind": "spa", "of": {"n": 3}}'
VALUE = {"town": "Brunn {old}", "kind": "spa", "of": {"n": 3}}


@pytest.mark.parametrize(
    "around", ["{}", "```json\n{}\n```", 'Here it is, {{not JSON}}: {} — and {{"other": 1}}', "{0} {0}"]
)
def test_an_object_is_found_whatever_stands_around_it(around: str) -> None:
    assert SHAPE.read(around.format(RIGHT)) == VALUE


@pytest.mark.parametrize(
    ("reply", "wrong"),
    [
        ("", "no JSON object"),
        ("[1]", "no JSON object"),
        (RIGHT[:-3], "no end"),
        (RIGHT.replace("3", "NaN"), "cannot be read"),
        ('{"a":' * 9000, "cannot be read"),
        (RIGHT.replace("spa", "lake"), "its kind: 'lake' is not one of ['port', 'spa']"),
        (RIGHT.replace("3", '"three"'), "its of.n: 'three' is not of type 'integer'"),
        ('{"town": "Brunn"}', "'kind' is a required property"),
        (RIGHT + RIGHT.replace("spa", "port"), "several JSON objects that differ"),
    ],
)
def test_what_is_wrong_is_said_in_words_for_whoever_wrote_it(reply: str, wrong: str) -> None:
    said = SHAPE.read(reply)
    assert isinstance(said, str) and wrong in said
    assert len(said) <= 160


@pytest.mark.parametrize("unit", ['{"a":', '{"a":{},"b":', '{"b":[', "{", "{ "])
def test_a_reply_of_nothing_but_beginnings_is_read_at_once(unit: str) -> None:
    began = time.process_time()
    assert isinstance(SHAPE.read(unit * 20_000), str)
    assert time.process_time() - began < 0.4, (
        "each brace was begun at anew: a second and more, in which a server does nothing else"
    )


def test_a_reply_is_let_say_more_than_was_asked_for_and_in_other_words() -> None:
    more = RIGHT.replace('"kind"', '"why": "it is warm", "kind"')
    assert SHAPE.read(more) == {**VALUE, "why": "it is warm"}  # and the town is not of the pattern


def test_only_the_whole_of_an_answer_shows_that_a_schema_was_heeded() -> None:
    assert fits_schema(SHAPE.text, RIGHT.replace(": ", ":\n"))
    assert not fits_schema(SHAPE.text, f"Sure: {RIGHT}")
    assert not fits_schema(SHAPE.text, RIGHT[:-1])


def heard(lm: ScriptedLM, *, tries: int = 3, held: bool = True) -> Heard[int]:
    async def ask(messages: Sequence[Message], params: SamplingParams) -> str:
        return (await complete(lm, messages, (), params)).text

    def prompt(trouble: str) -> list[Message]:
        return [Message(role="user", content=again("Which?", trouble))]

    def read(said: Json) -> int | str:
        return int(said["of"]["n"]) if said["of"]["n"] else "n is nothing"

    return asyncio.run(ask_json(SHAPE, lm, prompt, read, ask, SamplingParams(), tries=tries, held=held))


def test_it_is_asked_again_with_what_was_wrong_until_a_reply_is_of_use() -> None:
    lm = ScriptedLM(["I would say three.", RIGHT.replace("3", "0"), RIGHT])
    assert heard(lm) == Heard(value=3, reply=RIGHT, asked=3)
    asked = [a.messages[0].content for a in lm.asked]
    assert asked[0] == "Which?"
    assert "of no use: it has no JSON object." in asked[1] and "of no use: n is nothing." in asked[2]


def test_it_is_given_up_after_so_many_replies() -> None:
    lm = ScriptedLM(["No."] * 9)
    assert heard(lm, tries=2) == Heard(value=None, reply="No.", trouble="it has no JSON object", asked=2)
    assert len(lm.asked) == 2


@pytest.mark.parametrize(
    ("structured", "held", "asked"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_a_model_is_held_to_the_schema_where_it_can_be_and_shall_be(structured: bool, held: bool, asked: bool) -> None:
    lm = ScriptedLM([RIGHT], structured=structured)
    assert heard(lm, held=held).value == 3
    assert lm.asked[0].params.schema == (SHAPE.text if asked else "")
