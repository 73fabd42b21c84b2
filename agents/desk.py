"""What a looping strategy works with during one run: it asks, searches, notes and finally answers through its desk.

A loop is a plain coroutine; ``AtDesk`` turns what it emits into the events of a run. Its passages are numbered from
1 in the order in which they were found, so that [3] in a model's words, in the trace and in the answer is one passage.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import ParamSpec

from agents import context
from agents.abstain import I_DO_NOT_KNOW, abstention_reason
from agents.evidence import search_spread
from agents.limits import Budget
from agents.prompts import Prompts
from agents.query_side import QueryPlan, QuerySide
from agents.rag import RagStrategy
from agents.run import Provenance, Recorder, check_question, cut_short, describe_hits, run_to_end
from agents.saying import Said, fits, listen, tokens_in
from agents.tools.library import Library
from agents.tools.outside import Nothing, Outside, OutsideTools, Person
from core.errors import LimitReached, TooLarge
from core.events import Event, RunDone, StepTaken, TokenSaid
from core.offload import Offload
from core.protocols import LanguageModel, Retriever, Verifier, constrains
from core.types import (
    Answer,
    Hit,
    Limits,
    Message,
    SamplingParams,
    ToolCall,
    ToolSpec,
    Where,
)

_P = ParamSpec("_P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What looping strategies are made of.

    Attributes:
        lm: thinks and writes.
        retriever: finds passages.
        library: reads whole documents that were found.
        verifier: judges sentences.
        offload: where blocking calls run.
        reader: writes from passages and checks; also cites what a loop wrote itself.
        k: passages of one search.
        max_answer_tokens: of one thing that the model says, within the run's limits.
        query_side: what becomes of the question before it is searched.
        outside: tools of others, for loops that call tools.
        person: who is asked about calls with outside effect; None: nobody, and none is made.
        notes: what failed attempts of earlier questions taught, for loops that reflect.
    """

    lm: LanguageModel
    retriever: Retriever
    library: Library
    verifier: Verifier
    offload: Offload
    reader: RagStrategy
    prompts: Prompts = field(default_factory=Prompts)
    k: int = 4
    max_answer_tokens: int = 512
    query_side: QuerySide = field(default_factory=lambda: QuerySide(rewrite="lm"))
    provenance: Provenance = field(default_factory=Provenance)
    outside: Outside = field(default_factory=Nothing)
    person: Person | None = None
    notes: tuple[str, ...] = ()


