"""The seams between folders. Each has a contract suite in ``tests/contract`` that every implementation runs.

Encoder, indexes, Retriever, Reranker and Verifier are synchronous, batched and thread-safe. LanguageModel,
Tool and Strategy are asynchronous. The two worlds meet in ``core.offload`` alone.

Indexes speak of rows: the integer that the database gave a chunk. Rows are never reused, so an index needs
no table of names and a filter is one bitmap (``Allowed``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.events import Event, LMEvent
from core.types import (
    Allowed,
    Chunk,
    Having,
    Hit,
    Limits,
    Message,
    SamplingParams,
    ToolResult,
    ToolSpec,
    Vectors,
    Verdict,
    Where,
)


class Tokenizer(Protocol):
    """Cuts text the way an encoder does."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Code point ranges of the word pieces of ``text``, without special tokens and without truncation."""
        ...

    def count(self, texts: Sequence[str]) -> list[int]:
        """Number of word pieces of each text."""
        ...


@runtime_checkable
class KnowsScripts(Protocol):
    """A tokenizer that says how much of a text its vocabulary has as more than letters."""

    def share_read(self, text: str) -> float:
        """In [0, 1]: of the letters of ``text``, those read as words or parts of words. 1 for a text without letters."""
        ...


Embed: TypeAlias = Callable[[list[str]], Vectors]  # n texts → (n, dim), L2-normalised rows


class Encoder(Protocol):
    """Turns text into L2-normalised float32 vectors."""

    @property
    def dim(self) -> int: ...

    @property
    def revision(self) -> str:
        """Names weights, pooling and precision: an index belongs to exactly one revision."""
        ...

    @property
    def max_tokens(self) -> int:
        """Longest input in word pieces, special tokens included; the rest is cut off."""
        ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors: ...  # (n, dim)

    def encode_documents(self, texts: Sequence[str]) -> Vectors: ...  # (n, dim)

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]: ...  # n × (n_tokens, dim)


