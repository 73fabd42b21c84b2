"""ROUGE-L, BLEU, BERTScore, perplexity and context precision against values worked by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from core.types import Answer, Sample
from eval.metrics.bertscore import bert_f1
from eval.metrics.bleu import brevity_penalty, sentence_bleu, tokens
from eval.metrics.context import context_precision, context_scores
from eval.metrics.perplexity import perplexity
from eval.metrics.rouge import lcs_length, rouge_l
from tests.support.word_overlap import hit


def test_rouge_l_is_f_of_the_longest_common_subsequence() -> None:
    assert lcs_length(["police", "killed", "the", "gunman"], ["police", "kill", "the", "gunman"]) == 3
    assert rouge_l("police kill the gunman", "police killed the gunman") == pytest.approx(0.75)  # P 3/4, R 3/4
    assert rouge_l("the gunman kill police", "police killed the gunman") == pytest.approx(0.5)  # "the gunman"
    assert rouge_l("The cat sat.", "the cat") == pytest.approx(2 * (2 / 3) * 1 / (2 / 3 + 1))
    assert rouge_l("", "cat") == 0.0 and rouge_l("...", "!") == 1.0


def test_bleu_clips_smooths_and_is_brief() -> None:
    assert tokens("It rose 1,308.5 %, then.") == ["It", "rose", "1,308.5", "%", ",", "then", "."]
    assert sentence_bleu("the cat is on the mat", ["the cat is on the mat"]) == pytest.approx(1.0)
    # Papineni's "the the the the the the the": clipped to 2 of 7; the longer n-grams are smoothed by 1/2, 1/4, 1/8.
    the = ["the cat is on the mat"]
    expected = math.exp(sum(map(math.log, (2 / 7, 1 / (2 * 6), 1 / (4 * 5), 1 / (8 * 4)))) / 4)
    assert sentence_bleu("the the the the the the the", the) == pytest.approx(expected)
    # Two words have an effective order of 2: p1 = 2/2, p2 = 1/1, and the penalty e^(1 - 6/2).
    assert sentence_bleu("the cat", the) == pytest.approx(math.exp(1 - 6 / 2))
    assert sentence_bleu("dogs", the) == 0.0 and sentence_bleu("", the) == 0.0
    assert brevity_penalty(5, [4, 6]) == 1.0  # as near, the shorter


def test_perplexity_is_the_number_of_tokens_that_might_as_well_have_come() -> None:
    assert perplexity(0.0) == 1.0  # each was certain
    assert perplexity((math.log(1 / 2) + math.log(1 / 8)) / 2) == pytest.approx(4)  # √(2 · 8)


def test_bertscore_takes_the_most_similar_token() -> None:
    a = np.array([[1, 0], [0, 1]], dtype=np.float32)
    b = np.array([[1, 0]], dtype=np.float32)
    # P = (1 + 0) / 2, R = 1 / 1
    assert bert_f1(a, b) == pytest.approx(2 * 0.5 * 1 / 1.5)
    assert bert_f1(a, a) == pytest.approx(1.0)


def test_context_precision_rewards_relevant_passages_that_stand_first() -> None:
    assert context_precision([True, False, True]) == pytest.approx((1 + 2 / 3) / 2)
    assert context_precision([False, False]) == 0.0


def test_a_passage_is_relevant_by_id_in_a_collection_and_else_by_the_answer_that_it_holds() -> None:
    read = Answer(
        text="x", hits=(hit("d1", "nothing here", 1.0, 1), hit("d2", "six Grammys", 0.9, 2), hit("d3", "no", 0.8, 3))
    )
    asked = Sample(id="q", question="?", answers=("Six",), gold_ids=("d2", "d9"))
    assert context_scores(asked, read, by_ids=True) == (0.5, 0.5, "")
    assert context_scores(asked, read, by_ids=False) == (0.5, 1.0, "")
    facts = Sample(
        id="q", question="?", answers=("Six",), gold_ids=("A", "B"), contexts=(("A", "a"), ("B", "b"), ("C", "c"))
    )
    titled = Answer(text="x", hits=tuple(replace(h, title=t) for h, t in zip(read.hits, "CAC", strict=True)))
    assert context_scores(facts, titled, by_ids=False) == (0.5, 0.5, ""), "of two supporting facts one was read, second"
    long = Sample(id="q", question="?", answers=("word " * 20,))
    assert context_scores(long, read, by_ids=False)[0] is None
    assert context_scores(Sample(id="q", question="?", answerable=False), read, by_ids=True)[2] == "unanswerable"
