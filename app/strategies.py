"""Which strategies there are, whether each can be had just now, and how each is put together. Part of the wiring."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agents.auto import auto
from agents.closed_book import ClosedBookStrategy
from agents.desk import Kit
from agents.extract import ExtractStrategy
from agents.nested import with_fallback
from agents.prompts import Prompts
from agents.rag import RagStrategy
from agents.run import Provenance
from agents.sources import DatesOf, no_dates
from agents.taping import Tape, TapedLibrary, TapedLM, TapedStrategy, TapedVerifier, taped_retriever
from agents.taping_tools import TapedOutside, TapedPerson
from agents.tools.library import Library, NoLibrary
from agents.tools.outside import Nothing, Outside, Person
from app.dates import document_dates
from app.library import StoreLibrary
from app.loops import build_loop, route_plans
from app.mcp_tools import McpOutside
from app.prompt_files import prompts_of
from app.query_sides import AS_SET, QueryOptions, query_side
from app.retrievers import retriever_for
from app.services import Services
from core.errors import InvalidRequest, ModelUnavailable
from core.offload import Offload
from core.protocols import Encoder, LanguageModel, Retriever, Strategy, Verifier, calls_tools, constrains, thinks
from core.settings import Settings
from core.types import Limits, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyInfo:
    """``reason`` says why it is not available."""

    name: str
    label: str
    description: str
    needs_lm: bool
    available: bool
    reason: str


class Described(NamedTuple):
    """A strategy for people; ``needs_lm`` is whether it asks a language model to think or write."""

    label: str
    description: str
    needs_lm: bool


STRATEGIES: Mapping[str, Described] = {
    "extract": Described(
        "Quotes",
        "Quotes the sentences of your documents that answer best, or says that it does not know.",
        False,
    ),
    "rag": Described(
        "Written answer",
        "The language model writes an answer from numbered passages; each sentence is checked.",
        True,
    ),
    "auto": Described(
        "Automatic",
        "Takes the cheapest route that gives an answer which passes its check: a sum, quotes, a written answer, several looks.",
        True,
    ),
    "full-context": Described(
        "Whole documents",
        "The language model reads the best documents whole, as far as they fit, and writes an answer.",
        True,
    ),
    "cot": Described(
        "Step by step",
        "The language model reasons step by step over the best passages, then answers.",
        True,
    ),
    "self-consistency": Described(
        "Majority of several tries",
        "Reasons step by step several times; the answer that most tries agree on is given.",
        True,
    ),
    "multihop": Described(
        "Several looks",
        "Thinks a sentence, looks it up, thinks the next; then answers from all that was found.",
        True,
    ),
    "self-rag": Described(
        "Judged as it goes",
        "The language model judges what it found and what it wrote, and looks again after a miss.",
        True,
    ),
    "react": Described(
        "Thinks and acts",
        "Turns of thought, search or lookup, and what was found, until the answer is known.",
        True,
    ),
    "reflexion": Described(
        "Learns from its failure",
        "Thinks and acts; where the check fails it says why, and tries again, at most three times.",
        True,
    ),
    "tot": Described(
        "Several plans",
        "Proposes ways to answer, values them, and follows the best.",
        True,
    ),
    "research": Described(
        "Report",
        "Looks into several questions side by side and writes a cited report. For models that call tools.",
        True,
    ),
    "closed-book": Described(
        "Without documents",
        "The language model answers from memory alone. Nothing supports what it says.",
        True,
    ),
}

# With tools of others these may wait for a person's yes.
MAY_ASK = frozenset({"react", "reflexion", "research", "auto"})


def strategies(services: Services) -> list[StrategyInfo]:
    missing = _why_no_lm(services)
    found = []
    for name, (label, description, needs_lm) in STRATEGIES.items():
        reason = missing if needs_lm else ""
        lm = services.models.lm
        if name == "research" and lm is not None and not calls_tools(lm):
            reason = f"{lm.name} makes no native tool calls: use a model server that does (lm_runtime openai)"
        found.append(
            StrategyInfo(
                name=name, label=label, description=description, needs_lm=needs_lm, available=not reason, reason=reason
            )
        )
    return found


def unwatched(services: Services) -> list[str]:
    """The names of those that can be had just now while nobody looks on, who could be asked for a yes."""
    asks = MAY_ASK if services.settings.mcp_servers else frozenset[str]()
    return [s.name for s in strategies(services) if s.available and s.name not in asks]


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
    prompts: Prompts | None = None,
    notes: tuple[str, ...] = (),
) -> Strategy:
    """The strategy, for one run of one person.

    Args:
        options: what this run does with the question before it searches, where it is not as the settings say.
        collections: that are asked; one alone is answered from its own threshold, if one was fitted.
        threshold: the confidence from which it answers, whatever was fitted.
        prompts: what the language model is told; None: as ``collections`` have it.
        notes: what failed attempts of the same conversation taught (``app.notes``).

    Raises:
        InvalidRequest: an unknown name.
        ModelUnavailable: it needs a language model, and there is none.
        NotReady: the indexes are still loading.
    """
    check_strategy(name)
    info = next(s for s in strategies(services) if s.name == name)
    if not info.available:
        raise ModelUnavailable(f"strategy {name!r} cannot be had: {info.reason}")
    queue = services.models.lm
    if threshold is None and len(collections) == 1:
        threshold = services.calibrations.threshold(principal, collections[0], name, fitted_with(name, services))
    lm = queue.for_user(principal.user_id) if queue is not None else None
    tape = Tape()
    parts = Parts(
        settings=services.settings,
        retriever=taped_retriever(retriever_for(services), tape),
        encoder=services.reader,
        lm=TapedLM(lm, tape) if lm is not None else None,
        verifier=TapedVerifier(services.verifier, tape),
        offload=services.offload,
        index_version=lambda: str(services.engine.status().change),
        query_options=options,
        threshold=threshold,
        dates=document_dates(services.store, principal),
        library=TapedLibrary(StoreLibrary(services.store), tape),
        prompts=prompts_of(services.settings.data_dir, collections) if prompts is None else prompts,
        outside=TapedOutside(McpOutside(services.settings.mcp_servers), tape),
        person=TapedPerson(services.approvals, tape),
        notes=notes,
    )
    inputs = {
        "settings": services.settings.recorded(),
        "threshold": threshold,
        "prompts": dict(parts.prompts.overrides),
        "options": dataclasses.asdict(options),
        "encoder": services.encoder.revision,
        "notes": list(notes),
        "lm": None
        if lm is None
        else {
            "name": lm.name,
            "context_tokens": lm.context_tokens,
            "native_tools": calls_tools(lm),
            "constrained": constrains(lm),
            "thinks": thinks(lm),
        },
    }
    return TapedStrategy(assemble(name, parts), tape, inputs)


def without_lm(settings: Settings) -> frozenset[str]:
    """The strategies that ask no language model under these settings, on the way to the search neither."""
    if settings.hyde or settings.decompose or settings.query_rewrite == "lm":
        return frozenset()
    return frozenset(name for name, about in STRATEGIES.items() if not about.needs_lm)


def fitted_with(name: str, services: Services) -> str:
    """What a calibration of the strategy holds for: the encoder's revision, and the language model where one writes."""
    lm = services.models.lm
    return services.encoder.revision + (f", {lm.name}" if lm is not None and STRATEGIES[name].needs_lm else "")


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
    library: Library = field(default_factory=NoLibrary)
    threshold: float | None = None  # None: as the settings say
    dates: DatesOf = no_dates
    prompts: Prompts = field(default_factory=Prompts)
    outside: Outside = field(default_factory=Nothing)
    person: Person | None = None
    notes: tuple[str, ...] = ()


