"""What is read of an HTTP answer of a model server before its JSON is looked at."""

from __future__ import annotations

import functools
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx


@functools.cache
def tls() -> ssl.SSLContext:
    """Reading the certificates takes 20 ms, too long to do for each request."""
    return ssl.create_default_context()


async def data_of(response: httpx.Response) -> AsyncIterator[str]:
    """The data of server-sent events; or the whole body, from a server that ignored that it should stream."""
    if response.headers.get("content-type", "").startswith("application/json"):
        await response.aread()
        yield json.dumps(json.loads(response.text)) if response.text else ""
        return
    async for line in response.aiter_lines():
        if line.startswith("data:"):
            yield line.removeprefix("data:").strip()


def retry_after(response: httpx.Response) -> float | None:
    """Seconds until a server wants to be asked again; it may name a number or a date."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
