"""What runs say to models and searches, as JSON and back without loss. Knows shapes, not where they are kept.

A hit is flat, with its chunk's fields beside its own, so that whoever cleans a record of one document sees at once whose
words they are. ``matched`` lies within the chunk and is kept as its place alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from core.types import Chunk, Hit, Message, PageSpan, SamplingParams, StagePart, ToolCall, ToolSpec, Verdict

Json = dict[str, Any]


_FIRST_PARAMS = frozenset({"temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "repetition_penalty"})


def request_json(messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams) -> Json:
    """One request to a language model."""
    return {
        "messages": messages_json(messages),
        "tools": [t.name for t in tools],
        "params": _params_json(params),
    }


def _params_json(params: SamplingParams) -> Json:
    off = SamplingParams()
    found = {
        f.name: value
        for f in dataclasses.fields(params)
        # What is off and was not there at first is left out: recordings are older than it.
        if (value := getattr(params, f.name)) != getattr(off, f.name) or f.name in _FIRST_PARAMS
    }
    # How much may be thought follows from what is known of the model by then, and says nothing of what was asked.
    found.pop("thought_tokens", None)
    found["stop"] = list(params.stop)
    if params.without:
        found["without"] = messages_json(params.without)
    return found


def messages_json(messages: Sequence[Message]) -> list[Json]:
    return [
        {"role": m.role, "content": m.content}
        | ({"tool_calls": [call_json(c) for c in m.tool_calls]} if m.tool_calls else {})
        | ({"tool_call_id": m.tool_call_id} if m.tool_call_id is not None else {})
        for m in messages
    ]


def call_json(call: ToolCall) -> Json:
    return {"call_id": call.call_id, "name": call.name, "arguments": dict(call.arguments)}


def call_from(value: Mapping[str, Any]) -> ToolCall:
    return ToolCall(call_id=value["call_id"], name=value["name"], arguments=value["arguments"])


def verdict_json(verdict: Verdict) -> Json:
    return dataclasses.asdict(verdict)


def verdict_from(value: Mapping[str, Any]) -> Verdict:
    return Verdict(label=value["label"], score=value["score"], reason=value["reason"])


def hit_json(hit: Hit) -> Json:
    chunk, found = hit.chunk, hit.matched
    return {
        **_chunk_json(chunk),
        "text": chunk.text,
        "title": hit.title,
        "collection": hit.collection,
        "score": hit.score,
        "rank": hit.rank,
        "source": hit.source,
        "parts": {name: [p.rank, p.score] for name, p in hit.parts.items()},
        "pages": [[p.number, p.start, p.end] for p in hit.pages],
        "matched": _chunk_json(found) if found is not None else None,
        "duplicates": list(hit.duplicates),
        **({"uri": hit.uri} if hit.uri else {}),
    }


def hit_from(value: Mapping[str, Any]) -> Hit:
    chunk = _chunk(value, value["text"])
    found = value["matched"]
    inside = found and value["text"][found["start"] - chunk.start : found["end"] - chunk.start]
    return Hit(
        chunk=chunk,
        title=value["title"],
        collection=value["collection"],
        score=value["score"],
        rank=value["rank"],
        source=value["source"],
        parts={name: StagePart(rank=rank, score=score) for name, (rank, score) in value["parts"].items()},
        pages=tuple(PageSpan(number=n, start=s, end=e) for n, s, e in value["pages"]),
        matched=_chunk(found, inside) if found else None,
        duplicates=tuple(value["duplicates"]),
        uri=value.get("uri", ""),  # recordings of before have none
    )


def _chunk_json(chunk: Chunk) -> Json:
    return {
        "chunk_id": chunk.chunk_id,
        "doc_id": chunk.doc_id,
        "start": chunk.start,
        "end": chunk.end,
        "n_tokens": chunk.n_tokens,
        "page": chunk.page,
        "heading_path": list(chunk.heading_path),
        "parent_id": chunk.parent_id,
    }


def _chunk(value: Mapping[str, Any], text: str) -> Chunk:
    return Chunk(
        chunk_id=value["chunk_id"],
        doc_id=value["doc_id"],
        text=text,
        start=value["start"],
        end=value["end"],
        n_tokens=value["n_tokens"],
        page=value["page"],
        heading_path=tuple(value["heading_path"]),
        parent_id=value["parent_id"],
    )
