"""A question's vector and its token vectors come from one pass, and are what two passes give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.types import Hit, Principal, Vectors, Where
from retrieval.encoders.openvino import OpenVinoEncoder
from retrieval.encoders.remembering import RememberingEncoder
from retrieval.rerank.late import LateInteractionReranker
from tests.contract.encoder_suite import EncoderSuite
from tests.support.hash_encoder import HashEncoder
from tests.support.library import library

QUESTIONS = ["who sings at night?", "§ 4.2", "", "CVE-2026-27628 in Zürich, Ångström and naïve cafés", "long " * 400]


class Counting(HashEncoder):
    """Says how often it was asked for what."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def load(self) -> None:
        self.asked.append("load")

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        self.asked.append("queries")
        return super().encode_queries(texts)

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        self.asked += ["tokens"] if texts else []
        return super().encode_tokens(texts)

    def encode_both(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        return super().encode_documents(texts), super().encode_tokens(texts)

    def encode_query_both(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        self.asked.append("both")
        return self.encode_both(texts)


def test_a_search_and_its_reranking_read_the_question_once(tmp_path: Path) -> None:
    inner = Counting()
    encoder = RememberingEncoder(inner)
    with library(tmp_path, encoder) as lib:  # type: ignore[arg-type]
        lib.create("c", tokens=True)
        lib.put_many("c", {"cats": "cats purr at night", "dogs": "dogs bark at night"})
        assert lib.engine.settle()
        where = Where(principal=Principal(user_id="local"))
        inner.asked.clear()
        hits: list[Hit] = lib.engine.retriever().search("who purrs at night", 2, where)
        scores = LateInteractionReranker(encoder, lib.engine.kept_tokens).score("who purrs at night", hits)
        assert inner.asked == ["both"]
        assert lib.engine.retriever().search("who purrs at night", 2, where) == hits
        assert inner.asked == ["both"]
        plain = LateInteractionReranker(HashEncoder(), lib.engine.kept_tokens).score("who purrs at night", hits)
        assert scores.tolist() == plain.tolist()


def test_what_was_not_asked_as_a_question_is_passed_on() -> None:
    inner = Counting()
    encoder = RememberingEncoder(inner)
    encoder.encode_tokens(["a passage"])
    encoder.encode_tokens(["a passage"])
    encoder.encode_queries(["one", "two"])
    encoder.encode_tokens(["one"])
    assert inner.asked == ["tokens", "tokens", "queries", "tokens"]


def test_what_a_caller_does_to_its_vectors_is_its_own_affair() -> None:
    encoder = RememberingEncoder(Counting())
    first, tokens = encoder.encode_queries(["night"]), encoder.encode_tokens(["night"])
    wanted = first.tolist(), tokens[0].tolist()
    first *= 0
    tokens[0][:] = 0
    assert (encoder.encode_queries(["night"]).tolist(), encoder.encode_tokens(["night"])[0].tolist()) == wanted


def test_the_memory_is_bounded_by_its_bytes() -> None:
    inner = Counting()
    encoder = RememberingEncoder(inner, memory_bytes=16 * 4 * 3)  # vector and token vectors: 128 bytes a word
    for question in ("night", "day", "night"):
        encoder.encode_queries([question])
    assert inner.asked == ["both"] * 3
    encoder.encode_tokens(["night"])
    assert inner.asked == ["both"] * 3


@pytest.mark.parametrize("question", QUESTIONS)
def test_one_pass_gives_to_the_last_bit_what_two_give(encoder: OpenVinoEncoder, question: str) -> None:
    once = RememberingEncoder(encoder)
    wanted = encoder.encode_queries([question]), encoder.encode_tokens([question])[0]
    for _ in range(2):  # made, and remembered
        np.testing.assert_array_equal(once.encode_queries([question]), wanted[0])
        np.testing.assert_array_equal(once.encode_tokens([question])[0], wanted[1])


@pytest.mark.slow
class TestRememberedPackaged(EncoderSuite):
    @pytest.fixture
    def encoder(self, encoder: OpenVinoEncoder) -> RememberingEncoder:
        return RememberingEncoder(encoder)


def test_what_is_forgotten_is_read_again() -> None:
    inner = Counting()
    encoder = RememberingEncoder(inner)
    for _ in range(2):
        encoder.encode_queries(["who purrs?"])
    encoder.forget()
    encoder.encode_queries(["who purrs?"])
    assert inner.asked == ["both", "both"]
