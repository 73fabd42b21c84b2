"""Every error leaves as application/problem+json with a message that names the fix; none as a traceback."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.request_context import REQUEST_ID
from core.errors import (
    Busy,
    Changed,
    Conflict,
    DataDirLocked,
    FetchFailed,
    Forbidden,
    InvalidRequest,
    LimitReached,
    ModelUnavailable,
    NotFound,
    NotReady,
    NotSignedIn,
    OpenbookError,
    ParseFailed,
    RunCancelled,
    StorageFailed,
    TooLarge,
)

logger = logging.getLogger(__name__)

OPENAI_PATHS = ("/v1/chat/", "/v1/models")

# The most particular first: the first that fits counts.
STATUS: tuple[tuple[type[OpenbookError], int], ...] = (
    (InvalidRequest, 422),
    (NotFound, 404),
    (NotSignedIn, 401),
    (Forbidden, 403),
    (Changed, 412),
    (Conflict, 409),
    (TooLarge, 413),
    (Busy, 429),
    (NotReady, 503),
    (ModelUnavailable, 503),
    (ParseFailed, 422),
    (FetchFailed, 422),
    (DataDirLocked, 503),
    (StorageFailed, 507),
    (LimitReached, 504),
    (RunCancelled, 409),
)


def status_of(error: OpenbookError) -> int:
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


class Problem(JSONResponse):
    """An error, whoever found it. To the routes of OpenAI's API, whose clients read nothing else, it says itself a second time in
    their form: decided here, when it is sent, so that a check before the routes need not know of it."""

    media_type = "application/problem+json"

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self._said = {
            "type": f"/problems/{code}",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "code": code,
        }
        super().__init__(self._said, status_code=status, headers=headers)
        self._code, self._detail = code, detail

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(OPENAI_PATHS):
            self.body = self.render({**self._said, "error": openai_error(self._code, self._detail)})
            self.headers["content-length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return Problem(status, code, detail, headers)


def openai_error(code: str, message: str) -> dict[str, str | None]:
    return {"message": message, "type": code, "param": None, "code": code}


def install(app: FastAPI) -> None:
    """Adds the handlers to ``app``."""

    @app.exception_handler(OpenbookError)
    async def _openbook_error(_request: Request, error: OpenbookError) -> Response:
        status = status_of(error)
        if status == 500:
            logger.error("unclassified error: %s", error.message)
        headers = {}
        if isinstance(error, Busy):
            headers["Retry-After"] = str(error.retry_after_s)
        elif isinstance(error, NotReady):
            headers["Retry-After"] = "2"
        return problem(status, error.code, error.message, headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        parts = []
        for found in error.errors()[:5]:
            where = ".".join(str(p) for p in found["loc"] if p != "body") or "body"
            parts.append(f"{where}: {found['msg']}")
        return problem(422, "invalid-request", "; ".join(parts))

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, code, str(error.detail), headers)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        logger.error("%s %s broke", request.method, request.url.path, exc_info=error)
        request_id = REQUEST_ID.get()
        text = f"Openbook made a mistake; its log has the details, under request {request_id}"
        return problem(500, "internal", text, {"X-Request-ID": request_id})
