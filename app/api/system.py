"""What the server is, has and is doing."""

from __future__ import annotations

import dataclasses
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from app.api.guard import ServicesHere
from app.strategies import strategies
from ingest.parse.kinds import SUPPORTED

router = APIRouter(tags=["system"])


@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(services: ServicesHere) -> Response:
    """200 once searching works, else 503; the language model may follow."""
    body = {
        "ready": services.search_ready,
        "loading": [dataclasses.asdict(part) for part in services.loading.values()],
    }
    return JSONResponse(body, status_code=200 if services.search_ready else 503)


@router.get("/v1/strategies")
async def list_strategies(services: ServicesHere) -> dict[str, Any]:
    """What can be asked with, and what holds where a request does not say."""
    settings = services.settings
    listed = [dataclasses.asdict(s) for s in strategies(services)]
    return {"strategies": listed, "default": settings.strategy, "answer_policy": settings.answer_policy}


@router.get("/v1/system")
async def system(services: ServicesHere) -> dict[str, Any]:
    names = ("openbook", "torch", "openvino", "faiss-cpu", "tantivy", "fastapi", "streamlit")
    models = services.models
    settings = services.settings
    return {
        "versions": {name: version(name) for name in names},
        "profile": settings.profile,
        "models": {
            "encoder": models.encoder.revision if models.encoder else None,
            "lm": models.lm.name if models.lm else None,
        },
        "index": dataclasses.asdict(models.engine.status()) if models.engine else None,
        "runs": len(services.runs),
        "loading": [dataclasses.asdict(part) for part in services.loading.values()],
        "limits": {
            "chunk_tokens": services.settings.chunk_tokens,
            "max_upload_bytes": settings.max_upload_bytes,
            "max_batch_files": settings.max_batch_files,
            "max_question_characters": settings.max_question_characters,
            "max_queued_jobs": settings.max_queued_jobs,
        },
        "supported_types": list(SUPPORTED),
    }
