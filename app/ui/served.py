"""Which languages the packaged models serve badly, said where such documents are shown. Measured: docs/results/extract_languages.md."""

from __future__ import annotations

from collections.abc import Iterable

from app.ui.chunks_view import language_name

_SELDOM = ("ar", "hi", "zh")  # of which the encoder knows letters: one question in five to fourteen is answered
_OFTEN = ("de", "es")  # about half of the questions are answered, as in English


def note_on_languages(codes: Iterable[str | None]) -> str:
    """For people; empty where every document is in English or in no known language.

    Args:
        codes: ISO 639-1 codes of the documents.
    """
    found = sorted({code for code in codes if code and code not in ("en", *_OFTEN)}, key=language_name)
    seldom = [language_name(c) for c in found if c in _SELDOM]
    others = [language_name(c) for c in found if c not in _SELDOM]
    said = []
    if seldom:
        said.append(f"{_listed(seldom)}: found by their words alone, and most questions get “I don't know”.")
    if others:
        said.append(f"{_listed(others)}: not measured.")
    return f"The packaged models were trained on English. {' '.join(said)}" if said else ""


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