@runtime_checkable
class JointEncoder(Encoder, Protocol):
    """An encoder whose document vectors and token vectors come from one pass."""

    def encode_both(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        """``encode_documents`` and ``encode_tokens`` of the same texts, in the time of one."""
        ...


@runtime_checkable
class LateEncoder(Encoder, Protocol):
    """An encoder whose model may have been trained for late interaction, and then reads questions otherwise than passages."""

    def encode_late(self, texts: Sequence[str], kind: Literal["query", "document"]) -> list[Vectors] | None:
        """Per text (n_tokens, dim), L2-normalised: all that MaxSim is summed over (query) or looks among (document), which need not
        be word pieces of it. None of a model that was not trained for it: there, it is those of ``encode_tokens``."""
        ...


class QueryJointEncoder(JointEncoder, Protocol):
    """One that reads questions as it reads passages, so that a question's two kinds of vectors come from one pass, too."""

    def load(self) -> None: ...

    def encode_query_both(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        """``encode_queries`` and ``encode_tokens`` of the same texts, to the last bit, in the time of one."""
        ...


class SparseIndex(Protocol):
    """A term index. ``search`` returns (row, score), best first, ties by smaller row.

    ``languages`` are ISO 639-1 codes, None where one is not known; left out, none is.
    """

    def add(
        self,
        rows: Sequence[int],
        chunks: Sequence[Chunk],
        titles: Sequence[str],
        collection_ids: Sequence[int],
        languages: Sequence[str | None] | None = None,
    ) -> None: ...

    def remove(self, rows: Sequence[int]) -> None: ...

    def search(self, query: str, k: int, allowed: Allowed) -> list[tuple[int, float]]: ...

    def narrowed(self, query: str, allowed: Allowed) -> Allowed:
        """Those of ``allowed`` that have the phrases in double quotes that ``query`` consists of, if it does."""
        ...

    def having(self, query: str, rows: Sequence[int], allowed: Allowed) -> Having:
        """Which of ``rows`` have the phrases within a longer query, or the identifiers that it consists of, if it does.

        ``search`` with the same ``allowed`` puts them first.
        """
        ...


class DenseIndex(Protocol):
    """A vector index. ``search`` returns, per query, (row, cosine), best first, ties by smaller row."""

    def add(self, rows: NDArray[np.int64], vectors: Vectors) -> None: ...

    def remove(self, rows: Sequence[int]) -> None: ...

    def search(self, queries: Vectors, k: int, allowed: Allowed) -> list[list[tuple[int, float]]]: ...


class LateIndex(Protocol):
    """An index of token vectors. ``search`` returns (row, MaxSim per query token), best first, ties by smaller row."""

    def add(self, rows: NDArray[np.int64], tokens: Sequence[Vectors]) -> None: ...  # per row (n_tokens ≥ 1, dim)

    def remove(self, rows: Sequence[int]) -> None: ...

    def search(self, query: Vectors, k: int, allowed: Allowed) -> list[tuple[int, float]]: ...  # (n_tokens, dim)


class Reranker(Protocol):
    def rerank(self, query: str, hits: Sequence[Hit], k: int) -> list[Hit]: ...


class Retriever(Protocol):
    def search(self, query: str, k: int, where: Where) -> list[Hit]: ...


@runtime_checkable
class ExpandingRetriever(Retriever, Protocol):
    """A retriever whose vector half can look near more than the query (HyDE): at the mean of the vectors of the query and
    of ``passages``, which are encoded as documents are. The terms of ``passages`` are not searched for.

    Texts rather than a vector are handed over, because what is searched may have been encoded by several encoders.
    """

    def search_expanded(self, query: str, passages: Sequence[str], k: int, where: Where) -> list[Hit]: ...


def expanding(retriever: Retriever) -> ExpandingRetriever:
    """``retriever``, if it can look near passages; else raises InvalidRequest."""
    if isinstance(retriever, ExpandingRetriever):
        return retriever
    raise InvalidRequest("hyde needs a retriever that searches by vectors: choose dense or hybrid", code="no-hyde")


class LanguageModel(Protocol):
    """``name`` is what traces record. ``context_tokens`` bounds prompt and completion together."""

    @property
    def name(self) -> str: ...

    @property
    def context_tokens(self) -> int: ...

    def count_tokens(self, messages: Sequence[Message]) -> int: ...

    def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncIterator[LMEvent]: ...


@runtime_checkable
class CallsTools(Protocol):
    """A language model that says whether it makes native tool calls."""

    @property
    def native_tools(self) -> bool: ...


def calls_tools(lm: LanguageModel) -> bool:
    """Whether ``lm`` makes native tool calls; one that does not say makes none."""
    return isinstance(lm, CallsTools) and lm.native_tools


@runtime_checkable
class Constrains(Protocol):
    """A language model that says whether it heeds ``SamplingParams.regex``."""

    @property
    def constrained(self) -> bool: ...


def constrains(lm: LanguageModel) -> bool:
    """Whether ``lm`` writes by a grammar; one that does not say does not."""
    return isinstance(lm, Constrains) and lm.constrained


@runtime_checkable
class Structures(Protocol):
    """A language model that says whether it heeds ``SamplingParams.schema``."""

    @property
    def structured(self) -> bool: ...


def structures(lm: LanguageModel) -> bool:
    """Whether ``lm`` writes by a JSON Schema; one that does not say does not."""
    return isinstance(lm, Structures) and lm.structured


@runtime_checkable
class Contrasts(Protocol):
    """A language model that says whether it heeds ``SamplingParams.without``."""

    @property
    def contrasting(self) -> bool: ...


def contrasts(lm: LanguageModel) -> bool:
    """Whether ``lm`` weighs what it says with passages against what it says without; one that does not say does not."""
    return isinstance(lm, Contrasts) and lm.contrasting


@runtime_checkable
class GivesLogprobs(Protocol):
    """A language model that says whether its text comes with ``TextDelta.logprobs``."""

    @property
    def logprobs(self) -> bool: ...


def gives_logprobs(lm: LanguageModel) -> bool:
    """Whether ``lm`` says how likely it found its tokens; one that does not say does not."""
    return isinstance(lm, GivesLogprobs) and lm.logprobs


@runtime_checkable
class Thinks(Protocol):
    """A language model that says whether it thinks before it answers."""

    @property
    def thinks(self) -> bool: ...


def thinks(lm: LanguageModel) -> bool:
    """Whether an answer of ``lm`` may have a thought before it, which needs tokens of its own; of one that does not say, none has."""
    return isinstance(lm, Thinks) and lm.thinks


class Tool(Protocol):
    @property
    def spec(self) -> ToolSpec: ...

    async def __call__(self, arguments: Mapping[str, Any]) -> ToolResult: ...


class Strategy(Protocol):
    """``where`` carries who asks: a strategy can only search as that person."""

    @property
    def name(self) -> str: ...

    def run(
        self, question: str, *, history: Sequence[Message], limits: Limits, where: Where, run_id: str
    ) -> AsyncIterator[Event]: ...


class NameFinder(Protocol):
    """Finds people's names."""

    def find(self, text: str, tick: Callable[[], None]) -> list[tuple[int, int]]:
        """Code point spans in order, apart from each other; ``tick`` is called now and then, and may raise to end it."""
        ...


class Verifier(Protocol):
    """``evidence`` are the texts that the claim cites, jointly."""

    def check(self, claim: str, evidence: Sequence[str]) -> Verdict: ...
