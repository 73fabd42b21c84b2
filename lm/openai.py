"""A language model behind any OpenAI-compatible server: vLLM first, llama.cpp, Ollama, SGLang."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import httpx

from core.addresses import without_sign_in
from core.errors import InvalidRequest, ModelUnavailable, OpenbookError, TooLarge
from core.events import LMDone, LMEvent, ToolCallMade
from core.types import Message, SamplingParams, ToolSpec, Usage
from lm.abilities import Abilities, Wish, leave_out
from lm.chat import check_request, prompt_too_long
from lm.openai_http import TOOLS_REFUSED, Failed, data_of, meaning_of, tls
from lm.openai_wire import (
    ToolCallAssembler,
    chat_messages,
    chat_request,
    estimate_tokens,
    finish_reason,
    first_choice,
    parse_chunk,
    text_of,
    thought_of,
    token_logprobs,
    usage_of,
)
from lm.probing import find_out
from lm.spoken import Spoken
from lm.thinking import Room

_CONNECT_TIMEOUT_S = 5.0
_PROBE_TIMEOUT_S = 10.0
_PROBING_S = 60.0  # for all of it
_LOOK_AGAIN_S, _LOOKS = 20.0, 90
_MAX_WAIT_S = 20.0  # a server that wants more is left to the person
_DEFAULT_CONTEXT = 4096  # of a server that does not say
_REFUSALS = frozenset({400, 403, 422})  # with which servers say that they give no log-probabilities
_SMALLEST_ANSWER = 64  # asked for although our estimate leaves less room: the estimate is high, the server knows


# Characters after which an answer is cut off that the server should have ended: far more than its tokens can have.
_MOST_PER_TOKEN, _MOST_BESIDE = 100, 1_000


class _OnlyThought(Exception):
    """An answer was over before its thought was: the model turns out to think, and gets room for that, and no stop strings."""


class _Refused(Exception):
    """A request was refused, perhaps because it asks for log-probabilities."""


class OpenAICompatibleLM:
    """Streams chat completions from ``base_url``, which ends in ``/v1``.

    A connection that fails, 429 and 5xx are tried again, at most ``max_attempts`` times in all and only while nothing
    has been said. Closing the stream closes the connection, which is how such servers are told to stop. What a model
    thinks before it answers is not part of the text, but of the last event.

    What a server can do is found out (``lm.abilities``). Text comes with the log-probabilities of its tokens where the server gives
    them: they are asked for (but not beside tools, which some servers refuse) until a server has refused them or answered
    without. So it is with a form (``SamplingParams.regex``, ``schema``), and with tools, which a server may have been started without. What
    log-probabilities are of is the server's matter: vLLM (``logprobs_mode``) and llama.cpp (``post_sampling_probs``) give the model's own distribution unless told otherwise.

    Args:
        base_url: for example ``http://127.0.0.1:8001/v1``. A user and password in it are sent, and told nowhere.
        model: a name that the server knows; None takes the first that it lists.
        api_key: sent as a bearer token; "" sends none.
        context_tokens: used where the server does not say (vLLM does), and as an upper bound where it does.
        timeout_s: longest silence of the server, before and between tokens.

    Raises (from ``stream``):
        ModelUnavailable: no answer, a broken one, or one that was cut off.
        TooLarge: the prompt does not fit, code "prompt-too-long".
        Busy: the server is overloaded and says so.
        RetryModel: the model wrote a tool call that cannot be read.
        InvalidRequest: the server does not accept the request.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        api_key: str = "",
        context_tokens: int | None = None,
        timeout_s: float = 120.0,
        max_attempts: int = 3,
        backoff_s: float = 0.5,
    ) -> None:
        self._base, self._sign_in = without_sign_in(base_url.rstrip("/"), "lm_base_url")
        self._model = model
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._context_set = context_tokens
        self._context_said: int | None = None
        self._timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S))
        self._max_attempts = max_attempts
        self._backoff_s = backoff_s
        self._probed = False
        self._abilities = Abilities()
        self._closed = threading.Event()

    @property
    def native_tools(self) -> bool:
        """Until it has refused a request for the tools in it."""
        return self._abilities.tools is not False

    @property
    def constrained(self) -> bool:
        """Whether answers are written by ``SamplingParams.regex``: until the server has refused that, or left it unheeded."""
        return self._abilities.form is not False

    @property
    def structured(self) -> bool:
        """The same of ``SamplingParams.schema``."""
        return self._abilities.schema is not False

    @property
    def thinks(self) -> bool:
        """Unless it was seen to answer without a thought."""
        return self._abilities.thinks is not False

    @property
    def logprobs(self) -> bool:
        """Known when something has been said; False before that."""
        return bool(self._abilities.logprobs)

    @property
    def name(self) -> str:
        return f"openai:{self._model or 'default'}@{self._base}"

    @property
    def context_tokens(self) -> int:
        """Known when loaded; before that what was set, or a cautious guess."""
        known = [n for n in (self._context_said, self._context_set) if n]
        return min(known, default=_DEFAULT_CONTEXT)

    def load(self, report: Callable[[str, float], None] | None = None) -> None:
        """Asks the server for its models. Blocks; not for use inside an event loop.

        Raises:
            ModelUnavailable: it does not answer, or does not have the model.
        """
        if report is not None:
            report(f"asking {self._base}", 0.1)
        asyncio.run(self._probe_alone())
        if report is not None:
            report("ready", 1.0)

    def close(self) -> None:
        """Ends the waiting of ``probe``; nothing else is kept open between streams."""
        self._closed.set()

    @property
    def abilities(self) -> Abilities:
        """What is known of the server."""
        return self._abilities

    def probe(self, *, wait: bool = False) -> None:
        """Finds out what the server can do, by a few short requests. Blocks; not for use inside an event loop.

        Args:
            wait: for a server that is not there yet: until it is, this is closed, or half an hour has passed.

        Raises:
            OpenbookError: it does not answer, and is not waited for.
        """
        for left in reversed(range(_LOOKS if wait else 1)):
            try:
                asyncio.run(self._find_out())
                return
            except OpenbookError:
                if not left:
                    raise
            if self._closed.wait(_LOOK_AGAIN_S):
                return

    async def _find_out(self) -> None:
        try:
            async with asyncio.timeout(_PROBING_S):
                await find_out(self, self._abilities)
        except TimeoutError as e:
            raise ModelUnavailable(f"{self._base} took more than {_PROBING_S:g} s for a few words (lm_base_url)") from e

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """An estimate, high as a rule: the tokenizer is the server's."""
        return estimate_tokens(messages)

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncGenerator[LMEvent, None]:
        check_request(messages, params)
        async with self._client() as client:
            said = False
            for attempt in range(1, self._max_attempts + 1):
                try:
                    if not self._probed:
                        await self._probe(client)
                    async with aclosing(self._attempt(client, messages, tools, params, attempt)) as events:
                        async for event in events:
                            said = True
                            yield event
                    return
                except _OnlyThought:
                    continue
                except Failed as e:
                    wait = self._backoff_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
                    wait = wait if e.wait_s is None else e.wait_s
                    if said or attempt == self._max_attempts or wait > _MAX_WAIT_S:
                        raise e.error from e.__cause__
                await asyncio.sleep(wait)

    async def _attempt(
        self,
        client: httpx.AsyncClient,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        params: SamplingParams,
        attempt: int,
    ) -> AsyncGenerator[LMEvent, None]:
        began = time.monotonic()
        estimate = estimate_tokens(messages)
        known = self._abilities
        thought_tokens = params.thought_tokens if known.thinks else 0
        most = await self._room(client, messages, estimate, params.max_tokens + thought_tokens)
        room = Room(min(params.max_tokens, most), max(0, most - params.max_tokens))
        wishes = known.wishes(params, tools=bool(tools), first=attempt == 1)  # it may have broken on one of them
        # Servers look for stop strings in a thought, too, and end there: what may think is not told of them, and is ended here.
        told = params if known.thinks is False else replace(params, stop=())
        body = chat_request(self._model or "", messages, tools, told, room.most, wishes=wishes)
        formed = "regex" in body or "response_format" in body
        spoken = Spoken(params.stop, in_thought=bool(known.opens_thought) and not formed)
        calls = ToolCallAssembler()
        thoughts: list[str] = []  # of servers that keep them apart from the text
        usage = Usage(prompt_tokens=estimate)
        finish: str | None = None
        pieces, text, full = 0, "", False
        left = _MOST_PER_TOKEN * room.most + _MOST_BESIDE
        async with aclosing(self._accepted(client, body)) as chunks:
            async for chunk in chunks:
                delta, said_finish = first_choice(chunk)
                finish = said_finish or finish
                piece, logprobs = text_of(delta), token_logprobs(chunk)
                thoughts.append(thought_of(delta))
                pieces += bool(piece or thoughts[-1])
                if logprobs:
                    known.has("logprobs", True)
                if (said := spoken.feed(piece, logprobs)) is not None:
                    text += said.text
                    yield said
                calls.feed(delta.get("tool_calls") or [])
                usage = usage_of(chunk, estimate) or usage
                if piece or thoughts[-1]:  # a token, as a rule
                    full = room.take(thinking=spoken.thinking or bool(thoughts[-1]))
                if (left := left - len(piece) - len(thoughts[-1])) < 0 and not spoken.stopped:
                    finish = "length"
                    break
                if spoken.stopped or (full and thought_tokens):  # else the server ends it
                    break
        whole = finish != "length" and not full
        if (said := spoken.end(whole=whole)) is not None:
            text += said.text
            yield said
        if "logprobs" in body and pieces:
            known.has("logprobs", bool(known.logprobs))  # it was asked, and may not have heeded it
        if "regex" in body or "response_format" in body:  # and was not refused
            known.heard(params, text, whole=finish != "length" and not spoken.stopped)
        known.tools = bool(tools) or known.tools
        made = calls.calls()
        for call in made:
            yield ToolCallMade(call=call)
        usage = Usage(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens or pieces,  # servers that do not count send a token a piece
            duration_s=time.monotonic() - began,
        )
        reason = (
            "stop" if spoken.stopped else finish_reason("length" if full and thought_tokens else finish, bool(made))
        )
        thought = "".join(thoughts).strip() or spoken.thought
        news = bool(thought) and not known.thinks
        known.thought(thought, text, whole=whole and not formed and bool(text))
        cut = (
            params.thought_tokens and reason == "length"
        ) or "stop" in body  # within the thought, by no fault of the model's
        if news and cut and not text and not made and attempt < self._max_attempts:
            raise _OnlyThought
        yield LMDone(finish_reason=reason, usage=usage, thought=thought)

    async def _accepted(self, client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """``_chunks``; what the server may refuse the request for is taken out of ``body``: log-probabilities, then a form."""
        left_out: Wish | None = None
        while True:
            doubtful = self._abilities.doubtful(body)
            try:
                async with aclosing(self._chunks(client, body)) as chunks:
                    async for chunk in chunks:
                        if left_out is not None:  # the last thing that was left out was the reason
                            self._abilities.has(left_out, False)
                        yield chunk
                return
            except _Refused:
                left_out = doubtful[0]
                leave_out(body, left_out)

    async def _chunks(self, client: httpx.AsyncClient, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The chunks of one answer; raises Failed if it does not begin or does not end."""
        ended = False
        try:
            async with client.stream("POST", f"{self._base}/chat/completions", json=body) as response:
                if response.status_code != httpx.codes.OK:
                    await response.aread()
                    refused = meaning_of(response, self._base, self._model, tools="tools" in body)
                    if isinstance(refused, InvalidRequest) and refused.code == TOOLS_REFUSED:
                        self._abilities.tools = False
                    doubtful = self._abilities.doubtful(body) and not isinstance(refused, TooLarge)
                    raise _Refused if doubtful and response.status_code in _REFUSALS else refused
                async for data in data_of(response, self._base):
                    if data == "[DONE]":
                        return
                    chunk = parse_chunk(data, self._base)
                    ended = ended or first_choice(chunk)[1] is not None
                    yield chunk
        except httpx.ReadTimeout as e:
            raise ModelUnavailable(
                f"{self._base} said nothing for {self._timeout.read:g} s: it is overloaded or stuck (lm_timeout_s)"
            ) from e
        except httpx.TransportError as e:
            if not ended:
                raise Failed(self._unreachable(e)) from e
        if not ended:
            raise Failed(ModelUnavailable(f"the answer of {self._base} was cut off: ask again"))

    def _unreachable(self, e: httpx.TransportError) -> ModelUnavailable:
        if isinstance(e, httpx.ConnectError):
            self._abilities.forget()
        return ModelUnavailable(
            f"no answer from the model server {self._base} ({type(e).__name__}: {e}): is it running, and is"
            " lm_base_url right?"
        )

    async def _room(
        self, client: httpx.AsyncClient, messages: Sequence[Message], estimate: int, max_tokens: int
    ) -> int:
        """How many tokens to ask for. Counts exactly (vLLM can) where the estimate is too close to the context."""
        if estimate + max_tokens <= self.context_tokens:
            return max_tokens
        exact = await self._count_exactly(client, messages)
        if exact is None:
            return max(self.context_tokens - estimate, min(max_tokens, _SMALLEST_ANSWER))
        if exact >= self.context_tokens:
            raise prompt_too_long(self.name, exact, self.context_tokens)
        return min(max_tokens, self.context_tokens - exact)

    async def _count_exactly(self, client: httpx.AsyncClient, messages: Sequence[Message]) -> int | None:
        body = {"model": self._model, "messages": chat_messages(messages)}
        try:
            response = await client.post(f"{self._base.removesuffix('/v1')}/tokenize", json=body)
            count = response.json().get("count") if response.is_success else None
        except (httpx.TransportError, ValueError, AttributeError):
            return None  # only vLLM has this; the estimate serves
        return count if isinstance(count, int) else None

    async def _probe_alone(self) -> None:
        async with self._client() as client:
            try:
                await self._probe(client)
            except Failed as e:
                raise e.error from e.__cause__

    async def _probe(self, client: httpx.AsyncClient) -> None:
        try:
            response = await client.get(f"{self._base}/models", timeout=_PROBE_TIMEOUT_S)
        except httpx.TransportError as e:
            raise Failed(self._unreachable(e)) from e
        if response.status_code == httpx.codes.NOT_FOUND and self._model:
            self._probed = True  # some servers list nothing and answer all the same
            return
        if response.status_code != httpx.codes.OK:
            raise meaning_of(response, self._base, self._model)
        try:
            listed = {m["id"]: m for m in response.json()["data"]}
        except (ValueError, KeyError, TypeError) as e:
            raise ModelUnavailable(f"{self._base}/models did not answer with a list of models") from e
        if self._model is None:
            self._model = next(iter(listed), None)
        if self._model is None or (listed and self._model not in listed):
            raise ModelUnavailable(
                f"{self._base} has no model {self._model!r}: it has {', '.join(map(repr, listed)) or 'none'} (lm_model)"
            )
        length = listed.get(self._model, {}).get("max_model_len")
        self._context_said = length if isinstance(length, int) else None
        self._probed = True

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(headers=self._headers, auth=self._sign_in, timeout=self._timeout, verify=tls())
