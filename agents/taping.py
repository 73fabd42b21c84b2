"""Records what a run asks of models, indexes and the verifier, and plays it back.

It stands at the seams, so no strategy knows of it. A recording is a list of calls, each with its request and its
response; played back, a request is answered by the recorded response to the same request, in the order of recording
where it was asked several times. Nothing is computed anew and no seed is relied on.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from agents.tape_json import (
    call_from,
    call_json,
    hit_from,
    hit_json,
    messages_json,
    request_json,
    verdict_from,
    verdict_json,
)
from agents.tools.library import Library
from agents.watch import Watch, watched
from core.around import AroundLM
from core.errors import LimitReached, OpenbookError, error_of
from core.events import Event, LMDone, LMEvent, RunDone, RunFailed, TextDelta, ToolCallMade
from core.protocols import ExpandingRetriever, LanguageModel, Retriever, Strategy, Verifier
from core.types import Hit, Limits, Message, Recorded, SamplingParams, ToolSpec, Usage, Verdict, Where

if TYPE_CHECKING:
    from collections.abc import Callable

Json = Mapping[str, Any]
Kind = Literal["model", "count", "search", "document", "verdict", "tools", "tool", "consent"]


class Tape:
    """What was recorded of one run. Thread-safe: it is only appended to, and a replay takes from queues."""

    def __init__(self, calls: Sequence[Recorded] = ()) -> None:
        self.calls: list[Recorded] = list(calls)
        self.anew = 0  # requests of a replay that were not on the tape
        self._began = time.monotonic()
        self._left: dict[str, deque[Recorded]] = defaultdict(deque)
        for call in calls:
            self._left[_key(call.kind, call.request)].append(call)

    def now_s(self) -> float:
        return time.monotonic() - self._began

    def add(self, kind: Kind, request: Json, response: Json, began_s: float) -> None:
        self.calls.append(
            Recorded(
                kind=kind, request=request, response=response, started_s=began_s, duration_s=self.now_s() - began_s
            )
        )

    def take(self, kind: Kind, request: Json) -> Json | None:
        """The recorded response to this request, or None; what was asked once may be asked again."""
        left = self._left.get(_key(kind, request))
        if not left:
            return None
        return (left.popleft() if len(left) > 1 else left[0]).response

    def missing(self, kind: Kind, request: Json) -> OpenbookError:
        shown = json.dumps(request, ensure_ascii=False)
        return OpenbookError(
            f"the recording has no answer to this {kind} request: {shown[:200]}. What decides about it has changed since "
            "(settings, prompts, this version, or a document that was purged)",
            code="not-recorded",
        )


def _key(kind: str, request: Json) -> str:
    return kind + json.dumps(request, sort_keys=True, ensure_ascii=True)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:32]


# ------------------------------------------------------------ language model


class TapedLM(AroundLM):
    """A LanguageModel that records ``lm``."""

    def __init__(self, lm: LanguageModel, tape: Tape) -> None:
        super().__init__(lm)
        self._tape = tape

    def count_tokens(self, messages: Sequence[Message]) -> int:
        began = self._tape.now_s()
        n = super().count_tokens(messages)
        self._tape.add("count", {"of": _digest(messages_json(messages))}, {"n": n}, began)
        return n

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncGenerator[LMEvent, None]:
        began = self._tape.now_s()
        pieces: list[tuple[str, tuple[float, ...]]] = []
        response: dict[str, Any] = {"pieces": pieces, "tool_calls": [], "end": "closed"}
        try:
            stream = cast("AsyncGenerator[LMEvent, None]", self._lm.stream(messages, tools, params))
            async with aclosing(stream):
                async for event in stream:
                    match event:
                        case TextDelta(text=text, logprobs=logprobs):
                            pieces.append((text, logprobs))
                        case ToolCallMade(call=call):
                            response["tool_calls"].append(call_json(call))
                        case LMDone(finish_reason=finish, usage=usage, thought=thought):
                            response |= {"end": "done", "finish": finish, "usage": _usage_json(usage)}
                            response |= {"thought": thought} if thought else {}
                    yield event
        except OpenbookError as e:
            response |= {"end": "error", "error": _error_json(e)}
            raise
        finally:
            self._tape.add("model", request_json(messages, tools, params), response, began)


class ReplayedLM:
    """A LanguageModel that answers from a tape; what is not on it goes to ``live``, if there is one.

    Args:
        known: what the recording says of the model: name, context_tokens, native_tools, constrained.
        max_seconds: of the recorded run, for the words of its limit.
    """

    def __init__(self, tape: Tape, known: Json, max_seconds: float, live: LanguageModel | None) -> None:
        self._tape = tape
        self._known = known
        self._max_seconds = max_seconds
        self._live = live

    @property
    def name(self) -> str:
        return str(self._known["name"])

    @property
    def context_tokens(self) -> int:
        return int(self._known["context_tokens"])

    @property
    def native_tools(self) -> bool:
        return bool(self._known["native_tools"])

    @property
    def constrained(self) -> bool:
        return bool(self._known.get("constrained"))

    @property
    def thinks(self) -> bool:
        return bool(self._known.get("thinks"))

    def count_tokens(self, messages: Sequence[Message]) -> int:
        request = {"of": _digest(messages_json(messages))}
        found = self._tape.take("count", request)
        if found is not None:
            return int(found["n"])
        if self._live is None:
            raise self._tape.missing("count", request)
        return self._live.count_tokens(messages)

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncGenerator[LMEvent, None]:
        request = request_json(messages, tools, params)
        response = self._tape.take("model", request)
        if response is None:
            if self._live is None:
                raise self._tape.missing("model", request)
            self._tape.anew += 1
            stream = cast("AsyncGenerator[LMEvent, None]", self._live.stream(messages, tools, params))
            async with aclosing(stream):
                async for event in stream:
                    yield event
            return
        for text, logprobs in response["pieces"]:
            yield TextDelta(text=text, logprobs=tuple(logprobs or ()))  # recordings of before have None
        for call in response["tool_calls"]:
            yield ToolCallMade(call=call_from(call))
        match response["end"]:
            case "error":
                raise _error_from(response["error"])
            case "closed":  # whoever listened stopped; if it was not for what was said, the time was up
                raise LimitReached(
                    f"stopped after {self._max_seconds:g} seconds, the limit of a run", code="limit-seconds"
                )
            case _:
                yield LMDone(
                    finish_reason=response["finish"],
                    usage=Usage(**response["usage"]),
                    thought=response.get("thought", ""),
                )


def _usage_json(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "duration_s": usage.duration_s,
    }


def _error_json(e: OpenbookError) -> Json:
    return {"code": e.code, "message": e.message, "kind": type(e).code}


def _error_from(recorded: Json) -> OpenbookError:
    return error_of(recorded["code"], recorded["message"], recorded.get("kind", ""))  # recordings of before have none


# ------------------------------------------------------------ retriever, library, verifier


class TapedRetriever:
    """A Retriever that records ``inner``, or answers from the tape where ``replaying``."""

    def __init__(self, inner: Retriever | None, tape: Tape, *, replaying: bool = False) -> None:
        self._inner = inner
        self._tape = tape
        self._replaying = replaying

    def search(self, query: str, k: int, where: Where) -> list[Hit]:
        inner = self._inner
        work = None if inner is None else lambda: inner.search(query, k, where)
        return _hits(self._tape, "search", {"query": query, "k": k}, work, self._replaying)


class TapedExpandingRetriever(TapedRetriever):
    """The same of an ExpandingRetriever."""

    def search_expanded(self, query: str, passages: Sequence[str], k: int, where: Where) -> list[Hit]:
        inner = self._inner
        request = {"query": query, "passages": list(passages), "k": k}
        work = None
        if isinstance(inner, ExpandingRetriever):
            expanding = inner
            work = lambda: expanding.search_expanded(query, passages, k, where)  # noqa: E731
        return _hits(self._tape, "search", request, work, self._replaying)


def taped_retriever(inner: Retriever, tape: Tape) -> Retriever:
    """``inner``, recorded, with its own abilities."""
    return (TapedExpandingRetriever if isinstance(inner, ExpandingRetriever) else TapedRetriever)(inner, tape)


class TapedLibrary:
    """A Library that records ``inner``, or answers from the tape where ``replaying``."""

    def __init__(self, inner: Library | None, tape: Tape, *, replaying: bool = False) -> None:
        self._inner = inner
        self._tape = tape
        self._replaying = replaying

    def passages(self, doc_id: str, where: Where) -> Sequence[Hit]:
        inner = self._inner
        work = None if inner is None else lambda: list(inner.passages(doc_id, where))
        return _hits(self._tape, "document", {"document": doc_id}, work, self._replaying)


class TapedVerifier:
    """A Verifier that records ``inner``, or answers from the tape where ``replaying``. Evidence is kept as its hash."""

    def __init__(self, inner: Verifier, tape: Tape, *, replaying: bool = False) -> None:
        self._inner = inner
        self._tape = tape
        self._replaying = replaying

    def check(self, claim: str, evidence: Sequence[str]) -> Verdict:
        request = {"claim": claim, "evidence": _digest(list(evidence))}
        if self._replaying and (found := self._tape.take("verdict", request)) is not None:
            return verdict_from(found)
        began = self._tape.now_s()
        verdict = self._inner.check(claim, evidence)
        if not self._replaying:
            self._tape.add("verdict", request, verdict_json(verdict), began)
        return verdict


def _hits(tape: Tape, kind: Kind, request: Json, work: Callable[[], list[Hit]] | None, replaying: bool) -> list[Hit]:
    if replaying and (found := tape.take(kind, request)) is not None:
        if "error" in found:
            raise _error_from(found["error"])
        return [hit_from(h) for h in found["hits"]]
    if work is None:
        raise tape.missing(kind, request)
    began = tape.now_s()
    try:
        hits = work()
    except OpenbookError as e:
        tape.add(kind, request, {"error": _error_json(e)}, began)
        raise
    if replaying:
        tape.anew += 1
    else:
        tape.add(kind, request, {"hits": [hit_json(h) for h in hits]}, began)
    return hits


# ------------------------------------------------------------ strategy


class TapedStrategy:
    """A Strategy whose trace holds the tape, and ``inputs``: what else is needed to run it again."""

    def __init__(self, inner: Strategy, tape: Tape, inputs: Json) -> None:
        self.name = inner.name
        self._inner = inner
        self._tape = tape
        self._inputs = inputs

    async def run(
        self, question: str, *, history: Sequence[Message], limits: Limits, where: Where, run_id: str
    ) -> AsyncIterator[Event]:
        inputs = {
            **self._inputs,
            "history": [[m.role, m.content] for m in history],
            "limits": asdict(limits),
            "collections": list(where.collections),
            "filters": {field: list(values) for field, values in where.filters.items()},
        }
        watch = Watch(max_seconds=limits.max_seconds)
        stream = self._inner.run(question, history=history, limits=watched(limits, watch), where=where, run_id=run_id)
        async with aclosing(cast("AsyncGenerator[Event, None]", stream)) as events:
            async for event in events:
                match event:
                    case RunDone(trace=trace) | RunFailed(trace=trace):
                        found = {**inputs, **watch.recorded()}
                        yield replace(event, trace=replace(trace, calls=tuple(self._tape.calls), inputs=found))
                    case _:
                        yield event
