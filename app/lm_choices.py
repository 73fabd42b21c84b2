"""Other language models than the server's own, for evaluations: those that settings list by name, one loaded at a time.

The server's own stays loaded meanwhile, since people may be asking it. Part of the wiring.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from app.wiring import LoadableLM, build_lm, build_queue
from core.errors import InvalidRequest, ModelUnavailable
from core.settings import LmChoice, Settings

if TYPE_CHECKING:
    from app.services import Services

logger = logging.getLogger(__name__)

_ROOM = 1.2  # memory that a model takes, in sizes of its file: weights, buffers and a small cache
_GIB = 2**30
_LOADING_S = 1.0


def chosen_settings(settings: Settings, name: str) -> Settings:
    """The settings under which the model ``name`` is the language model.

    What belongs to the server's own model alone (its adapter, drafts, limits) is not taken over.

    Raises:
        InvalidRequest: no such model is listed, code "unknown-model".
    """
    choice = _choice(settings, name)
    off = Settings()
    here = {f"lm_{field}": value for field, value in choice.model_dump().items()}
    here |= {"lm_draft_model": "", "lm_amateur_model": ""}
    if choice.runtime != "transformers":  # which alone has these
        here |= {n: getattr(off, n) for n in ("lm_context_contrast", "lm_no_repeat_ngram")}
    if choice.runtime == "openai":
        here["lm_beams"] = off.lm_beams
    return settings.model_copy(update=here)


def check_choice(settings: Settings, name: str) -> None:
    """Says before anything runs what can be known of a model that cannot be had; loads nothing.

    Raises:
        InvalidRequest: it is not listed, or its settings do not go together.
        ModelUnavailable: its file is not there.
    """
    chosen = chosen_settings(settings, name)
    path = _file(_choice(settings, name))
    if path is not None and not path.exists():
        raise ModelUnavailable(f"the file of model {name!r} is not there: whoever runs the server set lm_choices")
    build_lm(chosen)


def choice_facts(settings: Settings, name: str) -> dict[str, Any]:
    """What answers of this model follow from: how it runs, and which files, told by size and time. Raises InvalidRequest."""
    choice, path = _choice(settings, name), _file(_choice(settings, name))
    kept = chosen_settings(settings, name).digest() + choice.base_url
    files = [] if path is None or not path.exists() else [path] if path.is_file() else sorted(path.rglob("*"))
    stamps = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    return {"name": name, "settings": hashlib.sha256(kept.encode()).hexdigest()[:16], "files": stamps}


class ModelInTurn:
    """The services as an evaluation asks them: with the server's own language model, or with one other in its place."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._name: str | None = None
        self._here = services
        self._lm: LoadableLM | None = None

    async def with_model(self, name: str | None, report: Callable[[str], None]) -> Services:
        """Closes the model of before, if it is another, and loads this one; None is the server's own.

        Args:
            report: hears in words what is being loaded; called in another thread, and what it raises ends the loading.

        Raises:
            InvalidRequest: no such model is listed.
            ModelUnavailable: it cannot be loaded, or there is no memory for it beside what is loaded.
        """
        if name == self._name:
            return self._here
        await self.close()
        if name is not None:
            chosen = chosen_settings(self._services.settings, name)
            check_room(chosen, name, psutil.virtual_memory().available)
            self._lm = lm = build_lm(chosen)
            if lm is None:
                raise ModelUnavailable(f"model {name!r} has no runtime")
            await self._services.offload(lm.load, lambda text, share: report(f"{text} ({share:.0%})"))
            models = dataclasses.replace(self._services.models, lm=build_queue(chosen, lm), close_lm=None)
            self._here = dataclasses.replace(self._services, settings=chosen, models=models)
            self._name = name
        return self._here

    async def with_loaded(
        self, name: str | None, report: Callable[[str], None], tell: Callable[[str], Awaitable[None]]
    ) -> Services:
        """``with_model``, and where that is the server's own, which loads last, waits as long as it loads. It may not be there
        afterwards: it could not be loaded, or settings want none.

        Args:
            tell: hears in words that it is waited for, every second; what it raises ends the waiting.
        """
        here = await self.with_model(name, report)
        while here.models.lm is None:
            part = here.loading.get("language model")
            if part is None or part.state not in ("waiting", "loading"):
                break
            await tell("the language model is loading")
            await asyncio.sleep(_LOADING_S)
        return here

    async def close(self) -> None:
        """Lets go of a model that was loaded here."""
        lm, self._lm = self._lm, None
        self._name, self._here = None, self._services
        if lm is not None:
            await self._services.offload(lm.close)


def check_room(settings: Settings, name: str, free: int) -> None:
    """Raises ModelUnavailable if a model that runs in this machine's memory would not fit into ``free`` bytes."""
    if settings.lm_runtime != "openvino" or settings.lm_model == "packaged":
        return
    path = Path(settings.lm_model)
    files = [path] if path.is_file() else path.rglob("*")
    needed = int(_ROOM * sum(f.stat().st_size for f in files if f.is_file()))
    if needed > free:
        raise ModelUnavailable(
            f"model {name!r} takes about {needed / _GIB:.1f} GiB beside the server's own, and {free / _GIB:.1f} GiB are free: close "
            "something, set lm_runtime to none meanwhile, or serve the model elsewhere (runtime openai)"
        )


def _choice(settings: Settings, name: str) -> LmChoice:
    if name not in settings.lm_choices:
        known = ", ".join(settings.lm_choices) or "none"
        raise InvalidRequest(
            f"unknown model {name!r}: there are {known}, beside the server's own; whoever runs the server lists more under "
            "lm_choices",
            code="unknown-model",
        )
    return settings.lm_choices[name]


def _file(choice: LmChoice) -> Path | None:
    """What is loaded from the disk, where its path is known."""
    match choice.runtime:
        case "scripted":
            return Path(choice.script)
        case "openvino" if choice.model != "packaged":
            return Path(choice.model)
        case "transformers" if Path(choice.model).exists():  # else it is a hub name
            return Path(choice.model)
        case _:
            return None
