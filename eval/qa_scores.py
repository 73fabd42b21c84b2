"""Judges answers to the questions of a data set: right, wrong, abstained, cited, faithful.

How each number is defined stands at ``QaResult``. What can't be scored is None with a reason, and counted; it never
becomes 0, and a missing answer never becomes None.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from core.protocols import Encoder, Verifier
from core.text import sentence_spans
from core.types import Answer, Sample, Score, Usage, Verdict
from eval.datasets import QaDataset
from eval.metrics.alce import CitedSentence, citation_precision, citation_recall
from eval.metrics.context import context_scores
from eval.metrics.perplexity import perplexity
from eval.metrics.squad import best_over_golds, contains, exact_match, f1
from eval.progress import Progress, silent
from eval.similarity import SIMILARITIES, similarity_scores

CONTEXTS = ("context_precision", "context_recall")
_MARKER = re.compile(r"\s*\[(\d{1,4})\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one question: an answer, or the reason why there is none."""

    answer: Answer | None = None
    error: str = ""
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """The answer without citation markers; empty if it abstained or failed."""
        if self.answer is None or self.answer.abstained:
            return ""
        return without_markers(self.answer.text, _markers(self.answer))

    @property
    def answered(self) -> bool:
        return bool(self.text.strip())

    @property
    def abstained(self) -> bool:
        return self.answer is not None and self.answer.abstained


@dataclass(frozen=True, slots=True, kw_only=True)
class QaResult:
    """Shares in [0, 1], but for perplexity; None where the divisor is 0.

    em, f1: mean over the answerable questions, best of their gold answers, SQuAD's normalisation; an abstention or a
        failure scores 0. ``squad2_em`` and ``squad2_f1`` are SQuAD 2.0's own means over all questions, where abstaining
        on an unanswerable one scores 1.
    contains: share of answerable questions whose answer text holds a gold answer.
    answer_rate: share of answerable questions that were answered.
    wrong_rate: among questions answered, the share that were unanswerable (``wrong_unanswerable``) or whose answer holds
        no gold answer (``wrong_answer``). Answered questions without gold answers are left out of all three.
    abstain_precision, abstain_recall: of the abstentions, the unanswerable; of the unanswerable, the abstentions.
        A failed question is neither an answer nor an abstention.
    citation_recall, citation_precision: ALCE, per answered question, then the mean.
    faithfulness: claims supported by what was retrieved and cited, over claims, all answers pooled; sentences that are no
        claim, and verdicts that could not be made (``n_unverified``), are in neither.
    rouge_l, bleu, bertscore: like f1, by other likenesses (eval/metrics); bertscore only where an encoder was given.
    perplexity: of the tokens that a model wrote as its answer (eval/metrics/perplexity.py), mean over the answered questions where
        they are known; not a share.
    context_precision, context_recall: of what the answer was read from (eval/metrics/context.py).
    """

    dataset: str
    dataset_sha256: str
    strategy: str
    mode: str
    settings_hash: str
    n: int
    n_answerable: int
    n_answered: int
    n_abstained: int
    n_failed: int
    n_claims: int
    n_unverified: int
    metrics: Mapping[str, float | None]
    unscored: Mapping[str, Mapping[str, int]]  # metric → reason → questions
    usage: Usage
    seconds_per_question: float
    seconds_per_question_p95: float
    per_query: Mapping[str, Mapping[str, float | None]]
    answers: Mapping[str, Mapping[str, Any]]  # question id → what was said

    def to_json(self) -> dict[str, Any]:
        """The document of `eval qa --json`, which `eval compare` reads back."""
        return {
            "kind": "qa",
            "dataset": self.dataset,
            "strategy": self.strategy,
            "mode": self.mode,
            "n": self.n,
            **self.metrics,
            "n_answerable": self.n_answerable,
            "n_unanswerable": self.n - self.n_answerable,
            "n_answered": self.n_answered,
            "n_abstained": self.n_abstained,
            "n_failed": self.n_failed,
            "n_claims": self.n_claims,
            "n_unverified": self.n_unverified,
            "unscored": {metric: dict(reasons) for metric, reasons in self.unscored.items()},
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "seconds_per_question": self.seconds_per_question,
            "seconds_per_question_p95": self.seconds_per_question_p95,
            "settings_hash": self.settings_hash,
            "dataset_sha256": self.dataset_sha256,
            "per_query": {query_id: dict(values) for query_id, values in self.per_query.items()},
            "answers": {query_id: dict(said) for query_id, said in self.answers.items()},
        }


def without_markers(text: str, markers: frozenset[int]) -> str:
    """Removes [n] where n is one of ``markers``: other brackets belong to the text."""
    return _MARKER.sub(lambda found: "" if int(found[1]) in markers else found[0], text).strip()


