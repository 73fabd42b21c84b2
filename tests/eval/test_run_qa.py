"""Scoring answers: each share is reckoned by hand from a few questions."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidRequest, ModelUnavailable, OpenbookError
from core.offload import Offload
from core.types import Answer, Citation, Sample, Sentence, Trace, Usage
from eval.datasets import QaDataset
from eval.qa import InCollection, OwnContexts, Pooled, run_qa
from eval.qa_scores import QaResult, cited_sentences, without_markers
from eval.report import qa_report
from eval.saved import load_run
from tests.support.word_overlap import OverlapVerifier, hit


def sample(id: str, answers: tuple[str, ...] = (), answerable: bool = True) -> Sample:
    return Sample(id=id, question=f"question {id}", answers=answers, answerable=answerable, contexts=(("", "text"),))


def answer(*sentences: tuple[str, tuple[int, ...]], sources: dict[int, str] | None = None) -> Answer:
    """Sentences with the markers they cite, over numbered sources."""
    text, parts = "", []
    for said, markers in sentences:
        start = len(text)
        text += said
        parts.append(
            Sentence(text=said, start=start, end=len(text), verdict="unverified", score=0.0, citations=markers)
        )
        text += " "
    sources = sources or {}
    hits = tuple(hit(f"d{n}", source, 1.0, n) for n, source in sources.items())
    citations = tuple(
        Citation(
            marker=n,
            chunk_id=h.chunk.chunk_id,
            doc_id=h.chunk.doc_id,
            title="",
            page=None,
            start=0,
            end=len(h.chunk.text),
            quote=h.chunk.text,
            answer_start=0,
            answer_end=len(text),
        )
        for n, h in zip(sources, hits, strict=True)
    )
    return Answer(text=text.strip(), sentences=tuple(parts), citations=citations, hits=hits)


ABSTAINED = Answer(text="I don't know.", abstained=True, reason="nothing relevant")


def trace(said: Answer) -> Trace:
    return Trace(
        run_id="r",
        strategy="s",
        question="q",
        steps=(),
        answer=said,
        stop_reason="answered",
        settings_hash="",
        prompt_hash="",
        index_version="",
        usage=Usage(prompt_tokens=10, completion_tokens=2),
    )


@pytest.fixture
def offload() -> Iterator[Offload]:
    pool = Offload(1)
    yield pool
    pool.close()


def run(samples: list[Sample], said: dict[str, Answer | OpenbookError], offload: Offload, **options: Any) -> QaResult:
    async def answer_one(one: Sample) -> tuple[Answer, Trace]:
        found = said[one.id]
        if isinstance(found, OpenbookError):
            raise found
        return found, trace(found)

    dataset = QaDataset(name="tiny", samples=tuple(samples), sha256="abc")
    return asyncio.run(
        run_qa(
            dataset,
            answer_one,
            options.pop("verifier", OverlapVerifier()),
            offload=offload,
            strategy="extract",
            mode=options.pop("mode", OwnContexts()),
            **options,
        )
    )


def test_every_share_on_six_questions(offload: Offload) -> None:
    samples = [
        sample("right", ("Paris",)),
        sample("mistaken", ("Rome",)),
        sample("silent", ("Bonn",)),
        sample("invented", answerable=False),
        sample("refused", answerable=False),
        sample("broken", ("Oslo",)),
    ]
    result = run(
        samples,
        {
            "right": answer(("The capital is Paris [1].", (1,)), sources={1: "the capital is paris"}),
            "mistaken": answer(("Milan", ())),
            "silent": ABSTAINED,
            "invented": answer(("Atlantis.", ())),
            "refused": ABSTAINED,
            "broken": ModelUnavailable("no model"),
        },
        offload,
    )
    m = result.metrics
    assert (result.n, result.n_answerable, result.n_answered, result.n_abstained, result.n_failed) == (6, 4, 3, 2, 1)
    assert m["em"] == 0
    # "capital is paris" against "paris": 1 common word of 3, P = 1/3, R = 1, over 4 answerable questions.
    assert m["f1"] == pytest.approx((2 * (1 / 3) * 1 / (1 / 3 + 1)) / 4)
    assert m["contains"] == 1 / 4  # what abstained or broke holds nothing
    assert m["answer_rate"] == 2 / 4
    assert m["wrong_unanswerable"] == 1 / 3  # "invented", of three answered
    assert m["wrong_answer"] == 1 / 3  # "mistaken"
    assert m["wrong_rate"] == pytest.approx(2 / 3)
    assert m["abstain_precision"] == 1 / 2  # "refused" was right, "silent" not
    assert m["abstain_recall"] == 1 / 2  # of "invented" and "refused"
    assert m["citation_recall"] == pytest.approx((1 + 0 + 0) / 3)  # mean over the three answered
    assert m["citation_precision"] == pytest.approx((1 + 0 + 0) / 3)
    assert m["faithfulness"] == 1 / 3  # three claims in all
    assert m["squad2_em"] == pytest.approx((0 + 0 + 0 + 0 + 1 + 0) / 6)
    assert result.usage == Usage(prompt_tokens=50, completion_tokens=10)
    assert result.answers["broken"]["error"] == "no model"


def test_what_has_no_divisor_is_none_and_what_cannot_be_scored_is_counted(offload: Offload) -> None:
    result = run([sample("a", ("x",)), sample("b")], {"a": ABSTAINED, "b": answer(("Yes.", ()))}, offload)
    m = result.metrics
    assert m["abstain_recall"] is None  # nothing is unanswerable
    assert m["abstain_precision"] == 0
    assert m["wrong_rate"] is None  # the only answer has no gold answer to be judged by
    assert result.per_query["b"]["wrong"] is None
    assert result.unscored["contains"] == {"no gold answer": 1}
    assert result.unscored["citation_recall"] == {"abstained": 1}
    assert m["contains"] == 0  # over "a" alone


def test_perplexity_is_of_answers_whose_tokens_are_known_and_the_others_are_counted(offload: Offload) -> None:
    sure, unsure = (replace(answer(("Cats purr.", ())), logprob=p) for p in (0.0, math.log(1 / 3)))
    said = {"a": sure, "b": unsure, "c": answer(("Cats purr.", ())), "d": ABSTAINED}
    result = run([sample(name, ("cats",)) for name in said], said, offload)
    assert [result.per_query[name]["perplexity"] for name in said] == [1.0, pytest.approx(3), None, None]
    assert result.metrics["perplexity"] == pytest.approx((1 + 3) / 2)
    assert result.unscored["perplexity"] == {"no log-probabilities of the answer's tokens": 1, "abstained": 1}
    assert "without a perplexity: 1 (no log-probabilities" in qa_report(result)


def test_citation_scores_follow_alce(offload: Offload) -> None:
    sources = {1: "cats purr", 2: "cats sleep", 3: "fish swim"}
    said = answer(
        ("Cats purr [1][3].", (1, 3)),  # supported; [1] alone entails; [3] neither entails nor is needed: 1 of 2 counts
        ("Cats purr, cats sleep [1][2].", (1, 2)),  # supported jointly only; both are needed: 2 of 2 count
        ("Fish sleep [3].", (3,)),  # not supported: 0 of 1
        ("Fish swim [9].", (9,)),  # points nowhere: 0 of 1
        ("Fish swim.", ()),  # cites nothing
        sources=sources,
    )
    m = run([sample("a", ("cats",))], {"a": said}, offload).metrics
    assert m["citation_recall"] == 2 / 5
    assert m["citation_precision"] == (1 + 2 + 0 + 0) / (2 + 2 + 1 + 1)
    # Against all that was retrieved, "fish sleep" and "fish swim" are supported too.
    assert m["faithfulness"] == 5 / 5


def test_headings_are_no_claims_and_unreadable_ones_are_counted_apart(offload: Offload) -> None:
    said = answer(
        ("What I found:", ()), ("Unreadable claim.", (1,)), ("Cats purr.", (1,)), sources={1: "cats purr unreadable"}
    )
    result = run([sample("a", ("cats",))], {"a": said}, offload)
    assert result.metrics["faithfulness"] == 1 / 1
    assert (result.n_claims, result.n_unverified) == (1, 1)


def test_markers_are_taken_out_of_the_answer_but_brackets_of_the_text_stay(offload: Offload) -> None:
    assert without_markers("Paris [1] [2], see [3].", frozenset({1, 2})) == "Paris, see [3]."
    said = answer(("Paris [1]", (1,)), sources={1: "Paris"})
    assert run([sample("a", ("Paris",))], {"a": said}, offload).metrics["em"] == 1


def test_an_answer_that_was_not_cut_into_sentences_is_cut_and_cites_nothing() -> None:
    found = cited_sentences(Answer(text="Cats purr. Fish swim."))
    assert [(s.text, s.cited) for s in found] == [("Cats purr.", ()), ("Fish swim.", ())]


def test_the_verifier_is_not_asked_twice_the_same(offload: Offload) -> None:
    verifier = OverlapVerifier()
    said = answer(("Cats purr.", (1,)), ("Cats purr.", (1,)), sources={1: "cats purr"})
    run([sample("a", ("cats",))], {"a": said}, offload, verifier=verifier)
    assert len(verifier.checks) == len(set(verifier.checks))


def test_if_every_question_fails_that_is_an_error_not_a_score(offload: Offload) -> None:
    with pytest.raises(OpenbookError, match="all 2 questions failed; the first: no model"):
        run([sample("a"), sample("b")], dict.fromkeys("ab", ModelUnavailable("no model")), offload)


def test_questions_without_contexts_need_a_collection(offload: Offload) -> None:
    bare = Sample(id="bare", question="?", answers=("x",))
    said: dict[str, Answer | OpenbookError] = {"bare": ABSTAINED, "a": ABSTAINED}
    with pytest.raises(InvalidRequest, match=r"1 of 2 questions of tiny have no contexts.*'bare'.*--collection"):
        run([sample("a"), bare], said, offload)
    assert run([sample("a"), bare], said, offload, mode=Pooled(samples=(sample("a"), bare))).mode == "pool"
    assert run([bare], said, offload, mode=InCollection(name="c")).mode == "collection c"
    assert run([bare], said, offload, needs_contexts=False).n == 1


def test_no_more_questions_are_under_way_than_asked_for(offload: Offload) -> None:
    under_way, most = 0, 0

    async def answer_one(_: Sample) -> tuple[Answer, Trace]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return ABSTAINED, trace(ABSTAINED)

    dataset = QaDataset(name="t", samples=tuple(sample(str(i)) for i in range(20)), sha256="")
    told: list[tuple[str, int, int]] = []
    asyncio.run(
        run_qa(
            dataset,
            answer_one,
            OverlapVerifier(),
            offload=offload,
            strategy="s",
            mode=OwnContexts(),
            concurrency=3,
            progress=lambda *step: told.append(step),
        )
    )
    assert most == 3
    assert [step for step in told if step[0] == "answering"] == [("answering", i, 20) for i in range(21)]


def test_the_json_has_the_fixed_keys_and_values_by_question(offload: Offload, tmp_path: Path) -> None:
    result = run([sample("a", ("Paris",)), sample("b")], {"a": answer(("Paris", ())), "b": ABSTAINED}, offload)
    document = json.loads(json.dumps(result.to_json()))
    fixed = (
        "n em f1 contains answer_rate wrong_rate wrong_unanswerable wrong_answer abstain_precision abstain_recall "
        "citation_precision citation_recall faithfulness"
    )
    assert set(fixed.split()) <= document.keys()
    (tmp_path / "qa.json").write_text(json.dumps(document))
    assert load_run(tmp_path / "qa.json").per_query == result.per_query
    assert "contains            1.0000  answerable questions whose answer holds a gold answer" in qa_report(result)
