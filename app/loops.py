"""The looping strategies by name, and which routes ``auto`` tries. Part of the wiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.auto import Kind
from agents.best_of import best_of_cot, best_of_rag
from agents.cot import cot, load_examples, self_consistency
from agents.desk import AtDesk, Kit
from agents.full_context import full_context
from agents.multihop import multihop
from agents.react import react
from agents.reflexion import reflexion
from agents.research import research
from agents.self_rag import self_rag
from agents.tot import tot
from core.errors import InvalidRequest, ModelUnavailable
from core.protocols import LanguageModel, calls_tools
from core.settings import Settings


def build_loop(name: str, kit: Kit, settings: Settings) -> AtDesk:
    """The strategy of this name; native tool calls where the model makes them.

    Raises:
        ModelUnavailable: it needs a model that calls tools.
    """
    native = calls_tools(kit.lm)
    match name:
        case "full-context":
            return full_context(kit)
        case "rag":
            return best_of_rag(kit, settings.best_of)
        case "cot" if settings.best_of > 1:
            return best_of_cot(
                kit, settings.best_of, examples=load_examples(kit.prompts) if settings.cot_examples else ()
            )
        case "cot":
            return cot(kit, examples=load_examples(kit.prompts) if settings.cot_examples else ())
        case "self-consistency":
            return self_consistency(
                kit, n=settings.samples, examples=load_examples(kit.prompts) if settings.cot_examples else ()
            )
        case "multihop":
            return multihop(kit)
        case "self-rag":
            return self_rag(kit)
        case "react":
            return react(kit, native=native)
        case "reflexion":
            return reflexion(kit, native=native)
        case "tot":
            return tot(kit)
        case "research":
            if not native:
                raise ModelUnavailable(
                    f"strategy 'research' needs native tool calls, and {kit.lm.name} makes none: use react or multihop"
                )
            return research(kit)
        case _:
            raise InvalidRequest(f"strategy {name!r} is no loop", code="unknown-strategy")


def route_plans(lm: LanguageModel, settings: Settings) -> Mapping[Kind, Sequence[str]]:
    """What ``auto`` tries, cheapest first. A packaged model writes only where quoting has failed."""
    if settings.packaged_lm:
        return {
            "courtesy": ("closed-book",),
            "single": ("extract", "rag"),
            "several": ("extract", "multihop"),
        }
    hops = ("react", "multihop") if calls_tools(lm) else ("multihop", "react")
    return {
        "courtesy": ("closed-book",),
        "single": ("rag", hops[0], "reflexion", "extract"),
        "several": (*hops, "reflexion", "extract"),
    }
