"""Which languages the packaged models serve badly, said where such documents are shown. Measured: docs/results/extract.md."""

from __future__ import annotations

from collections.abc import Iterable

from app.ui.chunks_view import language_name

_BADLY = ("ar", "hi", "zh")  # about half of the sentences that are put first hold no answer
_SELDOM = ("de", "es")  # the right sentence is found about as often as in English, and seldom called an answer


def note_on_languages(codes: Iterable[str | None]) -> str:
    """For people; empty where every document is in English or in no known language.

    Args:
        codes: ISO 639-1 codes of the documents.
    """
    found = sorted({code for code in codes if code and code != "en"}, key=language_name)
    badly = [language_name(c) for c in found if c in _BADLY]
    seldom = [language_name(c) for c in found if c in _SELDOM]
    others = [language_name(c) for c in found if c not in (*_BADLY, *_SELDOM)]
    said = []
    if badly:
        said.append(f"{_listed(badly)}: served badly; about half of the quotes miss the answer.")
    if seldom:
        said.append(f"{_listed(seldom)}: what answers is found, but seldom quoted as an answer unless you calibrate.")
    if others:
        said.append(f"{_listed(others)}: not measured.")
    return f"The packaged models were trained on English. {' '.join(said)}" if said else ""


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
