"""People are told which of their documents' languages the packaged models serve badly."""

from __future__ import annotations

import pytest

from app.ui.served import note_on_languages


@pytest.mark.parametrize("codes", [[], ["en"], [None], ["en", None, ""], ["de", "es", "en"]])
def test_nothing_is_said_of_what_is_served_well(codes: list[str | None]) -> None:
    assert note_on_languages(codes) == ""


def test_each_language_is_told_what_was_measured_of_it() -> None:
    note = note_on_languages(["zh", "en", "de", "hi", "zh", "fr"])
    assert "Chinese and Hindi: found by their words alone" in note
    assert "German" not in note
    assert "French: not measured" in note
    assert "English:" not in note
