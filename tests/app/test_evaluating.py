"""What an evaluation makes of failures and of changes, over real services in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from agents.closed_book import ClosedBookStrategy
from app.eval_asking import Asking
from app.eval_configs import Configuration, Contexts
from app.eval_contexts import samples_of
from app.eval_leaderboard import board_of, board_of_set
from app.eval_results import different_answers
from app.eval_runs import FINAL, EvalRun, question_key
from app.services import Loading
from core.errors import Busy, ModelUnavailable, OpenbookError
from core.types import LOCAL_USER_ID, Limits, Message, Principal, SamplingParams, Vectors, Where
from eval.markdown_report import markdown_report
from eval.qa_scores import Outcome
from lm.queue import LMQueue
from lm.scripted import Reply, ScriptedLM
from retrieval.encoders.remembering import RememberingEncoder
from tests.support.evaluating import Laboratory, laboratory
from tests.support.hash_encoder import HashEncoder
from tests.support.library import LOCAL

ASKED = [("Who keeps the gate?", "Ann", ""), ("Who keeps the mill?", "Bob", ""), ("Who keeps the inn?", "Cid", "")]
BY_HEART = Configuration(strategy="closed-book")


def test_a_model_that_goes_away_ends_the_evaluation_which_goes_on_where_it_was(tmp_path: Path) -> None:
    gone = Reply(error=ModelUnavailable("the server went away"), times=2 * 2)  # two questions, each asked twice
    lm = ScriptedLM(["Ann", gone, "Bob", "Cid"])
    with laboratory(tmp_path, lm=lm) as lab:
        run = lab.ended(lab.start(lab.asked(ASKED), BY_HEART))
        assert (run.state, run.error, run.done) == ("failed", "the server went away", 2)
        run = lab.resumed(run)
        assert (run.state, run.done, run.reused) == ("done", 3, 1) and len(lm.asked) == 1 + 2 * 2 + 2
        (summary,) = lab.result(run).to_json()["configurations"]
        assert (summary["n"], summary["n_failed"], summary["metrics"]["em"]["mean"]) == (3, 0, 1.0)


def test_a_model_that_fails_once_is_asked_once_more(tmp_path: Path) -> None:
    lm = ScriptedLM(["Ann", Reply(error=ModelUnavailable("the answer was cut off")), "Bob", "Cid"])
    with laboratory(tmp_path, lm=lm) as lab:
        run = lab.ended(lab.start(lab.asked(ASKED), BY_HEART))
        (summary,) = lab.result(run).to_json()["configurations"]
        assert (run.state, summary["n_failed"], summary["metrics"]["em"]["mean"]) == ("done", 0, 1.0)


def test_a_model_that_always_fails_at_one_question_is_asked_the_others(tmp_path: Path) -> None:
    too_long = Reply(error=ModelUnavailable("out of memory"), when="mill", times=0)
    lm = ScriptedLM([too_long, Reply(text="Ann", when="gate"), Reply(text="Cid", when="inn")])
    with laboratory(tmp_path, lm=lm) as lab:
        run = lab.ended(lab.start(lab.asked(ASKED), BY_HEART))
        assert (run.state, run.done) == ("done", 3)
        (summary,) = lab.result(run).to_json()["configurations"]
        assert (summary["n_failed"], summary["failed"]) == (1, {"out of memory": 1})


def test_a_model_server_that_stays_busy_ends_the_evaluation_which_goes_on_where_it_was(tmp_path: Path) -> None:
    # Asked when its turn comes, and once more when patience is at its end.
    lm = ScriptedLM(["Ann", Reply(error=Busy("the quota is used up"), times=2), "Bob", "Cid"])
    with laboratory(tmp_path, lm=lm) as lab:
        lab.patience_s = 0.05
        run = lab.ended(lab.start(lab.asked(ASKED), BY_HEART))
        assert (run.state, run.error, run.done) == ("failed", "the quota is used up", 1)
        run = lab.resumed(run)
        assert (run.state, run.done, run.reused) == ("done", 3, 1)


def test_what_failed_is_told_and_asked_again_and_nobody_votes_on_it(tmp_path: Path) -> None:
    lm = ScriptedLM(["Ann", Reply(error=OpenbookError("the tower fell")), "Cid", "Bob"])
    with laboratory(tmp_path, lm=lm) as lab:
        of = lab.asked(ASKED)
        run = lab.ended(lab.start(of, BY_HEART))
        assert run.state == "done"
        result = lab.result(run)
        (summary,) = result.to_json()["configurations"]
        assert (summary["n_failed"], summary["failed"]) == (1, {"the tower fell": 1})
        told = "1 question failed, which counts as not answered: 1 (the tower fell)"
        assert summary["notes"] == [told] and told in markdown_report(result.to_json(), [])
        assert different_answers(result, 0, 0, result.questions[1].question_id) is None
        again = lab.ended(lab.start(of, BY_HEART))
        assert (again.state, again.done, again.reused) == ("done", 3, 2) and len(lm.asked) == 4
        (summary,) = lab.result(again).to_json()["configurations"]
        assert (summary["n_failed"], summary["notes"], summary["metrics"]["em"]["mean"]) == (0, [], 1.0)


def test_where_all_fail_there_is_no_mean(tmp_path: Path) -> None:
    lm = ScriptedLM([Reply(error=OpenbookError("the tower fell"), times=0)])
    with laboratory(tmp_path, lm=lm) as lab:
        of = lab.asked(ASKED)
        run = lab.ended(lab.start(of, BY_HEART))
        assert run.state == "failed"
        assert run.error == "answers by closed-book: all 3 questions failed; the first: the tower fell"
        (summary,) = lab.result(run).to_json()["configurations"]
        assert (summary["n_failed"], summary["metrics"]["em"]["mean"]) == (3, None)
        assert board_of(lab.result(run).measured)["places"] == []
        board = board_of_set(lab.services, LOCAL, of.set_id, "qa")
        assert (board["places"], len(board["incomplete"])) == ([], 1)


@pytest.mark.parametrize("contexts", [None, "own"])
def test_after_a_restart_an_evaluation_waits_for_the_model_that_loads_last(
    tmp_path: Path, contexts: Contexts | None
) -> None:
    with laboratory(tmp_path) as lab:
        lab.put("gate", "Ann keeps the gate.")
        part = lab.services.loading["language model"] = Loading("language model", state="loading")
        run = lab.start(lab.asked([("Who keeps the gate?", "Ann", "gate")]), replace(BY_HEART, contexts=contexts))

        async def go() -> EvalRun:
            async with lab.running():
                await lab.until(run, lambda found: found.stage.endswith("the language model is loading"))
                lab.services.models.lm, part.state = LMQueue(ScriptedLM(["Ann"]), max_waiting=1), "ready"
                return await lab.until(run, lambda found: found.state in FINAL)

        assert asyncio.run(go()).state == "done"
        run = lab.start(lab.asked(ASKED), BY_HEART)
        lab.services.models.lm, part.state, part.detail = None, "failed", "no memory"
        failed = lab.ended(run)
        assert failed.state == "failed" and "the language model is failed (no memory)" in failed.error


CHOSEN: tuple[Contexts, ...] = ("counterfactual", "own")
TOWNS = ["Alby", "Brenna", "Corvey", "Dunmor", "Estrel"]


def test_another_answer_put_in_is_answered_anew_where_it_is_another_one(tmp_path: Path) -> None:
    """The more questions are asked, the more answers there are to put in."""
    with laboratory(tmp_path, verifier="rules", extract_threshold=0.0) as lab:
        for n, town in enumerate(TOWNS):
            lab.put(town, f"The bridge of {town} is {107 + 8 * n} long.")
        of = lab.asked([(f"How long is the bridge of {town}?", str(107 + 8 * n), town) for n, town in enumerate(TOWNS)])
        other, own = (Configuration(strategy="extract", contexts=c) for c in CHOSEN)

        def answers(run: EvalRun) -> list[str]:
            return [row["answer"] for row in lab.result(run).measured[0].rows.values()]

        first = lab.ended(lab.start(of, other, own, n=3))
        assert (first.state, first.done, first.reused) == ("done", 6, 0)
        said = answers(first)
        second = lab.ended(lab.start(of, other, own))
        assert (second.state, second.done, second.reused) == ("done", 10, 3), "of its own passages three are known"
        right = [float(answer in text) for text, answer in zip(answers(second), put_in(lab, second), strict=True)]
        scored = [row["metrics"]["contains"] for row in lab.result(second).measured[0].rows.values()]
        assert scored == right and 1.0 in right
        assert answers(first) == said, "what was measured before still stands"


def put_in(lab: Laboratory, run: EvalRun) -> list[str]:
    """The answer that is the right one for each question."""
    samples, left_out = samples_of(lab.services, LOCAL, lab.result(run).questions, "counterfactual")
    assert not left_out
    return [samples[question_key(q)].answers[0] for q in lab.result(run).questions]


def test_what_cannot_be_asked_from_chosen_passages_is_told_with_the_reason(tmp_path: Path) -> None:
    with laboratory(tmp_path, extract_threshold=0.0) as lab:
        for n, town in enumerate(TOWNS[:3]):
            lab.put(town, f"The bridge of {town} is {107 + 8 * n} long.")
        asked = [(f"How long is the bridge of {town}?", str(107 + 8 * n), town) for n, town in enumerate(TOWNS[:2])]
        asked += [("Who knows?", "nobody", ""), ("What is it?", "bridge", TOWNS[2])]
        run = lab.ended(lab.start(lab.asked(asked), Configuration(strategy="extract", contexts="distractors")))
        assert (run.state, run.done) == ("done", 4)
        (summary,) = lab.result(run).to_json()["configurations"]
        why = {"no passage of its own": 1, "every other passage holds its answer": 1}
        assert (summary["n"], summary["left_out"]) == (2, why)
        assert summary["notes"] == [
            "2 questions left out: 1 (no passage of its own), 1 (every other passage holds its answer)"
        ]


def test_a_question_whose_document_was_changed_is_neither_counted_nor_missed(tmp_path: Path) -> None:
    with laboratory(tmp_path) as lab:
        for n, town in enumerate(TOWNS):
            lab.put(town, f"The bridge of {town} is {107 + 8 * n} long.")
        of = lab.asked([(f"How long is the bridge of {town}?", str(107 + 8 * n), town) for n, town in enumerate(TOWNS)])
        lab.put(TOWNS[0], "The bridge was taken down.")
        run = lab.ended(lab.start(of, Configuration(retriever="bm25"), Configuration(retriever="dense")))
        told = run.to_json()
        assert (run.state, told["n_questions"], run.done, run.total, told["progress"]) == ("done", 4, 8, 8, 1.0)
        assert "4 questions over the collection" in markdown_report(lab.result(run).to_json(), [])
        board = board_of_set(lab.services, LOCAL, of.set_id, "retrieval")
        assert [(p["n"], p["mean"] > 0) for p in board["places"]] == [(4, True)] * 2 and board["incomplete"] == []
        lab.put(TOWNS[1], "The bridge was taken down as well.")
        board = board_of_set(lab.services, LOCAL, of.set_id, "retrieval")
        assert board["places"] == [] and [i["measured"] for i in board["incomplete"]] == [0, 0]


def test_a_way_that_cannot_be_asked_everything_has_its_place_all_the_same(tmp_path: Path) -> None:
    with laboratory(tmp_path, extract_threshold=0.0) as lab:
        lab.put("gate", "Ann keeps the gate of the town.")
        of = lab.asked([("Who keeps the gate of the town?", "Ann", "gate"), ("Who knows?", "nobody", "")])
        run = lab.ended(lab.start(of, *(Configuration(strategy="extract", contexts=c) for c in (None, "own"))))
        assert run.state == "done"
        board = board_of_set(lab.services, LOCAL, of.set_id, "qa")
        assert len(board["places"]) == 2 and board["n_questions"] == 1 and board["incomplete"] == []


def test_a_board_is_by_a_metric_that_has_values(tmp_path: Path) -> None:
    """Questions from thumbs have no right answer to compare with, so there is no exact match of them."""
    with laboratory(tmp_path, extract_threshold=0.0) as lab:
        lab.put("gate", "Ann keeps the gate of the town.")
        of = lab.asked([("Who keeps the gate of the town?", "", "gate")])
        run = lab.ended(
            lab.start(of, Configuration(strategy="extract"), Configuration(strategy="extract", stress="typos"))
        )
        board = board_of(lab.result(run).measured)
        assert (board["metrics"][0], board["metric"], len(board["places"])) == ("em", "answered", 2)


class Reading(HashEncoder):
    """Counts how often it reads a question."""

    questions = 0

    def load(self) -> None:
        pass

    def encode_both(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        return self.encode_documents(texts), self.encode_tokens(texts)

    def encode_query_both(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        self.questions += len(texts)
        return self.encode_both(texts)


def test_each_search_is_timed_with_the_reading_of_its_question_whatever_was_measured_before(tmp_path: Path) -> None:
    reading = Reading()
    with laboratory(tmp_path, encoder=RememberingEncoder(reading)) as lab:
        lab.put("gate", "Ann keeps the gate.")
        lab.put("mill", "Bob keeps the mill.")
        of = lab.asked([("Who keeps the gate?", "Ann", "gate"), ("Who keeps the mill?", "Bob", "mill")])
        ways = (Configuration(retriever="dense"), Configuration(retriever="hybrid"), Configuration(retriever="bm25"))
        assert lab.ended(lab.start(of, *ways)).state == "done"
        assert reading.questions == 2 * 2, "by dense and by hybrid; bm25 has no use for it"


def asked_of(queue: LMQueue) -> asyncio.Future[Outcome]:
    strategy = ClosedBookStrategy(lm=queue.for_user("me"))
    where = Where(principal=Principal(user_id=LOCAL_USER_ID))

    return asyncio.ensure_future(
        Asking(busy_s=0.01).to_the_end(
            lambda: strategy.run("Who keeps the gate?", history=(), limits=Limits(), where=where, run_id="r"), queue
        )
    )


async def slow(queue: LMQueue) -> None:
    async for _ in queue.stream([Message(role="user", content="slow")], [], SamplingParams()):
        pass


def test_where_the_queue_is_full_the_question_waits_for_people_and_its_seconds_are_its_own() -> None:
    lm = ScriptedLM([Reply(text="slow", when="slow", delay_s=0.4, times=0), Reply(text="Ann", times=0)])

    async def go() -> Outcome:
        queue = LMQueue(lm, max_waiting=0)
        for _ in range(20):  # so that it knows of short requests, and asks for little patience
            async for _ in queue.stream([Message(role="user", content="x")], [], SamplingParams()):
                pass
        person = asyncio.ensure_future(slow(queue))
        await asyncio.sleep(0.05)
        with pytest.raises(Busy):
            queue.check()
        outcome = await asked_of(queue)
        await person
        return outcome

    outcome = asyncio.run(go())
    assert outcome.answer is not None and outcome.answer.text == "Ann" and outcome.seconds < 0.3


@pytest.mark.parametrize("times", [1, 3])
def test_a_model_server_that_is_busy_is_asked_again(times: int) -> None:
    lm = ScriptedLM([Reply(error=Busy("too many requests"), times=times), "Ann"])

    async def go() -> Outcome:
        return await asked_of(LMQueue(lm, max_waiting=1))

    outcome = asyncio.run(go())
    assert outcome.answer is not None and outcome.answer.text == "Ann" and len(lm.asked) == times + 1
