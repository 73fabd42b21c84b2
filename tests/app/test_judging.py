"""A judge that is asked: what is known is not asked again, and what cannot be asked does not end the asking."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.judging import ask_judge
from core.errors import Busy, ModelUnavailable, RunCancelled
from core.types import Message
from eval.judge import Pair, verdicts
from eval.kept_rows import KeptRows
from lm.scripted import Reply, ScriptedLM

PAIRS = [Pair(id=str(i), question="the same?" if i < 2 else f"{i}?", a="good", b="poor") for i in range(4)]


def likes_good(messages: Sequence[Message]) -> str:
    return '{"better": "1"}' if '<answer id="1">good' in messages[-1].content else '{"better": "2"}'


def asked(lm: ScriptedLM, pairs: Sequence[Pair], kept: KeptRows, stop_at: int = 99) -> list[int]:
    """How far it told that it was; at ``stop_at`` it is cancelled."""
    told: list[int] = []

    async def keep(done: int, new: Mapping[str, Mapping[str, Any]]) -> None:
        for key, row in new.items():
            kept.add(key, row)
        told.append(done)
        if done == stop_at:
            raise RunCancelled("no more")

    asyncio.run(ask_judge(lm, pairs, kept.rows, keep))
    return told


def test_replies_are_kept_so_that_a_rerun_asks_nothing_and_says_the_same_to_the_bit(tmp_path: Path) -> None:
    first, second = ScriptedLM(likes_good), ScriptedLM(lambda messages: '{"better": "tie"}')
    assert asked(first, PAIRS, KeptRows(tmp_path, {}).load()) == [0, 1, 2, 3, 4]
    assert len(first.asked) == 6, "two of the four pairs are the same question with the same answers"
    assert asked(second, PAIRS, KeptRows(tmp_path, {}).load()) == [4]
    assert second.asked == []
    result = verdicts(PAIRS, KeptRows(tmp_path, {}).load().rows, "scripted")
    assert (result.n, result.n_left, result.b_preferred) == (4, 0, 0.0)


def test_one_that_is_cancelled_goes_on_where_it_was(tmp_path: Path) -> None:
    lm, kept = ScriptedLM(likes_good), KeptRows(tmp_path, {})
    with pytest.raises(RunCancelled):
        asked(lm, PAIRS, kept, stop_at=3)
    assert verdicts(PAIRS, kept.rows, "scripted").n_left == 1
    assert asked(lm, PAIRS, kept) == [3, 4] and len(lm.asked) == 6


def test_a_pair_too_long_for_the_model_is_counted_and_the_next_is_asked(tmp_path: Path) -> None:
    long = Pair(id="long", question="?", a="word " * 3000, b="poor")
    lm, kept = ScriptedLM(likes_good, context_tokens=1000), KeptRows(tmp_path, {})
    assert asked(lm, [long, *PAIRS], kept)[-1] == 5
    result = verdicts([long, *PAIRS], kept.rows, "scripted")
    assert (result.n, result.n_unread, result.n_too_long) == (5, 1, 1)


def test_people_who_ask_the_model_come_first_and_a_model_that_fails_ends_it(tmp_path: Path) -> None:
    replies = [Reply(error=Busy("full", retry_after_s=0)), Reply(text='{"better": "1"}')]
    lm = ScriptedLM([*replies, Reply(error=ModelUnavailable("it went away"))])
    with pytest.raises(ModelUnavailable, match="went away"):
        asked(lm, PAIRS[2:], KeptRows(tmp_path, {}))
    assert len(lm.asked) == 3
