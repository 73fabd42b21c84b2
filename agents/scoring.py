"""Numbers that say how well a sentence answers a question. What they weigh is fitted elsewhere (``bench.fit_extract``).

The passages are read once by the encoder, token by token; a sentence is its tokens as they stand in their passage, so
that "it" and "the company" carry what went before. Each question token then looks for its best match in the sentence
(late interaction, Khattab and Zaharia 2020).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agents.candidates import Candidate, Region
from agents.lexical import could_answer, question_kind, terms
from core.late_interaction import best_matches, place_tokens, question_tokens, weakest
from core.lexical import coverage, rarity
from core.protocols import Encoder
from core.text import words
from core.types import Vectors

Matrix = NDArray[np.float64]

# Per sentence; the ranker's inputs.
SENTENCE_FEATURES = (
    "max_sim",  # mean over question tokens of the best cosine in the sentence
    "max_sim_content",  # the same, function words weighing 0.15
    "max_sim_weakest",  # mean of its two worst content tokens: what the sentence lacks
    "cosine",  # of the question and the mean of the sentence's tokens
    "coverage",  # share of the question's terms in the sentence, by rarity among the candidates
    "coverage_before",  # share that only the sentence before it holds
    "bigrams",  # share of the question's adjoining terms that adjoin in the sentence
    "when",  # asked when, and the sentence has a date that the question has not; likewise:
    "number",
    "who",
    "where",
    "log_words",
    "cut",  # the edge of the passage cuts it
    "fragment",  # it has no full stop: a title, a cell, a caption
    "passage_max_sim",  # the same for the passage around it
    "passage_coverage",
    "passage_cosine",  # … or for its paragraph, whichever is nearer
    "reciprocal_rank",  # 1 / rank of the passage
)
# Per question, of the sentence that the ranker put first; what decides whether to answer. English needs the first three.
ANSWER_FEATURES = (
    "score",
    "passage_max_sim",
    "passage_cosine",
    "max_sim_weakest",
    "coverage",
    "bigrams",
    "passage_coverage",
    "mass",  # log of the share that the sentences to quote have of the softmax over all
)
MAX_SENTENCES = 3  # that an answer quotes
_UNSAID = 1e3  # log odds that a sentence is put back by which states nothing
# A further sentence is quoted if the ranker gives it at least this share of the first one's odds.
_SHARE_OF_BEST = 0.5
_TERMINATED = re.compile(r"""[.!?…。！？।॥؟۔:;]["'”’»›)\]}」』）】]*$""")


