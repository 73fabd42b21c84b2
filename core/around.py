"""A language model or an encoder around another: what it says of itself is what the inner one says."""

from __future__ import annotations

from collections.abc import Sequence

from core.protocols import (
    Encoder,
    LanguageModel,
    Tokenizer,
    calls_tools,
    constrains,
    contrasts,
    gives_logprobs,
    structures,
    thinks,
)
from core.types import Message, Vectors


class AroundLM:
    """The properties of ``lm``; whoever is around it adds ``stream``."""

    def __init__(self, lm: LanguageModel) -> None:
        self._lm = lm

    @property
    def name(self) -> str:
        return self._lm.name

    @property
    def context_tokens(self) -> int:
        return self._lm.context_tokens

    @property
    def native_tools(self) -> bool:
        return calls_tools(self._lm)

    @property
    def constrained(self) -> bool:
        return constrains(self._lm)

    @property
    def structured(self) -> bool:
        return structures(self._lm)

    @property
    def contrasting(self) -> bool:
        return contrasts(self._lm)

    @property
    def logprobs(self) -> bool:
        return gives_logprobs(self._lm)

    @property
    def thinks(self) -> bool:
        return thinks(self._lm)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return self._lm.count_tokens(messages)


class AroundEncoder:
    """``encoder`` itself, but for what whoever is around it does in another way."""

    def __init__(self, encoder: Encoder) -> None:
        self._around = encoder

    @property
    def dim(self) -> int:
        return self._around.dim

    @property
    def revision(self) -> str:
        return self._around.revision

    @property
    def max_tokens(self) -> int:
        return self._around.max_tokens

    @property
    def tokenizer(self) -> Tokenizer:
        return self._around.tokenizer

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """(n, dim)"""
        return self._around.encode_queries(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """(n, dim)"""
        return self._around.encode_documents(texts)

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Per text (n_tokens, dim)."""
        return self._around.encode_tokens(texts)
