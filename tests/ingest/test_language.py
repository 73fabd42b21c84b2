"""Which language a text is in: said where the text says it, and not guessed where it does not."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from ingest.language import LanguageGuesser, declared_language, sample_of

SENTENCES = {
    "en": "The keeper of the lighthouse wrote into his book what he had seen that day.",
    "de": "Der Wärter des Leuchtturms schrieb in sein Buch, was er an diesem Tag gesehen hatte.",
    "fr": "Le gardien du phare écrivait dans son livre ce qu'il avait vu ce jour-là.",
    "es": "El farero escribió en su libro lo que había visto aquel día en la costa.",
    "ru": "Смотритель маяка записал в книгу то, что он увидел в тот день.",
    "ja": "灯台守はその日に見たことを本に書いた。",
    "zh": "灯塔看守人把他那天看到的事情写进了他的书里。",
    "ar": "كتب حارس المنارة في كتابه ما رآه في ذلك اليوم",
}


@pytest.fixture(scope="module")
def guesser() -> LanguageGuesser:
    return LanguageGuesser()


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_is_enough(guesser: LanguageGuesser, code: str) -> None:
    assert guesser.guess(SENTENCES[code]) == code
    assert guesser.guess(f"1,234.5 | 17 % | {SENTENCES[code]} | 2026-11-21 | 12.50 €") == code


@pytest.mark.parametrize("text", ["", "12 34 56 78 90 " * 50, "OK", "| --- | --- |\n| 12 | 13 |"])
def test_of_numbers_and_scraps_nothing_is_said(guesser: LanguageGuesser, text: str) -> None:
    assert guesser.guess(text) is None


def test_the_sample_of_a_long_text_is_short_and_from_all_over_it() -> None:
    text = "begin " * 50_000 + "middle " * 2 + "end " * 50_000
    sample = sample_of(text)
    assert len(sample) < 1000 and "begin" in sample and sample.endswith("end")


def test_a_declared_language_is_a_tag_or_nothing() -> None:
    assert [declared_language(v) for v in ("en-US", "de_DE", "FR", "English (United States)", "", None, 3)] == [
        "en", "de", "fr", None, None, None, None,
    ]  # fmt: skip


def test_threads_share_one_detector(guesser: LanguageGuesser) -> None:
    fresh, said = LanguageGuesser(), []
    threads = [threading.Thread(target=lambda: said.append(fresh.guess(SENTENCES["de"]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["de"] * 4


def test_nothing_is_loaded_until_it_is_asked() -> None:
    script = (
        "import sys; from ingest.language import LanguageGuesser; LanguageGuesser(); assert 'lingua' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
