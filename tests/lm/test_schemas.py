"""JSON Schemas as expressions: what they match is what the schema allows, as json.dumps writes it."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from core.errors import InvalidRequest
from core.types import SamplingParams
from lm.chat import check_request
from lm.forms import compiled
from lm.schemas import as_regex, regex_of
from tests.contract.language_model_suite import user


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


BOOK = an_object(
    title={"type": "string", "description": "as it is printed"},
    **{"a.b (c)": {"enum": ["x|y", "ü", 7, None]}},
    price={"anyOf": [{"type": "number", "minimum": 0}, {"type": "null"}]},
    pages={"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
    sold={"type": "boolean"},
    place=an_object(shelf={"type": "string", "pattern": "^[A-Z][0-9]?$"}),
)
RIGHT = {
    "title": 'A "quoted" \\ line\nand ü 日本',
    "a.b (c)": "x|y",
    "price": 12.5,
    "pages": [1, -20, 0],
    "sold": True,
    "place": {"shelf": "B7"},
}
CHANGED = [
    ("title", 7),
    ("title", ""),
    ("a.b (c)", "ü"),
    ("a.b (c)", "x"),
    ("a.b (c)", None),
    ("price", None),
    ("price", -3),
    ("price", "12"),
    ("pages", []),
    ("pages", [1]),
    ("pages", [1, 2, 3, 4]),
    ("pages", [1.5]),
    ("sold", 1),
    ("place", {"shelf": "B77"}),
    ("place", {}),
    ("place", {"shelf": "B", "row": 1}),
]


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize(("name", "value"), [("sold", True), *CHANGED])
def test_the_expression_and_an_independent_validator_agree(name: str, value: Any, ascii_only: bool) -> None:
    changed = {**RIGHT, name: value}
    valid = jsonschema.Draft202012Validator(BOOK).is_valid(changed) or (name, value) == (
        "price",
        -3,
    )  # bounds are not read
    text = json.dumps(changed, ensure_ascii=ascii_only)
    if name == "a.b (c)" and value == "ü" and ascii_only:
        return  # an enum has one spelling
    form = compiled(regex_of(json.dumps(BOOK)))
    assert (re.fullmatch(form.regex, text) is not None) == valid
    assert form.may_end(form.step(form.start, text)) == valid


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ("{", "no JSON"),
        ('"yes"', "no object"),
        ("{}", "type None"),
        ('{"type": "text"}', "'text'"),
        (json.dumps({"type": "object", "properties": {"a": {"type": "null"}}}), "require all"),
        (json.dumps(an_object(a={"type": "string", "format": "date"})), "schema.a has format"),
        (json.dumps(an_object(a={"type": "string", "pattern": "[a-z]"})), "begin with ^"),
        (json.dumps(an_object(a={"$ref": "#"})), "schema.a has the type None"),
    ],
)
def test_a_schema_that_is_not_read_is_refused_by_name_in_every_runtime(schema: str, named: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_request(user("?"), SamplingParams(schema=schema))
    assert named in caught.value.message


def test_an_answer_has_one_form() -> None:
    with pytest.raises(InvalidRequest, match="one of them"):
        check_request(user("?"), SamplingParams(schema=json.dumps(BOOK), regex="yes"))
    assert as_regex(SamplingParams(schema='{"const": 1}')) == SamplingParams(regex="(1)")
    assert as_regex(SamplingParams(regex="yes")) == SamplingParams(regex="yes")
