"""The shapes of what the API answers, for whoever calls it (see ``app.shapes`` for where they are made).

Times are ISO 8601 in UTC. ``start`` and ``end`` are half-open code point offsets into a document's stored text.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from core.types import PiiMode, VerdictLabel

JobState = Literal["queued", "parsing", "encoding", "indexing", "ready", "partial", "failed", "cancelled"]
ACTIVE_STATES: frozenset[JobState] = frozenset({"queued", "parsing", "encoding", "indexing"})


class Collection(TypedDict):
    name: str
    documents: int
    chunks: int
    created_at: str
    role: NotRequired[Literal["owner", "editor", "reader"]]  # what the asking person is in it
    pipeline: NotRequired[dict[str, Any] | None]  # how its documents are made; None: as the settings say
    previous: NotRequired[dict[str, Any] | None]  # how they were made before the last reindex; None: no way back
    pii: NotRequired[PiiMode]
    fusion: NotRequired[dict[str, Any] | None]  # its own weights and how they were fitted; None: as the settings say
    late: NotRequired[bool]  # whether it can be searched by late interaction
    tokens: NotRequired[bool]  # whether token vectors are kept, by which searches are reranked
    with_tokens: NotRequired[int]  # passages that have them
    etag: NotRequired[str]  # of its settings, for If-Match


class ChangedCollection(TypedDict):
    """``unlike`` counts the documents that were added under another setting and stay as they are."""

    name: str
    pii: PiiMode
    late: bool
    tokens: bool
    unlike: int
    etag: str


class Pii(TypedDict):
    """How many of each were found in a text, or taken out of it."""

    mode: PiiMode
    email: int
    phone: int
    iban: int
    name: NotRequired[int]  # only where a model looked for people's names


class Heading(TypedDict):
    level: int
    text: str
    start: int
    page: int | None


class Facts(TypedDict):
    """What a document says of itself; ``language`` is an ISO 639-1 code."""

    language: str | None
    title: str
    authors: list[str]
    created: str | None
    modified: str | None
    outline: list[Heading]
    pii: Pii | None
    metadata: dict[str, Any]


class NearDuplicate(TypedDict):
    doc_id: str
    collection: str
    title: str
    uri: str
    similarity: float


class Job(TypedDict):
    job_id: str
    collection: str
    file: str
    state: JobState
    reason: str | None
    doc_id: str | None
    pages: int | None
    chunks: int | None
    seconds: float | None
    progress: float  # 0 to 1
    created_at: str
    warnings: list[str]
    paused: NotRequired[bool]
    parent_id: NotRequired[str | None]  # the archive or sitemap that it came out of
    url: NotRequired[str | None]
    container: NotRequired[str | None]  # "archive" or "sitemap": its parts are the jobs with this parent
    skipped: NotRequired[list[list[str]]]  # (name, reason) of what got no job
    kind: NotRequired[Literal["ingest", "reindex"]]
    remaining_s: NotRequired[float | None]  # of a reindex: how long it will still take, once that can be said


class JobPage(TypedDict):
    jobs: list[Job]
    next_cursor: str | None
    counts: dict[JobState, int]


class Span(TypedDict):
    number: int  # 1-based
    start: int
    end: int


class TraceChat(TypedDict):
    chat_id: str
    title: str


class TraceLine(TypedDict):
    """A run in a list; ``created_at`` is when it ended, ``chat`` the conversation in which it answered."""

    run_id: str
    strategy: str
    question: str
    stop_reason: str
    created_at: str
    duration_s: float
    prompt_tokens: int
    completion_tokens: int
    chat: TraceChat | None


class TracePage(TypedDict):
    """``strategies`` are those of all kept runs."""

    traces: list[TraceLine]
    next_cursor: str | None
    strategies: list[str]


class Purged(TypedDict):
    """What was changed where, and where the document may still be."""

    purged: str
    deleted_before: bool
    chats: int
    messages: int
    traces: int
    jobs: int
    original: str
    remains: list[str]


class Document(TypedDict):
    """``page_spans``, ``figures``, ``authors``, dates and ``outline`` come with one document, not with a list of them."""

    doc_id: str
    title: str
    uri: str
    mime_type: str
    size: int
    pages: int
    chunks: int
    created_at: str
    warnings: list[str]
    sha256: NotRequired[str]
    collection: NotRequired[str]
    figures: NotRequired[list[dict[str, Any]]]  # label, caption, page, start, end, image (a path of the API)
    metadata: NotRequired[dict[str, Any]]
    page_spans: NotRequired[list[Span]]
    language: NotRequired[str | None]
    pii: NotRequired[Pii | None]
    near_duplicates: NotRequired[int]
    authors: NotRequired[list[str]]
    created: NotRequired[str | None]
    modified: NotRequired[str | None]
    outline: NotRequired[list[Heading]]


class DocumentPage(TypedDict):
    documents: list[Document]
    next_cursor: str | None


class ChunkInfo(TypedDict):
    chunk_id: str
    text: str
    start: int
    end: int
    n_tokens: int
    page: int | None
    heading_path: list[str]
    parent_id: NotRequired[str | None]  # what is read in its place


class ChunkPage(TypedDict):
    """``parents`` are those that the chunks name."""

    chunks: list[ChunkInfo]
    parents: list[ChunkInfo]
    offset: int
    total: int


class Preview(Facts):
    """What would become of a file. ``chunks`` are the first of ``total``."""

    file: str
    size: int
    chunker: str
    chunk_tokens: int
    overlap_tokens: int
    mime_type: str
    characters: int
    pages: int
    warnings: list[str]
    partial: bool
    total: int
    total_parents: int
    tokens: dict[str, int]  # word pieces per chunk: min, median, max, sum
    chunks: list[ChunkInfo]
    parents: list[ChunkInfo]


class Part(TypedDict):
    rank: int
    score: float


class Matched(TypedDict):
    chunk_id: str
    start: int
    end: int


class Hit(TypedDict):
    """``text`` is what to read; ``matched`` comes where less than that was found, and says which part."""

    chunk_id: str
    doc_id: str
    title: str
    collection: str
    page: int | None
    start: int
    end: int
    text: str
    score: float
    rank: int
    source: str
    parts: dict[str, Part]
    heading_path: NotRequired[list[str]]
    matched: NotRequired[Matched]
    stands_for: NotRequired[int]  # near-duplicate documents that say this, its own counted
    duplicates: NotRequired[list[str]]  # the ids of the others
    highlight: NotRequired[Range]  # the sentence that answers best
    explanation: NotRequired[Explanation]


class Range(TypedDict):
    """Code points of the document's text."""

    start: int
    end: int


