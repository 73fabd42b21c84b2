"""Answers, their sentences and citations, and the conversations in which they stand."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from app.replies.documents import Job
from app.replies.searches import Hit
from core.types import VerdictLabel


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
    uri: NotRequired[str]  # of the document; answers of before have neither this
    collection: NotRequired[str]  # nor this


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
    model: NotRequired[str]  # where it was another one than the server's own
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


class WayToAnswer(TypedDict):
    strategy: str
    model: NotRequired[str]  # where it is another one than the server's own


class Compared(TypedDict):
    """Two answers to one question. ``choice`` is None until the person has voted; what is which is said after that."""

    answers: list[str]  # the texts, in the order in which they are shown
    choice: Literal["1", "2", "equal", "both bad"] | None
    from_start: NotRequired[bool]  # whether neither had been seen before
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
