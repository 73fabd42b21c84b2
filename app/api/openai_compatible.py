"""The chat endpoint of OpenAI's API over one's own collections, for clients that know nothing else.

A model is a collection, ``openbook/<collection>[/<strategy>]``. What their clients have no place for (verdicts, citations,
passages) stands in the field ``openbook`` of the completion, or of the last chunk of a stream.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from app.api.ask import failure, keeper, left_or_ended
from app.api.guard import PrincipalHere, ServicesHere
from app.api.problem import openai_error
from app.api.sse import EventStream
from app.asking import begin
from app.runs import Run
from app.services import Services
from app.shapes import answer_json, usage_json
from app.strategies import strategies
from core.errors import InvalidRequest, NotFound
from core.events import RunDone, RunFailed, TokenSaid
from core.types import Answer, Limits, Message, Principal, Trace, Usage

router = APIRouter(prefix="/v1", tags=["openai"])

OWNER = "openbook"
DONE = b"data: [DONE]\n\n"
MAX_MESSAGES = 200


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class RequestMessage(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[TextPart] | None = None

    def text(self) -> str:
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    include_usage: bool | None = None


class ChatCompletionRequest(BaseModel):
    """Fields of OpenAI's request that are not named here are accepted and have no effect: sampling is the server's
    setting, since answers are checked against passages whatever the temperature. Null is as if a field were not there."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(examples=["openbook/filings", "openbook/filings/extract"])
    messages: Annotated[list[RequestMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    n: int | None = Field(None, description="only 1")
    tools: list[dict[str, Any]] | None = Field(None, description="refused: a run's tools are the server's own")
    functions: list[dict[str, Any]] | None = Field(None, description="refused, as tools are")
    response_format: dict[str, Any] | None = Field(
        None, description="text only: an answer is sentences that are checked"
    )

    def within(self, bounds: Limits) -> Limits:
        wanted = self.max_completion_tokens or self.max_tokens or bounds.max_tokens
        return replace(bounds, max_tokens=min(wanted, bounds.max_tokens))


@router.get("/models")
async def models(services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """Every collection as a model, alone (the settings' strategy) and with each strategy that can be had now."""
    collections = await services.offload(services.store.list_collections, principal)
    able = [found.name for found in strategies(services) if found.available]
    names = [f"{OWNER}/{c.name}{suffix}" for c in collections for suffix in ("", *(f"/{name}" for name in able))]
    return {"object": "list", "data": [_model(name) for name in names]}


@router.get("/models/{model:path}")
async def model(model: str, services: ServicesHere, principal: PrincipalHere) -> dict[str, Any]:
    """One model; 404 where there is no such collection or strategy."""
    listed = await models(services, principal)
    for found in listed["data"]:
        if found["id"] == model:
            return dict(found)
    raise NotFound(f"no model {model!r}: GET /v1/models lists them", code="model-not-found")


@router.post("/chat/completions")
async def chat_completions(
    body: ChatCompletionRequest, request: Request, services: ServicesHere, principal: PrincipalHere
) -> Response:
    """The answer to the last message, which must be the user's. System messages are not followed: what may be said is
    settled by the passages and the server's prompts."""
    run = start(services, principal, body)
    reply = Reply(body, run)
    if body.stream:
        return EventStream(reply.chunks())
    await left_or_ended(run, request)
    match run.outcome:
        case RunDone(answer=answer, trace=trace):
            return JSONResponse(reply.whole(answer, trace))
        case outcome:
            return failure(outcome)


def start(services: Services, principal: Principal, body: ChatCompletionRequest) -> Run:
    """Begins the run; raises as ``app.asking.begin``, and InvalidRequest for what cannot be served."""
    collection, strategy = named(body.model)
    if body.n not in (None, 1):
        raise InvalidRequest(f"n={body.n}: one answer is given; leave n out", code="one-answer")
    if body.tools:
        raise InvalidRequest("tools of the caller are not run here: leave them out", code="no-tools")
    if body.functions:
        raise InvalidRequest("functions of the caller are not run here: leave them out", code="no-tools")
    if body.response_format is not None and body.response_format.get("type") != "text":
        raise InvalidRequest(
            f"response_format {body.response_format.get('type')!r}: an answer is text, whose sentences are checked; leave it out, and "
            "read the field `openbook` for the answer in parts",
            code="only-text",
        )
    *before, last = body.messages
    if last.role != "user":
        raise InvalidRequest(f"the last message is from {last.role!r}: it must be the user's", code="no-question")
    history = [
        Message(role=m.role, content=m.text())
        for m in before
        if (m.role == "user" or m.role == "assistant") and m.text()
    ]
    return begin(
        services,
        principal,
        question=last.text(),
        collections=(collection,),
        strategy=strategy,
        limits=body,
        history=tuple(history),
        on_end=keeper(services, principal),
    )


def named(model: str) -> tuple[str, str | None]:
    """The collection and the strategy of a model's name; raises InvalidRequest for another shape."""
    match model.split("/"):
        case [owner, collection] if owner == OWNER and collection:
            return collection, None
        case [owner, collection, strategy] if owner == OWNER and collection and strategy:
            return collection, strategy
    raise InvalidRequest(
        f"model {model!r}: write {OWNER}/COLLECTION or {OWNER}/COLLECTION/STRATEGY; GET /v1/models lists them",
        code="model-name",
    )


class Reply:
    """One answer in OpenAI's shapes."""

    def __init__(self, body: ChatCompletionRequest, run: Run) -> None:
        self._run = run
        self._with_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        self._head = {"id": f"chatcmpl-{run.run_id}", "created": int(time.time()), "model": body.model}

    def whole(self, answer: Answer, trace: Trace) -> dict[str, Any]:
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(trace)}
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": _usage(trace.usage),
            "openbook": answer_json(answer, trace),
        }

    async def chunks(self) -> AsyncIterator[bytes]:
        """The answer as it is said; a reader who leaves stops the run."""
        run = self._run
        try:
            yield self._chunk({"role": "assistant", "content": ""})
            async for event in run.events():
                match event:
                    case TokenSaid(text=text):
                        yield self._chunk({"content": text})
                    case RunDone(answer=answer, trace=trace):
                        yield self._chunk({}, _finish(trace), openbook=answer_json(answer, trace))
                        if self._with_usage:
                            yield _data(self._object() | {"choices": [], "usage": _usage(trace.usage)})
                    case RunFailed(code=code, message=message):
                        yield _data({"error": openai_error(code, message)})
                    case _:
                        pass
            if run.outcome is None:
                yield _data({"error": openai_error("cancelled", "the run was stopped")})
            yield DONE
        finally:
            run.cancel()
            await run.wait()

    def _object(self) -> dict[str, Any]:
        return {**self._head, "object": "chat.completion.chunk"}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, openbook: dict[str, Any] | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        extension = {} if openbook is None else {"openbook": openbook}
        return _data({**self._object(), "choices": [choice], **extension})


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": OWNER}


def _finish(trace: Trace) -> str:
    return "length" if trace.stop_reason == "limit" else "stop"


def _usage(usage: Usage) -> dict[str, Any]:
    counted = usage_json(usage)
    prompt, completion = counted["prompt_tokens"], counted["completion_tokens"]
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _data(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()
