"""Loads what takes time, in the order that makes searching ready first, and says how far it is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from app.reindexing import load_other_encoders
from app.services import Loading, Services
from app.wiring import (
    LoadableLM,
    ProbedLM,
    build_encoder,
    build_lm,
    build_queue,
    build_reranker,
    build_verifier,
    wanted_reranker,
)
from core.errors import OpenbookError
from core.protocols import Encoder, Verifier
from core.token_memory import TokenMemory
from retrieval.engine import SearchEngine
from retrieval.rerank.mixing import MixingReranker

T = TypeVar("T")
logger = logging.getLogger("openbook.loading")

ENCODER, VERIFIER, INDEXES, RERANKER, LM = "encoder", "verifier", "indexes", "reranker", "language model"


async def load_models(services: Services) -> None:
    """Fills ``services.models``. A part that fails says why in ``services.loading``; the others go on."""
    reranks = services.settings.reranker != "none"
    for name in (ENCODER, VERIFIER, *([RERANKER] if reranks else []), INDEXES, LM):
        services.loading[name] = Loading(name)

    def encoder() -> Encoder:
        found = build_encoder(services.settings, _progress(services, ENCODER))
        found.load()
        services.models.encoders.keep(services.settings, found)
        return found

    def engine() -> SearchEngine:
        if services.models.encoder is None:
            raise OpenbookError("the encoder did not load")
        found = SearchEngine(services.store, services.models.encoder, services.data_dir, services.settings)
        load_other_encoders(services.database, services.settings, services.models.encoders, found)
        found.open()
        return found

    def reranker() -> MixingReranker | None:
        if services.models.encoder is None:
            raise OpenbookError("the encoder did not load")
        found = build_reranker(
            services.settings,
            wanted_reranker(services.settings, True),
            services.models.encoder,
            lambda by, hits: services.models.engine_now().kept_tokens(by, hits),
        )
        if found is not None and reranks:
            found.load()
        return found

    def verifier() -> Verifier:
        # Small, or a model by name that the first check loads: searching shall not wait for it.
        return build_verifier(services.settings, services.models.encoder)

    def lm() -> LoadableLM | None:
        found = build_lm(services.settings)
        if found is not None:
            if isinstance(found, ProbedLM):
                # A model server may come later than this one, and go and come again: each request looks for it.
                use(found)
                threading.Thread(target=_probe, args=(found,), name="lm-probe", daemon=True).start()
            tell = _progress(services, LM)
            found.load(lambda text, share: tell(f"{text} ({share:.0%})" if share < 1 else text))
        return found

    def use(found: LoadableLM) -> None:
        services.models.lm = build_queue(services.settings, found)
        services.models.close_lm = found.close
        services.models.abilities = found.abilities if isinstance(found, ProbedLM) else None

    services.models.encoder = await _load(services, ENCODER, encoder)
    if services.models.encoder is not None:
        services.models.reader = TokenMemory(services.models.encoder)
    services.models.verifier = await _load(services, VERIFIER, verifier)
    if reranks:
        # Before the indexes: nobody shall search in another order for the first seconds.
        services.models.reranker = await _load(services, RERANKER, reranker)
    elif services.models.encoder is not None:
        services.models.reranker = reranker()  # late interaction, should a request ask for it; loads nothing more
    services.models.engine = await _load(services, INDEXES, engine)
    services.work_added.set()
    loaded = await _load(services, LM, lm)
    if loaded is not None and services.models.lm is None:
        use(loaded)
    if loaded is None and services.loading[LM].state == "ready":
        services.loading[LM].state = "off"
        services.loading[LM].detail = "settings want none"


def _probe(lm: ProbedLM) -> None:
    try:
        lm.probe(wait=True)
    except OpenbookError as e:
        logger.warning("what the model server can do could not be found out: %s", e.message)
    else:
        logger.info("%s: %s", lm.name, lm.abilities.told())


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
