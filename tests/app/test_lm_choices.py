"""Other language models for evaluations: only those that settings list, one at a time, and unlike results kept apart."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.lm_choices import ModelInTurn, check_choice, check_room, choice_facts, chosen_settings
from app.services import Models
from core.errors import InvalidRequest, ModelUnavailable
from core.offload import Offload
from core.settings import LmChoice, Settings, as_environment, load_settings


def script(path: Path, text: str) -> str:
    path.write_text(json.dumps({"replies": [{"text": text, "times": 0}]}), "utf-8")
    return str(path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    choices = {name: LmChoice(runtime="scripted", script=script(tmp_path / name, name)) for name in ("one", "two")}
    return Settings(lm_runtime="transformers", lm_model="own", lm_adapter="mine", lm_choices=choices)


def test_a_model_that_is_not_listed_is_refused_with_those_that_are(settings: Settings) -> None:
    for name in ("three", "/etc/passwd", "http://127.0.0.1:1/v1"):
        with pytest.raises(InvalidRequest, match="there are one, two") as refused:
            check_choice(settings, name)
        assert refused.value.code == "unknown-model"


def test_a_choice_takes_nothing_of_the_servers_own_model(settings: Settings) -> None:
    chosen = chosen_settings(settings, "one")
    assert (chosen.lm_runtime, chosen.lm_model, chosen.lm_adapter) == ("scripted", "packaged", "")
    assert chosen.k == settings.k


def test_another_file_or_another_address_is_another_model(settings: Settings, tmp_path: Path) -> None:
    before = choice_facts(settings, "one")
    assert before == choice_facts(settings, "one") and before["name"] == "one"
    script(tmp_path / "one", "something longer than before")
    assert choice_facts(settings, "one") != before
    served = [LmChoice(runtime="openai", model="m", base_url=f"http://127.0.0.1:{port}/v1") for port in (1, 2)]
    facts = [choice_facts(Settings(lm_choices={"x": choice}), "x") for choice in served]
    assert facts[0] != facts[1]


def test_a_file_that_is_not_there_is_said_before_anything_runs_and_without_its_path(tmp_path: Path) -> None:
    gone = Settings(lm_choices={"gone": LmChoice(model=str(tmp_path / "secret-place.gguf"))})
    with pytest.raises(ModelUnavailable, match="model 'gone' is not there") as refused:
        check_choice(gone, "gone")
    assert "secret-place" not in refused.value.message


def test_a_model_that_does_not_fit_beside_the_servers_own_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"x" * 1000)
    chosen = chosen_settings(Settings(lm_choices={"m": LmChoice(model=str(tmp_path / "m.gguf"))}), "m")
    check_room(chosen, "m", free=1200)
    with pytest.raises(ModelUnavailable, match="runtime openai"):
        check_room(chosen, "m", free=1199)  # 1.2 × 1000 bytes are needed


def test_a_servers_model_has_a_name_because_results_are_kept_by_it() -> None:
    with pytest.raises(ValidationError, match="by its name"):
        LmChoice(runtime="openai", base_url="http://127.0.0.1:1/v1")


def test_the_list_reaches_the_servers_own_processes(settings: Settings) -> None:
    assert load_settings(env=as_environment(settings)).lm_choices == settings.lm_choices
    assert settings.digest() == settings.model_copy(update={"lm_choices": {}}).digest()
    assert "lm_choices" not in settings.recorded()


@dataclasses.dataclass
class Some:
    """As much of the services as a model in turn asks."""

    settings: Settings
    models: Models
    offload: Offload


def test_one_is_loaded_after_the_other_and_the_servers_own_comes_back(settings: Settings) -> None:
    offload = Offload(1)
    services: Any = Some(settings, Models(), offload)

    async def go() -> list[str]:
        turn, names = ModelInTurn(services), list[str]()
        first = await turn.with_model("one", lambda _text: None)
        assert await turn.with_model("one", lambda _text: None) is first, "it is not loaded twice"
        for name in ("one", "two", None):
            here = await turn.with_model(name, lambda _text: None)
            names.append("own" if here is services else f"{here.models.lm.name} {here.settings.lm_runtime}")
        await turn.close()
        return names

    try:
        assert asyncio.run(go()) == ["scripted:one scripted", "scripted:two scripted", "own"]
    finally:
        offload.close()
    assert services.models.lm is None  # the services of everybody were never touched
