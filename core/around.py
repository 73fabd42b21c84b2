"""A language model around another: what it says of itself is what the inner one says."""

from __future__ import annotations

from collections.abc import Sequence

from core.protocols import LanguageModel, calls_tools, constrains
from core.types import Message


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

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return self._lm.count_tokens(messages)
