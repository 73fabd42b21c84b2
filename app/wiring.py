"""The one composition root: settings in, objects out. Everything else receives what it needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InvalidRequest, ModelUnavailable
from core.protocols import Encoder, LanguageModel, Strategy, Verifier
from core.settings import Settings, load_settings

if TYPE_CHECKING:
    from app.services import Services

MIGRATIONS = Path(__file__).parent / "migrations"

# What people may ask for; whether it can be had depends on the language model.
STRATEGIES: Mapping[str, tuple[str, str, bool]] = {
    "extract": (
        "Quotes",
        "Quotes the best supporting sentences of your documents, or says that it does not know.",
        False,
    ),
    "rag": (
        "Written answer",
        "The language model writes an answer from numbered passages; each sentence is checked.",
        True,
    ),
    "closed-book": (
        "Without documents",
        "The language model answers from memory alone. Nothing supports what it says.",
        True,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyInfo:
    name: str
    label: str
    description: str
    needs_lm: bool
    available: bool
    reason: str


def load_cli_settings(**overrides: Any) -> Settings:
    """The settings of a command: variables and file, then its own options (None is no option).

    The ``gpu`` profile changes the defaults of what was not said otherwise.
    """
    settings = load_settings(overrides=overrides)
    if settings.profile == "gpu":
        said = settings.model_fields_set
        gpu: dict[str, Any] = {"encoder_runtime": "sentence-transformers", "lm_runtime": "openai", "strategy": "rag"}
        gpu["lm_base_url"] = "http://127.0.0.1:8001/v1"
        settings = load_settings(overrides={**{k: v for k, v in gpu.items() if k not in said}, **overrides})
    return settings


def cache_dir(settings: Settings) -> Path:
    """Converted models and encoded vectors; can be deleted at any time."""
    return settings.data_dir / "cache"


def build_encoder(settings: Settings) -> Encoder:
    """The encoder, loaded."""
    match settings.encoder_runtime:
        case "openvino":
            if settings.encoder_model != "packaged":
                raise InvalidRequest(
                    f"encoder_runtime openvino runs the packaged model, not {settings.encoder_model!r}: "
                    "set encoder_runtime to sentence-transformers to run a model by name",
                    code="bad-settings",
                )
            from retrieval.encoders.openvino import OpenVinoEncoder

            return OpenVinoEncoder(
                model_cache_dir(settings), precision=settings.encoder_precision, threads=settings.encoder_threads
            ).load()
        case "sentence-transformers":
            from models.packaged import MINILM, verify
            from retrieval.encoders.sentence_transformers import SentenceTransformersEncoder

            name = str(verify(MINILM)) if settings.encoder_model == "packaged" else settings.encoder_model
            return SentenceTransformersEncoder(name).load()


def model_cache_dir(settings: Settings) -> Path:
    """Where converted models are kept: shared by all data directories of this person."""
    found = os.environ.get("XDG_CACHE_HOME")
    return (Path(found) if found else Path.home() / ".cache") / "openbook"


def build_lm(settings: Settings) -> LanguageModel | None:
    """The language model, not yet loaded; None if settings want none."""
    match settings.lm_runtime:
        case "none":
            return None
        case "openvino":
            from lm.openvino import OpenVinoLM
            from models.packaged import SMOLLM2, verify

            path = verify(SMOLLM2) if settings.lm_model == "packaged" else Path(settings.lm_model)
            return OpenVinoLM(path, max_waiting=settings.lm_queue)
        case "openai":
            from lm.openai import OpenAICompatibleLM

            if not settings.lm_base_url:
                raise InvalidRequest(
                    "lm_runtime openai needs lm_base_url, for example http://127.0.0.1:8001/v1", code="bad-settings"
                )
            return OpenAICompatibleLM(
                settings.lm_base_url,
                model=None if settings.lm_model == "packaged" else settings.lm_model,
                api_key=settings.lm_api_key,
                context_tokens=settings.lm_context_tokens or None,
                timeout_s=settings.lm_timeout_s,
            )
        case "transformers":
            from lm.transformers import TransformersLM

            if settings.lm_model == "packaged":
                raise InvalidRequest(
                    "lm_runtime transformers needs lm_model: a hub name or a folder", code="bad-settings"
                )
            return TransformersLM(settings.lm_model)
        case "scripted":
            from lm.scripted import ScriptedLM

            if not settings.lm_script:
                raise InvalidRequest("lm_runtime scripted needs lm_script: the path of a script", code="bad-settings")
            return ScriptedLM.from_file(Path(settings.lm_script))


def build_verifier(_settings: Settings) -> Verifier:
    from agents.verify import RuleVerifier

    return RuleVerifier()


def strategies(services: Services) -> list[StrategyInfo]:
    """All strategies, and for each why it can't be had just now, if so."""
    lm_state = services.loading.get("language model")
    missing = "" if services.models.lm is not None else f"the language model is {lm_state.state if lm_state else 'off'}"
    if lm_state is not None and lm_state.detail and missing:
        missing += f": {lm_state.detail}"
    return [
        StrategyInfo(
            name=name,
            label=label,
            description=description,
            needs_lm=needs_lm,
            available=not (needs_lm and missing),
            reason=missing if needs_lm else "",
        )
        for name, (label, description, needs_lm) in STRATEGIES.items()
    ]


def build_strategy(name: str, services: Services) -> Strategy:
    """Raises InvalidRequest for an unknown name, ModelUnavailable if its language model is not there."""
    if name not in STRATEGIES:
        raise InvalidRequest(f"unknown strategy {name!r}: choose {', '.join(STRATEGIES)}", code="unknown-strategy")
    info = next(s for s in strategies(services) if s.name == name)
    if not info.available:
        raise ModelUnavailable(f"strategy {name!r} needs a language model, and {info.reason}")
    settings = services.settings
    lm = services.models.lm
    retriever = services.engine.retriever(settings.retriever)
    version = str(services.engine.status().change)
    return assemble_strategy(
        name, settings, retriever, services.encoder, lm, build_verifier(settings), services.offload, version
    )
