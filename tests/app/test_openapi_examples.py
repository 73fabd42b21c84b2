"""Every operation of the OpenAPI document shows what it takes and what it gives."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from app.api.examples import JSON, has_example
from app.api.main import create_app
from core.settings import Settings


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = create_app(types.SimpleNamespace(settings=Settings()), None)  # type: ignore[arg-type]
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_has_an_example_of_what_it_takes_and_gives(document: dict[str, Any]) -> None:
    schemas, lacking = document["components"]["schemas"], []
    for name, operation in operations(document):
        media = [("takes", operation.get("requestBody", {}).get("content", {}).get(JSON))]
        # The first success is what is usually answered.
        status = min(code for code in operation["responses"] if code.startswith("2"))
        media.append(("gives", operation["responses"][status].get("content", {}).get(JSON)))
        lacking += [f"{name} {what}" for what, found in media if found is not None and not has_example(found, schemas)]
    assert lacking == []


def test_what_is_shown_to_be_sent_would_be_taken(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        media = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
        if "example" in media:
            schema = {**media["schema"], "components": document["components"]}
            jsonschema.Draft202012Validator(schema).validate(media["example"])
            assert media["example"] is not None, name


def test_no_example_shows_a_secret(document: dict[str, Any]) -> None:
    text = str([operation for _, operation in operations(document)])
    assert "'token': '…'" in text
    assert not re.search(r"'(?:key|token|csrf|invite|password)': '[^…']{8,}'", text)
