"""What a language model says of two ways to answer, and how far people agree with it (see ``eval.judge``)."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class Agreement(TypedDict):
    """Cohen's kappa of ``n`` pairs that have a vote and a verdict; where there is none, ``text`` says why."""

    n: int
    kappa: float | None
    ci_low: float | None
    ci_high: float | None
    text: str


class JudgedPair(TypedDict):
    """``id`` is the question's. ``verdict`` None: a reply could not be read; ``consistent``: both orders said the same."""

    id: str
    verdict: Literal["a", "b", "tie"] | None
    consistent: bool
    alike: bool


class Verdicts(TypedDict):
    """Shares lie between 0 and 1, and are None where there is no verdict; intervals are of 95 %."""

    kind: Literal["judge"]
    judge: str
    n: int
    n_left: int
    n_unread: int
    n_too_long: int
    b_preferred: float | None
    b_interval: tuple[float, float] | None
    b_preferred_alike: float | None
    b_interval_alike: tuple[float, float] | None
    n_alike: int
    position_bias: float | None
    people: Agreement
    pairs: list[JudgedPair]


class Judgement(TypedDict):
    """``n_pairs`` questions are answered differently, ``n_votes`` of them have this person's vote. ``run`` is the judging as
    evaluations are shown, None where nobody asked; ``result`` is None until the first reply is kept."""

    kind: Literal["judging"]
    eval_id: str
    a: int
    b: int
    n_pairs: int
    n_votes: int
    run: dict[str, Any] | None
    result: Verdicts | None
