"""Cutting a long text early gives the same first pieces as cutting it late."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as HfTokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from core.errors import InvalidRequest, ModelUnavailable
from models.packaged import MINILM, locate
from models.tokenizer import PieceTokenizer

TOKENIZER = PieceTokenizer.from_file(locate(MINILM) / "tokenizer.json")
WORDS = st.sampled_from(
    ["word", "antidisestablishmentarianism", "x" * 99, "y" * 101, "é" * 100, "한" * 40, " ", ".", "10²", "\u0301"]
)


@given(words=st.lists(WORDS, max_size=400), limit=st.integers(1, 30), glue=st.sampled_from(["", " "]))
@settings(max_examples=100, deadline=None)
def test_the_first_pieces_of_a_text_do_not_need_all_of_it(words: list[str], limit: int, glue: str) -> None:
    text = glue.join(words)
    assert TOKENIZER.first_ids([text], limit) == [ids[:limit] for ids in TOKENIZER.ids([text])]


def test_a_text_of_spaces_is_read_to_its_end() -> None:
    text = " " * 100_000 + "end"
    assert TOKENIZER.first_ids([text], 4) == TOKENIZER.ids(["end"])


def test_the_middle_of_a_word_is_a_range_of_its_own() -> None:
    # "embeddings" is four word pieces: em ##bed ##ding ##s
    assert TOKENIZER.spans("embeddings") == [(0, 2), (2, 5), (5, 9), (9, 10)]


def test_one_string_is_not_a_list_of_texts() -> None:
    with pytest.raises(InvalidRequest, match=r"pass \[text\]"):
        TOKENIZER.count("one string")


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(ModelUnavailable, match=r"cannot read the tokenizer .*tokenizer\.json"):
        PieceTokenizer.from_file(path)


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("When was the bridge over the river built?", 0.95),
        ("Wann wurde die Brücke über den Fluss gebaut?", 0.8),
        ("¿Cuándo se construyó el puente sobre el río?", 0.8),
        ("c3535", 1.0),
        ("CVE-2026-27628", 0.6),
        ("What is Ω(n log n)?", 0.9),
        ("§ 4.2", 1.0),
        ("", 1.0),
    ],
)
def test_words_of_latin_script_are_read(text: str, least: float) -> None:
    assert least <= TOKENIZER.share_read(text) <= 1


@pytest.mark.parametrize(
    "text",
    [
        "Когда был построен мост через реку?",
        "متى بني الجسر فوق النهر؟",
        "नदी पर पुल कब बना था",
        "这座桥是什么时候建成的",
        "橋はいつ建てられましたか",
        "다리는 언제 지어졌습니까?",
        "สะพานสร้างเมื่อไหร่",
    ],
)
def test_scripts_of_which_the_vocabulary_has_letters_are_spelt(text: str) -> None:
    assert TOKENIZER.share_read(text) < 0.5


def test_a_vocabulary_of_characters_reads_its_own_script() -> None:
    vocabulary = {"[UNK]": 0, "桥": 1, "建": 2, "d": 3, "##a": 4}
    chinese = HfTokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    chinese.pre_tokenizer = BertPreTokenizer()
    chinese.normalizer = BertNormalizer()
    tokenizer = PieceTokenizer(chinese)
    assert tokenizer.share_read("建桥") == 1
    assert tokenizer.share_read("建河") == 0.5
    assert tokenizer.share_read("da") == 0  # has its letters, not the word


@given(text=st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_of_any_text_a_share_is_read(text: str) -> None:
    assert 0 <= TOKENIZER.share_read(text) <= 1
