"""The API application, put together from its rooms."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_swagger import patch_fastapi

from app.api import (
    ask,
    chats,
    collections,
    documents,
    jobs,
    parts,
    preview,
    problem,
    search,
    system,
    traces,
    tuning,
    upkeep,
    urls,
    work,
)
from app.api.guard import HostAndOrigin
from app.services import Services

DESCRIPTION = """Question answering over your own documents that shows, and checks, its work.

Errors are `application/problem+json` with a `detail` that names the fix. Offsets are half-open ranges of Unicode
code points into a document's stored text (`/v1/documents/{id}/content`)."""


def create_app(services: Services, lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]) -> FastAPI:
    app = FastAPI(
        title="Openbook",
        version=version("openbook"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    app.state.services = services
    problem.install(app)
    for room in (
        collections,
        tuning,
        documents,
        jobs,
        preview,
        search,
        ask,
        chats,
        traces,
        system,
        work,
        parts,
        upkeep,
        urls,
    ):
        app.include_router(room.router)
    # The stock page takes its script from another host; this one brings it along.
    patch_fastapi(app, docs_url="/docs", redirect_from_root_to_docs=True)
    app.add_middleware(HostAndOrigin, settings=services.settings)
    return app
