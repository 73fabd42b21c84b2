"""Cutting a long text early gives the same first pieces as cutting it late."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
