"""A small server that speaks the OpenAI chat completions protocol over real HTTP, well or badly.

``misbehave`` is a list of faults; each request takes the next one. Without faults it answers with ``words``.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.middleware.base import RequestResponseEndpoint

WORDS = [f"w{i} " for i in range(400)]


@dataclass
class ModelServer:
    words: list[str] = field(default_factory=lambda: list(WORDS))
    delay_s: float = 0.0  # between words
    max_model_len: int | None = 4096
    api_key: str = ""
    sign_in: str = ""  # user:password, asked for everywhere
    with_usage: bool = True
    misbehave: list[str] = field(default_factory=list)
    thought: list[str] = field(
        default_factory=list
    )  # before the words, kept apart from them; stops count in it, as with vLLM
    extra_deltas: list[dict[str, Any]] = field(default_factory=list)  # said before the words
    raw: bool = False  # whether text is sent unescaped, as JSON may
    finish: str | None = None
    logprobs: Literal["give", "ignore", "refuse"] = "give"  # of word i −i/10, and of the end −9
    forms: Literal["heed", "ignore", "refuse"] = "ignore"  # heeded by saying ``formed``
    formed: str = "yes, seas"
    schemas: Literal["heed", "ignore", "refuse"] = "ignore"  # heeded by saying ``of_schema``
    of_schema: str = '{"water": "lake-8"}'
    calls_tools: bool = True
    seeded: bool = True  # whether the same seed says the same
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    active: int = 0
    base_url: str = ""

    def count(self, body: dict[str, Any]) -> int:
        return sum(len(m["content"].split()) + 4 for m in body["messages"])

    def app(self) -> FastAPI:
        app = FastAPI()
        basic = "Basic " + b64encode(self.sign_in.encode()).decode()

        async def signed_in(request: Request, go_on: RequestResponseEndpoint) -> Response:
            if request.headers.get("authorization") != basic:
                return JSONResponse({"error": {"message": "sign in first"}}, status_code=401)
            return await go_on(request)

        if self.sign_in:
            app.middleware("http")(signed_in)

        @app.get("/v1/models")
        async def models() -> Response:
            self.paths.append("/v1/models")
            model: dict[str, Any] = {"id": "tiny", "object": "model"}
            if self.max_model_len is not None:
                model["max_model_len"] = self.max_model_len
            return JSONResponse({"object": "list", "data": [model]})

        @app.post("/tokenize")
        async def tokenize(request: Request) -> Response:
            self.paths.append("/tokenize")
            if self.max_model_len is None:
                return JSONResponse({"detail": "Not Found"}, status_code=404)
            return JSONResponse({"count": self.count(await request.json())})

        @app.post("/v1/chat/completions")
        async def chat(request: Request) -> Response:
            self.paths.append("/v1/chat/completions")
            body = await request.json()
            if self.api_key and request.headers.get("authorization") != f"Bearer {self.api_key}":
                return JSONResponse({"error": {"message": "bad key"}}, status_code=401)
            self.requests.append(body)
            fault = self.misbehave.pop(0) if self.misbehave else ""
            match fault.split():
                case ["status", code]:
                    return JSONResponse({"error": {"message": "out of order"}}, status_code=int(code))
                case ["retry-after", seconds]:
                    return JSONResponse({"detail": "slow down"}, status_code=429, headers={"retry-after": seconds})
                case ["plain-500"]:
                    return Response("<html>oops</html>", status_code=500)
                case ["whole"]:
                    message = {"role": "assistant", "content": "not streamed"}
                    return JSONResponse({"choices": [{"message": message, "finish_reason": "stop"}]})
                case ["half"]:
                    return Response('{"choices": [{"mess', media_type="application/json")
            if "logprobs" in body and self.logprobs == "refuse":
                return JSONResponse({"error": {"message": "logprobs are not supported"}}, status_code=400)
            if "structured_outputs" in body and self.forms == "refuse":
                return JSONResponse({"error": {"message": "unknown field structured_outputs"}}, status_code=422)
            if "response_format" in body and self.schemas == "refuse":
                return JSONResponse({"error": {"message": "json_schema is not supported"}}, status_code=400)
            if "tools" in body and not self.calls_tools:
                text = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
                return JSONResponse({"error": {"message": text}}, status_code=400)
            n = self.count(body)
            if self.max_model_len is not None and n >= self.max_model_len:
                text = f"This model's maximum context length is {self.max_model_len} tokens, you sent {n}"
                return JSONResponse({"error": {"message": text}}, status_code=400)
            return StreamingResponse(self.answer(body, n, fault), media_type="text/event-stream")

        return app

    async def answer(self, body: dict[str, Any], prompt_tokens: int, fault: str) -> AsyncIterator[str]:
        self.active += 1
        try:
            if fault == "hang":
                await asyncio.sleep(30)
            if fault == "cut-before":
                raise ConnectionResetError
            while fault == "endless":
                yield _event({"choices": [{"index": 0, "delta": {"content": "and so on " * 10}}]})
                await asyncio.sleep(0)
            if fault == "comments":
                yield ": ping\n\n"
            yield _event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
            for delta in self.extra_deltas:
                yield _event({"choices": [{"index": 0, "delta": delta}]})
            formed = [self.formed] if "structured_outputs" in body and self.forms == "heed" else None
            if "response_format" in body and self.schemas == "heed":
                formed = re.findall(r".{1,4}", self.of_schema)
            elif body["temperature"] > 0 and not self.seeded:
                formed = [f"at random {len(self.requests)}"]
            words = (formed or self.words)[: body["max_tokens"]]
            cut = len(words) == body["max_tokens"] if not formed else len(words) < len(formed)
            finish = self.finish or ("length" if cut else "stop")
            thought = self.thought
            if any(stop in "".join(thought) for stop in body.get("stop", [])):
                ends = min("".join(thought).index(stop) for stop in body["stop"] if stop in "".join(thought))
                thought, words, finish = ["".join(thought)[:ends]], [], "stop"
            for word in thought:
                yield _event({"choices": [{"index": 0, "delta": {"reasoning_content": word}}]})
            text = "".join(words)
            found = [text.index(stop) for stop in body.get("stop", []) if stop in text]
            if found and fault != "ignore-stop":
                words, finish = re.findall(r"\S+\s*", text[: min(found)]), "stop"
            weighed = body.get("logprobs") and self.logprobs == "give"
            for i, word in enumerate(words):
                if i == 3 and fault == "cut":
                    return
                if i == 3 and fault == "broken-json":
                    yield "data: {not json\n\n"
                if i == 3 and fault == "error":
                    yield _event({"error": {"message": "CUDA out of memory", "code": 500}})
                choice = {"index": 0, "delta": {"content": word}}
                weight = _weighed(word, -i / 10) if weighed else None
                yield _event({"choices": [{**choice, "logprobs": weight}]}, raw=self.raw)
                await asyncio.sleep(self.delay_s)
            last = {"index": 0, "delta": {}, "finish_reason": finish}
            yield _event({"choices": [{**last, "logprobs": _weighed("<|end|>", -9.0) if weighed else None}]})
            if self.with_usage:
                counted = {"prompt_tokens": prompt_tokens, "completion_tokens": len(words)}
                yield _event({"choices": [], "usage": counted})
            if fault != "no-done":
                yield "data: [DONE]\n\n"
        finally:
            self.active -= 1


def _weighed(token: str, logprob: float) -> dict[str, Any]:
    return {"content": [{"token": token, "logprob": logprob, "bytes": None, "top_logprobs": []}]}


def _event(chunk: dict[str, Any], *, raw: bool = False) -> str:
    return f"data: {json.dumps(chunk, ensure_ascii=not raw)}\n\n"


@contextmanager
def serving(server: ModelServer) -> Iterator[ModelServer]:
    """Runs it on a free port of loopback until the block ends."""
    config = uvicorn.Config(server.app(), host="127.0.0.1", port=0, log_level="critical", lifespan="off", ws="none")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        while not running.started:
            time.sleep(0.005)
        port = running.servers[0].sockets[0].getsockname()[1]
        server.base_url = f"http://127.0.0.1:{port}/v1"
        yield server
    finally:
        running.should_exit = True
        thread.join()
