"""Hard negatives from our own hybrid search, cleaned of what answers after all.

A passage that stands among the first fifty and is not the labelled one is either a hard negative or an unlabelled
positive. Dropped are: other parts of the same section, near-duplicates of a positive, and what bi-encoder or late
interaction holds for nearly as good as the positive ("TopK-PercPos": Moreira et al., "NV-Retriever", 2024, found 95 % of
the positive's score the best of the rules that they compared).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.mining.fields import Field, Question, normal
from core.protocols import Encoder, Retriever
from core.types import Hit, Principal, Vectors, Where
from models.train.pairs import DevQuery, Group, Passage
from retrieval.signature import Signature, signature_of, similarity

DEPTH = 50
_ALIKE = 0.5  # of shingles: a negative must be another text, not another edition
_HARDEST = 0.6  # share of the negatives that are the best-ranked ones left; the rest is drawn from below them

Matcher = Callable[[Vectors, Vectors], float]  # late interaction: (query tokens, passage tokens) → score


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """``share`` of the positive's score from which on a candidate counts as unlabelled positive; ``n`` negatives wanted."""

    share: float = 0.95
    n: int = 7
    fewest: int = 3  # a query that is left fewer is dropped
    seed: int = 0
    kept: int = 6000  # texts whose token vectors stay in memory; see ``TokenVectors``. Changes the time, not the groups


class TokenVectors:
    """Token vectors of passages, read once while they are used: questions come in the order of their documents.

    Args:
        most: texts kept at a time, of up to 200 kB each (256 word pieces of 384 dimensions in half precision). Beyond it all go.
    """

    def __init__(self, encoder: Encoder, most: int) -> None:
        self._encoder = encoder
        self._most = most
        self._kept: dict[str, np.ndarray] = {}

    def of(self, texts: Sequence[str]) -> list[Vectors]:
        new = [t for t in dict.fromkeys(texts) if t not in self._kept]
        if len(self._kept) + len(new) > self._most:
            self._kept.clear()
            new = list(dict.fromkeys(texts))
        if new:
            for text, vectors in zip(new, self._encoder.encode_tokens(new), strict=True):
                self._kept[text] = vectors.astype(np.float16)
        return [self._kept[t].astype(np.float32) for t in texts]


