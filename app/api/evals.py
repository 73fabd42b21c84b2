"""Evaluations: started, followed, read, compared. Their questions are at /v1/evals/sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from app.api.guard import PrincipalHere, ServicesHere
from app.api.sse import EVENTS, EventStream, event_bytes
from app.eval_configs import Configuration, Contexts
from app.eval_contamination import contamination_of_set
from app.eval_grid import by_model, grid
from app.eval_keys import prompts_for
from app.eval_leaderboard import board_of
from app.eval_results import compare, read_result
from app.eval_runs import FINAL, EvalRun
from app.lm_choices import check_choice
from app.prompt_files import own_prompts, prompt_sets
from app.services import Services
from app.strategies import build_strategy, check_strategy, without_lm
from core.errors import InvalidRequest
from core.types import Principal
from eval.html_report import html_report
from eval.markdown_report import markdown_report

router = APIRouter(prefix="/v1/evals", tags=["evals"])

MAX_CONFIGURATIONS = 64
MAX_LISTED = 16  # values along one axis of a grid
_POLL_S = 0.5


class Choice(BaseModel):
    model_config = ConfigDict(extra="forbid")

    retriever: Literal["bm25", "tfidf", "dense", "late", "hybrid"] | None = Field(None, examples=["bm25"])
    fusion: Literal["convex", "rrf"] | None = None
    rerank: bool = False
    chunker: Literal["fixed", "sentence", "semantic", "parent-child"] | None = Field(
        None, description="cut the stored texts anew, in memory; null: search the collection as it is"
    )
    strategy: str | None = Field(None, description="answer with it, and judge the answers; null: judge the search")
    stress: Literal["typos", "paraphrase"] | None = Field(None, description="ask the questions worse")
    model: str | None = Field(
        None,
        description="of answering: a name of GET /v1/evals/choices; null: the server's own model",
        examples=["large"],
    )
    prompts: str | None = Field(
        None,
        description="of answering: a set of prompts of GET /v1/evals/choices; null: as the collection has them",
        examples=["shipped"],
    )
    contexts: Contexts | None = Field(
        None,
        description="of answering: from the passages that hold the answer (own), from these among five others (distractors), or "
        "with another question's answer put in, which is then the right one (counterfactual); null: from the collection",
    )


class Grid(BaseModel):
    """Every combination; null in a list is "as the collection and the settings say"."""

    model_config = ConfigDict(extra="forbid")

    retrievers: list[Literal["bm25", "tfidf", "dense", "late", "hybrid"] | None] = Field([None], max_length=MAX_LISTED)
    fusions: list[Literal["convex", "rrf"] | None] = Field([None], max_length=MAX_LISTED)
    rerank: list[bool] = Field([False], max_length=MAX_LISTED)
    chunkers: list[Literal["fixed", "sentence", "semantic", "parent-child"] | None] = Field(
        [None], max_length=MAX_LISTED
    )
    strategies: list[str] = Field([], max_length=MAX_LISTED, description="a grid of answering; leave out the others")
    stress: list[Literal["typos", "paraphrase"] | None] = Field([None], max_length=MAX_LISTED)
    models: list[str | None] = Field(
        [None], max_length=MAX_LISTED, description="with strategies: names of GET /v1/evals/choices"
    )
    prompts: list[str | None] = Field(
        [None], max_length=MAX_LISTED, description="with strategies: sets of GET /v1/evals/choices"
    )
    contexts: list[Contexts | None] = Field(
        [None], max_length=MAX_LISTED, description="with strategies: as of a configuration"
    )


class Start(BaseModel):
    model_config = ConfigDict(extra="forbid")

    set_id: str
    configurations: list[Choice] = Field([], max_length=MAX_CONFIGURATIONS)
    grid: Grid | None = Field(None, description="in place of configurations")
    which: Literal["approved", "not rejected"] = Field("approved", description="the questions that are asked")
    split: Literal["all", "dev", "test"] = "all"


class CastVote(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ballot: str
    choice: Literal["left", "right", "tie"]


@router.post("", status_code=202)
async def start(body: Start, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Begins an evaluation. What was measured before, of the same questions and documents, is not measured again."""
    if bool(body.configurations) == (body.grid is not None):
        raise InvalidRequest("give either configurations or a grid of them", code="usage")
    if body.grid is not None:
        configurations = grid(**body.grid.model_dump(), without_lm=without_lm(services.settings))
    else:
        configurations = by_model([Configuration(**choice.model_dump()) for choice in body.configurations])
    if len(configurations) > MAX_CONFIGURATIONS:
        raise InvalidRequest(
            f"{len(configurations)} configurations: {MAX_CONFIGURATIONS} are measured at once, so make two grids",
            code="usage",
        )
    for configuration in configurations:
        configuration.check()
    if len(set(configurations)) < len(configurations):
        raise InvalidRequest("two configurations are the same: nothing would be compared", code="usage")
    if len({c.kind for c in configurations}) > 1:
        raise InvalidRequest("compare searches with searches, or answers with answers", code="usage")

    def begin() -> EvalRun:
        of = services.eval_sets.get(principal, body.set_id)
        for configuration in configurations:  # what cannot be had is said now
            _check_had(services, principal, of.collection, configuration)
        questions = [
            q
            for q in services.eval_sets.questions(principal, body.set_id)
            if (q.approved or (q.approved is None and body.which == "not rejected"))
            and body.split in ("all", q.split)
            and (q.answerable or configurations[0].kind == "qa")
            and (q.gold or configurations[0].kind == "qa")
        ]
        if not questions:
            raise InvalidRequest(
                f"no {'approved ' if body.which == 'approved' else ''}question of {of.name!r} can be asked of a "
                "search: approve some, or ask all that are not rejected",
                code="no-questions",
            )
        return services.eval_runs.start(principal, of, questions, configurations)

    run = await services.offload(begin)
    services.evaluating.wake()
    return run.to_json()


