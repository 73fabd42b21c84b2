"""Which weights a question is judged by: English, read, or only spelt."""

from __future__ import annotations

import pytest

from core.reach import reach_of
from models.packaged import MINILM, locate
from models.tokenizer import PieceTokenizer
from tests.support.hash_encoder import WordTokenizer

TOKENIZER = PieceTokenizer.from_file(locate(MINILM) / "tokenizer.json")
ENGLISH = ["The bridge over the river was built in 1903, and it is still the longest of the county."]
GERMAN = ["Die Brücke über den Fluss wurde 1903 gebaut. Sie ist noch immer die längste des Landkreises."]
SPANISH = ["El puente sobre el río fue construido en 1903 y sigue siendo el más largo de la provincia."]
FRENCH = ["Le pont sur la rivière fut construit en 1903. Il est encore le plus long du département."]
CHINESE = ["这座横跨河流的桥建于1903年，至今仍是全县最长的桥。"]


@pytest.mark.parametrize(
    ("question", "passages", "reach"),
    [
        ("When was the bridge built?", ENGLISH, "english"),
        ("Wann wurde die Brücke gebaut?", GERMAN, "read"),
        ("¿Cuándo se construyó el puente?", SPANISH, "read"),
        ("这座桥是什么时候建成的？", CHINESE, "spelt"),
        ("Когда построили мост?", [], "spelt"),
        ("When was the bridge built?", GERMAN, "english"),  # asked in English, it is read as English
        # What other languages have, too, makes no question English.
        ("Was kostet eine Fahrt in Berlin?", GERMAN, "read"),
        ("Was ist so lang?", GERMAN, "read"),
        ("Qui a construit le pont ?", FRENCH, "read"),
        ("¿A quién me dirijo?", SPANISH, "read"),
        ("Was he in a hurry?", ENGLISH, "english"),
        ("Was it long?", GERMAN, "english"),
        ("bridge 1903", ENGLISH, "english"),  # names alone: the passages tell
        ("Brücke 1903", GERMAN, "read"),
        ("bridge 1903", [], "english"),
        ("1903", ["1,204 3,410 992"], "english"),  # nothing speaks for another language
    ],
)
def test_question_and_passages_tell(question: str, passages: list[str], reach: str) -> None:
    assert reach_of(question, passages, TOKENIZER) == reach


def test_of_a_tokenizer_that_cannot_say_everything_is_read() -> None:
    assert (
        reach_of(
            "Когда построили мост?",
            ["Мост через реку построили в 1903 году, и он до сих пор самый длинный в области."],
            WordTokenizer(),
        )
        == "read"
    )
