"""Stress: the same questions asked worse, and the same data made harder. Deterministic for a seed.

    typos       one word in four of the question's longer words is mistyped
    paraphrase  the question in other words, by rule: common words replaced by synonyms, its frame turned
    distractors contexts of other questions beside a question's own (noise robustness)
    counterfactual  the answer in the contexts replaced by another question's, which is then the right one

The first two change questions, so they fit any retriever or strategy; the last two change contexts of a QA data set.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Literal, TypeAlias

from core.errors import InvalidRequest
from core.text import word_spans
from eval.datasets import QaDataset
from eval.metrics.squad import forms_contain, word_forms

Stress: TypeAlias = Literal["typos", "paraphrase"]

_MISTYPED = 0.25
_LEAST_LETTERS = 4
# Pairs that hardly change a question. Both ways.
_SYNONYMS = (
    ("big", "large"), ("begin", "start"), ("began", "started"), ("buy", "purchase"), ("bought", "purchased"),
    ("build", "construct"), ("built", "constructed"), ("kind", "type"), ("company", "firm"), ("help", "aid"),
    ("show", "demonstrate"), ("shows", "demonstrates"), ("use", "employ"), ("used", "employed"), ("get", "obtain"),
    ("find", "discover"), ("found", "discovered"), ("rise", "increase"), ("rose", "increased"), ("fall", "decrease"),
    ("fell", "decreased"), ("cause", "lead to"), ("causes", "leads to"), ("important", "significant"), ("need", "require"),
    ("needs", "requires"), ("number", "count"), ("amount", "quantity"), ("people", "persons"), ("movie", "film"),
    ("city", "town"), ("write", "author"), ("wrote", "authored"), ("made", "produced"), ("make", "produce"),
    ("reduce", "lower"), ("reduces", "lowers"), ("illness", "disease"), ("doctor", "physician"), ("during", "in the course of"),
    ("because of", "due to"), ("about", "regarding"), ("quick", "fast"), ("sales", "revenue"), ("costs", "expenses"),
)  # fmt: skip
_OTHER = dict(_SYNONYMS) | {b: a for a, b in _SYNONYMS}
_WORD = re.compile(r"\b(?:" + "|".join(sorted(map(re.escape, _OTHER), key=len, reverse=True)) + r")\b", re.IGNORECASE)
_FRAMES = (
    (re.compile(r"^who (.+?)\?*$", re.IGNORECASE), r"Name the person or group that \1."),
    (re.compile(r"^how (many|much) (.+?)\?*$", re.IGNORECASE), r"State how \1 \2."),
    (re.compile(r"^(when|where|why) (.+?)\?*$", re.IGNORECASE), r"Tell me \1 \2."),
    (re.compile(r"^(?:what|which) (.+?)\?*$", re.IGNORECASE), r"I would like to know which \1."),
)


def stressed(question: str, stress: Stress, seed: int = 0) -> str:
    """The question asked worse; the same for the same question and seed."""
    match stress:
        case "typos":
            return with_typos(question, seed)
        case "paraphrase":
            return paraphrased(question)


def with_typos(question: str, seed: int = 0) -> str:
    """A quarter of the words of four letters or more (one at least) get one letter swapped, dropped, doubled or replaced.

    Words with a digit are left: another number would be another question.
    """
    chance = random.Random(f"{question} {seed}")
    spans = [
        (start, end)
        for start, end in word_spans(question)
        if end - start >= _LEAST_LETTERS and question[start:end].isalpha()
    ]
    if not spans:
        return question
    chosen = chance.sample(spans, max(1, round(_MISTYPED * len(spans))))
    text = question
    for start, end in sorted(chosen, reverse=True):
        word = question[start:end]
        typed = word
        while typed == word:  # two letters that are the same, swapped
            typed = _mistyped(word, chance)
        text = text[:start] + typed + text[end:]
    return text


def _mistyped(word: str, chance: random.Random) -> str:
    at = chance.randrange(1, len(word) - 1)  # the first letter is rarely mistyped
    match chance.choice(("swap", "drop", "double", "replace")):
        case "swap":
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case "drop":
            return word[:at] + word[at + 1 :]
        case "double":
            return word[:at] + word[at] + word[at:]
        case _:
            return word[:at] + chance.choice("aeiounstr") + word[at + 1 :]


def paraphrased(question: str) -> str:
    """Synonyms for what has one, and another frame for who, what, how many, when. Rules know English only."""
    said = _WORD.sub(lambda m: _cased(_OTHER[m[0].lower()], m[0]), question.strip())
    for pattern, frame in _FRAMES:
        if pattern.match(said):
            return pattern.sub(frame, said)
    return said


def _cased(word: str, like: str) -> str:
    return word.capitalize() if like[:1].isupper() else word


def with_distractors(dataset: QaDataset, n: int, seed: int = 0) -> QaDataset:
    """Each question's contexts among ``n`` of other questions, in random order. Gold answers stay.

    Questions of which every other context is their own, or holds an answer as whole words, are left out; the name counts them.

    Raises:
        InvalidRequest: ``n`` below 1, or no question is left.
    """
    if n < 1:
        raise InvalidRequest(f"{n} distractors: use 1 or more", code="usage")
    everything = {c: word_forms(c[1]) for s in dataset.samples for c in s.contexts}
    samples = []
    for sample in dataset.samples:
        chance = random.Random(f"{sample.id} {seed}")
        golds = [word_forms(answer) for answer in sample.answers]
        strange = [
            c
            for c, forms in everything.items()
            if c not in sample.contexts and not any(forms_contain(forms, gold) for gold in golds)
        ]
        if not strange:
            continue
        mixed = [*sample.contexts, *chance.sample(strange, min(n, len(strange)))]
        chance.shuffle(mixed)
        samples.append(replace(sample, contexts=tuple(mixed)))
    if not samples:
        raise InvalidRequest(
            "no question has a distractor: every other context is its own or holds its answer"
            + "".join(f"; the first is {sample.question!r}" for sample in dataset.samples[:1]),
            code="bad-dataset",
        )
    left = len(dataset.samples) - len(samples)
    told = f", {left:,} of {len(dataset.samples):,} questions without any left out" if left else ""
    return replace(dataset, name=f"{dataset.name}, {n} distractors{told}", samples=tuple(samples))


def counterfactual(dataset: QaDataset, seed: int = 0) -> QaDataset:
    """Questions whose short answer stands in their contexts, with it replaced there by the answer of another question of the
    same shape, which is then the gold answer. Who answers from memory, or from what the documents do not say, is wrong.

    Raises:
        InvalidRequest: no question can be changed so.
    """
    shapes: dict[str, list[str]] = {}
    for sample in dataset.samples:
        for answer in sample.answers[:1]:
            shapes.setdefault(_shape(answer), []).append(answer)
    samples = []
    for sample in dataset.samples:
        if not sample.answerable or not sample.answers or len(sample.answers[0].split()) > 5:
            continue
        answer = sample.answers[0]
        chance = random.Random(f"{sample.id} {seed}")
        text = " ".join(c for _, c in sample.contexts)
        others = [o for o in dict.fromkeys(shapes[_shape(answer)]) if o.casefold() not in text.casefold()]
        whole = re.compile(rf"(?<!\w){re.escape(answer)}(?!\w)", re.IGNORECASE)
        if not others or not whole.search(text):
            continue
        other = chance.choice(others)
        # A function, since an answer may hold a backslash.
        contexts = tuple((title, whole.sub(lambda m, o=other: str(o), c)) for title, c in sample.contexts)  # type: ignore[misc]
        samples.append(replace(sample, contexts=contexts, answers=(other,)))
    if not samples:
        raise InvalidRequest(
            "no question can be changed: it takes an answer of up to five words that stands in its contexts, and another "
            "question's of the same shape (a number, a name of as many words) that does not",
            code="bad-dataset",
        )
    return replace(dataset, name=f"{dataset.name}, counterfactual", samples=tuple(samples))


def _shape(answer: str) -> str:
    """What may stand in its place: a number, a name of as many words, or words of as many."""
    if any(c.isdigit() for c in answer):
        return "number"
    return f"{'name' if answer[:1].isupper() else 'words'} {len(answer.split())}"