class Miner:
    """Finds the groups and the dev candidates of one field."""

    def __init__(
        self, field: Field, retriever: Retriever, encoder: Encoder, match: Matcher | None, rules: Rules
    ) -> None:
        """
        Args:
            retriever: hybrid, over the field's passages as ``Passage.read_as`` gives them; hits carry their ids.
            match: late interaction; None leaves it out of cleaning and of the teacher.
        """
        self._field = field
        self._retriever = retriever
        self._encoder = encoder
        self._match = match
        self._rules = rules
        self._tokens = TokenVectors(encoder, rules.kept)
        self._signatures: dict[str, Signature | None] = {}
        self.dropped = {"same text": 0, "too good": 0, "too few left": 0}

    def groups(
        self, questions: Sequence[Question], report: Callable[[int], None] = lambda done: None
    ) -> Iterator[tuple[Group, list[Passage]]]:
        """Each group with the altered positives that it brings along."""
        for done, question in enumerate(questions):
            found = self._group(question)
            if found is not None:
                yield found
            report(done + 1)

    def dev(self, name: str) -> list[DevQuery]:
        """The dev queries with the hybrid's first ``DEPTH``."""
        found = []
        for judged in self._field.dev[name]:
            hits = self._search(judged.query)
            found.append(
                DevQuery(
                    id=judged.id,
                    query=judged.query,
                    candidates=tuple(h.chunk.doc_id for h in hits),
                    fused=tuple(round(h.score, 5) for h in hits),
                    relevant=judged.relevant,
                    with_heading=judged.with_heading,
                )
            )
        return found

    def _search(self, query: str) -> list[Hit]:
        return self._retriever.search(query, DEPTH, Where(principal=Principal(user_id="bench")))

    def _group(self, question: Question) -> tuple[Group, list[Passage]] | None:
        passages = self._field.passages
        positives = [question.altered] if question.altered is not None else [passages[i] for i in question.positives]
        fused = {h.chunk.doc_id: h.score for h in self._search(question.query)}
        candidates = [passages[i] for i in fused if self._other(passages[i], question)]
        kept, late = self._clean(question, positives, candidates)
        if len(kept) < self._rules.fewest:
            self.dropped["too few left"] += 1
            return None
        chosen = self._choose(question, kept)
        best = max(fused.values(), default=0.0)  # of a positive that was not found; it is right, whatever was found
        scores = [*(best for _ in positives), *(fused[p.id] for p in chosen)]
        return (
            Group(
                id=question.id,
                field=self._field.name,
                query=question.query,
                positives=tuple(p.id for p in positives),
                negatives=tuple(p.id for p in chosen),
                with_heading=question.with_heading,
                fused=tuple(round(s, 4) for s in scores),
                late=tuple(round(late[p.id], 4) for p in (*positives, *chosen)) if late else (),
            ),
            [question.altered] if question.altered is not None else [],
        )

    def _other(self, candidate: Passage, question: Question) -> bool:
        """Whether it is another text than the positives, and from elsewhere."""
        if candidate.id in question.never or candidate.id in question.positives:
            return False
        for i in question.positives:
            positive = self._field.passages[i]
            a, b = self._signature(positive), self._signature(candidate)
            same = normal(positive.text) == normal(candidate.text)
            if same or (a is not None and b is not None and similarity(a, b) >= _ALIKE):
                self.dropped["same text"] += 1
                return False
        return True

    def _signature(self, passage: Passage) -> Signature | None:
        if passage.id not in self._signatures:
            self._signatures[passage.id] = signature_of(passage.text)
        return self._signatures[passage.id]

    def _clean(
        self, question: Question, positives: Sequence[Passage], candidates: Sequence[Passage]
    ) -> tuple[list[Passage], dict[str, float]]:
        """The candidates that are clearly worse than the best positive, and late interaction's scores of all that it read."""

        def text(p: Passage) -> str:
            return p.read_as(with_heading=question.with_heading)

        query = self._encoder.encode_queries([question.query])[0]
        vectors = self._encoder.encode_documents([text(p) for p in (*positives, *candidates)])
        cosines = vectors @ query
        limit = self._rules.share * float(cosines[: len(positives)].max())
        kept = [p for p, cosine in zip(candidates, cosines[len(positives) :], strict=True) if cosine < limit]
        late: dict[str, float] = {}
        if self._match is not None and kept:
            kept = kept[: 3 * self._rules.n]  # reading tokens is what costs
            asked = self._encoder.encode_tokens([question.query])[0]
            read = [*positives, *kept]
            for passage, tokens in zip(read, self._tokens.of([text(p) for p in read]), strict=True):
                late[passage.id] = self._match(asked, tokens) / len(asked)
            limit = self._rules.share * max(late[p.id] for p in positives)
            kept = [p for p in kept if late[p.id] < limit]
        self.dropped["too good"] += len(candidates) - len(kept)
        return kept, late

    def _choose(self, question: Question, kept: Sequence[Passage]) -> list[Passage]:
        n = min(self._rules.n, len(kept))
        hard = max(1, round(_HARDEST * n))
        draw = random.Random(f"{self._rules.seed}:{question.id}")
        rest = sorted(draw.sample(range(hard, len(kept)), n - hard)) if len(kept) > hard else []
        return [*kept[:hard], *(kept[i] for i in rest)]


def usable(questions: Sequence[Question], passages: Mapping[str, Passage]) -> list[Question]:
    """Those whose positives the corpus holds."""
    return [q for q in questions if q.positives and all(i in passages for i in q.positives)]
