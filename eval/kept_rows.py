"""Rows of measurements in files named by what they follow from, so that nothing is measured twice and a break costs seconds.

One JSON object a line: first the facts, then a row per question. A last line that a break cut off is measured again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import InvalidRequest

_SYNC_EVERY_S = 1.0


def key_of(facts: Mapping[str, Any]) -> str:
    """The name of what follows from ``facts`` alone."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


class KeptRows:
    """One file of rows by question; opened by ``facts``, and made with them if it is not there."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.key = key_of(facts)
        self._path = folder / f"{self.key}.jsonl"
        self._facts = dict(facts)
        self._synced_at = 0.0
        self.rows: dict[str, dict[str, Any]] = {}

    def load(self) -> KeptRows:
        """Reads what is there.

        Raises:
            InvalidRequest: a line before the last that is no row.
        """
        if not self._path.is_file():
            return self
        lines = self._path.read_bytes().split(b"\n")
        good = len(lines[0]) + 1
        for number, line in enumerate(lines[1:], start=2):
            try:
                row = json.loads(line) if line else None
            except json.JSONDecodeError as e:
                if number < len(lines):
                    raise InvalidRequest(
                        f"{self._path}, line {number}, is no row ({e}): delete the file, and it is measured again",
                        code="bad-data",
                    ) from e
                row = None
            if row is not None and number < len(lines):  # without its line's end it may have been cut
                self.rows[row.pop("id")] = row
                good += len(line) + 1
        if good < self._path.stat().st_size:
            os.truncate(self._path, good)
        return self

    def add(self, question_id: str, row: Mapping[str, Any]) -> None:
        """Keeps one more row; on the disk within a second or so."""
        new = not self._path.exists()
        if new:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            if new:
                file.write(json.dumps(self._facts, sort_keys=True).encode() + b"\n")
            file.write(json.dumps({"id": question_id, **row}).encode() + b"\n")
            file.flush()
            now = time.monotonic()
            if now - self._synced_at > _SYNC_EVERY_S:
                os.fsync(file.fileno())
                self._synced_at = now
        self.rows[question_id] = dict(row)