def score_outcomes(
    dataset: QaDataset,
    outcomes: Sequence[Outcome],
    verifier: Verifier,
    *,
    strategy: str,
    mode: str,
    settings_hash: str = "",
    encoder: Encoder | None = None,
    progress: Progress = silent,
) -> QaResult:
    """Scores one outcome per sample of ``dataset``, in the same order; ``encoder`` is for BERTScore."""
    samples = dataset.samples
    checker = _Checker(verifier)
    scores: list[list[Score]] = []
    claims = 0
    supported = 0
    for done, (sample, outcome) in enumerate(zip(samples, outcomes, strict=True)):
        progress("checking", done, len(samples))
        faithful = _faithful(outcome, checker)
        supported += sum(faithful)
        claims += len(faithful)
        scores.append(
            [
                *_answer_scores(sample, outcome),
                *_citation_scores(sample, outcome, checker, faithful),
                *similarity_scores(sample, outcome, encoder),
                *_context_scores(sample, outcome, by_ids=mode.startswith("collection")),
                _perplexity(sample, outcome),
            ]
        )
    progress("checking", len(samples), len(samples))

    def mean(metric: str) -> float | None:
        values = [s.value for of_one in scores for s in of_one if s.metric == metric and s.value is not None]
        return float(np.mean(values)) if values else None

    unscored: dict[str, Counter[str]] = {}
    for score in (s for of_one in scores for s in of_one if s.value is None):
        unscored.setdefault(score.metric, Counter())[score.reason] += 1
    pairs = list(zip(samples, outcomes, strict=True))
    metrics: dict[str, float | None] = {
        "em": mean("em"),
        "f1": mean("f1"),
        "contains": mean("contains"),
        **_rates(pairs),
        "citation_precision": mean("citation_precision"),
        "citation_recall": mean("citation_recall"),
        "faithfulness": _share(supported, claims),
        "squad2_em": mean("squad2_em"),
        "squad2_f1": mean("squad2_f1"),
        **{name: mean(name) for name in (*SIMILARITIES, *CONTEXTS, "perplexity")},
    }
    seconds = [outcome.seconds for outcome in outcomes]
    return QaResult(
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        strategy=strategy,
        mode=mode,
        settings_hash=settings_hash,
        n=len(samples),
        n_answerable=sum(sample.answerable for sample in samples),
        n_answered=sum(outcome.answered for outcome in outcomes),
        n_abstained=sum(outcome.abstained for outcome in outcomes),
        n_failed=sum(not (outcome.answered or outcome.abstained) for outcome in outcomes),
        n_claims=claims,
        n_unverified=checker.unverified,
        metrics=metrics,
        unscored={metric: dict(reasons) for metric, reasons in unscored.items()},
        usage=sum((outcome.usage for outcome in outcomes), Usage()),
        seconds_per_question=float(np.mean(seconds)) if seconds else 0.0,
        seconds_per_question_p95=float(np.percentile(seconds, 95)) if seconds else 0.0,
        per_query={
            sample.id: {s.metric: s.value for s in of_one} for sample, of_one in zip(samples, scores, strict=True)
        },
        answers={sample.id: _said(outcome) for sample, outcome in pairs},
    )


def _answer_scores(sample: Sample, outcome: Outcome) -> list[Score]:
    """em, f1, contains, answered, wrong, and the two of SQuAD 2.0, for one question."""
    score = partial(Score, sample_id=sample.id)
    text, golds = outcome.text, sample.answers
    if not sample.answerable:
        reason = "unanswerable"
    elif not golds:
        reason = "no gold answer"
    else:
        reason = ""
    gold_scores: dict[str, float | None] = {
        "em": None if reason else best_over_golds(exact_match, text, golds) * outcome.answered,
        "f1": None if reason else best_over_golds(f1, text, golds) * outcome.answered,
        "contains": None if reason else best_over_golds(contains, text, golds) * outcome.answered,
    }
    found = [score(metric=name, value=value, reason=reason) for name, value in gold_scores.items()]
    found.append(
        score(
            metric="answered",
            value=float(outcome.answered) if sample.answerable else None,
            reason="" if sample.answerable else "unanswerable",
        )
    )
    # Among all questions, so that two strategies can be compared question by question; wrong_rate is among the answered.
    if not outcome.answered:
        found.append(score(metric="wrong", value=0.0))
    elif not sample.answerable:
        found.append(score(metric="wrong", value=1.0))
    else:
        held = gold_scores["contains"]
        found.append(score(metric="wrong", value=None if held is None else 1.0 - held, reason=reason))
    for name in ("em", "f1"):
        if sample.answerable:
            found.append(score(metric=f"squad2_{name}", value=gold_scores[name], reason=reason))
        else:
            found.append(score(metric=f"squad2_{name}", value=float(outcome.abstained)))
    return found


def _context_scores(sample: Sample, outcome: Outcome, *, by_ids: bool) -> list[Score]:
    if outcome.answer is None:
        found: tuple[float | None, float | None, str] = (None, None, "failed")
    else:
        found = context_scores(sample, outcome.answer, by_ids=by_ids)
    return [
        Score(metric=name, sample_id=sample.id, value=value, reason=found[2])
        for name, value in zip(CONTEXTS, found[:2], strict=True)
    ]


