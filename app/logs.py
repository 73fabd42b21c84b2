"""How the log looks: a line for each entry, as text or as JSON, with the id of the request that it belongs to.

What is logged are events, codes and ids. It knows nothing of questions or passages.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Literal

from app.request_context import REQUEST_ID, SPAN

TEXT = "%(asctime)s %(name)s %(levelname)s [%(request_id)s] %(message)s"


class _Request(logging.Filter):
    """Adds what the request is; hangs on the handler, so that entries of every logger have it."""

    def filter(self, record: logging.LogRecord) -> bool:
        span = SPAN.get()
        record.request_id = REQUEST_ID.get()
        record.trace_id = "" if span is None else span.trace_id
        return True


class JsonLines(logging.Formatter):
    """``trace_id`` is there only for what spans are made of, ``exception`` only where something broke."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "request_id": getattr(record, "request_id", "-"),
            "message": record.getMessage(),
        }
        if getattr(record, "trace_id", ""):
            said["trace_id"] = record.trace_id  # type: ignore[attr-defined]
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def configure_logging(form: Literal["text", "json"]) -> None:
    """Of this process, to its standard error; once more changes the form."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(TEXT))
    handler.addFilter(_Request())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
