"""Answers written by a language model from numbered passages, checked sentence by sentence while they stream.

The model is given passages and no tools; what it cites is checked to exist, quoted from the stored text, and judged by
the verifier as each sentence closes. A sentence without a marker is attributed to the passages that the verifier says
support it, or stays marked as unsupported. What becomes of an unsupported sentence is the policy's (``agents.gate``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace

from agents import context, repair
from agents.abstain import I_DO_NOT_KNOW, abstention_reason
from agents.cite import Bibliography
from agents.context import Context
from agents.draft import Draft, disputes, finished, judge, still_supported, support_of
from agents.evidence import search_spread
from agents.gate import AnswerPolicy, Gate, Held, Mend, held_back
from agents.limits import THOUGHT_TOKENS, Budget
from agents.looping import is_looping
from agents.prompts import Prompts
from agents.query_side import QueryPlan, QuerySide
from agents.remarks import remarks
from agents.run import Provenance, Recorder, check_question, cut_short, describe_hits, run_to_end
from agents.sources import DatesOf, no_dates
from agents.writer import AnswerWriter
from core.errors import LimitReached
from core.events import CitationMade, Event, LMDone, SentenceChecked, TextDelta, TokenSaid
from core.offload import Offload
from core.protocols import LanguageModel, Retriever, Verifier, contrasts, thinks
from core.types import (
    Answer,
    Hit,
    Limits,
    Message,
    SamplingParams,
    ToolCall,
    Usage,
    Where,
)

# Tokens of the context kept free for the answer, at least; passages are dropped before it shrinks.
_MIN_ANSWER_TOKENS = 128


class RagStrategy:
    """A ``core.protocols.Strategy``.

    Args:
        retriever: finds the passages.
        lm: writes the answer; given no tools.
        verifier: judges each sentence.
        offload: where blocking calls run.
        prompts: None is the shipped ones.
        k: passages in the context at most.
        per_source: passages of one document at most, where several documents were found; None is half of ``k``.
        max_answer_tokens: of one answer, within the run's limits.
        temperature: of the answer.
        query_side: what becomes of the question before it is searched; None lets the model rewrite follow-ups.
        policy: what becomes of a sentence that its passages do not support.
        threshold: support in [0, 1] from which it answers (``agents.draft.support_of``). Above 0 nothing is said before the
            whole answer is judged, since what was streamed cannot be taken back.
        dates: of documents, told where sources disagree.
        provenance: for the trace.
    """

    name = "rag"

    def __init__(
        self,
        *,
        retriever: Retriever,
        lm: LanguageModel,
        verifier: Verifier,
        offload: Offload,
        prompts: Prompts | None = None,
        k: int = 8,
        per_source: int | None = None,
        max_answer_tokens: int = 512,
        temperature: float = 0.0,
        query_side: QuerySide | None = None,
        policy: AnswerPolicy = "mark",
        threshold: float = 0.0,
        dates: DatesOf = no_dates,
        provenance: Provenance | None = None,
    ) -> None:
        self._retriever = retriever
        self._lm = lm
        self._verifier = verifier
        self._offload = offload
        self._prompts = prompts or Prompts()
        self._k = k
        self._per_source = per_source
        self._max_answer_tokens = max_answer_tokens
        self._temperature = temperature
        self._query_side = query_side or QuerySide(rewrite="lm")
        self._policy = policy
        self._threshold = threshold
        self._dates = dates
        self._provenance = provenance or Provenance()
        mending = (repair.SYSTEM, repair.USER) if policy == "repair" else ()
        self._prompt_hash = self._prompts.hash(context.SYSTEM, context.USER, *mending, *self._query_side.prompts())

    def run(
        self, question: str, *, history: Sequence[Message], limits: Limits, where: Where, run_id: str
    ) -> AsyncIterator[Event]:
        """Answers ``question``; see ``core.protocols.Strategy``."""
        recorder = Recorder(
            run_id=run_id,
            strategy=self.name,
            question=question,
            provenance=self._provenance,
            prompt_hash=self._prompt_hash,
        )
        return run_to_end(recorder, self._work(recorder, question, history, Budget(limits), where))

    async def _work(
        self, recorder: Recorder, question: str, history: Sequence[Message], budget: Budget, where: Where
    ) -> AsyncGenerator[Event, None]:
        asked = check_question(question)
        hits: list[Hit] = []
        stands = ""  # the answer that was objected to, where it still holds
        try:
            plan = QueryPlan(asked, self._query_side, self._lm, self._prompts)
            async with aclosing(plan.steps(recorder, history, budget)) as planned:
                async for event in planned:
                    yield event
            standalone = plan.standalone

            budget.take_step()
            began = recorder.now_s()
            search = self._offload(
                search_spread, plan.beside.around(self._retriever), standalone, self._k, where, self._per_source
            )
            call = ToolCall(call_id="search-1", name="search", arguments={"query": standalone, "k": self._k})
            try:
                hits = await budget.bounded(search)
            except LimitReached as e:
                yield recorder.step("act", tool_call=call, error=e.message, started_s=began)
                raise
            yield recorder.step("act", tool_call=call, observation=describe_hits(hits), started_s=began)
            if plan.objected:
                again = self._offload(still_supported, plan.objected, hits, self._verifier)
                stands = await budget.bounded(again)
        except LimitReached as e:
            for event in cut_short(recorder, e, hits):
                yield event
            return
        if not hits:
            yield TokenSaid(text=I_DO_NOT_KNOW)
            reason = abstention_reason(asked, hits, "")
            answer = Answer(text=I_DO_NOT_KNOW, abstained=True, reason=reason, confidence=0.0)
            yield recorder.done(answer, "abstained")
            return
        if stands:
            yield recorder.step("reflect", thought="What was found supports all of the answer that was objected to.")
            read = self.cite(recorder, asked, standalone, stands, hits, objection=plan.objection)
        else:
            read = self.read(recorder, asked, standalone, hits, budget, objection=plan.objection)
        async with aclosing(read) as events:
            async for event in events:
                yield event

    def read(
        self,
        recorder: Recorder,
        asked: str,
        question: str,
        hits: Sequence[Hit],
        budget: Budget,
        *,
        objection: str = "",
    ) -> AsyncGenerator[Event, None]:
        """The second half of a run: writes the answer to ``question`` from ``hits``. Its last event is RunDone.

        Args:
            objection: what the person said against the last answer, if that was it; see ``agents.pushback``.
        """
        return self._if_said(self._read(recorder, asked, question, hits, budget, objection))

    def _if_said(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        """``events``, whoever asked for them: with a threshold nothing is said before it is known whether it is."""
        return events if self._threshold <= 0 else held_back(events)

    async def _read(
        self, recorder: Recorder, asked: str, question: str, hits: Sequence[Hit], budget: Budget, objection: str
    ) -> AsyncGenerator[Event, None]:
        draft: Draft | None = None
        try:
            budget.take_step()
            shown = await budget.bounded(self._offload(self._context, question, hits, recorder.run_id, budget))
            if note := shown.note(self._lm.context_tokens):
                yield recorder.step("plan", thought=note)
            used = [p.hit for p in shown.passages]
            bibliography = Bibliography(used)
            gate = Gate(self._policy) if self._policy != "mark" else None
            draft = Draft(writer=AnswerWriter(bibliography), bibliography=bibliography, hits=used, gate=gate)
            draft.remarks = await self._offload(remarks, question, objection, hits, self._verifier)
            async with aclosing(self._write(recorder, draft, shown, budget)) as events:
                async for event in events:
                    yield event
            if gate is not None:
                async with aclosing(gate.settle(self._mend(recorder, draft, question, shown, budget))) as events:
                    async for event in events:
                        yield event
        except LimitReached as e:
            if draft is None:
                for event in cut_short(recorder, e, hits):
                    yield event
                return
            draft.limit = e.message
            async with aclosing(self._flush(draft)) as events:
                async for event in events:
                    yield event
            if draft.gate is not None:
                async with aclosing(draft.gate.settle(None)) as events:
                    async for event in events:
                        yield event
        async with aclosing(self._close(recorder, asked, draft)) as events:
            async for event in events:
                yield event

    def cite(
        self,
        recorder: Recorder,
        asked: str,
        question: str,
        text: str,
        hits: Sequence[Hit],
        *,
        objection: str = "",
        limit: str = "",
        logprobs: Sequence[float] = (),
    ) -> AsyncGenerator[Event, None]:
        """Says ``text``, which another loop has written, cited and checked like what is written here; ends with RunDone.

        Args:
            question, objection: as in ``read``.
            hits: what its markers name, from 1 on, and what its sentences may rest on.
            limit: why the loop did not finish; empty if it did.
            logprobs: of the tokens of ``text``, where they are known.
        """
        return self._if_said(self._cite(recorder, asked, question, text, hits, objection, limit, logprobs))

    async def _cite(
        self,
        recorder: Recorder,
        asked: str,
        question: str,
        text: str,
        hits: Sequence[Hit],
        objection: str,
        limit: str,
        logprobs: Sequence[float],
    ) -> AsyncGenerator[Event, None]:
        began = recorder.now_s()
        bibliography = Bibliography(hits)
        # Mending asks the model anew, and a loop has had its turns: what it would mend is left out.
        gate = Gate("strict") if self._policy != "mark" else None
        writer = AnswerWriter(bibliography)
        draft = Draft(writer=writer, bibliography=bibliography, hits=hits, raw=text, limit=limit, gate=gate)
        draft.logprobs += logprobs
        draft.remarks = await self._offload(remarks, question, objection, hits, self._verifier)
        draft.writer.feed(text)
        async with aclosing(self._flush(draft)) as events:
            async for event in events:
                yield event
        if gate is not None:
            async with aclosing(gate.settle(None)) as events:
                async for event in events:
                    yield event
        yield recorder.step("answer", observation=text, error=draft.removed(), started_s=began)
        async with aclosing(self._close(recorder, asked, draft)) as events:
            async for event in events:
                yield event

    async def _close(self, recorder: Recorder, asked: str, draft: Draft) -> AsyncGenerator[Event, None]:
        if draft.gate is not None and not draft.gate.text:
            draft.gate.text = I_DO_NOT_KNOW
            yield TokenSaid(text=I_DO_NOT_KNOW)
        conflicts, cited = await self._offload(disputes, draft, self._verifier, self._dates)
        for citation in cited:
            yield CitationMade(citation=citation)
        answer = finished(draft, asked, conflicts, cited)
        answer = self._if_sure(replace(answer, confidence=support_of(draft)), asked, draft.remarks)
        yield recorder.done(answer, "limit" if draft.limit else "abstained" if answer.abstained else "answered")

    def _if_sure(self, answer: Answer, asked: str, beside: Sequence[str]) -> Answer:
        """``answer``, or an abstention where it is less sure than the threshold asks."""
        sure = answer.confidence or 0.0
        if answer.abstained or sure >= self._threshold:
            return answer
        detail = f"What the model wrote has a support of {sure:.2f}, below the threshold of {self._threshold:.2f}."
        reason = " ".join([*beside, abstention_reason(asked, answer.hits, detail)])
        return Answer(text=I_DO_NOT_KNOW, abstained=True, reason=reason, hits=answer.hits, confidence=sure)

    def _context(self, question: str, hits: Sequence[Hit], run_id: str, budget: Budget) -> Context:
        reserved = max(
            _MIN_ANSWER_TOKENS, min(self._max_answer_tokens, budget.tokens_left, self._lm.context_tokens // 4)
        )
        if thinks(self._lm):
            reserved += min(THOUGHT_TOKENS, self._lm.context_tokens // 4)
        return context.fit(
            question,
            hits,
            prompts=self._prompts,
            mark=context.mark_for(run_id),
            count_tokens=self._lm.count_tokens,
            room=self._lm.context_tokens - reserved,
        )

    async def _write(
        self, recorder: Recorder, draft: Draft, shown: Context, budget: Budget
    ) -> AsyncGenerator[Event, None]:
        began = recorder.now_s()
        if budget.tokens_left == 0:
            budget.spend_tokens(1)
        params = SamplingParams(
            temperature=self._temperature,
            max_tokens=min(self._max_answer_tokens, budget.tokens_left),
            without=shown.bare if contrasts(self._lm) else (),
        )
        usage = Usage()
        async with aclosing(budget.ask(self._lm, shown.messages, params)) as events:
            async for event in events:
                match event:
                    case TextDelta(text=text, logprobs=logprobs):
                        draft.raw += text
                        draft.logprobs += logprobs
                        draft.writer.feed(text)
                        async with aclosing(self._show(draft, final=False)) as said:
                            async for one in said:
                                yield one
                        if is_looping(draft.raw):
                            draft.limit = "the model began to repeat itself"
                            break
                    case LMDone(finish_reason=finish, usage=spent, thought=thought):
                        draft.finish, usage = finish, spent
                        if thought:
                            yield recorder.step("plan", thought=thought, started_s=began)
                    case _:
                        # No tool was offered: a call can only have come from a passage, and there is nothing to call.
                        yield recorder.step("act", error="the model asked for a tool; none is offered, none was called")
        budget.tokens += usage.completion_tokens
        async with aclosing(self._flush(draft)) as said:
            async for one in said:
                yield one
        yield recorder.step("answer", observation=draft.raw, error=draft.removed(), usage=usage, started_s=began)
        yield recorder.count(usage)

    async def _flush(self, draft: Draft) -> AsyncGenerator[Event, None]:
        draft.writer.finish()
        async with aclosing(self._show(draft, final=True)) as events:
            async for event in events:
                yield event

    async def _show(self, draft: Draft, *, final: bool) -> AsyncGenerator[Event, None]:
        """Gives out what is certain: sentences with their verdicts, then the text that is still open."""
        gate = draft.gate
        while True:
            start = draft.writer.closed_to
            if (closed := draft.writer.close(final=final)) is None:
                break
            sentence, citations = await self._offload(judge, draft, draft.writer, closed, self._verifier)
            if gate is not None:
                piece = draft.writer.text[start : draft.writer.closed_to]
                gate.add(Held(piece=piece, start=start, sentence=sentence, citations=tuple(citations)))
                for event in gate.ready():
                    yield event
                continue
            if said := draft.writer.take_closed():
                yield TokenSaid(text=said)
            draft.citations += citations
            draft.sentences.append(sentence)
            for citation in citations:
                yield CitationMade(citation=citation)
            yield SentenceChecked(index=len(draft.sentences) - 1, sentence=sentence)
        if gate is None and (piece := draft.writer.take(final=final)):
            yield TokenSaid(text=piece)

    def _mend(self, recorder: Recorder, draft: Draft, question: str, shown: Context, budget: Budget) -> Mend | None:
        """Mends a sentence; the original goes to the trace. None where the policy leaves it out."""
        if self._policy != "repair":
            return None
        repairer = repair.Repairer(
            question=question,
            passages=shown.passages,
            mark=context.mark_for(recorder.run_id),
            bibliography=draft.bibliography,
            judge=lambda writer, closed: judge(draft, writer, closed, self._verifier),
            lm=self._lm,
            verifier=self._verifier,
            prompts=self._prompts,
            offload=self._offload,
            budget=budget,
        )

        async def mend(held: Held) -> tuple[Sequence[Held], Sequence[Event]]:
            began = recorder.now_s()
            mended = await repairer.mend(held)
            original = held.sentence
            thought = f"{original.verdict.capitalize()}: {original.reason}. {mended.how}"
            step = recorder.step(
                "reflect", thought=thought, observation=original.text, usage=mended.usage, started_s=began
            )
            return mended.held, [step, recorder.count(mended.usage)]

        return mend
