"""Runs that were recorded, the ways to answer, and what is loading."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


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
    models: NotRequired[list[str]]  # beside the server's own


class Loading(TypedDict):
    name: str
    state: str
    detail: str


class Readiness(TypedDict):
    ready: bool
    loading: list[Loading]


class Finding(TypedDict):
    topic: str
    state: Literal["ok", "note", "missing"]
    text: str


class Disk(TypedDict):
    """Bytes; ``parts`` are those of the data directory."""

    data_dir: str
    free: int
    total: int
    parts: dict[str, int]


class Queues(TypedDict):
    jobs: dict[str, int]  # by state
    answers: int
    searches: int
    checks: int
    refused: int
    lm_running: int | None
    lm_waiting: int | None
    previews: int


class Machine(TypedDict):
    doctor: list[Finding]
    queues: Queues
    disk: Disk
