"""Loads what takes time, in the order that makes searching ready first, and says how far it is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from app.services import Loading, Services
from app.wiring import build_encoder, build_lm, build_verifier, load_lm
from core.errors import OpenbookError
from core.protocols import Encoder, LanguageModel
from retrieval.engine import SearchEngine

T = TypeVar("T")
logger = logging.getLogger("openbook.loading")

ENCODER, INDEXES, LM = "encoder", "indexes", "language model"


async def load_models(services: Services) -> None:
    """Fills ``services.models``. A part that fails says why in ``services.loading``; the others go on."""
    for name in (ENCODER, INDEXES, LM):
        services.loading[name] = Loading(name)

    def encoder() -> Encoder:
        return build_encoder(services.settings, _progress(services, ENCODER))

    def engine() -> SearchEngine:
        if services.models.encoder is None:
            raise OpenbookError("the encoder did not load")
        found = SearchEngine(services.store, services.models.encoder, services.data_dir, services.settings)
        found.open()
        return found

    def lm() -> LanguageModel | None:
        found = build_lm(services.settings)
        if found is not None:
            load_lm(found, _progress(services, LM))
        return found

    services.models.verifier = build_verifier(services.settings)
    services.models.encoder = await _load(services, ENCODER, encoder)
    services.models.engine = await _load(services, INDEXES, engine)
    services.work_added.set()
    services.models.lm = await _load(services, LM, lm)
    if services.models.lm is None and services.loading[LM].state == "ready":
        services.loading[LM].state = "off"
        services.loading[LM].detail = "settings want none"


async def _load(services: Services, name: str, build: Callable[[], T]) -> T | None:
    part = services.loading[name]
    part.state = "loading"
    try:
        found = await services.offload(build)
    except OpenbookError as e:
        logger.error("%s: %s", name, e.message)
        part.state, part.detail = "failed", e.message
        return None
    except Exception as e:
        logger.exception("%s could not be loaded", name)
        part.state, part.detail = "failed", f"{type(e).__name__}: {e}"
        return None
    part.state, part.detail = "ready", ""
    return found


def _progress(services: Services, name: str) -> Callable[[str], None]:
    def tell(detail: str) -> None:
        services.loading[name].detail = detail

    return tell
