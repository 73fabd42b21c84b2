"""Passages to measure with: the development text collection, or invented text where it is absent."""

from __future__ import annotations

import random
import tarfile
from pathlib import Path

PASSAGE_WORDS = 150  # about 200 word pieces
ARCHIVE = Path("../shared/data/text-collection.tar.xz")
_TEXT_SUFFIXES = (".md", ".markdown", ".rst", ".txt")


def passages(n: int, archive: Path = ARCHIVE) -> tuple[list[tuple[str, str]], str]:
    """Up to ``n`` (title, text), and where they come from."""
    if archive.exists():
        return _from_archive(n, archive), f"{archive.name}, cut every {PASSAGE_WORDS} words"
    return _invented(n), f"invented text (no {archive}), {PASSAGE_WORDS} words each, vocabulary by Zipf's law"


def _from_archive(n: int, archive: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with tarfile.open(archive, "r|xz") as tar:
        for member in tar:
            if not member.isfile() or not member.name.endswith(_TEXT_SUFFIXES):
                continue
            file = tar.extractfile(member)
            if file is None:
                continue
            words = file.read().decode("utf-8", "replace").split()
            title = Path(member.name).stem.replace("-", " ")
            for start in range(0, len(words), PASSAGE_WORDS):
                found.append((title, " ".join(words[start : start + PASSAGE_WORDS])))
                if len(found) == n:
                    return found
    return found


def _invented(n: int) -> list[tuple[str, str]]:
    generator = random.Random(0)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    words = ["".join(generator.choices(syllables, k=generator.randint(1, 4))) for _ in range(60_000)]
    weights = [1.0 / (rank + 10) for rank in range(len(words))]
    return [
        (f"Document {i // 8}", " ".join(generator.choices(words, weights=weights, k=PASSAGE_WORDS))) for i in range(n)
    ]
