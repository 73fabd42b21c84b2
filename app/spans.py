"""A trace in the words of others: JSON lines, and OpenTelemetry spans with the GenAI and OpenInference names.

This is the one module that knows those names. Spans are OTLP/JSON, which collectors take at /v1/traces as it is; no library is
needed to write it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

Json = dict[str, Any]

_NANO = 1_000_000_000
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
    begin = end - int(float(trace["duration_s"]) * _NANO)
    root = _id(trace["run_id"], "run", 8)
    spans = [_span(trace, root, "", f"openbook {trace['strategy']}", begin, end, _run_attributes(trace))]
    for step in trace["steps"]:
        started = begin + int(step["started_s"] * _NANO)
        spans.append(
            _span(
                trace,
                _id(trace["run_id"], f"step {step['index']}", 8),
                root,
                f"{step['kind']} {step['index']}",
                started,
                started + int(step["duration_s"] * _NANO),
                _step_attributes(step),
                error=step["error"],
            )
        )
    for i, call in enumerate(trace.get("calls", ())):
        if call["kind"] not in _KINDS:
            continue
        started = begin + int(call["started_s"] * _NANO)
        spans.append(
            _span(
                trace,
                _id(trace["run_id"], f"call {i}", 8),
                root,
                {"model": "chat", "search": "search"}.get(call["kind"], "read"),
                started,
                started + int(call["duration_s"] * _NANO),
                _call_attributes(call, trace),
            )
        )
    resource = {"attributes": _attributes({"service.name": "openbook"})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "openbook"}, "spans": spans}]}]}


def _span(
    trace: Mapping[str, Any],
    span_id: str,
    parent: str,
    name: str,
    begin: int,
    end: int,
    attributes: Json,
    error: str = "",
) -> Json:
    return {
        "traceId": _id(trace["run_id"], "trace", 16),
        "spanId": span_id,
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(max(begin, end)),
        "attributes": _attributes(attributes),
        "status": {"code": 2, "message": error} if error else {"code": 1},
    }


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