class Desk:
    """One run of one strategy. ``question`` is standalone once ``open`` has been awaited."""

    def __init__(
        self, kit: Kit, recorder: Recorder, budget: Budget, where: Where, emit: Callable[[Event], None]
    ) -> None:
        self.kit = kit
        self.recorder = recorder
        self.budget = budget
        self.where = where
        self.emit = emit
        self.asked = ""
        self.question = ""
        self.objection = ""  # what the person said against the last answer, if that was it
        self.hits: list[Hit] = []
        self.outside = OutsideTools(Nothing(), "")
        self.mark = context.mark_for(recorder.run_id)
        self.step = _emitting(recorder.step, emit)  # Recorder.step, said at once; returns the step's index
        self._retriever = kit.retriever
        self._counting = asyncio.Lock()
        self._searched = False
        self._ended = False

    async def open(self, question: str, history: Sequence[Message]) -> None:
        """Checks the question, and does with it what the query side says.

        Raises:
            InvalidRequest: nothing is asked.
        """
        self.asked = self.question = check_question(question)
        plan = QueryPlan(self.asked, self.kit.query_side, self.kit.lm, self.kit.prompts)
        async with aclosing(plan.steps(self.recorder, history, self.budget)) as events:
            async for event in events:
                self.emit(event)
        self.question, self.objection = plan.standalone, plan.objection
        self._retriever = plan.beside.around(self.kit.retriever)

    # ------------------------------------------------------------ asking and finding

    async def ask(
        self,
        messages: Sequence[Message] | str,
        *,
        max_tokens: int | None = None,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int | None = None,
        tools: Sequence[ToolSpec] = (),
        regex: str = "",
    ) -> Said:
        """What the model says; a string is one message of the user. No step is counted: a loop counts its own turns.

        Args:
            regex: what the model writes by, where it can; the caller checks, since not every model can.

        Raises:
            LimitReached: tokens or seconds are used up, or the prompt no longer fits, code "limit-context".
        """
        if isinstance(messages, str):
            messages = [Message(role="user", content=messages)]
        async with self._counting:  # so that several that ask at once ask in their order
            counted = await self.budget.bounded(tokens_in(self.kit.lm, messages))
        # From here to where they are set aside nothing is waited for: what is left is still left.
        wanted = self.budget.tokens_for(max_tokens or self.kit.max_answer_tokens)
        room = self.kit.lm.context_tokens - counted
        if room < min(wanted, 32):
            raise LimitReached(
                f"stopped because what has been read no longer fits the {self.kit.lm.context_tokens} tokens that the "
                "model holds",
                code="limit-context",
            )
        params = SamplingParams(
            temperature=temperature,
            max_tokens=max(1, min(wanted, room)),
            stop=tuple(stop),
            seed=seed,
            regex=regex if constrains(self.kit.lm) else "",
        )
        # Set aside while it is said, so that several that speak at once cannot say more than the run may.
        spent = 0
        self.budget.tokens += params.max_tokens
        try:
            said = await listen(self.kit.lm, messages, params, self.budget, tools)
            spent = said.usage.completion_tokens
        except TooLarge as e:  # the count was an estimate
            raise LimitReached(f"stopped: {e.message}", code="limit-context") from e
        finally:
            self.budget.tokens += spent - params.max_tokens
        if said.thought:
            self.step("plan", thought=said.thought)
        self.emit(self.recorder.count(said.usage))
        return said

    async def fits(self, messages: Sequence[Message], max_tokens: int) -> bool:
        """Whether the model can read ``messages`` and still say so much."""
        return await self.budget.bounded(fits(self.kit.lm, messages, max_tokens))

    async def find(self, query: str, k: int | None = None) -> list[Hit]:
        """Passages for a query, best first, several sources; not yet among ``hits``."""
        self._searched = True
        n = k or self.kit.k
        work = self.kit.offload(search_spread, self._retriever, query, n, self.where)
        return await self.budget.bounded(work)

    async def search(self, query: str, k: int | None = None) -> list[Hit]:
        """``find``, with its step in the trace, and the passages among ``hits``."""
        began = self.recorder.now_s()
        call = ToolCall(
            call_id=f"search-{len(self.hits) + 1}", name="search", arguments={"query": query, "k": k or self.kit.k}
        )
        try:
            found = await self.find(query, k)
        except LimitReached as e:
            self.step("act", tool_call=call, error=e.message, started_s=began)
            raise
        self.step("act", tool_call=call, observation=describe_hits(found), started_s=began)
        for hit in found:
            self.number(hit)
        return found

    def number(self, hit: Hit) -> int:
        """The number of a passage in this run; a new one is added to ``hits``."""
        for n, known in enumerate(self.hits, 1):
            if known.chunk.chunk_id == hit.chunk.chunk_id:
                return n
        self.hits.append(replace(hit, rank=len(self.hits) + 1))
        return len(self.hits)

    def shown(self, hit: Hit) -> str:
        """One passage in one line, as models see it: numbered, with nothing in it that could pass for machinery."""
        passage = context.passage(self.number(hit), hit, self.mark)
        return f"[{passage.number}] {passage.heading}: {' '.join(passage.text.split())}"

    def inert(self, text: str) -> str:
        """Text of a document or a tool on its way into a prompt, in one line."""
        return " ".join(context.inert(text, self.mark).split())

    # ------------------------------------------------------------ saying

    async def read(self, question: str, hits: Sequence[Hit]) -> None:
        """Ends the run with an answer written from ``hits``; without any it says that nothing was found."""
        if not hits:
            self.do_not_know("")
            return
        said = self.kit.reader.read(self.recorder, self.asked, question, hits, self.budget, objection=self.objection)
        await self._pass_on(said)

    async def cite(self, text: str, *, limit: str = "", logprobs: Sequence[float] = ()) -> None:
        """Ends the run with ``text``, cited from ``hits`` and checked; ``logprobs`` are of its tokens, where they are known."""
        if not text.strip():
            self.do_not_know("The model gave no answer.", limit=limit)
            return
        said = self.kit.reader.cite(
            self.recorder,
            self.asked,
            self.question,
            text,
            tuple(self.hits),
            objection=self.objection,
            limit=limit,
            logprobs=logprobs,
        )
        await self._pass_on(said)

    def do_not_know(self, detail: str, *, limit: str = "") -> None:
        """Ends the run without an answer."""
        reasons = [f"Not finished: {limit}."] if limit else []
        reasons.append(
            abstention_reason(self.asked, self.hits, detail)
            if self._searched
            else f"The model searched for nothing. {detail}".strip()
        )
        answer = Answer(text=I_DO_NOT_KNOW, abstained=True, reason=" ".join(reasons), hits=tuple(self.hits))
        self.emit(TokenSaid(text=I_DO_NOT_KNOW))
        self.finish(answer, "limit" if limit else "abstained")

    def finish(self, answer: Answer, stop_reason: str) -> None:
        """The last event of the run; nothing may be emitted after it."""
        self._ended = True
        self.emit(self.recorder.done(answer, stop_reason))

    def cut_short(self, limit: LimitReached) -> None:
        """Ends a run that met a limit before its loop had anything to say."""
        if self._ended:
            return
        self._ended = True
        for event in cut_short(self.recorder, limit, self.hits):
            self.emit(event)

    async def _pass_on(self, events: AsyncGenerator[Event, None]) -> None:
        async with aclosing(events) as source:
            async for event in source:
                self._ended = self._ended or isinstance(event, RunDone)
                self.emit(event)