class Reading:
    """One question read against its candidates.

    Args:
        question: standalone.
        found: the regions of the hits.
        sentences: their candidates; at least one.
        encoder: read twice: question and passages.
    """

    def __init__(
        self, question: str, found: Sequence[Region], sentences: Sequence[Candidate], encoder: Encoder
    ) -> None:
        self.question = question
        self._regions = found
        self._sentences = sentences
        self._question_terms = list(dict.fromkeys(terms(question)))
        self._kind = question_kind(question)
        query, weights = question_tokens(question, encoder)
        pooled = encoder.encode_queries([question])[0]
        states = _sentence_tokens(found, sentences, encoder)
        self.features = self._sentence_features(query, weights, pooled, states)  # (n_sentences, n_features)

    def quotable(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """``scores`` (n_sentences,) with what states nothing behind all that does: it is read, and never quoted."""
        back: NDArray[np.float64] = np.where([c.says for c in self._sentences], 0.0, _UNSAID)
        return scores - back

    def answer_features(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """(len(ANSWER_FEATURES),) for the sentence that ``scores`` (n_sentences,) put first."""
        return answer_features(self.features, scores)

    def _sentence_features(
        self, query: Vectors, weights: NDArray[np.float32], pooled: Vectors, states: Sequence[Vectors]
    ) -> Matrix:
        term_lists = [terms(c.text) for c in self._sentences]
        term_sets = [set(t) for t in term_lists]
        idf = rarity(self._question_terms, term_sets)
        asked = list(zip(self._question_terms, self._question_terms[1:], strict=False))
        question_words = set(words(self.question))

        best = np.stack([best_matches(query, s) for s in states])  # (n_sentences, n_query_tokens)
        region_of = np.array([c.region for c in self._sentences])
        passage: dict[int, tuple[float, float, float]] = {}
        for index in range(len(self._regions)):
            rows = np.flatnonzero(region_of == index)
            if len(rows):
                together = set().union(*(term_sets[i] for i in rows.tolist()))
                tokens = np.concatenate([states[i] for i in rows.tolist()])
                passage[index] = (
                    float(np.average(best[rows].max(axis=0), weights=weights)),
                    coverage(idf, together.__contains__),
                    _cosine(pooled, tokens),
                )

        # A passage of a collection is packed from several paragraphs; those that the weights were fitted on are one each.
        # The one around a sentence may speak of what is asked where its neighbours speak of something else.
        paragraphs: dict[tuple[int, int], list[int]] = {}
        for i, candidate in enumerate(self._sentences):
            paragraphs.setdefault((candidate.region, candidate.paragraph), []).append(i)
        nearness = {
            place: _cosine(pooled, np.concatenate([states[i] for i in rows])) for place, rows in paragraphs.items()
        }

        rows_of_features: list[list[float]] = []
        for i, candidate in enumerate(self._sentences):
            here = term_sets[i]
            before = term_sets[i - 1] if i and region_of[i - 1] == region_of[i] else set[str]()
            pairs = set(zip(term_lists[i], term_lists[i][1:], strict=False))
            fits = could_answer(self._kind, question_words, candidate.text)
            max_sim, covered, cosine = passage[candidate.region]
            rows_of_features.append(
                [
                    float(best[i].mean()),
                    float(np.average(best[i], weights=weights)),
                    float(weakest(best[i], weights)),
                    _cosine(pooled, states[i]),
                    coverage(idf, here.__contains__),
                    coverage(idf, lambda t, here=here, before=before: t in before and t not in here),  # type: ignore[misc]
                    sum(pair in pairs for pair in asked) / len(asked) if asked else 0.0,
                    *(float(fits and self._kind == kind) for kind in ("when", "number", "who", "where")),
                    math.log1p(len(term_lists[i])),
                    float(not candidate.whole),
                    float(not _TERMINATED.search(candidate.text)),
                    max_sim,
                    covered,
                    max(cosine, nearness[candidate.region, candidate.paragraph]),
                    1.0 / self._regions[candidate.region].rank,
                ]
            )
        return np.array(rows_of_features)


def worth_quoting(scores: NDArray[np.float64]) -> list[int]:
    """Of sentences with these scores (n,), those that may be quoted, best first: the best, and what comes near it."""
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    return [i for i in order if np.exp(scores[i] - scores[order[0]]) >= _SHARE_OF_BEST]


def answer_features(features: Matrix, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(len(ANSWER_FEATURES),) of sentences with ``features`` (n, len(SENTENCE_FEATURES)) and ``scores`` (n,)."""
    quoted = worth_quoting(scores)[:MAX_SENTENCES]
    shares = np.exp(scores - scores[quoted[0]])
    values = dict(zip(SENTENCE_FEATURES, features[quoted[0]].tolist(), strict=True))
    values |= {"score": float(scores[quoted[0]]), "mass": float(np.log(shares[quoted].sum() / shares.sum()))}
    return np.array([values[name] for name in ANSWER_FEATURES])


def _cosine(pooled: Vectors, tokens: Vectors) -> float:
    if not len(tokens):
        return 0.0
    mean = tokens.mean(axis=0)
    length = float(np.linalg.norm(mean))
    return float(mean @ pooled) / length if length > 0 else 0.0


def _sentence_tokens(found: Sequence[Region], sentences: Sequence[Candidate], encoder: Encoder) -> list[Vectors]:
    """Per candidate its tokens (n, dim), read within as much of its region as the encoder takes."""
    placed = place_tokens([r.text for r in found], encoder)
    if placed is None:
        # An encoder whose tokens cannot be placed in the text: each sentence is then read by itself.
        return encoder.encode_tokens([c.text for c in sentences])
    return [placed[c.region].within(c.start, c.end) for c in sentences]
