"""How well each word of a claim is met by the evidence, by the encoder's token vectors.

Word coverage asks whether the evidence has the claim's words; here each content word of the claim looks for the token
of the evidence that is nearest in meaning, so that "physician" meets "doctor". The claim is read by itself and the
evidence sentence by sentence as it stands in its text. Nothing here decides: these are numbers for a fitted head.

Known limits: a number meets any number of the same kind, and a word its opposite; the rules are for those.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.lexical import stem
from core.late_interaction import PlacedTokens, inner_products, without_specials
from core.lexical import STOP_WORDS
from core.protocols import Encoder
from core.text import fold, sentence_spans, word_spans
from core.types import Vectors

_MAX_RUN = 3  # adjoining sentences that may jointly support a claim, as for coverage
# Words of somebody who says what he thinks or keeps a conversation going, rather than what a document says.
_CHATTING = frozenset(
    """i me my mine i'm i've i'd i'll we us you your you're think thought guess believe feel hope wish wonder wondering
    love loved like liked enjoy hate prefer favorite favourite agree yeah yes yep yup nope no oh wow haha lol hmm well
    really pretty amazing awesome cool great nice good bad funny interesting crazy sure true right maybe probably
    definitely absolutely totally glad sorry thanks heard remember know knew seen watched bet""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Read:
    """One text of the evidence as it was read: its sentences' words and tokens."""

    tokens: Vectors  # (n_tokens, dim), of sentences that have any, in order
    starts: NDArray[np.int64]  # (n_sentences,) of each sentence's first token
    means: Vectors  # (n_sentences, dim), L2-normalised
    stems: tuple[frozenset[str], ...]  # (n_sentences,)


