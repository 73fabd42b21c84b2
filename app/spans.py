"""Traces in the words of others: JSON lines, and OpenTelemetry spans with the GenAI and OpenInference names.

This is the one module that knows those names. Spans are OTLP/JSON, which collectors take at /v1/traces as it is; no library is
needed to write it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

Json = dict[str, Any]

INTERNAL, SERVER = 1, 2  # kinds of spans
FAILED = 2  # a status
_NANO = 1_000_000_000
_CONTENT = frozenset({"input.value", "output.value"})
_KINDS = {"model": "LLM", "search": "RETRIEVER", "document": "RETRIEVER"}


def jsonl(trace: Mapping[str, Any]) -> str:
    """One line for the run, then one for each step and each recorded call, in the order of their beginning."""
    run = {k: v for k, v in trace.items() if k not in ("steps", "calls")}
    lines = [{"type": "run", **run}]
    lines += [{"type": "step", **step} for step in trace["steps"]]
    lines += [{"type": "call", **call} for call in sorted(trace.get("calls", ()), key=lambda c: float(c["started_s"]))]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def otlp(trace: Mapping[str, Any], ended_at: str) -> Json:
    """The run as one span, its steps and its model and search calls as spans within it.

    Args:
        ended_at: ISO 8601, when the trace was kept.
    """
    end = int(datetime.fromisoformat(ended_at.replace("Z", "+00:00")).timestamp() * _NANO)
    return envelope(run_spans(trace, end, trace_id=_id(trace["run_id"], "trace", 16), content=True))


def envelope(spans: Sequence[Json]) -> Json:
    """What a collector takes at /v1/traces."""
    resource = {"attributes": _attributes({"service.name": "openbook"})}
    return {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "openbook"}, "spans": list(spans)}]}]
    }


def run_spans(trace: Mapping[str, Any], end: int, *, trace_id: str, parent: str = "", content: bool) -> list[Json]:
    """A run, its steps and its calls.

    Args:
        end: when the run ended, in nanoseconds since 1970.
        parent: the span id of what the run belongs to, in the same trace.
        content: whether what was asked, read and said is in them; else there are names, numbers and ids alone.
    """
    begin = end - int(float(trace["duration_s"]) * _NANO)
    root = _id(trace["run_id"], "run", 8)

    def made(what: str, name: str, started: int, ended: int, attributes: Json, error: str = "") -> Json:
        return span(
            name,
            started,
            ended,
            attributes if content else _without_content(attributes),
            trace_id=trace_id,
            span_id=_id(trace["run_id"], what, 8),
            parent=parent if what == "run" else root,
            status=_status(error, content),
        )

    spans = [made("run", f"openbook {trace['strategy']}", begin, end, _run_attributes(trace))]
    for step in trace["steps"]:
        started = begin + int(step["started_s"] * _NANO)
        ended = started + int(step["duration_s"] * _NANO)
        name = f"{step['kind']} {step['index']}"
        spans.append(made(f"step {step['index']}", name, started, ended, _step_attributes(step), step["error"]))
    for i, call in enumerate(trace.get("calls", ())):
        if call["kind"] not in _KINDS:
            continue
        started = begin + int(call["started_s"] * _NANO)
        ended = started + int(call["duration_s"] * _NANO)
        name = {"model": "chat", "search": "search"}.get(call["kind"], "read")
        spans.append(made(f"call {i}", name, started, ended, _call_attributes(call, trace)))
    return spans


def span(
    name: str,
    begin: int,
    end: int,
    attributes: Mapping[str, Any],
    *,
    trace_id: str,
    span_id: str,
    parent: str = "",
    kind: int = INTERNAL,
    status: Json | None = None,
) -> Json:
    """One span; times in nanoseconds since 1970, ids in hexadecimal digits (32 and 16). Without a status it is unset."""
    return {
        "traceId": trace_id,
        "spanId": span_id,
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(max(begin, end)),
        "attributes": _attributes(attributes),
        "status": status or {},
    }


def _status(error: str, content: bool) -> Json:
    if not error:
        return {"code": 1}
    return {"code": FAILED, "message": error} if content else {"code": FAILED}  # a message may quote


def _without_content(attributes: Mapping[str, Any]) -> Json:
    return {k: v for k, v in attributes.items() if k not in _CONTENT and not k.endswith(".message.content")}


def _run_attributes(trace: Mapping[str, Any]) -> Json:
    answer = trace.get("answer") or {}
    return {
        "openinference.span.kind": "AGENT",
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": trace["strategy"],
        "gen_ai.usage.input_tokens": trace["usage"]["prompt_tokens"],
        "gen_ai.usage.output_tokens": trace["usage"]["completion_tokens"],
        "input.value": trace["question"],
        "output.value": answer.get("answer", ""),
        "openbook.run_id": trace["run_id"],
        "openbook.stop_reason": trace["stop_reason"],
        "openbook.settings_hash": trace["settings_hash"],
        "openbook.prompt_hash": trace["prompt_hash"],
        "openbook.index_version": trace["index_version"],
    }


def _step_attributes(step: Mapping[str, Any]) -> Json:
    call = step.get("tool_call")
    found: Json = {
        "openinference.span.kind": "TOOL" if call else "CHAIN",
        "openbook.step.kind": step["kind"],
        "output.value": step["observation"] or step["thought"],
    }
    if call:
        found |= {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call["name"],
            "tool.name": call["name"],
            "input.value": json.dumps(call["arguments"], ensure_ascii=False),
        }
    return found


def _call_attributes(call: Mapping[str, Any], trace: Mapping[str, Any]) -> Json:
    request, response = call["request"], call["response"]
    found: Json = {"openinference.span.kind": _KINDS[call["kind"]]}
    if call["kind"] != "model":
        hits = response.get("hits", [])
        found["input.value"] = request.get("query") or request.get("document", "")
        for i, hit in enumerate(hits):
            found[f"retrieval.documents.{i}.document.id"] = hit["chunk_id"]
            found[f"retrieval.documents.{i}.document.score"] = hit["score"]
        return found
    model = ((trace.get("inputs") or {}).get("lm") or {}).get("name", "")
    usage, params = response.get("usage") or {}, request["params"]
    found |= {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": model,
        "llm.model_name": model,
        "gen_ai.request.temperature": params["temperature"],
        "gen_ai.request.max_tokens": params["max_tokens"],
        "gen_ai.usage.input_tokens": usage.get("prompt_tokens", 0),
        "gen_ai.usage.output_tokens": usage.get("completion_tokens", 0),
        "llm.token_count.prompt": usage.get("prompt_tokens", 0),
        "llm.token_count.completion": usage.get("completion_tokens", 0),
        "gen_ai.response.finish_reasons": [response.get("finish", response.get("end", ""))],
        "output.value": "".join(text for text, _ in response["pieces"]),
    }
    if params["seed"] is not None:
        found["gen_ai.request.seed"] = params["seed"]
    for i, message in enumerate(request["messages"]):
        found[f"llm.input_messages.{i}.message.role"] = message["role"]
        found[f"llm.input_messages.{i}.message.content"] = message["content"]
    return found


def _attributes(values: Mapping[str, Any]) -> list[Json]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> Json:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(v) for v in value]}}
        case _:
            return {"stringValue": str(value)}


def _id(run_id: str, what: str, size: int) -> str:
    return hashlib.sha256(f"{run_id}\0{what}".encode()).hexdigest()[: 2 * size]
