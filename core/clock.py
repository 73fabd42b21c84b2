"""Times are UTC, written as ISO 8601 with milliseconds, so that text order is time order."""

from __future__ import annotations

from datetime import UTC, datetime


def now_iso() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
