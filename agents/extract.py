"""Answers by quoting: the sentences of the documents that answer best, byte for byte, or "I don't know".

How an answer is laid out: each sentence is the stored text from ``Citation.start`` to ``Citation.end``, nothing added
and nothing left out, line ends included; behind it stand one space and its marker, [1] to [3], best sentence first.
``Sentence.text`` and ``Citation.quote`` are that stored text; the markers lie between the sentences, so that whatever
else looks like a marker was in the document. Sentences are parted by a space where one follows the other in the
document, and by an empty line where not.

It needs no language model. It cannot combine, count or conclude: what no sentence says, it cannot answer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from agents.abstain import I_DO_NOT_KNOW, abstention_reason
from agents.calibration import ExtractCalibration, load_extract_calibration
from agents.candidates import Candidate, Region, affordable, candidates, regions
from agents.evidence import citation_for, evidence_text
from agents.limits import Budget
from agents.prompts import Prompts
from agents.query_side import QueryPlan, QuerySide
from agents.remarks import remarks
from agents.run import Provenance, Recorder, check_question, describe_hits, pieces, run_to_end
from agents.scoring import MAX_SENTENCES, Reading, worth_quoting
from agents.sources import DatesOf, Stand, conflict_text, disputed, no_dates, own_date, stated
from core.errors import LimitReached
from core.events import CitationMade, Event, SentenceChecked, TokenSaid
from core.offload import Offload
from core.protocols import Encoder, LanguageModel, Retriever, Verifier
from core.reach import Reach, reach_of
from core.types import Answer, Citation, Conflict, Hit, Limits, Message, Sentence, ToolCall, Verdict, Where
from core.wording import shortened

_REACHES = {
    "read": "a language that the encoder reads and may not have learnt",
    "spelt": "a language of which the encoder knows no more than letters",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """What extraction found for one question: the chosen sentences, best first, or none."""

    chosen: tuple[tuple[Candidate, Region], ...]
    nearest: tuple[Candidate, Region] | None
    probability: float  # that the best sentence answers
    threshold: float  # from which on it is said
    n_read: int  # passages that were read, from the first on
    reach: Reach = "english"


class ExtractStrategy:
    """A ``core.protocols.Strategy``.

    Args:
        retriever: finds the passages.
        encoder: the one the calibration was fitted with, or another (then the threshold is only a guess, and the trace
            says so).
        verifier: judges each quoted sentence against its passage.
        offload: where the blocking calls run.
        calibration: None reads the shipped one.
        threshold: probability in [0, 1] from which to answer, in any language; None is the calibration's.
        k: passages to read.
        max_sentences: sentences to quote at most.
        query_side: what becomes of the question before it is searched; None makes follow-ups standalone by rule.
        lm: needed by the switches of ``query_side`` that say so; never for the answer.
        prompts: None is the shipped ones.
        dates: of documents, told where sources disagree.
        provenance: for the trace.
    """

    name = "extract"

    def __init__(
        self,
        *,
        retriever: Retriever,
        encoder: Encoder,
        verifier: Verifier,
        offload: Offload,
        calibration: ExtractCalibration | None = None,
        threshold: float | None = None,
        k: int = 8,
        max_sentences: int = MAX_SENTENCES,
        query_side: QuerySide | None = None,
        lm: LanguageModel | None = None,
        prompts: Prompts | None = None,
        dates: DatesOf = no_dates,
        provenance: Provenance | None = None,
    ) -> None:
        self._retriever = retriever
        self._encoder = encoder
        self._verifier = verifier
        self._offload = offload
        self._calibration = calibration or load_extract_calibration()
        self._threshold = threshold
        self._k = k
        self._max_sentences = max_sentences
        self._query_side = query_side or QuerySide()
        self._lm = lm
        self._prompts = prompts or Prompts()
        self._dates = dates
        self._provenance = provenance or Provenance()

    def run(
        self, question: str, *, history: Sequence[Message], limits: Limits, where: Where, run_id: str
    ) -> AsyncIterator[Event]:
        """Answers ``question``; see ``core.protocols.Strategy``."""
        used = self._query_side.prompts()
        recorder = Recorder(
            run_id=run_id,
            strategy=self.name,
            question=question,
            provenance=self._provenance,
            prompt_hash=self._prompts.hash(*used) if used else "",
        )
        return run_to_end(recorder, self._work(recorder, question, history, Budget(limits), where))

    def extract(self, question: str, hits: Sequence[Hit]) -> Extract:
        """The reading itself, synchronous: what ``bench.fit_extract`` measures is what answers.

        Args:
            question: standalone.
            hits: best first.
        """
        read = affordable(hits, self._encoder.tokenizer)
        found = regions(read)
        sentences = candidates(found)
        reach = reach_of(question, (region.text for region in found), self._encoder.tokenizer)
        fit = self._calibration.fit(reach)
        threshold = fit.threshold if self._threshold is None else self._threshold
        if not any(s.says for s in sentences):
            return Extract(chosen=(), nearest=None, probability=0.0, threshold=threshold, n_read=len(read), reach=reach)
        reading = Reading(question, found, sentences, self._encoder)
        scores = reading.quotable(fit.ranker(reading.features))  # (n_sentences,)
        probability = fit.probability(reading.answer_features(scores))
        best = worth_quoting(scores)[0]
        nearest = (sentences[best], found[sentences[best].region])
        if probability < threshold:
            return Extract(
                chosen=(), nearest=nearest, probability=probability, threshold=threshold, n_read=len(read), reach=reach
            )
        kept: list[int] = []
        for i in worth_quoting(scores):
            # The same sentence in a second copy of a document adds nothing.
            if len(kept) < self._max_sentences and all(sentences[i].text != sentences[j].text for j in kept):
                kept.append(i)
        return Extract(
            chosen=tuple((sentences[i], found[sentences[i].region]) for i in kept),
            nearest=nearest,
            probability=probability,
            threshold=threshold,
            n_read=len(read),
            reach=reach,
        )

    async def _work(
        self, recorder: Recorder, question: str, history: Sequence[Message], budget: Budget, where: Where
    ) -> AsyncGenerator[Event, None]:
        asked = check_question(question)
        plan = QueryPlan(asked, self._query_side, self._lm, self._prompts)
        hits: list[Hit] = []
        try:
            async with aclosing(plan.steps(recorder, history, budget)) as planned:
                async for event in planned:
                    yield event
            standalone = plan.standalone
            budget.take_step()
            began = recorder.now_s()
            call = ToolCall(call_id="search-1", name="search", arguments={"query": standalone, "k": self._k})
            try:
                search = self._offload(plan.beside.around(self._retriever).search, standalone, self._k, where)
                hits = await budget.bounded(search)
            except LimitReached as e:
                yield recorder.step("act", tool_call=call, error=e.message, started_s=began)
                raise
            yield recorder.step("act", tool_call=call, observation=describe_hits(hits), started_s=began)

            budget.take_step()
            began = recorder.now_s()
            extract = await budget.bounded(self._offload(self.extract, standalone, hits))
        except LimitReached as e:
            answer = Answer(text=I_DO_NOT_KNOW, abstained=True, reason=f"Not finished: {e.message}.", hits=tuple(hits))
            yield TokenSaid(text=answer.text)
            yield recorder.done(answer, "limit")
            return
        yield recorder.step("reflect", thought=self._explain(extract), started_s=began)
        beside = await self._offload(remarks, standalone, plan.objection, hits, self._verifier)

        if not extract.chosen:
            answer = self._abstain(asked, hits, extract)
            answer = replace(answer, reason=" ".join([*beside, answer.reason]))
            yield TokenSaid(text=answer.text)
            yield recorder.done(answer, "abstained")
            return

        began = recorder.now_s()
        text = ""
        sentences: list[Sentence] = []
        citations: list[Citation] = []
        conflicts: list[Conflict] = []
        for marker, (candidate, region) in enumerate(extract.chosen, 1):
            gap = _gap(extract.chosen[marker - 2], (candidate, region)) if marker > 1 else ""
            start = len(text) + len(gap)
            end = start + len(candidate.text)
            said = f"{gap}{candidate.text} [{marker}]"
            text += said
            for piece in pieces(said):
                yield TokenSaid(text=piece)
            hit = region.hit_at(region.start + candidate.start, region.start + candidate.end)
            verdict = await self._offload(self._verifier.check, candidate.text, [evidence_text(hit, region.text)])
            citation = replace(
                citation_for(hit, marker, region.start + candidate.start, candidate.text),
                answer_start=start,
                answer_end=end,
                verdict=verdict.label,
                score=verdict.score,
            )
            sentence = Sentence(
                text=candidate.text,
                start=start,
                end=end,
                verdict=verdict.label,
                score=verdict.score,
                reason=verdict.reason,
                citations=(marker,),
            )
            citations.append(citation)
            sentences.append(sentence)
            yield CitationMade(citation=citation)
            yield SentenceChecked(index=marker - 1, sentence=sentence)
        for dispute in await self._offload(self._disputes, extract, hits):
            known = next((c for c in citations if _same_place(c, dispute)), None)
            marker = known.marker if known else len(citations) + 1
            if known is None:
                start = len(text) + 2
                said = f"\n\n{dispute.quote} [{marker}]"
                text += said
                yield TokenSaid(text=said)
                end = start + len(dispute.quote)
                citation = replace(
                    citation_for(dispute.hit, marker, dispute.start, dispute.quote),
                    answer_start=start,
                    answer_end=end,
                    verdict="supported",
                    score=1.0,
                )
                sentence = Sentence(
                    text=dispute.quote,
                    start=start,
                    end=end,
                    verdict="supported",
                    score=1.0,
                    reason="stands word for word in the passage",
                    citations=(marker,),
                )
                citations.append(citation)
                sentences.append(sentence)
                yield CitationMade(citation=citation)
                yield SentenceChecked(index=len(sentences) - 1, sentence=sentence)
            first = stated(*_said_by(extract), Verdict(label="supported", score=1.0, reason=""))
            numbers = (1, marker)
            told = conflict_text(sentences[0].text, first, dispute, numbers, self._dates)
            conflicts.append(Conflict(text=told, citations=numbers))
        if conflicts:
            citations = [replace(c, date=own_date(self._dates, c.doc_id)) for c in citations]
        yield recorder.step("answer", observation=text, started_s=began)
        answer = Answer(
            text=text,
            reason=" ".join(beside),
            conflicts=tuple(conflicts),
            citations=tuple(citations),
            sentences=tuple(sentences),
            hits=tuple(hits),
            confidence=extract.probability,
        )
        yield recorder.done(answer, "answered")

    def _disputes(self, extract: Extract, hits: Sequence[Hit]) -> list[Stand]:
        """Passages of other documents that say otherwise than the best sentence."""
        return disputed(*_said_by(extract), hits, self._verifier)

    def _explain(self, extract: Extract) -> str:
        if extract.nearest is None:
            return "No sentence to read."
        said = (
            f"Read {extract.n_read} passages. The best sentence answers with probability {extract.probability:.2f}; the threshold is "
            f"{extract.threshold:.2f}. Quoted: {len(extract.chosen)}."
        )
        if extract.reach != "english":
            said += f" Weighed as {_REACHES[extract.reach]}."
        if not self._calibration.fitted_for(self._encoder.revision):
            said += (
                f" The threshold was fitted for {self._calibration.encoder}, not {self._encoder.revision}: fit it anew."
            )
        return said

    def _abstain(self, question: str, hits: Sequence[Hit], extract: Extract) -> Answer:
        if extract.nearest is None:
            return Answer(
                text=I_DO_NOT_KNOW,
                abstained=True,
                reason=abstention_reason(question, hits, "No passage has a sentence to quote."),
                hits=tuple(hits),
                confidence=extract.probability,
            )
        candidate, region = extract.nearest
        quoted = shortened(candidate.text, 200)
        detail = (
            f"The best sentence found answers with probability {extract.probability:.2f}, "
            f"below the threshold of {extract.threshold:.2f}: “{quoted}”"
        )
        nearest = region.hit_at(region.start + candidate.start, region.start + candidate.end)
        others = [h for h in hits if h is not nearest]
        return Answer(
            text=I_DO_NOT_KNOW,
            abstained=True,
            reason=abstention_reason(question, [nearest, *others], detail),
            hits=tuple(hits),
            confidence=extract.probability,
        )


def _said_by(extract: Extract) -> tuple[str, Hit]:
    """The best sentence and the passage that it stands in."""
    candidate, region = extract.chosen[0]
    return candidate.text, region.hit_at(region.start + candidate.start, region.start + candidate.end)


def _same_place(citation: Citation, dispute: Stand) -> bool:
    return (citation.doc_id, citation.start, citation.end) == (
        dispute.hit.chunk.doc_id,
        dispute.start,
        dispute.end,
    )


def _gap(before: tuple[Candidate, Region], after: tuple[Candidate, Region]) -> str:
    adjoin = before[1] is after[1] and before[0].end <= after[0].start <= before[0].end + 2
    return " " if adjoin else "\n\n"
