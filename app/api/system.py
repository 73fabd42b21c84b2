"""What the server is, has and is doing."""

from __future__ import annotations

import dataclasses
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from agents.verify.errors import error_rates
from app.api.guard import PersonHere, ServicesHere
from app.machine import machine_json
from app.strategies import strategies
from ingest.parse.kinds import SUPPORTED

router = APIRouter(tags=["system"])


@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(request: Request, services: ServicesHere) -> Response:
    """200 once searching works, else 503; the language model may follow. Details are for who has signed in."""
    parts = [dataclasses.asdict(part) for part in services.loading.values()]
    if request.state.person is None:
        parts = [part | {"detail": ""} for part in parts]
    body = {"ready": services.search_ready, "loading": parts}
    return JSONResponse(body, status_code=200 if services.search_ready else 503)


@router.get("/v1/strategies")
async def list_strategies(services: ServicesHere) -> dict[str, Any]:
    """What can be asked with, and what holds where a request does not say."""
    settings = services.settings
    listed = [dataclasses.asdict(s) for s in strategies(services)]
    return {
        "strategies": listed,
        "default": settings.strategy,
        "answer_policy": settings.answer_policy,
        "models": list(settings.lm_choices),  # beside the server's own; for conversations and evaluations
    }


@router.get("/v1/system")
async def system(services: ServicesHere, person: PersonHere) -> dict[str, Any]:
    """What runs here. How much everybody together has and does is for administrators, where people sign in."""
    names = ("openbook", "torch", "openvino", "faiss-cpu", "tantivy", "fastapi", "streamlit")
    models = services.models
    settings = services.settings
    of_all = person.is_admin or person.by == "nobody-else"
    return {
        "versions": {name: found for name in names if (found := _version(name)) is not None},
        "profile": settings.profile,
        "models": {
            "encoder": models.encoder.revision if models.encoder else None,
            "lm": models.lm.name if models.lm else None,
        },
        "verifier": {
            "name": settings.verifier,
            "model": settings.verifier_model or None,
            "errors": {kind: dataclasses.asdict(of) for kind, of in error_rates(settings.verifier).items()},
        },
        "index": dataclasses.asdict(models.engine.status()) if models.engine and of_all else None,
        "runs": len(services.runs) if of_all else services.runs.count(person.user_id),
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


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # torch and the page are not in every image
        return None


@router.get("/v1/system/machine")
async def machine(services: ServicesHere) -> dict[str, Any]:
    """What `openbook doctor` finds, what waits in which queue, and what lies on the disk (in bytes)."""
    return await services.offload(machine_json, services)
