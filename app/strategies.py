"""Which strategies there are, whether each can be had just now, and how each is put together. Part of the wiring."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agents.closed_book import ClosedBookStrategy
from agents.extract import ExtractStrategy
from agents.rag import RagStrategy
from agents.run import Provenance
from agents.sources import DatesOf, no_dates
from app.dates import document_dates
from app.query_sides import AS_SET, QueryOptions, query_side
from app.retrievers import retriever_for
from app.services import Services
from core.errors import InvalidRequest, ModelUnavailable
from core.offload import Offload
from core.protocols import Encoder, LanguageModel, Retriever, Strategy, Verifier
from core.settings import Settings
from core.types import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyInfo:
    """``reason`` says why it is not available."""

    name: str
    label: str
    description: str
    needs_lm: bool
    available: bool
    reason: str


# name → (label, description, whether it needs a language model)
STRATEGIES: Mapping[str, tuple[str, str, bool]] = {
    "extract": (
        "Quotes",
        "Quotes the sentences of your documents that answer best, or says that it does not know.",
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


def strategies(services: Services) -> list[StrategyInfo]:
    missing = _why_no_lm(services)
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


def _why_no_lm(services: Services) -> str:
    if services.models.lm is not None:
        return ""
    part = services.loading.get("language model")
    if part is None:
        return "the language model is not loaded yet"
    return f"the language model is {part.state}" + (f" ({part.detail})" if part.detail else "")


def build_strategy(
    name: str,
    services: Services,
    principal: Principal,
    options: QueryOptions = AS_SET,
    *,
    collections: Sequence[str] = (),
    threshold: float | None = None,
) -> Strategy:
    """The strategy, for one run of one person.

    Args:
        options: what this run does with the question before it searches, where it is not as the settings say.
        collections: that are asked; one alone is answered from its own threshold, if one was fitted.
        threshold: the confidence from which it answers, whatever was fitted.

    Raises:
        InvalidRequest: an unknown name.
        ModelUnavailable: it needs a language model, and there is none.
        NotReady: the indexes are still loading.
    """
    check_strategy(name)
    info = next(s for s in strategies(services) if s.name == name)
    if not info.available:
        raise ModelUnavailable(f"strategy {name!r} needs a language model, and {info.reason}")
    engine, queue = services.engine, services.models.lm
    if threshold is None and len(collections) == 1:
        threshold = services.calibrations.threshold(principal, collections[0], name, services.encoder.revision)
    return assemble(
        name,
        Parts(
            settings=services.settings,
            retriever=retriever_for(services),
            encoder=services.encoder,
            lm=queue.for_user(principal.user_id) if queue is not None else None,
            verifier=services.verifier,
            offload=services.offload,
            index_version=lambda: str(engine.status().change),
            query_options=options,
            threshold=threshold,
            dates=document_dates(services.store, principal),
        ),
    )


def check_strategy(name: str) -> None:
    """Raises InvalidRequest for a name that is no strategy."""
    if name not in STRATEGIES:
        raise InvalidRequest(f"unknown strategy {name!r}: choose {', '.join(STRATEGIES)}", code="unknown-strategy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What strategies are made of."""

    settings: Settings
    retriever: Retriever
    encoder: Encoder
    lm: LanguageModel | None
    verifier: Verifier
    offload: Offload
    index_version: Callable[[], str]
    query_options: QueryOptions = AS_SET
    threshold: float | None = None  # None: as the settings say
    dates: DatesOf = no_dates


def assemble(name: str, parts: Parts) -> Strategy:
    """Puts a strategy together; raises as ``build_strategy``."""
    settings = parts.settings
    provenance = Provenance(settings_hash=settings.digest(), index_version=parts.index_version)
    check_strategy(name)
    side = query_side(settings, writes=STRATEGIES[name][2], options=parts.query_options)
    if name == "extract":
        return ExtractStrategy(
            retriever=parts.retriever,
            encoder=parts.encoder,
            verifier=parts.verifier,
            offload=parts.offload,
            threshold=settings.extract_threshold if parts.threshold is None else parts.threshold,
            k=settings.k,
            query_side=side,
            lm=parts.lm,
            dates=parts.dates,
            provenance=provenance,
        )
    if parts.lm is None:
        raise ModelUnavailable(f"strategy {name!r} needs a language model, and there is none")
    if name == "rag":
        return RagStrategy(
            retriever=parts.retriever,
            lm=parts.lm,
            verifier=parts.verifier,
            offload=parts.offload,
            k=settings.passages_to_read,
            max_answer_tokens=settings.max_answer_tokens,
            query_side=side,
            policy=parts.query_options.policy or settings.answer_policy,
            dates=parts.dates,
            provenance=provenance,
        )
    return ClosedBookStrategy(lm=parts.lm, max_answer_tokens=settings.max_answer_tokens, provenance=provenance)
