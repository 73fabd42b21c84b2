"""What the machine has and what waits on it: the doctor's findings, the queues and the disk, for whoever runs the server.

Numbers and names of parts; nothing of what anybody has stored or asked.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

from app.doctor import examine
from app.services import Services
from core.database import DATABASE_FILE
from core.types import LOCAL_USER_ID, Principal
from ingest.ledger_listing import count_jobs

EVERYBODY = Principal(user_id=LOCAL_USER_ID, is_admin=True)


def machine_json(services: Services) -> dict[str, Any]:
    """Reads sizes of files, which takes as long as there are many: not for the event loop."""
    return {
        "doctor": [
            dataclasses.asdict(finding)
            for finding in examine(services.settings, load=False, abilities=services.models.abilities)
        ],
        "queues": _queues(services),
        "disk": _disk(services.data_dir),
    }


def _queues(services: Services) -> dict[str, Any]:
    lm = services.models.lm.status() if services.models.lm is not None else None
    return {
        "jobs": count_jobs(services.database, EVERYBODY),
        "answers": len(services.runs),
        "searches": len(services.searches),
        "checks": len(services.checks),
        "refused": services.searches.refused + services.checks.refused,
        "lm_running": lm.running if lm is not None else None,
        "lm_waiting": lm.waiting if lm is not None else None,
        "previews": services.previews,
    }


def _disk(data_dir: Path) -> dict[str, Any]:
    """Bytes that are free, and of each part of the data directory."""
    parts = {"database": sum(_size(path) for path in data_dir.glob(f"{DATABASE_FILE}*"))}
    parts |= {path.name: folder_bytes(path) for path in sorted(data_dir.iterdir()) if path.is_dir()}
    usage = shutil.disk_usage(data_dir)
    return {"data_dir": str(data_dir.absolute()), "free": usage.free, "total": usage.total, "parts": parts}


def folder_bytes(folder: Path) -> int:
    """Of all files in it and below; what vanishes meanwhile counts as nothing, and links are not followed."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += folder_bytes(Path(entry.path))
                else:
                    total += _size(Path(entry.path))
    except FileNotFoundError:
        return total
    return total


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0