def _emitting(record: Callable[_P, StepTaken], emit: Callable[[Event], None]) -> Callable[_P, int]:
    def step(*args: _P.args, **kwargs: _P.kwargs) -> int:
        event = record(*args, **kwargs)
        emit(event)
        return event.step.index

    return step


Loop = Callable[[Desk, str, Sequence[Message]], Awaitable[None]]


class AtDesk:
    """A ``core.protocols.Strategy`` made of a loop, which opens its desk and ends with one of the desk's endings.

    A limit that the loop does not answer for itself ends the run with what is said in ``Desk.cut_short``.

    Args:
        prompts: the files that the loop uses, for the trace's hash.
        calls_outside: whether it calls the tools of others, which are listed before it begins.
    """

    def __init__(self, name: str, loop: Loop, kit: Kit, prompts: Sequence[str], *, calls_outside: bool = False) -> None:
        self._outside = kit.outside if calls_outside else Nothing()
        self.name = name
        self._loop = loop
        self._kit = kit
        self.prompts = (*prompts, *kit.query_side.prompts())

    def run(
        self, question: str, *, history: Sequence[Message], limits: Limits, where: Where, run_id: str
    ) -> AsyncIterator[Event]:
        """Answers ``question``; see ``core.protocols.Strategy``."""
        recorder = Recorder(
            run_id=run_id,
            strategy=self.name,
            question=question,
            provenance=self._kit.provenance,
            prompt_hash=self._kit.prompts.hash(*self.prompts),
        )

        async def work(emit: Callable[[Event], None]) -> None:
            desk = Desk(self._kit, recorder, Budget(limits), where, emit)
            try:
                async with self._outside.open() as session:
                    desk.outside = OutsideTools(session, question)
                    await desk.budget.bounded(desk.outside.listed())
                    for problem in session.problems:
                        desk.step("plan", error=problem)
                    await self._loop(desk, question, history)
            except LimitReached as e:
                desk.cut_short(e)

        return run_to_end(recorder, as_events(work))


async def as_events(work: Callable[[Callable[[Event], None]], Awaitable[None]]) -> AsyncGenerator[Event, None]:
    """What ``work`` emits, while it works. Closing the generator cancels the work and waits until it has ended."""
    queue: asyncio.Queue[Event | None] = asyncio.Queue()

    async def drive() -> None:
        try:
            await work(queue.put_nowait)
        finally:
            queue.put_nowait(None)

    task = asyncio.create_task(drive())
    try:
        while (event := await queue.get()) is not None:
            yield event
        await task
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # it was raised above, or the reader has gone
