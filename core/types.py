"""The vocabulary every folder speaks: frozen, slotted, keyword-only dataclasses.

Offsets are half-open ranges of Unicode code points into the stored text of a document, so that
``document.text[start:end]`` is the passage, byte for byte. Scores and vectors never live on a Document or a
Chunk. Pydantic stays at the HTTP and settings edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Metadata: TypeAlias = Mapping[str, Any]
Vectors: TypeAlias = NDArray[np.float32]  # (n, dim), L2-normalised rows

VerdictLabel = Literal["supported", "partial", "contradicted", "unsupported", "not_a_claim", "unverified"]
StepKind = Literal["plan", "act", "observe", "reflect", "expand", "answer"]
FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]
PiiMode = Literal["off", "flag", "redact"]  # what is done about personal data: nothing, count, take out
RetrieverName = Literal["bm25", "tfidf", "dense", "late", "hybrid"]

# The one person of an installation without identities; the row exists from the first schema.
LOCAL_USER_ID = "local"


# ---------------------------------------------------------------- documents


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSpan:
    """Where one page lies in a document's text."""

    number: int  # 1-based
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file as it was understood. ``doc_id`` is a hash of collection and uri (see ``core.ids``)."""

    doc_id: str
    collection: str
    uri: str
    title: str
    mime_type: str
    sha256: str
    text: str
    pages: tuple[PageSpan, ...] = ()
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage: ``text == document.text[start:end]``.

    ``parent_id`` names the larger passage that is read where this one is found; None where it is read itself.
    """

    chunk_id: str
    doc_id: str
    text: str
    start: int
    end: int
    n_tokens: int
    page: int | None = None  # page of the first character
    heading_path: tuple[str, ...] = ()
    parent_id: str | None = None


# ---------------------------------------------------------------- asking and finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is asking."""

    user_id: str
    is_admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What a search may see. It cannot be made without saying who asks.

    ``collections`` empty means: every collection that the principal may read.
    ``filters`` maps a field to its accepted values, all fields to hold: "doc_id", "type", "path", "date.from", … as
    ``retrieval.filters`` lists them.
    """

    principal: Principal
    collections: tuple[str, ...] = ()
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The rows that an index may return, fixed for one search.

    ``rows[row_id]`` is True where the row may be returned; an id past the end may not.
    ``collection_ids`` is the same restriction in the coarse form that an engine can filter by itself.
    """

    rows: NDArray[np.bool_]  # (n_rows,)
    count: int  # how many are True
    collection_ids: tuple[int, ...]


WHOLE = "whole"  # the part of a hit that has what was asked for whole: the rank of its tier, and what that adds to its score


@dataclass(frozen=True, slots=True)
class Having:
    """Which rows have what a query puts in quotes, or its identifiers whole; none for most queries.

    ``tiers`` is row → how much of it the row has, above 0; ``worth`` what each 1 of that adds to a score of the term index.
    """

    tiers: Mapping[int, float] = field(default_factory=dict)
    worth: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePart:
    """What one stage said of a hit. ``rank`` is 1-based."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A found passage. ``source`` names the stage that gave the final order; ``pages`` are those it touches.

    ``chunk`` is what is read. Where that is the parent of what the indexes know, ``matched`` is its child that was
    found best, and score and parts are that child's. ``duplicates`` are the ids of near-duplicates of its document that
    say the same, and were left out for it. ``uri`` is its document's, "" where that is not known.
    """

    chunk: Chunk
    title: str
    collection: str
    score: float
    rank: int
    source: str
    parts: Mapping[str, StagePart] = field(default_factory=dict)
    pages: tuple[PageSpan, ...] = ()
    matched: Chunk | None = None
    duplicates: tuple[str, ...] = ()
    uri: str = ""