class FusedPart(TypedDict):
    stage: str
    rank: int | None
    score: float | None
    low: float
    high: float
    normalised: float
    weight: float
    contribution: float


class TermWeight(TypedDict):
    term: str
    idf: float
    tf: float
    contribution: float


class TokenMatch(TypedDict):
    token: str
    match: str
    start: int
    end: int
    cosine: float


class Explanation(TypedDict):
    fused: list[FusedPart]
    fused_score: float | None
    terms: list[TermWeight]
    terms_score: float | None
    tokens: list[TokenMatch]


class Reason(TypedDict):
    code: str
    message: str
    gap: float | None
    by_rank: int | None
    fields: list[str]


class NearMiss(Hit):
    reason: Reason


class Stage(TypedDict):
    name: str
    candidates: int
    seconds: float


class CacheCounts(TypedDict):
    hits: int
    misses: int
    entries: int
    passages: int


class SearchReply(TypedDict):
    """What explains comes only where it was asked for. ``did_you_mean`` is None where every word is known; ``plan`` says what
    the language model made of the query, where it was asked."""

    hits: list[Hit]
    did_you_mean: DidYouMean | None
    plan: NotRequired[list[str]]
    notes: NotRequired[list[str]]  # what was not done as asked for, and why
    near_misses: NotRequired[list[NearMiss]]
    stages: NotRequired[list[Stage]]
    seconds: NotRequired[float]
    cached: NotRequired[bool]
    cache: NotRequired[CacheCounts]


