"""The doctor says what a model server can do."""

from __future__ import annotations

from pathlib import Path

from app.doctor import Finding, examine
from core.settings import Settings
from lm.abilities import Abilities
from tests.support.model_server import ModelServer, serving


def finding(settings: Settings, *, load: bool = True, abilities: Abilities | None = None) -> Finding | None:
    found = examine(settings, load=load, abilities=abilities)
    return next((f for f in found if f.topic == "Model server"), None)


def test_the_server_is_asked_and_what_it_can_do_is_said(tmp_path: Path) -> None:
    with serving(ModelServer(words=["Hello."], schemas="heed", calls_tools=False)) as server:
        settings = Settings(data_dir=tmp_path, lm_runtime="openai", lm_base_url=server.base_url)
        found = finding(settings)
        assert found is not None and found.state == "ok"
        assert found.text.startswith(f"openai:tiny@{server.base_url}, 4,096 tokens of context; ")
        assert "tool calls: no, JSON by schema: yes, text by form: no, log-probabilities: yes" in found.text


def test_a_server_that_does_not_answer_is_missing(tmp_path: Path) -> None:
    with serving(ModelServer()) as server:
        pass
    found = finding(Settings(data_dir=tmp_path, lm_runtime="openai", lm_base_url=server.base_url))
    assert found is not None and found.state == "missing" and "lm_base_url" in found.text


def test_the_page_shows_what_the_running_server_knows_and_asks_nothing(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, lm_runtime="openai", lm_base_url="http://127.0.0.1:9/v1")
    abilities = Abilities()
    abilities.tools = True
    found = finding(settings, load=False, abilities=abilities)
    assert found is not None and found.text.startswith("tool calls: yes, JSON by schema: not known")
    not_yet = finding(settings, load=False)
    assert not_yet is not None and not_yet.text == "not looked for yet"


def test_without_a_server_nothing_is_said_of_one(tmp_path: Path) -> None:
    assert finding(Settings(data_dir=tmp_path), load=False) is None


def test_a_password_in_the_address_is_not_shown(tmp_path: Path) -> None:
    with serving(ModelServer(words=["Hello."], sign_in="me:S3CRET")) as server:
        address = server.base_url.replace("//", "//me:S3CRET@")
        settings = Settings(data_dir=tmp_path, lm_runtime="openai", lm_base_url=address)
        there = finding(settings)
    gone = finding(settings)
    assert there is not None and there.text.startswith(f"openai:tiny@{server.base_url}, ")
    assert gone is not None and gone.state == "missing"
    assert "S3CRET" not in there.text + gone.text