# ---------------------------------------------------------------- language models


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    call_id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    call_id: str
    content: str
    error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """``parameters`` is a JSON Schema object. A tool with ``outside_effect`` needs a person's yes."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    outside_effect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A call with outside effect that waits for a person's yes. ``predicted`` is what the model expects of it, and ``worth``, in
    [0, 1], how much that would help; ``others`` are (arguments, predicted, worth) of what it was preferred to."""

    approval_id: str
    call: ToolCall
    description: str
    predicted: str
    worth: float
    others: tuple[tuple[Mapping[str, Any], str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """``temperature`` 0 is greedy; ``top_k`` 0, ``top_p`` 1, ``min_p`` 0, ``no_repeat_ngram`` 0 and ``beams`` 1 are off.

    ``no_repeat_ngram``: no n tokens in a row come twice, prompt included, where the runtime can. ``beams``: the likeliest of so many hypotheses, for
    greedy requests; its text comes at once.

    ``contrast``: context-aware decoding (Shi et al. 2023): each token is drawn by (1 + contrast) · log p(token | messages) −
    contrast · log p(token | ``without``), where ``without`` are the messages as they would be without passages. For runtimes
    that can (``core.protocols.contrasts``).

    ``regex``: the whole answer is of this form, where the runtime can see to it (``core.protocols.constrains``); others
    leave it unheeded, and an answer may be cut off before its end, so whoever asks checks what comes. What Python and xgrammar
    read alike: literals, classes, groups, ``|?+*``; counted repetitions of a class take seconds to compile.

    ``schema``: the whole answer is an object of this JSON Schema (as JSON text), where the runtime can see to it
    (``core.protocols.structures``), under the same reserve. One of the two at most. What ``lm.schemas`` reads: objects with all
    of their properties required and no others, arrays, texts, enums, numbers, booleans, null and ``anyOf``; a ``pattern`` of a text begins with ^, ends
    with $, and leaves out quotes, backslashes and line ends.

    ``max_tokens`` bound the answer; of a model that thinks first (``core.protocols.thinks``), ``thought_tokens`` more may be thought
    before it. What is not thought of them is not said in their place.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = None
    repetition_penalty: float = 1.0
    regex: str = ""
    schema: str = ""
    thought_tokens: int = 0
    min_p: float = 0.0
    no_repeat_ngram: int = 0
    beams: int = 1
    contrast: float = 0.0
    without: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    prompt_tokens: int = 0
    completion_tokens: int = 0
    duration_s: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            duration_s=self.duration_s + other.duration_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    thought: str = ""  # of a reasoning model, before the text


# ---------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``score`` is in [0, 1]: how well the evidence supports the claim."""

    label: VerdictLabel
    score: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """``quote`` is the stored text from ``start`` to ``end``; ``answer_start``/``answer_end`` place the
    citing sentence in the answer."""

    marker: int  # the n of [n], 1-based
    chunk_id: str
    doc_id: str
    title: str
    page: int | None
    start: int
    end: int
    quote: str
    answer_start: int
    answer_end: int
    verdict: VerdictLabel = "unverified"
    score: float = 0.0
    date: str | None = None  # of the document, as it says itself; told where sources conflict
    uri: str = ""  # of the document; "" where it is not known, as is the collection
    collection: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Sources that say different things of the same: ``text`` says what each says, ``citations`` are its markers."""

    text: str
    citations: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence of an answer with the verdict on it; ``citations`` are markers."""

    text: str
    start: int
    end: int
    verdict: VerdictLabel
    score: float
    reason: str = ""
    citations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``reason`` says why it abstained, or why it is partial; empty otherwise.

    ``confidence`` in [0, 1] is what the strategy's threshold is compared with, also where it abstained; None where the
    strategy has no such number. ``logprob`` is the mean natural log-probability of the tokens that a model wrote as this answer,
    before markers were put in and sentences left out; None where none did, or they are not known.
    """

    text: str
    citations: tuple[Citation, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    abstained: bool = False
    reason: str = ""
    hits: tuple[Hit, ...] = ()
    run_id: str = ""
    conflicts: tuple[Conflict, ...] = ()
    confidence: float | None = None
    logprob: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    index: int  # 0-based
    kind: StepKind
    parent_index: int | None = None
    thought: str = ""
    tool_call: ToolCall | None = None
    observation: str = ""
    error: str = ""
    note: bool = False  # whether the thought is what the model learned, for the next questions of its conversation
    usage: Usage = field(default_factory=Usage)
    started_s: float = 0.0  # seconds since the run began
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One call of a run to what is outside of its strategy, as JSON. ``kind``: "model", "count", "search", "document" or
    "verdict"; "tools", "tool" and "consent" of tools of others."""

    kind: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]
    started_s: float  # seconds since the run was set up
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """``calls`` and ``inputs`` are what a replay needs; empty where nothing was recorded."""

    run_id: str
    strategy: str
    question: str
    steps: tuple[Step, ...]
    answer: Answer | None
    stop_reason: str  # "answered", "abstained", "limit", "cancelled" or "error"
    settings_hash: str
    prompt_hash: str
    index_version: str
    usage: Usage = field(default_factory=Usage)
    duration_s: float = 0.0
    calls: tuple[Recorded, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The hard bounds of one run. Prices are per million tokens, in any one currency."""

    max_steps: int = 7
    max_tokens: int = 4096  # completion tokens over the whole run, thoughts that have room of their own apart
    max_thought_tokens: int = 16_384  # over the whole run, of a model that thinks before it answers
    max_seconds: float = 120.0
    max_tool_calls: int = 32
    max_cost: float | None = None  # in the currency of the prices; None: no bound
    prompt_price: float = 0.0
    completion_price: float = 0.0

    def cost(self, usage: Usage) -> float:
        """What so many tokens cost."""
        return (usage.prompt_tokens * self.prompt_price + usage.completion_tokens * self.completion_price) / 1e6


# ---------------------------------------------------------------- evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Qrel:
    query_id: str
    doc_id: str
    relevance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One question of a QA data set; ``gold_ids`` name the passages that hold the answer."""

    id: str
    question: str
    answers: tuple[str, ...] = ()
    answerable: bool = True
    gold_ids: tuple[str, ...] = ()
    contexts: tuple[tuple[str, str], ...] = ()  # (title, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """``value`` is None where the sample cannot be scored; ``reason`` then says why, and it is counted."""

    metric: str
    sample_id: str
    value: float | None
    reason: str = ""
