"""How evaluations say how far they are. Nothing in this folder prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# (stage, done, total): "indexing" 0 of 1, then "searching" 17 of 200, …
Progress: TypeAlias = Callable[[str, int, int], None]


def silent(stage: str, done: int, total: int) -> None:
    """The progress of whoever does not want to know."""
