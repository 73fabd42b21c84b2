"""One answer while it is written: its sentences judged as they close, what other documents say against them, and its end.

Not known here: who writes, and in what order things are told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from agents.abstain import abstention_reason, is_abstention
from agents.cite import MARKER, Bibliography, attribute
from agents.evidence import evidence_text
from agents.gate import Gate
from agents.saying import mean_logprob
from agents.sources import DatesOf, conflict_text, disputed, own_date, stated
from agents.writer import AnswerWriter, ClosedSentence
from core.protocols import Verifier
from core.types import Answer, Citation, Conflict, FinishReason, Hit, Sentence, Verdict

_LONGEST_SAID_AGAIN = 8_000  # characters; clients may bring a conversation of their own, and every sentence is judged
_MARKED = re.compile(rf"[ \t]*{MARKER.pattern}", MARKER.flags)


@dataclass(slots=True)
class Draft:
    """What one run has said so far."""

    writer: AnswerWriter
    bibliography: Bibliography
    hits: Sequence[Hit]  # as numbered in the prompt
    citations: list[Citation] = field(default_factory=list)  # of what was said without a gate; see ``cited``
    sentences: list[Sentence] = field(default_factory=list)  # the same; see ``said``
    raw: str = ""  # as the model wrote it
    logprobs: list[float] = field(default_factory=list)  # of the tokens of ``raw``, where they are known
    finish: FinishReason = "stop"
    limit: str = ""  # why it was cut short; empty if it was not
    remarks: list[str] = field(default_factory=list)  # said beside the answer
    gate: Gate | None = None  # None: every sentence is said, with its verdict

    @property
    def text(self) -> str:
        """What was said of it."""
        return self.writer.text if self.gate is None else self.gate.text

    @property
    def said(self) -> Sequence[Sentence]:
        """The sentences of ``text``."""
        return self.sentences if self.gate is None else self.gate.sentences

    @property
    def cited(self) -> Sequence[Citation]:
        """What the sentences of ``text`` cite."""
        return self.citations if self.gate is None else self.gate.citations

    def removed(self) -> str:
        """Which markers were taken out because they name no passage; empty if none was."""
        names = ", ".join(self.writer.removed)
        return f"markers that name no passage were removed: {names}" if names else ""


def still_supported(text: str, hits: Sequence[Hit], verifier: Verifier) -> str:
    """An earlier answer without its markers, if ``hits`` support every claim of it and there is one; else, or if it is very
    long, empty.

    Its markers counted what was cited then; what supports a sentence now is found anew.
    """
    if not text or len(text) > _LONGEST_SAID_AGAIN:
        return ""
    bare = _MARKED.sub("", text).strip()
    bibliography = Bibliography(hits)
    draft = Draft(writer=AnswerWriter(bibliography), bibliography=bibliography, hits=hits)
    draft.writer.feed(bare)
    draft.writer.finish()
    verdicts = []
    while (closed := draft.writer.close(final=True)) is not None:
        sentence, _ = judge(draft, draft.writer, closed, verifier)
        verdicts.append(sentence.verdict)
    return bare if "supported" in verdicts and set(verdicts) <= {"supported", "not_a_claim"} else ""


def judge(
    draft: Draft, writer: AnswerWriter, closed: ClosedSentence, verifier: Verifier
) -> tuple[Sentence, list[Citation]]:
    """A closed sentence with its verdict, and its citations with theirs.

    A sentence without a marker is given those of the passages that the verifier says support it.

    Args:
        writer: that closed it, which is not the draft's own where a sentence is written anew.
    """
    if not closed.markers:
        writer.cite(closed, attribute(closed.claim, draft.hits, verifier))
    evidence = {m: evidence_text(draft.bibliography.quoted(m).hit) for m in closed.markers}
    verdict = verifier.check(closed.claim, list(dict.fromkeys(evidence.values())))
    citations: list[Citation] = []
    for marker in closed.markers:
        alone = verdict if len(evidence) == 1 else verifier.check(closed.claim, [evidence[marker]])
        citations.append(
            replace(
                draft.bibliography.citation(marker),
                answer_start=closed.start,
                answer_end=closed.end,
                verdict=alone.label,
                score=alone.score,
            )
        )
    sentence = Sentence(
        text=closed.text,
        start=closed.start,
        end=closed.end,
        verdict=verdict.label,
        score=verdict.score,
        reason=verdict.reason,
        citations=tuple(closed.markers),
    )
    return sentence, citations


def disputes(draft: Draft, verifier: Verifier, dates: DatesOf) -> tuple[list[Conflict], list[Citation]]:
    """Where another document says otherwise than a supported sentence, and citations of its passages that were not cited yet."""
    known = {c.marker for c in draft.cited}
    conflicts: list[Conflict] = []
    more: list[Citation] = []
    for sentence in draft.said:
        if sentence.verdict != "supported" or not sentence.citations:
            continue
        claim = " ".join(sentence.text.split())
        number = sentence.citations[0]
        stated_by = draft.bibliography.quoted(number).hit
        first = stated(claim, stated_by, Verdict(label="supported", score=sentence.score, reason=""))
        for dispute in disputed(claim, stated_by, draft.hits, verifier):
            other = draft.bibliography.cite(draft.hits.index(dispute.hit) + 1, claim)
            text = conflict_text(claim, first, dispute, (number, other), dates)
            conflicts.append(Conflict(text=text, citations=(number, other)))
            if other not in known:
                known.add(other)
                doc_id = dispute.hit.chunk.doc_id
                more.append(
                    replace(
                        draft.bibliography.citation(other),
                        answer_start=sentence.start,
                        answer_end=sentence.end,
                        verdict="contradicted",
                        score=dispute.verdict.score,
                        date=own_date(dates, doc_id),
                    )
                )
    return conflicts, more


def support_of(draft: Draft) -> float:
    """How sure the answer is, in [0, 1]: the mean support of what it claims; 0 where it claims nothing or abstains."""
    claims = [s for s in draft.said if s.verdict != "not_a_claim"]
    if not claims or is_abstention(draft.text):
        return 0.0
    return sum(s.score for s in claims) / len(claims)


def finished(draft: Draft, asked: str, conflicts: Sequence[Conflict], more: Sequence[Citation]) -> Answer:
    """The answer that the draft has become, with the reasons that are told beside it.

    Args:
        asked: the question as it was asked.
        conflicts, more: as ``disputes`` gives them.
    """
    abstained = not draft.said or is_abstention(draft.text)
    reasons: list[str] = [*draft.remarks]
    if draft.limit:
        reasons.append(f"Not finished: {draft.limit}.")
    elif draft.finish == "length":
        reasons.append("Cut off: the answer reached the most tokens that it may have.")
    if abstained:
        detail = "The model did not find the answer in them." if draft.raw.strip() else "The model said nothing."
        if draft.gate is not None and draft.gate.left_out:
            detail = "What the model wrote is not supported by them, and was left out."
        reasons.append(abstention_reason(asked, draft.hits, detail))
    elif removed := draft.removed():
        reasons.append(f"{removed[:1].upper()}{removed[1:]}.")
    if draft.gate is not None and not abstained and (note := draft.gate.note()):
        reasons.append(note)
    return Answer(
        text=draft.text,
        citations=(*draft.cited, *more),
        sentences=tuple(draft.said),
        abstained=abstained,
        reason=" ".join(reasons),
        hits=tuple(draft.hits),
        conflicts=() if abstained else tuple(conflicts),
        logprob=None if abstained else mean_logprob(draft.logprobs),
    )