class Facets(TypedDict):
    """Value → number of documents; ``date`` is {"from", "to"}, or null where no document has one."""

    type: dict[str, int]
    language: dict[str, int]
    tag: dict[str, int]
    date: dict[str, str] | None


Respelt = TypedDict("Respelt", {"from": str, "to": str})  # "from" is a word of the language


class DidYouMean(TypedDict):
    query: str
    terms: list[Respelt]


class Citation(TypedDict):
    n: int
    chunk_id: str
    doc_id: str
    title: str
    page: int | None
    start: int
    end: int
    quote: str
    verdict: VerdictLabel
    score: float
    date: NotRequired[str | None]  # answers of before have none


class Conflict(TypedDict):
    text: str
    citations: list[int]


class Checked(TypedDict):
    claim: str
    verdict: Literal["supported", "refuted", "not enough"]
    score: float
    reason: str
    sentences: list[Sentence]
    passages: list[Citation]
    conflicts: list[Conflict]
    seconds: float


class Sentence(TypedDict):
    text: str
    start: int  # into the answer
    end: int
    verdict: VerdictLabel
    score: float
    reason: str
    citations: list[int]


class Usage(TypedDict):
    prompt_tokens: int
    completion_tokens: int
    duration_s: float


class Answer(TypedDict):
    answer: str
    abstained: bool
    reason: str
    strategy: str
    run_id: str
    sentences: list[Sentence]
    citations: list[Citation]
    conflicts: NotRequired[list[Conflict]]  # answers of before have none of these
    confidence: NotRequired[float | None]
    logprob: NotRequired[float | None]
    hits: list[Hit]
    usage: Usage
    steps: int
    seconds: float


class Thumb(TypedDict):
    good: bool
    reason: str


class Compared(TypedDict):
    """Two answers to one question. ``choice`` is None until the person has voted; what is which is said after that."""

    answers: list[str]  # the texts, in the order in which they are shown
    choice: Literal["1", "2", "equal", "both bad"] | None
    ways: NotRequired[list[str]]  # the strategies, in this order
    message_ids: NotRequired[list[str]]


class Message(TypedDict):
    """``answer`` is None for a question, and for an answer that was stopped or broke off before it was complete;
    ``problem`` says why it broke off. ``versions`` are the ids of the messages that stand in the same place."""

    message_id: str
    role: Literal["user", "assistant"]
    content: str
    created_at: str
    answer: Answer | None
    partial: bool
    run_id: NotRequired[str | None]
    problem: NotRequired[str]
    feedback: NotRequired[Thumb | None]
    compared: NotRequired[Compared | None]  # of both answers of a pair
    versions: NotRequired[list[str]]


class Chat(TypedDict):
    chat_id: str
    title: str
    collections: list[str]
    strategy: str
    created_at: str
    updated_at: str
    shared_at: NotRequired[str | None]  # since when others read it; None: nobody else does
    messages: NotRequired[list[Message]]
    files: NotRequired[list[Job]]  # its own, each by its last job


class SharedChat(TypedDict):
    """A conversation of somebody else: ``owner`` is a name, ``collections`` those that its answers were looked for in."""

    chat_id: str
    title: str
    owner: str
    collections: list[str]
    created_at: str
    updated_at: str
    shared_at: str
    messages: NotRequired[list[Message]]


class Strategy(TypedDict):
    name: str
    label: str
    description: str
    needs_lm: bool
    available: bool
    reason: str | None


class Strategies(TypedDict):
    strategies: list[Strategy]
    default: str
    answer_policy: NotRequired[str]


class Loading(TypedDict):
    name: str
    state: str
    detail: str


class Readiness(TypedDict):
    ready: bool
    loading: list[Loading]
