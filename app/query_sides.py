"""What one request wants otherwise than the settings: above all, what becomes of its question before it is searched. Part
of the wiring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agents.gate import AnswerPolicy
from agents.limits import Budget
from agents.query_side import QueryPlan, QuerySide, Rewriting, SearchPlan
from agents.run import Provenance, Recorder
from app.prompt_files import prompts_of
from app.services import Services
from core.errors import ModelUnavailable
from core.events import StepTaken
from core.ids import new_id
from core.settings import Settings
from core.types import Limits, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryOptions:
    """What one request says; None is as the settings say."""

    rewrite: Literal["auto", "off", "rule", "lm"] | None = None
    hyde: bool | None = None
    decompose: bool | None = None
    policy: AnswerPolicy | None = None  # what becomes of a sentence that is not supported


AS_SET = QueryOptions()


def query_side(settings: Settings, *, writes: bool, options: QueryOptions = AS_SET) -> QuerySide:
    """The switches for one run.

    Args:
        writes: whether the strategy has a language model of its own: then that rewrites follow-ups where nothing else is
            said, else a rule does.
    """
    rewrite = options.rewrite or settings.query_rewrite
    chosen: Rewriting = ("lm" if writes else "rule") if rewrite == "auto" else rewrite
    hyde = settings.hyde if options.hyde is None else options.hyde
    return QuerySide(
        rewrite=chosen,
        hyde=settings.hyde_passages if hyde else 0,
        decompose=settings.decompose if options.decompose is None else options.decompose,
    )


async def planned_search(
    services: Services, principal: Principal, query: str, options: QueryOptions, collections: Sequence[str] = ()
) -> tuple[SearchPlan | None, list[str]]:
    """What a bare search looks for beside its query, if anything, and in words what was done to the query.

    Raises:
        ModelUnavailable: a switch needs a language model, and there is none.
        LimitReached: it took too long.
    """
    settings = services.settings
    side = query_side(settings, writes=False, options=options)
    if not side.needs_lm(history=False):
        return None, []
    if services.models.lm is None:
        raise ModelUnavailable("hyde and decompose need a language model, and none is loaded: leave them out")
    lm = services.models.lm.for_user(principal.user_id)
    plan = QueryPlan(query, side, lm, prompts_of(settings.data_dir, collections))
    recorder = Recorder(run_id=new_id("r"), strategy="search", question=query, provenance=Provenance())
    limits = Limits(max_steps=settings.max_steps, max_tokens=side.tokens, max_seconds=settings.max_seconds)
    said = [e.step.thought async for e in plan.steps(recorder, (), Budget(limits)) if isinstance(e, StepTaken)]
    return plan.beside, said
