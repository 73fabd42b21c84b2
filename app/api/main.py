"""The API application, put together from its rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

import httpx
from fastapi import Depends, FastAPI
from fastapi_swagger import patch_fastapi

from app.api import (
    account,
    ask,
    blind,
    calibrate,
    chat_files,
    chats,
    check,
    collections,
    documents,
    eval_judging,
    eval_sets,
    evals,
    examples,
    jobs,
    members,
    metrics,
    openai_compatible,
    pairs,
    parts,
    people,
    preview,
    problem,
    runs,
    search,
    shared_chats,
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
from app.api.mcp_bounds import McpBounds
from app.api.tracing import Tracing
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
        shared_chats,  # these two before those of which a part stands for any id
        blind,
        pairs,
        chats,
        traces,
        eval_sets,
        evals,
        eval_judging,
        metrics,
        openai_compatible,
        system,
        urls,
        jobs,
    ):
        app.include_router(room.router, max_body_size=services.settings.max_body_bytes)
    # What takes files bounds them itself, while they arrive; the worker is one of us.
    app.include_router(jobs.uploading)
    for unbounded in (chat_files, preview, work, parts, upkeep):
        app.include_router(unbounded.router)
    app.include_router(people.machine)

    # Its tools take the way of everybody's requests, checks included, but for the socket.
    def connect(headers: Mapping[str, str], address: str) -> httpx.AsyncClient:
        # As from where the call came from, for the audit log.
        own = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(address or "127.0.0.1", 0))
        return httpx.AsyncClient(transport=own, base_url="http://127.0.0.1", timeout=TIMEOUT, headers=headers)

    mcp = mcp_server(connect)
    app.router.routes.extend(mounted(mcp, services.settings.max_body_bytes, McpBounds))
    # The stock page takes its script from another host; this one brings it along.
    patch_fastapi(app, docs_url="/docs", redirect_from_root_to_docs=True)
    metrics.install(app, services)
    examples.install(app)
    # The last is the outermost: the request's id, headers on whatever is answered, where it comes from, who asks.
    app.add_middleware(Gate, services=services)
    app.add_middleware(HostAndOrigin, settings=services.settings)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Tracing, services=services)
    return app
