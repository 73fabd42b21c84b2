"""Our objects as the JSON that DESIGN.md fixes. Knows nothing of HTTP."""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from app.chat_tables import Chat, ChatMessage, SharedChat
from app.traces import TraceLine
from core.events import (
    ApprovalWanted,
    CitationMade,
    Event,
    RunDone,
    RunFailed,
    RunStarted,
    SentenceChecked,
    StepTaken,
    TokenSaid,
    UsageCounted,
)
from core.types import Answer, Chunk, Citation, Conflict, Hit, Metadata, PageSpan, Proposal, Sentence, Trace, Usage
from retrieval.did_you_mean import Correction

Json = dict[str, Any]

_TOLD_APART = ("headings", "warnings", "incomplete", "pii", "figures")
MAX_OUTLINE = 500  # headings in one answer


def hit_json(hit: Hit) -> Json:
    chunk, found = hit.chunk, hit.matched
    # What was found, where more than that is to be read.
    matched = {"matched": {"chunk_id": found.chunk_id, "start": found.start, "end": found.end}} if found else {}
    collapsed = {"stands_for": 1 + len(hit.duplicates), "duplicates": list(hit.duplicates)} if hit.duplicates else {}
    return {
        "chunk_id": chunk.chunk_id,
        "doc_id": chunk.doc_id,
        "title": hit.title,
        "collection": hit.collection,
        "page": chunk.page,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        "heading_path": list(chunk.heading_path),
        "score": hit.score,
        "rank": hit.rank,
        "source": hit.source,
        "parts": {name: {"rank": part.rank, "score": part.score} for name, part in hit.parts.items()},
        **matched,
        **collapsed,
        **({"uri": hit.uri} if hit.uri else {}),
    }


def correction_json(correction: Correction) -> Json:
    return {"query": correction.query, "terms": [{"from": old, "to": new} for old, new in correction.terms]}


def chunk_json(chunk: Chunk) -> Json:
    return {**dataclasses.asdict(chunk), "heading_path": list(chunk.heading_path)}


def facts_json(title: str, metadata: Metadata, pages: Sequence[PageSpan]) -> Json:
    """What a document says of itself; absent facts are null or empty. ``outline`` is in reading order."""
    author = metadata.get("author")
    return {
        "language": metadata.get("language"),
        "title": title,
        "authors": [a.strip() for a in str(author).split(";") if a.strip()] if author else [],
        "created": metadata.get("created") or metadata.get("date"),
        "modified": metadata.get("modified"),
        "outline": [
            {"level": level, "text": text, "start": start, "page": _page_at(pages, start)}
            for level, text, start in metadata.get("headings", [])[:MAX_OUTLINE]
        ],
        "pii": metadata.get("pii"),
        "metadata": {k: v for k, v in metadata.items() if k not in _TOLD_APART and not k.startswith("_")},
    }


def _page_at(pages: Sequence[PageSpan], offset: int) -> int | None:
    at = bisect_right(pages, offset, key=lambda p: p.start)
    return pages[at - 1].number if at else None


def citation_json(citation: Citation) -> Json:
    return {
        "n": citation.marker,
        "chunk_id": citation.chunk_id,
        "doc_id": citation.doc_id,
        "title": citation.title,
        "page": citation.page,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
        "verdict": citation.verdict,
        "score": citation.score,
        "date": citation.date,
        # As recorded before, where a recording of before is replayed.
        **({"uri": citation.uri, "collection": citation.collection} if citation.uri else {}),
    }


def conflict_json(conflict: Conflict) -> Json:
    return {"text": conflict.text, "citations": list(conflict.citations)}


def sentence_json(sentence: Sentence) -> Json:
    return {
        "text": sentence.text,
        "start": sentence.start,
        "end": sentence.end,
        "verdict": sentence.verdict,
        "score": sentence.score,
        "reason": sentence.reason,
        "citations": list(sentence.citations),
    }


def usage_json(usage: Usage) -> Json:
    return dataclasses.asdict(usage)


def answer_json(answer: Answer, trace: Trace) -> Json:
    """The JSON of ``ask``, and of the last event of its stream."""
    return {
        "answer": answer.text,
        "abstained": answer.abstained,
        "reason": answer.reason,
        "strategy": trace.strategy,
        "run_id": answer.run_id,
        "sentences": [sentence_json(s) for s in answer.sentences],
        "citations": [citation_json(c) for c in answer.citations],
        "conflicts": [conflict_json(c) for c in answer.conflicts],
        "confidence": answer.confidence,
        "logprob": answer.logprob,
        "hits": [hit_json(h) for h in answer.hits],
        "usage": usage_json(trace.usage),
        "steps": len(trace.steps),
        "seconds": trace.duration_s,
    }


def proposal_json(proposal: Proposal) -> Json:
    return {
        "approval_id": proposal.approval_id,
        "tool": proposal.call.name,
        "arguments": dict(proposal.call.arguments),
        "description": proposal.description,
        "predicted": proposal.predicted,
        "worth": proposal.worth,
        "others": [{"arguments": dict(a), "predicted": p, "worth": w} for a, p, w in proposal.others],
    }


def trace_json(trace: Trace) -> Json:
    found = dataclasses.asdict(dataclasses.replace(trace, answer=None))
    found["answer"] = answer_json(trace.answer, trace) if trace.answer else None
    return found


def trace_line_json(line: TraceLine, chat: Chat | None) -> Json:
    """A run in a list, with the conversation in which it answered."""
    told = None if chat is None else {"chat_id": chat.chat_id, "title": chat.title}
    return {**dataclasses.asdict(line), "chat": told}


def event_json(event: Event) -> tuple[str, Json]:
    """The name and the data of a server-sent event."""
    match event:
        case RunStarted():
            return "run", {"run_id": event.run_id, "strategy": event.strategy, "question": event.question}
        case ApprovalWanted():
            return "approval", {"run_id": event.run_id, "seconds": event.seconds, **proposal_json(event.proposal)}
        case StepTaken():
            return "step", dataclasses.asdict(event.step)
        case TokenSaid():
            return "token", {"text": event.text}
        case SentenceChecked():
            return "sentence", {"index": event.index, **sentence_json(event.sentence)}
        case CitationMade():
            return "citation", citation_json(event.citation)
        case UsageCounted():
            return "usage", usage_json(event.usage)
        case RunDone():
            return "done", answer_json(event.answer, event.trace)
        case RunFailed():
            return "error", {"code": event.code, "message": event.message, "run_id": event.trace.run_id}


def chat_json(chat: Chat | SharedChat) -> Json:
    return {**dataclasses.asdict(chat), "collections": list(chat.collections)}


def message_json(message: ChatMessage) -> Json:
    return dataclasses.asdict(message)
