"""Looks for words that must be gone in every byte of a data directory."""

from __future__ import annotations

from pathlib import Path


def places_of(data_dir: Path, words: str) -> list[str]:
    """The files that hold ``words``, whatever the case of its ASCII letters. Words of few characters occur by chance, as in a digest."""
    needles = [words.lower().encode(), words.lower().encode("utf-16-le")]
    files = [p for p in data_dir.rglob("*") if p.is_file()]
    return [str(p.relative_to(data_dir)) for p in files if any(n in p.read_bytes().lower() for n in needles)]