def _perplexity(sample: Sample, outcome: Outcome) -> Score:
    score = partial(Score, metric="perplexity", sample_id=sample.id)
    if not outcome.answered or outcome.answer is None:
        return score(value=None, reason="abstained" if outcome.abstained else "failed")
    if outcome.answer.logprob is not None:
        return score(value=perplexity(outcome.answer.logprob))
    written = outcome.usage.completion_tokens > 0
    return score(
        value=None, reason="no log-probabilities of the answer's tokens" if written else "no language model wrote it"
    )


def _citation_scores(sample: Sample, outcome: Outcome, checker: _Checker, faithful: Sequence[bool]) -> list[Score]:
    """citation_recall, citation_precision and faithfulness of one question."""
    score = partial(Score, sample_id=sample.id)
    if not outcome.answered or outcome.answer is None:
        reason = "abstained" if outcome.abstained else "failed"
        return [
            score(metric=metric, value=None, reason=reason)
            for metric in ("citation_precision", "citation_recall", "faithfulness")
        ]
    sentences = cited_sentences(outcome.answer)
    return [
        score(metric="citation_precision", value=citation_precision(sentences, checker.entails)),
        score(metric="citation_recall", value=citation_recall(sentences, checker.entails)),
        score(metric="faithfulness", value=_share(sum(faithful), len(faithful)), reason="" if faithful else "no claim"),
    ]


def cited_sentences(answer: Answer) -> list[CitedSentence]:
    """The sentences of an answer with the passages they cite: the whole passage where the answer carries it as a hit,
    else the quote. An answer that was not cut into sentences is cut here, and cites nothing."""
    passages = {hit.chunk.chunk_id: hit.chunk.text for hit in answer.hits}
    texts: dict[int, list[str]] = {}
    for citation in answer.citations:
        text = passages.get(citation.chunk_id, citation.quote)
        of_marker = texts.setdefault(citation.marker, [])
        if text not in of_marker:
            of_marker.append(text)
    if not answer.sentences:
        return [CitedSentence(text=answer.text[start:end], cited=()) for start, end in sentence_spans(answer.text)]
    markers = _markers(answer)
    return [
        CitedSentence(
            text=without_markers(sentence.text, markers),
            cited=tuple(
                "\n".join(texts[marker]) if marker in texts else None for marker in dict.fromkeys(sentence.citations)
            ),
        )
        for sentence in answer.sentences
    ]


def _faithful(outcome: Outcome, checker: _Checker) -> list[bool]:
    """One verdict per claim of an answer, against everything that was retrieved for it or cited by it."""
    if not outcome.answered or outcome.answer is None:
        return []
    answer = outcome.answer
    evidence = dict.fromkeys(
        [hit.chunk.text for hit in answer.hits] + [citation.quote for citation in answer.citations]
    )
    found = []
    for sentence in cited_sentences(answer):
        label = checker.check(sentence.text, list(evidence)).label
        if label == "unverified":
            checker.unverified += 1
        elif label != "not_a_claim":
            found.append(label == "supported")
    return found


def _rates(pairs: Sequence[tuple[Sample, Outcome]]) -> dict[str, float | None]:
    answerable = [outcome for sample, outcome in pairs if sample.answerable]
    unanswerable = [outcome for sample, outcome in pairs if not sample.answerable]
    judged = [(s, o) for s, o in pairs if o.answered and (s.answers or not s.answerable)]
    in_vain = sum(not sample.answerable for sample, _ in judged)
    mistaken = sum(s.answerable and not best_over_golds(contains, o.text, s.answers) for s, o in judged)
    abstentions = [sample for sample, outcome in pairs if outcome.abstained]
    return {
        "answer_rate": _share(sum(o.answered for o in answerable), len(answerable)),
        "wrong_rate": _share(in_vain + mistaken, len(judged)),
        "wrong_unanswerable": _share(in_vain, len(judged)),
        "wrong_answer": _share(mistaken, len(judged)),
        "abstain_precision": _share(sum(not s.answerable for s in abstentions), len(abstentions)),
        "abstain_recall": _share(sum(o.abstained for o in unanswerable), len(unanswerable)),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _markers(answer: Answer) -> frozenset[int]:
    return frozenset(c.marker for c in answer.citations) | {n for s in answer.sentences for n in s.citations}


def _said(outcome: Outcome) -> dict[str, Any]:
    said = outcome.answer
    return {
        "text": said.text if said else "",
        "abstained": outcome.abstained,
        "reason": said.reason if said else "",
        "error": outcome.error or ("" if outcome.answered or outcome.abstained else "the answer is empty"),
        "seconds": outcome.seconds,
    }


class _Checker:
    """A verifier that is not asked the same thing twice within one run."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
        self._known: dict[tuple[str, tuple[str, ...]], Verdict] = {}
        self.unverified = 0  # claims whose faithfulness could not be judged

    def check(self, claim: str, evidence: Sequence[str]) -> Verdict:
        key = (claim, tuple(evidence))
        if key not in self._known:
            self._known[key] = self._verifier.check(claim, evidence)
        return self._known[key]

    def entails(self, claim: str, evidence: Sequence[str]) -> bool:
        return self.check(claim, evidence).label == "supported"
