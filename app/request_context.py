"""Which request something belongs to: its id, and its place in the trace of whoever called (W3C Trace Context).

Both follow a request through the event loop and into the tasks that it begins, so that what is logged there names it.
"""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Version 00; a later one may have more behind a dash. https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanContext:
    """A span that is going on. ``parent`` is the caller's span, empty where there is none."""

    trace_id: str
    span_id: str
    parent: str = ""


REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="-")
SPAN: ContextVar[SpanContext | None] = ContextVar("span", default=None)


def request_id_from(header: str) -> str:
    """The caller's own id where it is short and plain, so that it does no harm in a log; else a new one."""
    return header if _GIVEN_ID.fullmatch(header) else secrets.token_hex(8)


def new_span_id() -> str:
    return secrets.token_hex(8)


def span_below(traceparent: str) -> SpanContext | None:
    """A new span below the one that ``traceparent`` names, or one that begins a trace where it names none.

    Returns:
        None where the caller says that this trace is not recorded.
    """
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    if found is not None:
        version, trace_id, parent, flags, more = found.groups()
        whole = version != "ff" and (version != "00" or more is None)
        if whole and int(trace_id, 16) and int(parent, 16):
            if not int(flags, 16) & 1:
                return None
            return SpanContext(trace_id=trace_id, span_id=new_span_id(), parent=parent)
    return SpanContext(trace_id=secrets.token_hex(16), span_id=new_span_id())
