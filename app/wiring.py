"""The one composition root: settings in, objects out. Everything else receives what it needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from core.errors import InvalidRequest
from core.protocols import Encoder, LanguageModel, NameFinder, Verifier
from core.settings import Settings, load_settings
from lm.abilities import Abilities
from lm.decoding import Decoding, DecodingLM
from lm.queue import LMQueue

if TYPE_CHECKING:
    from retrieval.rerank.late import KeptTokens
    from retrieval.rerank.mixing import MixingReranker
    from retrieval.rerank.order import Scorer

MIGRATIONS = Path(__file__).parent / "migrations"

# Requests that a runtime works on at once; the others wait in the queue.
LM_CONCURRENCY = {"openvino": 4, "openai": 32, "scripted": 32}  # requests at once; transformers: lm_batch

GPU_DEFAULTS: dict[str, Any] = {
    "encoder_runtime": "sentence-transformers",
    "lm_runtime": "openai",
    "lm_base_url": "http://127.0.0.1:8001/v1",
    "strategy": "rag",
}


RerankerName: TypeAlias = Literal["none", "late", "cross-encoder", "mix"]


class LoadableNames(NameFinder, Protocol):
    def load(self) -> None: ...


class LoadableEncoder(Encoder, Protocol):
    """What every encoder is beside its protocol. Without ``load`` the first use loads."""

    def load(self) -> None: ...


class LoadableLM(LanguageModel, Protocol):
    """What every runtime is beside its protocol."""

    def load(self, report: Callable[[str, float], None] | None = None) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class ProbedLM(LoadableLM, Protocol):
    """One of which it must be found out what it can do, because somebody else runs it."""

    @property
    def abilities(self) -> Abilities: ...

    def probe(self, *, wait: bool = False) -> None: ...


def load_cli_settings(**overrides: Any) -> Settings:
    """The settings of a command: variables and file, then its own options (None is no option).

    The ``gpu`` profile changes the defaults of what was not said otherwise.
    """
    settings = load_settings(overrides=overrides)
    if settings.profile == "gpu":
        unsaid = {key: value for key, value in GPU_DEFAULTS.items() if key not in settings.model_fields_set}
        settings = load_settings(overrides={**unsaid, **overrides})
    return settings


def model_cache_dir() -> Path:
    """Where converted models are kept: shared by all data directories of this person, deletable at any time."""
    found = os.environ.get("XDG_CACHE_HOME")
    return (Path(found) if found else Path.home() / ".cache") / "openbook"


def build_encoder(settings: Settings, progress: Callable[[str], object] | None = None) -> LoadableEncoder:
    """The encoder, not yet loaded; ``progress`` is told in a line each what takes time."""
    match settings.encoder_runtime:
        case "openvino":
            if settings.encoder_model != "packaged":
                raise InvalidRequest(
                    f"encoder_runtime openvino runs the packaged model, not {settings.encoder_model!r}: "
                    "set encoder_runtime to sentence-transformers to run a model by name",
                    code="bad-settings",
                )
            from retrieval.encoders.openvino import OpenVinoEncoder
            from retrieval.encoders.remembering import RememberingEncoder

            packaged = OpenVinoEncoder(
                model_cache_dir(),
                precision=settings.encoder_precision,
                threads=settings.encoder_threads,
                progress=progress,
            )
            return RememberingEncoder(packaged)
        case "sentence-transformers":
            from models.packaged import MINILM, verify
            from retrieval.encoders.sentence_transformers import SentenceTransformersEncoder

            name = str(verify(MINILM)) if settings.encoder_model == "packaged" else settings.encoder_model
            return SentenceTransformersEncoder(name, precision=settings.encoder_precision)


def wanted_reranker(settings: Settings, rerank: bool | None = None, retriever: str | None = None) -> RerankerName:
    """Which reranker a search uses: the settings' where nothing is said, none where it is not wanted.

    A search that names another ``retriever`` than hybrid asks for that one's order, unless it says that it wants it reranked.
    Where settings name none and one is asked for, it is late interaction, which needs no model beside the encoder.
    """
    if rerank is None:
        return settings.reranker if retriever in (None, "hybrid") else "none"
    if not rerank:
        return "none"
    return "late" if settings.reranker == "none" else settings.reranker


def build_reranker(
    settings: Settings, name: RerankerName, encoder: Encoder, kept: KeptTokens | None = None
) -> MixingReranker | None:
    """The reranker of this name, not yet loaded; None for "none".

    Args:
        kept: looks up stored token vectors for late interaction; None reads every candidate.

    Raises:
        InvalidRequest: a cross-encoder is wanted, none is shipped, and settings name no other.
    """
    if name == "none":
        return None
    from retrieval.rerank.late import LateInteractionReranker, nothing_kept
    from retrieval.rerank.mixing import MixingReranker

    scorers: list[Scorer] = []
    if name in ("late", "mix"):
        scorers.append(LateInteractionReranker(encoder, kept or nothing_kept))
    if name in ("cross-encoder", "mix"):
        scorers.append(build_cross_encoder(settings))
    return MixingReranker(scorers, settings.rerank_weight)


def build_cross_encoder(settings: Settings) -> Scorer:
    """The cross-encoder of the settings, not yet loaded; raises InvalidRequest if there is none."""
    from models.cross_encoder import SHIPPED_RERANKER

    shipped = settings.reranker_model == "shipped"
    if shipped and not (SHIPPED_RERANKER / "config.json").is_file():
        raise InvalidRequest(
            "this version ships no cross-encoder: set reranker to late, or reranker_model to a folder that holds one "
            "(with reranker_runtime sentence-transformers also a hub name)",
            code="no-reranker",
        )
    match settings.reranker_runtime:
        case "openvino":
            from retrieval.rerank.cross_encoder import CrossEncoderReranker

            folder = SHIPPED_RERANKER if shipped else Path(settings.reranker_model)
            return CrossEncoderReranker(folder, precision=settings.encoder_precision, threads=settings.encoder_threads)
        case "sentence-transformers":
            from retrieval.rerank.sentence_transformers import SentenceTransformersReranker

            if shipped:
                raise InvalidRequest(
                    "the shipped cross-encoder runs with reranker_runtime openvino: set that, or reranker_model to a "
                    "folder or a hub name",
                    code="bad-settings",
                )
            return SentenceTransformersReranker(settings.reranker_model, precision=settings.encoder_precision)


def build_lm(settings: Settings) -> LoadableLM | None:
    """The language model, not yet loaded; None if settings want none."""
    context = settings.lm_context_tokens or None
    _check_decoding(settings)
    match settings.lm_runtime:
        case "none":
            return None
        case "openvino":
            from lm.openvino import OpenVinoLM
            from models.packaged import SMOLLM2, verify

            path = verify(SMOLLM2) if settings.lm_model == "packaged" else Path(settings.lm_model)
            return OpenVinoLM(path, cache_dir=model_cache_dir() / "lm", context_tokens=context)
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
                context_tokens=context,
                timeout_s=settings.lm_timeout_s,
            )
        case "transformers":
            from lm.transformers import TransformersLM

            if settings.lm_model == "packaged":
                raise InvalidRequest(
                    "lm_runtime transformers needs lm_model: a hub name or a folder", code="bad-settings"
                )
            return TransformersLM(
                settings.lm_model,
                context_tokens=context,
                adapter=Path(settings.lm_adapter).expanduser() if settings.lm_adapter else None,
                draft=settings.lm_draft_model,
                amateur=settings.lm_amateur_model,
                together=settings.lm_batch,
            )
        case "scripted":
            from lm.scripted import ScriptedLM

            if not settings.lm_script:
                raise InvalidRequest("lm_runtime scripted needs lm_script: the path of a script", code="bad-settings")
            return ScriptedLM.from_file(Path(settings.lm_script))


def _check_decoding(settings: Settings) -> None:
    """Raises InvalidRequest for settings that the runtime would leave unheeded."""
    if settings.lm_runtime in ("transformers", "none"):
        return
    off = Settings()
    lacks = ["lm_context_contrast", "lm_adapter", "lm_draft_model", "lm_amateur_model", "lm_no_repeat_ngram"]
    if settings.lm_runtime == "openai":
        lacks.append("lm_beams")  # not every server knows them
    only = [n for n in lacks if getattr(settings, n) != getattr(off, n)]
    if only:
        raise InvalidRequest(
            f"{', '.join(only)}: the runtime {settings.lm_runtime} has no such thing; set lm_runtime to transformers, or leave"
            " out what it lacks" + (" and start the server with it" if settings.lm_runtime == "openai" else ""),
            code="bad-settings",
        )


def build_queue(settings: Settings, lm: LanguageModel) -> LMQueue:
    """The bounded, fair queue in front of a model; belongs to the event loop that uses it."""
    decoding = Decoding(
        top_p=settings.lm_top_p,
        top_k=settings.lm_top_k,
        min_p=settings.lm_min_p,
        repetition_penalty=settings.lm_repetition_penalty,
        no_repeat_ngram=settings.lm_no_repeat_ngram,
        beams=settings.lm_beams,
        contrast=settings.lm_context_contrast,
    )
    running = LM_CONCURRENCY.get(settings.lm_runtime, settings.lm_batch)
    return LMQueue(DecodingLM(lm, decoding), max_waiting=settings.lm_queue, max_running=running)


def build_names(settings: Settings) -> LoadableNames | None:
    """What finds people's names in collections that flag or redact personal data, not yet loaded; None if settings name
    no model."""
    if not settings.pii_names_model:
        return None
    from models.person_names import PersonNames

    return PersonNames(settings.pii_names_model)


def build_verifier(settings: Settings, encoder: Encoder | None = None) -> Verifier:
    """What checks sentences, not yet loaded: the first check loads.

    Args:
        encoder: that of the settings, if it is there already; one of its own is made where it is not, or where it is not
            the packaged one that the small verifier was trained with.

    Raises:
        InvalidRequest: settings want a model and name none.
    """
    from agents.verify import JudgeVerifier, ModelVerifier, RuleVerifier, SecondOpinion, TrainedVerifier

    def trained() -> Verifier:
        own = encoder if settings.encoder_model == "packaged" else None
        if own is None:
            packaged = {"encoder_runtime": "openvino", "encoder_model": "packaged"}
            own = build_encoder(settings.model_copy(update=packaged))
        return TrainedVerifier(own)

    def judge() -> Verifier:
        if settings.lm_runtime == "none":
            raise InvalidRequest(
                "a language model as judge needs one, and lm_runtime is none: set lm_runtime, or verifier to trained",
                code="bad-settings",
            )

        def model() -> LanguageModel:
            # One of its own: while it judges, the answer may still be streaming from the other.
            lm = build_lm(settings)
            if lm is None:
                raise InvalidRequest("lm_runtime is none", code="bad-settings")
            lm.load()
            return lm

        return JudgeVerifier(model, trained(), held=not settings.packaged_lm)

    def named() -> Verifier:
        if settings.verifier_model == "judge":
            return judge()
        from models.grounding import GroundingModel

        if not settings.verifier_model:
            raise InvalidRequest(
                f"verifier {settings.verifier} needs verifier_model: a folder or a hub name of an NLI, MiniCheck-, HHEM- or "
                "LettuceDetect-style model, or judge for the language model; or set verifier to trained or rules",
                code="bad-settings",
            )
        return ModelVerifier(GroundingModel(settings.verifier_model), settings.verifier_threshold)

    match settings.verifier:
        case "rules":
            return RuleVerifier()
        case "trained":
            return trained()
        case "judge":
            return judge()
        case "model":
            return named()
        case "cascade":
            return SecondOpinion(trained(), named())
