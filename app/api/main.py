"""The API application, put together from its rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

import httpx
from fastapi import Depends, FastAPI
from fastapi_swagger import patch_fastapi

from app.api import (
    ask,
    calibrate,
    chats,
    check,
    collections,
    documents,
    eval_sets,
    evals,
    jobs,
    metrics,
    openai_compatible,
    parts,
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
from app.api.guard import HostAndOrigin, whole_characters
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
        collections,
        tuning,
        calibrate,
        documents,
        jobs,
        preview,
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
        work,
        parts,
        upkeep,
        urls,
    ):
        app.include_router(room.router)
    # Its tools take the way of everybody's requests, checks included, but for the socket.
    own = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    mcp = mcp_server(lambda: httpx.AsyncClient(transport=own, base_url="http://127.0.0.1", timeout=TIMEOUT))
    app.router.routes.extend(mounted(mcp))
    # The stock page takes its script from another host; this one brings it along.
    patch_fastapi(app, docs_url="/docs", redirect_from_root_to_docs=True)
    metrics.install(app, services)
    app.add_middleware(HostAndOrigin, settings=services.settings)
    return app
