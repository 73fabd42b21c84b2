"""What an HTTP answer of a model server means before its chunks are looked at."""

from __future__ import annotations

import codecs
import functools
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from core.errors import Busy, InvalidRequest, ModelUnavailable, OpenbookError, TooLarge
from lm.openai_wire import error_text

TOOLS_REFUSED = "tools-unsupported"


class Failed(Exception):
    """An attempt failed in a way that may pass."""

    def __init__(self, error: OpenbookError, wait_s: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.wait_s = wait_s


@functools.cache
def tls() -> ssl.SSLContext:
    """Reading the certificates takes 20 ms, too long to do for each request."""
    return ssl.create_default_context()


async def data_of(response: httpx.Response, base: str) -> AsyncIterator[str]:
    """The data of server-sent events; or the whole body, from a server that ignored that it should stream.

    Raises:
        Failed: a whole body that is no JSON: something on the way has cut it off.
    """
    if response.headers.get("content-type", "").startswith("application/json"):
        await response.aread()
        try:
            yield json.dumps(json.loads(response.text)) if response.text else ""
        except ValueError as e:
            shown = f"{response.text[:120]!r}"
            raise Failed(ModelUnavailable(f"the answer of {base} is not JSON, or was cut off: {shown}")) from e
        return
    async for line in _lines(response):
        if line.startswith("data:"):
            yield line.removeprefix("data:").strip()


async def _lines(response: httpx.Response) -> AsyncIterator[str]:
    """Lines as streams of events have them: they end at CR, LF or CRLF alone (WHATWG HTML, "Parsing an event stream"). A token may
    hold any other mark that ends a line elsewhere, such as U+2028, and JSON lets it stand."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest, after_cr = "", False
    async for piece in response.aiter_bytes():
        text = decoder.decode(piece)
        if after_cr and text:
            text, after_cr = text.removeprefix("\n"), False  # the LF of a CRLF that two pieces shared
        after_cr = after_cr or text.endswith("\r")
        lines = (rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        rest = lines.pop()
        for line in lines:
            yield line
    if rest := rest + decoder.decode(b"", final=True):
        yield rest


def meaning_of(response: httpx.Response, base: str, model: str | None, *, tools: bool = False) -> Exception:
    """What an answer other than 200 means; ``tools``: to a request with tools."""
    try:
        body = response.json()
        text = error_text(body if isinstance(body, dict) else {"message": body})
    except ValueError:
        text = response.text[:200]
    status = response.status_code
    where = f"{base} answered {status}: {text}"
    if tools and "tool" in text.casefold() and status not in (401, 403, 429):
        return InvalidRequest(
            f"{where}; without tool calls react and reflexion go on in words when asked again, or start the server with them"
            " (vLLM: --enable-auto-tool-choice --tool-call-parser …, llama.cpp: --jinja)",
            code=TOOLS_REFUSED,
        )
    match status:
        case 429:
            wait = retry_after(response)
            return Failed(Busy(f"{where}; try again later", retry_after_s=max(1, round(wait or 5))), wait)
        case 401 | 403:
            return ModelUnavailable(f"{where}; check lm_api_key")
        case 404:
            return ModelUnavailable(f"{where}; check lm_base_url (it ends in /v1) and lm_model ({model})")
        case _ if status >= 500:
            return Failed(ModelUnavailable(where), retry_after(response))
    if "context" in text.lower() and ("length" in text.lower() or "maximum" in text.lower()):
        return TooLarge(f"the prompt does not fit: {where}; give it fewer or shorter passages", code="prompt-too-long")
    return InvalidRequest(where, code="refused-by-model")


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
