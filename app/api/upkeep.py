"""Looking after the data directory of a running server. For whoever can read that directory: the token lies in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.guard import ServicesHere, worker_only
from app.services import Services
from app.upkeep.backup import Backup
from app.upkeep.verify import verify

router = APIRouter(prefix="/internal/upkeep", include_in_schema=False, dependencies=[Depends(worker_only)])


class _BackupResponse(StreamingResponse):
    """Ends the backup when the answer has ended, however it ended."""

    def __init__(self, services: Services, backup: Backup) -> None:
        super().__init__(self._pieces(), media_type="application/x-tar")
        self._services = services
        self._backup = backup

    async def _pieces(self) -> AsyncIterator[bytes]:
        while (piece := await self._services.offload(next, self._backup, None)) is not None:
            yield piece

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._services.offload(self._services.backups.end, self._backup)


@router.post("/verify")
async def verify_all(services: ServicesHere) -> dict[str, Any]:
    """Everything that is wrong, see ``app.upkeep.verify``; searches and writes go on meanwhile."""
    found = await services.offload(verify, services.store, services.data_dir, engine=services.engine, stopped=False)
    return found.json()


@router.post("/backup")
async def backup(services: ServicesHere) -> Response:
    """Everything that cannot be made again, as of now, as a tar; see ``app.upkeep.archive``."""
    made = await services.offload(services.backups.begin, services.store, services.data_dir)
    return _BackupResponse(services, made)
