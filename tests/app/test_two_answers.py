"""Two answers of which neither is seen before both are there: whatever happens on the way, what is whole is kept."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from agents.closed_book import ClosedBookStrategy
from app.client import ApiError, Client
from app.runs import Run, Runs
from app.two_answers import TwoAnswers
from core.errors import Busy, ModelUnavailable, OpenbookError
from core.types import Limits
from lm.scripted import Reply, ScriptedLM
from tests.support.jobs import ready_collection
from tests.support.passages import EVERYTHING

QUESTION = "How tall was the Saturn V?"
TEXT = b"# Rockets\n\nThe Saturn V was 110.6 metres tall. Its first stage had five F-1 engines.\n"
WAYS = [{"strategy": "rag", "model": "small"}, {"strategy": "rag", "model": "large"}]

Kept = list[tuple[str, str | None]]
WHOLE, ENDLESS = Reply(text="Whole."), Reply(text="word " * 400, delta_delay_s=0.05)
BROKEN = Reply(text="Half", error=ModelUnavailable("it went away"))


def said_by(
    *replies: Reply | OpenbookError, then: Callable[[TwoAnswers[str], list[Run]], Awaitable[None]] | None = None
) -> tuple[Kept, TwoAnswers[str]]:
    """What is kept of two runs that say these things, or cannot begin; ``then`` happens once the first has begun."""
    kept: Kept = []
    runs, begun = Runs(), list[Run]()

    async def begin(n: int, hold: Callable[[str], Awaitable[None]]) -> Run:
        reply = replies[n]
        if isinstance(reply, OpenbookError):
            raise reply

        async def ended(run: Run) -> None:
            await hold(run.outcome.answer.text if run.outcome and run.trace().answer else "…")

        strategy = ClosedBookStrategy(lm=ScriptedLM([reply]))
        run = runs.start(strategy, QUESTION, history=(), limits=Limits(), where=EVERYTHING, on_end=ended)
        begun.append(run)
        return run

    async def keep(first: str, second: str | None) -> None:
        kept.append((first, second))

    async def work() -> TwoAnswers[str]:
        two = TwoAnswers(begin, lambda text: text != "…", keep)
        await two.start()
        if then is not None:
            await then(two, begun)
        await two.wait()
        assert len(runs) == 0
        assert [run.run_id async for run in two.runs()] == [run.run_id for run in begun]
        return two

    return kept, asyncio.run(work())


async def second_begun(begun: list[Run]) -> None:
    while len(begun) < 2:
        await asyncio.sleep(0.001)


def test_both_are_kept_at_once_when_both_are_there() -> None:
    kept, two = said_by(WHOLE, Reply(text="Another."))
    assert kept == [("Whole.", "Another.")] and two.done and two.error is None


@pytest.mark.parametrize("second", [BROKEN, Busy("not now")])
def test_a_second_that_breaks_off_or_cannot_begin_leaves_the_first_and_says_why(second: Reply | OpenbookError) -> None:
    kept, two = said_by(WHOLE, second)
    assert kept == [("Whole.", None)] and not two.done
    assert two.error is not None and two.error.message in ("it went away", "not now")


def test_a_first_that_breaks_off_is_the_end() -> None:
    kept, two = said_by(BROKEN, WHOLE)
    assert kept == [("…", None)] and two.error is not None and not two.done


def test_a_stop_in_the_first_begins_no_second_and_one_in_the_second_leaves_the_first() -> None:
    async def at_once(two: TwoAnswers[str], _begun: list[Run]) -> None:
        two.cancel()

    kept, two = said_by(ENDLESS, WHOLE, then=at_once)
    assert kept == [("…", None)] and (two.done, two.error) == (False, None)

    async def later(two: TwoAnswers[str], begun: list[Run]) -> None:
        await second_begun(begun)
        two.cancel()

    kept, two = said_by(WHOLE, ENDLESS, then=later)
    assert kept == [("Whole.", None)] and (two.done, two.error) == (False, None)


def test_a_run_that_is_cancelled_by_its_id_stops_both() -> None:
    async def cancelled(_two: TwoAnswers[str], begun: list[Run]) -> None:
        await second_begun(begun)
        begun[1].cancel()

    kept, two = said_by(WHOLE, ENDLESS, then=cancelled)
    assert kept == [("Whole.", None)] and (two.done, two.error) == (False, None)


@pytest.fixture(scope="module")
def rockets(server):
    with ready_collection(server, "pairs", rockets=TEXT) as name:
        yield name


def asked_twice(client: Client, chat: str, **how) -> list[tuple[str, dict]]:
    with client.pair_stream(chat, QUESTION, **how) as said:
        return list(said)


def test_nothing_tells_the_two_apart_before_the_vote_in_any_reply(client: Client, rockets: str) -> None:
    chat = client.create_chat([rockets])["chat_id"]
    events = asked_twice(client, chat, ways=WAYS)
    assert [(name, set(data)) for name, data in events] == [
        ("run", {"run_id"}),
        ("run", {"run_id"}),
        ("compared", {"compared"}),
    ]
    pair = events[-1][1]["compared"]
    assert pair["choice"] is None and pair["from_start"] and set(pair) == {"answers", "choice", "from_start"}
    assert sorted(pair["answers"]) == ["So says the large one.", "So says the small one."], "without markers"
    question, answer = client.chat(chat)["messages"]
    assert (question["content"], len(answer["versions"])) == (QUESTION, 2)
    for version in answer["versions"]:
        shown = client.select_version(chat, version)["messages"][-1]
        assert (shown["content"], shown["answer"], shown["run_id"], shown["compared"]) == ("", None, None, pair)
    better = str(pair["answers"].index("So says the large one.") + 1)
    voted = client.vote_on_answers(chat, answer["message_id"], better)
    assert voted["ways"][int(better) - 1] == "rag by large"
    shown = client.chat(chat)["messages"][-1]
    assert shown["content"].startswith("So says the large one") and shown["answer"] is not None
    standing = client.chat_votes(from_start=True)
    assert standing["n_votes"] == standing["n_from_start"] == 1
    assert [s["label"] for s in standing["strengths"]] == ["rag by large", "rag by small"]
    client.delete_chat(chat)


def test_which_is_given_first_and_which_is_shown_first_are_both_drawn(client: Client, rockets: str) -> None:
    chat = client.create_chat([rockets])["chat_id"]
    seen: Counter[tuple[bool, bool]] = Counter()
    for _ in range(16):
        pair = asked_twice(client, chat, ways=WAYS)[-1][1]["compared"]
        older = client.chat(chat)["messages"][-1]["versions"][0]
        voted = client.vote_on_answers(chat, older, "equal")
        assert sorted(voted["ways"]) == ["rag by large", "rag by small"]
        assert voted["answers"] == pair["answers"], "as they were shown"
        seen[(voted["message_ids"][0] == older, voted["ways"][0] == "rag by large")] += 1
    assert len(seen) >= 3, "of four ways to draw; two or fewer come up once in 10,000 times"
    client.delete_chat(chat)


def test_another_question_in_its_place_is_answered_twice_as_well(client: Client, rockets: str) -> None:
    chat = client.create_chat([rockets])["chat_id"]
    asked_twice(client, chat, ways=WAYS)
    first = client.chat(chat)["messages"][0]["message_id"]
    asked_twice(client, chat, ways=WAYS, instead_of=first)
    messages = client.chat(chat)["messages"]
    assert len(messages) == 2 and messages[0]["versions"][0] == first and len(messages[0]["versions"]) == 2
    client.delete_chat(chat)


@pytest.mark.parametrize(
    ("ways", "says"),
    [
        ([{"strategy": "extract"}], "two different ways to answer are needed"),
        (
            [{"strategy": "extract"}, {"strategy": "extract", "model": "large"}],
            "two different ways to answer are needed",
        ),
        ([{"strategy": "extract"}, {"strategy": "guess"}], "unknown strategy 'guess': choose extract, rag"),
        (
            [{"strategy": "extract"}, {"strategy": "rag", "model": "huge"}],
            "unknown model 'huge': there are small, large",
        ),
        ([{"strategy": "extract"}, {"strategy": "rag"}], "'rag' cannot be drawn just now: choose of extract"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_the_question_is_kept(
    client: Client, rockets: str, ways: list, says: str
) -> None:
    chat = client.create_chat([rockets])["chat_id"]
    with pytest.raises(ApiError, match=says) as refused:
        asked_twice(client, chat, ways=ways)
    assert refused.value.status == 422
    assert client.chat(chat)["messages"] == []
    client.delete_chat(chat)