def assemble(name: str, parts: Parts) -> Strategy:
    """Puts a strategy together; raises as ``build_strategy``."""
    settings = parts.settings
    provenance = Provenance(settings_hash=settings.digest(), index_version=parts.index_version)
    check_strategy(name)
    side = query_side(settings, writes=STRATEGIES[name].needs_lm, options=parts.query_options)
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
            prompts=parts.prompts,
            dates=parts.dates,
            provenance=provenance,
        )
    if parts.lm is None:
        raise ModelUnavailable(f"strategy {name!r} needs a language model, and there is none")
    if name == "closed-book":
        return ClosedBookStrategy(
            lm=parts.lm,
            prompts=parts.prompts,
            max_answer_tokens=settings.max_answer_tokens,
            provenance=provenance,
        )
    reader = RagStrategy(
        retriever=parts.retriever,
        lm=parts.lm,
        verifier=parts.verifier,
        offload=parts.offload,
        prompts=parts.prompts,
        k=settings.passages_to_read,
        max_answer_tokens=settings.max_answer_tokens,
        query_side=side,
        policy=parts.query_options.policy or settings.answer_policy,
        threshold=(parts.threshold or 0.0) if name == "rag" else 0.0,
        dates=parts.dates,
        provenance=provenance,
    )
    if name == "rag" and settings.best_of == 1:
        return reader
    kit = Kit(
        lm=parts.lm,
        retriever=parts.retriever,
        library=parts.library,
        verifier=parts.verifier,
        offload=parts.offload,
        reader=reader,
        prompts=parts.prompts,
        outside=parts.outside,
        person=parts.person,
        notes=parts.notes,
        k=settings.passages_to_read,
        max_answer_tokens=settings.max_answer_tokens,
        query_side=side,
        provenance=provenance,
    )
    extract = functools.partial(assemble, "extract", parts)
    if name == "auto":
        routes = {each: functools.partial(assemble, each, parts) for each in STRATEGIES if each != name}
        return auto(kit, routes, route_plans(kit.lm, settings))
    loop = build_loop(name, kit, settings)
    # Where the answer of so small a model fails the check, the documents are quoted instead.
    return with_fallback(kit, loop, extract) if settings.packaged_lm and name not in ("full-context", "rag") else loop


def run_limits(settings: Settings, name: str, side_tokens: int) -> Limits:
    """The bounds of one run. Loops that think before they answer may say more than one answer's length.

    Args:
        side_tokens: what may be said on the way to the search; it is not taken from what the answer may have.
    """
    single = name in ("extract", "closed-book", "full-context") or (name == "rag" and settings.best_of == 1)
    return Limits(
        max_steps=settings.max_steps if single else settings.max_loop_steps,
        max_tokens=(settings.max_answer_tokens if single else settings.max_loop_tokens) + side_tokens,
        max_thought_tokens=settings.max_thought_tokens,
        max_seconds=settings.max_seconds,
        max_tool_calls=settings.max_tool_calls,
        max_cost=settings.max_cost or None,
        prompt_price=settings.lm_prompt_price,
        completion_price=settings.lm_completion_price,
    )
