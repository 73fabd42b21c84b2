"""Which strategies there are, whether each can be had just now, and how each is put together. Part of the wiring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.services import Services
from core.errors import InvalidRequest, ModelUnavailable
from core.protocols import Strategy
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


def build_strategy(name: str, services: Services, principal: Principal) -> Strategy:
    """The strategy, for one run of one person.

    Raises:
        InvalidRequest: an unknown name.
        ModelUnavailable: it needs a language model, and there is none.
        NotReady: the indexes are still loading.
    """
    if name not in STRATEGIES:
        raise InvalidRequest(f"unknown strategy {name!r}: choose {', '.join(STRATEGIES)}", code="unknown-strategy")
    info = next(s for s in strategies(services) if s.name == name)
    if not info.available:
        raise ModelUnavailable(f"strategy {name!r} needs a language model, and {info.reason}")
    raise ModelUnavailable("not yet")
