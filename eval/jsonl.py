"""Strict reading of JSON lines: a problem is named with its file, its line, what was found and what would do.

Knows nothing of what the lines mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InvalidRequest


def bad_data(path: Path, line: int | None, problem: str, called: str = "line") -> InvalidRequest:
    """The error of a data file; ``line`` is 1-based, and ``called`` otherwise where the file has no lines."""
    place = f"{path}, {called} {line}" if line else str(path)
    return InvalidRequest(f"{place}: {problem}", code="bad-dataset")


@dataclass(frozen=True, slots=True)
class Line:
    """One object of a JSON-lines file, or of another file of many, with typed access that explains itself."""

    path: Path
    number: int  # 1-based
    values: dict[str, Any]
    called: str = "line"  # what ``number`` counts

    def error(self, problem: str) -> InvalidRequest:
        return bad_data(self.path, self.number, problem, self.called)

    def identifier(self, key: str) -> str:
        """A non-empty id; a whole number is taken as its digits."""
        value = self._required(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f'"{key}" is {_shown(value)}: it must be a non-empty string')
        return self._encodable(key, value)

    def text(self, key: str, *, default: str | None = None, empty: bool = False) -> str:
        """A string; blank only where ``empty`` allows it, absent only where there is a ``default``."""
        if default is not None and self.values.get(key) is None:
            return default
        value = self._required(key)
        if not isinstance(value, str):
            raise self.error(f'"{key}" is {_shown(value)}: it must be a string')
        if not empty and not value.strip():
            raise self.error(f'"{key}" is empty')
        return self._encodable(key, value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of non-empty strings; empty where the key is absent."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
            raise self.error(f'"{key}" is {_shown(value)}: it must be a list of non-empty strings, as in ["…"]')
        return tuple(self._encodable(key, item) for item in value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(f'"{key}" is {_shown(value)}: it must be true or false')
        return value

    def _required(self, key: str) -> Any:
        if self.values.get(key) is None:
            present = ", ".join(f'"{name}"' for name in self.values) or "nothing"
            raise self.error(f'"{key}" is missing: the line has {present}')
        return self.values[key]

    def _encodable(self, key: str, value: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError as e:
            raise self.error(f'"{key}" holds half a surrogate pair at character {e.start}: it is not text') from e
        return value


def read_jsonl(path: Path) -> Iterator[Line]:
    """Yields each line that is not blank.

    Raises:
        InvalidRequest: no such file, no UTF-8, no JSON, or JSON that is not an object.
    """
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                line = _parse(path, number, raw)
                if line is not None:
                    yield line
    except OSError as e:
        raise bad_data(path, None, f"cannot be read: {e.strerror}") from e


def _parse(path: Path, number: int, raw: bytes) -> Line | None:
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as e:
        raise bad_data(path, number, f"is not UTF-8 (byte {e.start}): save the file as UTF-8") from e
    if not text.strip():
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as e:  # ValueError: also of a number of thousands of digits
        where = f" ({e.msg} at column {e.colno})" if isinstance(e, json.JSONDecodeError) else ""
        raise bad_data(path, number, f"is not JSON{where}: each line must be one JSON object") from e
    if not isinstance(value, dict):
        raise bad_data(path, number, f"is {_shown(value)}: each line must be one JSON object")
    return Line(path, number, value)


def _shown(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else shown[:59] + "…"
