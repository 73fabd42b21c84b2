"""Models beside the server's own: lent to a run, one in this process at a time, let go when nobody asks."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from app import other_models
from app.other_models import OtherModels
from app.services import Models, Services
from core.errors import Busy, InvalidRequest, ModelUnavailable
from core.offload import Offload
from core.settings import Settings


@dataclasses.dataclass
class Holder:
    """What ``OtherModels`` reads of the services."""

    settings: Settings
    offload: Offload
    models: Models


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    choices = {}
    for name in ("one", "two"):
        (tmp_path / name).write_text(json.dumps({"replies": [{"text": name, "times": 0}]}))
        choices[name] = {"runtime": "scripted", "script": str(tmp_path / name)}
    offload = Offload(2)
    yield cast(Services, Holder(Settings(lm_choices=choices), offload, Models()))  # type: ignore[arg-type]
    offload.close()


def name_of(services: Services) -> str:
    return services.settings.lm_script.rpartition("/")[2]


def test_each_run_gets_the_model_that_it_names_and_the_servers_own_stays(services: Services) -> None:
    async def ask() -> None:
        others = OtherModels()
        async with others.lent(services, "one") as first, others.lent(services, "two") as second:
            assert (name_of(first), name_of(second)) == ("one", "two")
            assert first.models.lm is not second.models.lm and services.models.lm is None
        async with others.lent(services, "one") as again:
            assert again.models.lm is first.models.lm, "what is served elsewhere is kept"
        with pytest.raises(InvalidRequest, match="unknown model 'three'"):
            async with others.lent(services, "three"):
                pass
        await others.close()

    asyncio.run(ask())


def test_of_those_in_this_process_one_is_loaded_and_goes_when_another_is_wanted_or_nobody_asks(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    monkeypatch.setattr(other_models, "_ELSEWHERE", ())  # as if they held weights
    build = other_models.build_lm

    def noting(settings: Settings) -> Any:
        lm = build(settings)
        assert lm is not None
        end, name = lm.close, settings.lm_script.rpartition("/")[2]
        monkeypatch.setattr(lm, "close", lambda: (closed.append(name), end()))
        return lm

    monkeypatch.setattr(other_models, "build_lm", noting)

    async def ask() -> None:
        others = OtherModels(idle_s=0.05)
        async with others.lent(services, "one"):
            async with others.lent(services, "one"):
                pass
            with pytest.raises(Busy, match="'one' is being asked, and 'two' does not run beside it"):
                async with others.lent(services, "two"):
                    pass
            await asyncio.sleep(0.15)
            assert closed == [], "somebody is asking it"
        async with others.lent(services, "two"):
            assert closed == ["one"]
        await asyncio.sleep(0.3)
        assert closed == ["one", "two"]
        async with others.lent(services, "two"):
            pass
        await others.close()
        assert closed == ["one", "two", "two"]

    asyncio.run(ask())


def test_what_cannot_be_had_is_said_and_nothing_is_kept_of_it(services: Services, tmp_path: Path) -> None:
    (tmp_path / "one").unlink()

    async def ask() -> None:
        others = OtherModels()
        with pytest.raises((ModelUnavailable, InvalidRequest)):
            async with others.lent(services, "one"):
                pass
        (tmp_path / "one").write_text(json.dumps({"replies": [{"text": "one", "times": 0}]}))
        async with others.lent(services, "one") as found:
            assert name_of(found) == "one"
        await others.close()

    asyncio.run(ask())
