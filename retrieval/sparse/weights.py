"""Which terms of a query a passage has, and how much of its score each of them makes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from core.types import Allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class TermWeight:
    """``contribution`` is its part of the passage's score: the parts of all terms add up to it.

    So do phrases and identifiers that a passage has whole (``retrieval.sparse.quoted``), each under its name in quotes: they
    count for being there, once, and have no idf.
    """

    term: str  # as it is indexed: stemmed, in lower case
    idf: float
    tf: float  # how often it is in the passage, its title and headings included
    contribution: float


@runtime_checkable
class WeighsTerms(Protocol):
    """A term index that can say where its scores come from."""

    def explain(self, query: str, rows: Sequence[int], allowed: Allowed) -> dict[int, list[TermWeight]]:
        """Row → the terms of ``query`` that it has, those that weigh most first; rows without any are left out.

        Args:
            allowed: as it was searched with: its collections say in which languages the query is read.
        """
        ...


def had_whole(name: str, contribution: float) -> TermWeight:
    """What a passage gets for having something whole."""
    return TermWeight(term=name, idf=0.0, tf=1.0, contribution=contribution)


def heaviest_first(weights: Sequence[TermWeight]) -> list[TermWeight]:
    return sorted(weights, key=lambda w: (-w.contribution, w.term))


def from_tantivy(explanation: str) -> list[TermWeight]:
    """The terms in what tantivy's ``Query.explain`` says, one entry each; a term in several fields is added up.

    Args:
        explanation: JSON of nested {value, description, details, context}: sums, boosts, and at the leaves one product
            per term.
    """
    found: dict[str, TermWeight] = {}
    for term, value, idf, tf in _leaves(json.loads(explanation), 1.0):
        before = found.get(term)
        found[term] = TermWeight(
            term=term,
            idf=max(idf, before.idf if before else idf),
            tf=tf + (before.tf if before else 0.0),
            contribution=value + (before.contribution if before else 0.0),
        )
    return heaviest_first(list(found.values()))


def _leaves(node: dict[str, Any], factor: float) -> Iterator[tuple[str, float, float, float]]:
    """(term, contribution, idf, tf) of each leaf under ``node``, whose value counts ``factor`` times."""
    named = [c for c in node.get("context", []) if c.startswith("Term=")]
    details = node.get("details", [])
    if named:
        numbers = {d["description"].split(",")[0]: d for d in details}
        idf = numbers.get("idf", {}).get("value", 0.0)
        inner = {d["description"].split(",")[0]: d["value"] for d in _saturation(numbers).get("details", [])}
        yield _term(named[0]), factor * node["value"], idf, inner.get("freq", 0.0)
        return
    inside = sum(d["value"] for d in details)
    if node["description"].startswith("Boost") and inside:
        factor *= node["value"] / inside
    for detail in details:
        yield from _leaves(detail, factor)


def _saturation(numbers: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next((d for name, d in numbers.items() if name.startswith("freq /")), {})
    return found


def _term(context: str) -> str:
    """``Term=Term(field=2, type=Str, "fox")`` names fox."""
    _, _, quoted = context.partition(", type=Str, ")
    text = quoted.removesuffix(")")
    try:
        return str(json.loads(text))
    except json.JSONDecodeError:  # Rust writes some characters in another way than JSON
        return text.strip('"')
