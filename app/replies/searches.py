"""What a search finds and why."""

from __future__ import annotations

from typing import NotRequired, TypedDict


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
    uri: NotRequired[str]  # of the document, where it has one
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
