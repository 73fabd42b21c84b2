"""The API application, put together from its rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

import httpx
from fastapi import Depends, FastAPI
from fastapi_swagger import patch_fastapi

from app.api import (
    account,
    ask,
    calibrate,
    chats,
    check,
    collections,
    documents,
    eval_sets,
    evals,
    jobs,
    members,
    metrics,
    openai_compatible,
    parts,
    people,
    preview,
    problem,
    runs,
    search,
    system,
    traces,
    tuning,
    upkeep,
    urls,
    work,
)
from app.api.gate import Gate
from app.api.guard import HostAndOrigin, whole_characters
from app.api.headers import SecurityHeaders
from app.mcp import TIMEOUT, mcp_server, mounted
from app.services import Services

DESCRIPTION = """Question answering over your own documents that shows, and checks, its work.

Errors are `application/problem+json` with a `detail` that names the fix. Offsets are half-open ranges of Unicode
code points into a document's stored text (`/v1/documents/{id}/content`)."""


def create_app(services: Services, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    @asynccontextmanager
    async def with_sessions(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(app), mcp.session_manager.run():
            yield

    app = FastAPI(
        title="Openbook",
        version=version("openbook"),
        description=DESCRIPTION,
        lifespan=with_sessions,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        dependencies=[Depends(whole_characters)],
    )
    app.state.services = services
    problem.install(app)
    for room in (
        account,
        people,
        members,
        collections,
        tuning,
        calibrate,
        documents,
        search,
        ask,
        runs,
        check,
        chats,
        traces,
        eval_sets,
        evals,
        metrics,
        openai_compatible,
        system,
        urls,
    ):
        app.include_router(room.router, max_body_size=services.settings.max_body_bytes)
    # What takes files bounds them itself, while they arrive; the worker is one of us.
    for unbounded in (jobs, preview, work, parts, upkeep):
        app.include_router(unbounded.router)
    app.include_router(people.machine)
    # Its tools take the way of everybody's requests, checks included, but for the socket.
    own = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    mcp = mcp_server(
        lambda headers: httpx.AsyncClient(transport=own, base_url="http://127.0.0.1", timeout=TIMEOUT, headers=headers)
    )
    app.router.routes.extend(mounted(mcp))
    # The stock page takes its script from another host; this one brings it along.
    patch_fastapi(app, docs_url="/docs", redirect_from_root_to_docs=True)
    metrics.install(app, services)
    # The last is the outermost: headers on whatever is answered, then where it comes from, then who asks.
    app.add_middleware(Gate, services=services)
    app.add_middleware(HostAndOrigin, settings=services.settings)
    app.add_middleware(SecurityHeaders)
    return app
