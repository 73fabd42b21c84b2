"""Whether anything that is trained on could have been learnt from what is measured with.

Three ways are looked for: a training query that is a dev query, a positive that is relevant to a dev query (or nearly
the same text), and a training query that stands in such a passage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.mining.fields import normal
from core.errors import InvalidRequest
from models.train.pairs import Group, Mined, Passage
from retrieval.signature import NEAR, Signature, band_keys, signature_of, similarity

_SHORTEST = 6  # words of a query that are looked for inside of passages: fewer may stand anywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """``kind`` is "query", "positive" or "quoted"."""

    kind: str
    group: str
    dev: str  # field and what it is


class Guard:
    """Knows what is measured with; says what of a training group touches it."""

    def __init__(self, queries: Iterable[tuple[str, str]], relevant: Iterable[tuple[str, Passage]]) -> None:
        """
        Args:
            queries: (name, text) of every dev query.
            relevant: (name, passage) of every passage that is relevant to one.
        """
        self._queries = {_bag(text): name for name, text in queries}
        self._ids: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._quoted: dict[str, list[tuple[str, str]]] = {}  # run of words → (name, text) where it stands
        self._bands: dict[int, list[tuple[str, Signature]]] = {}
        for name, passage in relevant:
            self._ids[passage.id] = name
            key = normal(passage.text)
            self._texts[key] = name
            found = key.split()
            for i in range(len(found) - _SHORTEST + 1):
                self._quoted.setdefault(" ".join(found[i : i + _SHORTEST]), []).append((name, key))
            for band, signature in _keys(passage.text):
                self._bands.setdefault(band, []).append((name, signature))

    def look(self, group_id: str, query: str, positives: Sequence[Passage]) -> Iterator[Overlap]:
        if (name := self._queries.get(_bag(query))) is not None:
            yield Overlap(kind="query", group=group_id, dev=name)
        for passage in positives:
            found = self._ids.get(passage.id) or self._texts.get(normal(passage.text)) or self._near(passage.text)
            if found is not None:
                yield Overlap(kind="positive", group=group_id, dev=found)
        asked = normal(query)
        first = " ".join(asked.split()[:_SHORTEST])
        for name, text in self._quoted.get(first, ()) if len(asked.split()) >= _SHORTEST else ():
            if asked in text:
                yield Overlap(kind="quoted", group=group_id, dev=name)
                break

    def _near(self, text: str) -> str | None:
        for band, signature in _keys(text):
            for name, other in self._bands.get(band, ()):
                if similarity(signature, other) >= NEAR:
                    return name
        return None


def overlaps(mined: Mined) -> list[Overlap]:
    """Every overlap of a mined folder's groups with its dev fields; none, in one that may be trained on.

    Relevant passages that no search found are not in the folder and cannot be compared here; mining compares them.
    """
    guard = Guard(
        ((f"{name}/{q.id}", q.query) for name, queries in mined.dev.items() for q in queries),
        (
            (f"{name}/{i}", mined.passages[i])
            for name, queries in mined.dev.items()
            for q in queries
            for i, grade in q.relevant.items()
            if grade > 0 and i in mined.passages
        ),
    )
    return [o for g in mined.groups for o in guard.look(g.id, g.query, [mined.passages[i] for i in g.positives])]


def check_groups(groups: Sequence[Group], passages: Mapping[str, Passage]) -> None:
    """Raises InvalidRequest if a positive, or the same words under another id, is a negative of its own group."""
    for group in groups:
        right = {normal(passages[i].text) for i in group.positives}
        for i in group.negatives:
            if i in group.positives or normal(passages[i].text) in right:
                raise InvalidRequest(f"group {group.id!r}: its positive {i!r} is among its negatives; this is a bug")


def _bag(query: str) -> str:
    """A query as the set of its words: order, case and signs make no other question of it."""
    return " ".join(sorted(set(normal(query).split())))


def _keys(text: str) -> Iterator[tuple[int, Signature]]:
    signature = signature_of(text)
    if signature is not None:
        for band in band_keys(signature):
            yield band, signature
