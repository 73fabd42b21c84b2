"""What the server says of an answer is read back as that answer, so that both ways of `eval qa` score alike."""

from __future__ import annotations

import json

from app.cli.eval_client import answer_of, trace_of
from app.shapes import answer_json
from core.types import Answer, Chunk, Citation, Hit, Sentence, StagePart, Trace, Usage

CHUNK = Chunk(chunk_id="c1", doc_id="d1", text="Cats purr. They sleep.", start=5, end=27, n_tokens=0, page=2)
ANSWER = Answer(
    text="Cats purr. [1]",
    sentences=(
        Sentence(
            text="Cats purr. [1]", start=0, end=14, verdict="supported", score=0.9, reason="quoted", citations=(1,)
        ),
    ),
    citations=(
        Citation(
            marker=1,
            chunk_id="c1",
            doc_id="d1",
            title="Cats",
            page=2,
            start=5,
            end=15,
            quote="Cats purr.",
            answer_start=0,
            answer_end=14,
            verdict="supported",
            score=0.9,
        ),
    ),
    hits=(
        Hit(
            chunk=CHUNK,
            title="Cats",
            collection="pets",
            score=0.5,
            rank=1,
            source="fused",
            parts={"bm25": StagePart(rank=1, score=3.2)},
        ),
    ),
    run_id="r1",
)
TRACE = Trace(
    run_id="r1",
    strategy="extract",
    question="Do cats purr?",
    steps=(),
    answer=None,
    stop_reason="answered",
    settings_hash="",
    prompt_hash="",
    index_version="",
    usage=Usage(prompt_tokens=7, completion_tokens=3),
    duration_s=0.25,
)


def test_a_reply_becomes_the_answer_that_it_was() -> None:
    reply = json.loads(json.dumps(answer_json(ANSWER, TRACE)))
    assert answer_of(reply) == ANSWER
    assert trace_of("Do cats purr?", reply) == TRACE


def test_an_abstention_stays_one() -> None:
    silent = Answer(text="I don't know.", abstained=True, reason="nothing relevant", run_id="r1")
    reply = json.loads(json.dumps(answer_json(silent, TRACE)))
    assert answer_of(reply) == silent
    assert trace_of("?", reply).stop_reason == "abstained"
