"""What was read is not read again, and what is remembered is what was read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.token_memory import TokenMemory
from core.types import Vectors
from tests.support.hash_encoder import HashEncoder


class Counting(HashEncoder):
    """Keeps each list of texts that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[list[str]] = []

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        self.read.append(list(texts))
        return super().encode_tokens(texts)


def test_only_what_is_new_is_read_and_in_one_call() -> None:
    inner = Counting()
    memory = TokenMemory(inner)
    first = memory.encode_tokens(["cats purr", "dogs bark"])
    again = memory.encode_tokens(["birds sing", "dogs bark", "birds sing", "fish swim"])
    assert inner.read == [["cats purr", "dogs bark"], ["birds sing", "fish swim"]]
    assert np.array_equal(again[1], first[1])
    assert np.array_equal(again[0], again[2])
    for text, vectors in zip(["birds sing", "dogs bark", "birds sing", "fish swim"], again, strict=True):
        assert np.array_equal(vectors, HashEncoder().encode_tokens([text])[0])


def test_nothing_to_read_is_not_asked_for() -> None:
    inner = Counting()
    memory = TokenMemory(inner)
    assert memory.encode_tokens([]) == []
    assert inner.read == []


def test_what_was_used_last_stays_within_the_bound() -> None:
    inner = Counting()
    one = HashEncoder().encode_tokens(["cats purr"])[0].nbytes
    memory = TokenMemory(inner, memory_bytes=2 * one)
    for text in ("cats purr", "dogs bark", "cats purr", "fish swim"):
        memory.encode_tokens([text])
    memory.encode_tokens(["cats purr"])  # still there: it was used after the dogs
    memory.encode_tokens(["dogs bark"])
    assert inner.read == [["cats purr"], ["dogs bark"], ["fish swim"], ["dogs bark"]]


def test_what_is_forgotten_is_read_again() -> None:
    inner = Counting()
    memory = TokenMemory(inner)
    memory.encode_tokens(["cats purr"])
    memory.forget()
    memory.encode_tokens(["cats purr"])
    assert inner.read == [["cats purr"], ["cats purr"]]


def test_no_memory_reads_all_anew() -> None:
    inner = Counting()
    memory = TokenMemory(inner, memory_bytes=0)
    for _ in range(2):
        memory.encode_tokens(["cats purr"])
    assert inner.read == [["cats purr"], ["cats purr"]]
