"""What a rule says of a claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal["match", "missing", "conflict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing in the claim, and whether the evidence has it.

    ``missing``: the evidence does not say it. ``conflict``: the evidence says something else in its place.
    """

    rule: str
    outcome: Outcome
    item: str  # as the claim has it
    detail: str  # for a person: one clause
