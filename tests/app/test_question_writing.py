"""Questions written by a scripted language model: what is kept, what is counted, and when it ends."""

from __future__ import annotations

import asyncio
import json

from app.question_writing import write_questions
from eval.questions import Section, SourceDocument
from eval.written import passages_to_ask_of
from lm.scripted import ScriptedLM

HALL = "The hall stands beside the river, where barges bring grain, timber and stone from the hills in spring. " * 3
DOCUMENTS = [
    SourceDocument(
        doc_id=f"d{i}",
        title=f"Part {i}",
        text=f"{HALL}There lies kx-{i}.",
        sections=(Section(start=0, end=len(HALL) + 17, heading_path=()),),
    )
    for i in range(6)
]
PASSAGES = passages_to_ask_of(DOCUMENTS, {d.doc_id: "dev" for d in DOCUMENTS}, seed=0)


def reply(i: int) -> str:
    return json.dumps({"question": "Which part lies in the hall?", "answer": f"kx-{i}"})


def test_it_asks_until_there_are_enough_and_says_what_was_no_use() -> None:
    lm = ScriptedLM(["I cannot.", "No, I cannot.", reply(1), reply(99), reply(3), reply(4)])
    written = asyncio.run(write_questions(lm, PASSAGES, 2))
    assert [q.answers for q in written.questions] == [("kx-1",), ("kx-3",)]
    assert [q.gold[0].doc_id for q in written.questions] == ["d1", "d3"]
    assert written.asked == 4 and not written.late and written.by == lm.name
    assert sorted(written.not_kept.values()) == [1, 1]
    assert (
        "has no JSON object" in lm.asked[1].messages[0].content
    )  # the first passage, again; no other is asked about twice


def test_a_reply_that_was_cut_off_is_asked_for_again() -> None:
    lm = ScriptedLM([reply(0)[:40], reply(0)])
    written = asyncio.run(write_questions(lm, PASSAGES, 1))
    assert [q.answers for q in written.questions] == [("kx-0",)] and written.asked == 1


def test_it_ends_when_time_is_up_and_after_twice_as_many_passages() -> None:
    late = asyncio.run(write_questions(ScriptedLM(["I cannot."] * 8), PASSAGES, 2, within_s=-1.0))
    assert late.late and late.asked == 0
    poor = asyncio.run(write_questions(ScriptedLM(["I cannot."] * 8), PASSAGES, 2))
    assert poor.asked == 4 and poor.questions == () and not poor.late


def test_a_passage_that_is_too_long_for_the_model_is_passed_over() -> None:
    short = ScriptedLM([reply(0)] * 6, context_tokens=40)
    written = asyncio.run(write_questions(short, PASSAGES, 1))
    assert written.questions == () and written.not_kept == {"the passage is too long for the model": 2}