def _check_had(services: Services, principal: Principal, collection: str, configuration: Configuration) -> None:
    """Raises what running it would raise at once."""
    if configuration.strategy is None:
        return
    prompts = prompts_for(services, collection, configuration)
    if configuration.model is None:
        build_strategy(configuration.strategy, services, principal, collections=[collection], prompts=prompts)
    else:
        check_strategy(configuration.strategy)
        check_choice(services.settings, configuration.model)


@router.get("/choices")
async def get_choices(services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """The language models and the sets of prompts that a configuration of answering may name, beside those of every day;
    no prompts where nobody has any but the shipped ones."""
    del principal

    def read() -> list[str]:
        folder = services.settings.data_dir
        return prompt_sets(folder) if own_prompts(folder) else []

    return {"models": list(services.settings.lm_choices), "prompts": await services.offload(read)}


@router.get("")
async def list_evals(
    services: ServicesHere,
    principal: PrincipalHere,
    set_id: Annotated[str | None, Query(alias="set")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """One page of your evaluations, the newest first; ``next_cursor`` is null on the last."""
    found, following = await services.offload(
        lambda: services.eval_runs.list_runs(principal, limit, set_id=set_id, after=cursor)
    )
    return {"evals": [run.to_json() for run in found], "next_cursor": following}


@router.get("/{eval_id}")
async def get_eval(eval_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    return (await services.offload(services.eval_runs.get, principal, eval_id)).to_json()


@router.get("/{eval_id}/events", response_class=Response, responses=EVENTS)
async def eval_events(
    eval_id: str, services: ServicesHere, principal: PrincipalHere, last_event_id: Annotated[int, Header()] = 0
) -> Response:
    """Server-sent events `eval`, each how far it is now, from after `Last-Event-ID`, until it has ended."""
    await services.offload(services.eval_runs.get, principal, eval_id)
    return EventStream(_follow(services, principal, eval_id, last_event_id))


async def _follow(services: Services, principal: Principal, eval_id: str, after: int) -> AsyncIterator[bytes]:
    while True:
        run = await services.offload(services.eval_runs.get, principal, eval_id)
        if run.seq > after:
            after = run.seq
            yield event_bytes("eval", run.to_json(), run.seq)
        if run.state in FINAL:
            return
        await asyncio.sleep(_POLL_S)


@router.get("/{eval_id}/result")
async def get_result(
    eval_id: str, services: ServicesHere, principal: PrincipalHere, metric: Annotated[str | None, Query()] = None
) -> dict[str, Any]:
    """What is measured so far: means with intervals, and for each question what was found. Spans are of stored texts. `metric` is
    what stands first and what the slices are of: the first that tells questions apart, where none is named."""

    def read() -> dict[str, Any]:
        return read_result(services.eval_runs, services.eval_sets, principal, eval_id).to_json(metric)

    return await services.offload(read)


@router.get("/{eval_id}/compare")
async def get_comparison(
    eval_id: str,
    services: ServicesHere,
    principal: PrincipalHere,
    a: Annotated[int, Query(ge=0)] = 0,
    b: Annotated[int, Query(ge=0)] = 1,
) -> dict[str, Any]:
    """Configuration b against a: differences with intervals, randomisation test, Holm over the metrics."""

    def read() -> dict[str, Any]:
        return compare(read_result(services.eval_runs, services.eval_sets, principal, eval_id), a, b).to_json()

    return await services.offload(read)


@router.get("/{eval_id}/leaderboard")
async def get_leaderboard(
    eval_id: str, services: ServicesHere, principal: PrincipalHere, metric: Annotated[str | None, Query()] = None
) -> dict[str, Any]:
    """Its configurations best first, which of them the data tell from the best, and who is on the Pareto front of quality
    against seconds. By the first metric that tells questions apart, where none is named."""

    def read() -> dict[str, Any]:
        return board_of(read_result(services.eval_runs, services.eval_sets, principal, eval_id).measured, metric)

    return await services.offload(read)


@router.get("/{eval_id}/ballot")
async def get_ballot(eval_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Two answers to one question, in random order and without names; `ballot` null when all that differ were voted on."""

    def read() -> dict[str, Any]:
        result = read_result(services.eval_runs, services.eval_sets, principal, eval_id)
        return services.eval_votes.next(principal, result) or {"ballot": None}

    return await services.offload(read)


@router.post("/{eval_id}/votes", status_code=201)
async def cast_vote(eval_id: str, body: CastVote, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Counts once per person, question and pair."""

    def work() -> dict[str, Any]:
        result = read_result(services.eval_runs, services.eval_sets, principal, eval_id)
        services.eval_votes.vote(principal, result, body.ballot, body.choice)
        return {"n_votes": services.eval_votes.standing(principal, result)["n_votes"]}

    return await services.offload(work)


@router.get("/{eval_id}/votes")
async def get_votes(eval_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Bradley–Terry strengths from the votes: the chance to be preferred to an average opponent, with 95 % intervals."""

    def read() -> dict[str, Any]:
        result = read_result(services.eval_runs, services.eval_sets, principal, eval_id)
        return services.eval_votes.standing(principal, result)

    return await services.offload(read)


@router.get(
    "/{eval_id}/report",
    response_class=Response,
    responses={200: {"content": {"text/html": {}, "text/markdown": {}}}},
)
async def get_report(
    eval_id: str,
    services: ServicesHere,
    principal: PrincipalHere,
    form: Literal["html", "markdown"] = "html",
) -> Response:
    """One self-contained HTML page, with every configuration against the first; or its tables as Markdown."""

    def read() -> str:
        result = read_result(services.eval_runs, services.eval_sets, principal, eval_id)
        others = [i for i, m in enumerate(result.measured) if i and m.rows and result.measured[0].rows]
        compared = [compare(result, 0, i).to_json() for i in others]
        if form == "markdown":
            return markdown_report(result.to_json(), compared, board_of(result.measured))
        seen = contamination_of_set(services, principal, result.run.set_id)
        return html_report(result.to_json(), compared, board_of(result.measured), seen)

    if form == "markdown":
        return PlainTextResponse(await services.offload(read), media_type="text/markdown")

    # Nothing in it is to run or to be fetched, whatever a document or a question says.
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    return HTMLResponse(await services.offload(read), headers={"Content-Security-Policy": policy})


@router.post("/{eval_id}/cancel")
async def cancel(eval_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Ends it; what was measured stays, and is not measured again when it is resumed."""
    return (await services.offload(services.eval_runs.cancel, principal, eval_id)).to_json()


@router.post("/{eval_id}/resume")
async def resume(eval_id: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    found = await services.offload(services.eval_runs.resume, principal, eval_id)
    services.evaluating.wake()
    return found.to_json()


@router.delete("/{eval_id}", status_code=204)
async def delete(eval_id: str, services: ServicesHere, principal: PrincipalHere) -> Response:
    """One that runs is ended first. Its results are kept, for others to share."""
    await services.offload(services.eval_runs.delete, principal, eval_id)
    return Response(status_code=204)