def read(text: str, placed: PlacedTokens) -> Read:
    """``placed`` are the tokens of ``text``."""
    starts: list[int] = []
    parts: list[Vectors] = []
    stems: list[frozenset[str]] = []
    n = 0
    for a, b in sentence_spans(text):
        tokens = placed.within(a, b)
        if not len(tokens):
            continue
        starts.append(n)
        parts.append(tokens)
        stems.append(frozenset(stem(fold(text[a + c : a + d])) for c, d in word_spans(text[a:b])))
        n += len(tokens)
    dim = placed.vectors.shape[1]
    means = np.stack([_unit(p.mean(axis=0)) for p in parts]) if parts else np.zeros((0, dim), np.float32)
    return Read(
        tokens=np.concatenate(parts) if parts else np.zeros((0, dim), np.float32),
        starts=np.array(starts, np.int64),
        means=means,
        stems=tuple(stems),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Strengths are cosines of the best token, averaged over a word's pieces; shares are in [0, 1].

    Of the claim's content words unless said otherwise; a claim without any has its function words instead.
    """

    mean: float  # strength anywhere in the evidence
    low: float  # … of the weakest quarter of the words
    window: float  # mean strength in the best run of at most three sentences
    window_low: float  # … there, of the weakest quarter
    sentence: float  # mean strength in the best sentence
    together: float  # of adjoining words: the weaker strength in the sentence that has both best
    together_words: float  # share of adjoining words that one sentence has both
    absent: float  # mean strength of words that the evidence has not; 1 if it has all
    absent_low: float  # the lowest of these
    log_absent: float
    cosine_sentence: float  # of the whole claim and its nearest sentence
    cosine_window: float  # … and its nearest run
    cosine_all: float
    marked_window: (
        float  # share of capitalised words and of words with digits that the best run has; 1 if there are none
    )
    run: float  # longest run of the claim's words that a sentence's words hold all of, as a share
    log_sentences: float
    log_marked: float
    chatting: float  # share of all its words that chat

    def values(self) -> NDArray[np.float64]:
        """(len(ALIGNMENT_FEATURES),)"""
        return np.array([getattr(self, name) for name in ALIGNMENT_FEATURES], np.float64)


ALIGNMENT_FEATURES: tuple[str, ...] = tuple(Alignment.__dataclass_fields__)


def align(claim: str, texts: Sequence[Read], encoder: Encoder) -> Alignment:
    """Meets each word of ``claim`` with the evidence; a claim or an evidence without words is met by nothing."""
    spans = word_spans(claim)
    said = [fold(claim[a:b]) for a, b in spans]
    chatting = sum(w in _CHATTING for w in said) / len(said) if said else 0.0
    rows = [i for i, w in enumerate(said) if w not in STOP_WORDS] or list(range(len(said)))
    texts = [t for t in texts if len(t.starts)]
    vectors, pieces = _claim_tokens(claim, [spans[i] for i in rows], encoder)
    if not rows or not texts or not any(pieces):
        return _nothing(chatting)

    strengths = np.concatenate([_strengths(vectors, pieces, t) for t in texts], axis=1)  # (n_words, n_sentences)
    stems = [s for t in texts for s in t.stems]
    has = np.array([[stem(said[i]) in s for s in stems] for i in rows])  # (n_words, n_sentences)
    runs = _runs([len(t.starts) for t in texts])
    in_run = np.stack([strengths[:, a:b].max(axis=1) for a, b in runs])  # (n_runs, n_words)
    best_run = int(np.argmax(in_run.mean(axis=1)))
    a, b = runs[best_run]
    anywhere = strengths.max(axis=1)
    absent = anywhere[~has.any(axis=1)]
    pairs = [(i, i + 1) for i in range(len(rows) - 1)]
    marked = [k for k, i in enumerate(rows) if _is_marked(claim[slice(*spans[i])], first=i == 0)]
    whole = _unit(vectors.mean(axis=0))
    means = np.concatenate([t.means for t in texts])
    return Alignment(
        mean=float(anywhere.mean()),
        low=_lowest(anywhere),
        window=float(in_run[best_run].mean()),
        window_low=_lowest(in_run[best_run]),
        sentence=float(strengths.mean(axis=0).max()),
        together=float(np.mean([np.minimum(strengths[i], strengths[j]).max() for i, j in pairs]))
        if pairs
        else float(anywhere.mean()),
        together_words=float(np.mean([(has[i] & has[j]).any() for i, j in pairs])) if pairs else float(has.any()),
        absent=float(absent.mean()) if len(absent) else 1.0,
        absent_low=float(absent.min()) if len(absent) else 1.0,
        log_absent=math.log1p(len(absent)),
        cosine_sentence=float((means @ whole).max()),
        cosine_window=max(float(_unit(means[i:j].mean(axis=0)) @ whole) for i, j in runs),
        cosine_all=float(_unit(means.mean(axis=0)) @ whole),
        marked_window=float(has[marked, a:b].any(axis=1).mean()) if marked else 1.0,
        run=_longest_run(said, stems) / len(said),
        log_sentences=math.log1p(len(stems)),
        log_marked=math.log1p(len(marked)),
        chatting=chatting,
    )


def _claim_tokens(claim: str, wanted: Sequence[tuple[int, int]], encoder: Encoder) -> tuple[Vectors, list[list[int]]]:
    """Tokens of the claim (n, dim) without special ones, and which of them make each wanted word."""
    vectors = encoder.encode_tokens([claim])[0]
    spans = encoder.tokenizer.spans(claim)
    inner = without_specials(vectors, spans)
    if inner is None or not len(inner):
        return vectors[:0], [[] for _ in wanted]
    spans = spans[: len(inner)]
    pieces: list[list[int]] = []
    at = 0
    for a, b in wanted:
        while at < len(spans) and spans[at][1] <= a:
            at += 1
        end = at
        while end < len(spans) and spans[end][0] < b:
            end += 1
        pieces.append(list(range(at, end)))
    return inner, pieces


def _strengths(vectors: Vectors, pieces: Sequence[Sequence[int]], text: Read) -> NDArray[np.float64]:
    """(n_words, n_sentences). A word that the encoder did not read, behind its longest input, is met by nothing."""
    best = np.maximum.reduceat(inner_products(vectors, text.tokens), text.starts, axis=1)  # (n_pieces, n_sentences)
    return np.stack([best[list(p)].mean(axis=0) if p else np.zeros(len(text.starts)) for p in pieces]).astype(float)


def _runs(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of at most three adjoining sentences within each text, numbering sentences through."""
    runs: list[tuple[int, int]] = []
    offset = 0
    for n in lengths:
        runs += [(offset + i, offset + j) for i in range(n) for j in range(i + 1, min(i + _MAX_RUN, n) + 1)]
        offset += n
    return runs


def _lowest(strengths: NDArray[np.float64]) -> float:
    n = max(1, math.ceil(len(strengths) / 4))
    return float(np.sort(strengths)[:n].mean())


def _longest_run(said: Sequence[str], stems: Sequence[frozenset[str]]) -> int:
    longest = 0
    stemmed = [stem(w) for w in said]
    for sentence in stems:
        length = 0
        for word in stemmed:
            length = length + 1 if word in sentence else 0
            longest = max(longest, length)
    return longest


def _is_marked(word: str, *, first: bool) -> bool:
    return any(c.isdigit() for c in word) or (word[:1].isupper() and not first)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return unit


def _nothing(chatting: float) -> Alignment:
    zeros = dict.fromkeys(ALIGNMENT_FEATURES, 0.0)
    return Alignment(**{**zeros, "chatting": chatting})
