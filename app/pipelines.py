"""How a collection's documents are made, where it says so itself: a few settings in place of the server's.

A *pipeline* is those settings as JSON. An encoder is loaded once for all that name it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from app.wiring import LoadableEncoder, build_encoder
from core.errors import InvalidRequest
from core.settings import Settings
from retrieval.encoders.remembering import RememberingEncoder

_ENCODER = ("encoder_runtime", "encoder_model", "encoder_precision")
KEYS = ("chunker", "chunk_tokens", "chunk_overlap_tokens", "semantic_percentile", "embed_context", *_ENCODER)


def pipeline_of(settings: Settings) -> dict[str, Any]:
    """All that decides what is made of a file, as far as it can be chosen."""
    return {key: getattr(settings, key) for key in KEYS}


def with_pipeline(settings: Settings, pipeline: Mapping[str, Any]) -> Settings:
    """The settings under which a collection's documents are made.

    Raises:
        InvalidRequest: a value that does not fit. (A key that is no longer one of a pipeline is left out.)
    """
    known = {key: value for key, value in pipeline.items() if key in KEYS and value is not None}
    if not known:
        return settings
    try:
        return Settings(**{**settings.model_dump(), **known})
    except ValidationError as e:
        parts = [f"{problem['loc'][0]} = {problem['input']!r}: {problem['msg']}" for problem in e.errors()]
        raise InvalidRequest("; ".join(parts), code="bad-settings") from e


def encoder_choice(settings: Settings, name: str) -> dict[str, Any]:
    """What ``--encoder NAME`` says: "packaged", or a model that sentence-transformers loads."""
    if name != "packaged":
        return {"encoder_runtime": "sentence-transformers", "encoder_model": name}
    runtime = settings.encoder_runtime if settings.encoder_model == "packaged" else "openvino"
    return {"encoder_runtime": runtime, "encoder_model": name}


def described(pipeline: Mapping[str, Any]) -> str:
    """In a few words, for a list of jobs."""
    size = f"{pipeline.get('chunker')} {pipeline.get('chunk_tokens')}"
    model, precision = pipeline.get("encoder_model"), pipeline.get("encoder_precision")
    return f"{size}, {model}" + ("" if precision in (None, "auto") else f" {precision}")


class Encoders:
    """Every encoder that some collection needs, loaded when it is first asked for. May be used from any thread."""

    def __init__(self, build: Callable[[Settings], LoadableEncoder] = build_encoder) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._loaded: dict[tuple[str, ...], LoadableEncoder] = {}

    def keep(self, settings: Settings, encoder: LoadableEncoder) -> None:
        """One that is loaded already."""
        self._loaded[_key(settings)] = encoder

    def get(self, settings: Settings) -> LoadableEncoder:
        """Raises OpenbookError if it cannot be loaded."""
        key = _key(settings)
        with self._lock:
            if key not in self._loaded:
                encoder = self._build(settings)
                encoder.load()
                self._loaded[key] = encoder
            return self._loaded[key]

    def forget(self) -> None:
        """Takes the next question as if none had been asked before, so that it can be timed."""
        with self._lock:
            loaded = list(self._loaded.values())
        for encoder in loaded:
            if isinstance(encoder, RememberingEncoder):
                encoder.forget()


def _key(settings: Settings) -> tuple[str, ...]:
    return tuple(str(getattr(settings, name)) for name in _ENCODER)
