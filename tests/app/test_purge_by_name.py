"""A document's id follows from two names, which can be those of something else later: what a purge may then touch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.upkeep.scrub import MARKER
from core.types import Principal
from retrieval.members import set_member
from tests.support.purge_desk import PurgeDesk, purge_desk

TRAINS = "The firm pays for trains."
BICYCLES = "Only bicycles are paid for on Mondays."
GUESSES = ["Is it that the firm pays for trains or not?", "Is it that the firm pays for planes or not?"]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[PurgeDesk]:
    with purge_desk(tmp_path) as made:
        yield made


def policies(desk: PurgeDesk, owner: Principal, text: str) -> None:
    desk.create("policies", owner)
    desk.lib.put("policies", "travel.md", text)


def test_a_purge_leaves_what_another_person_was_told_from_a_former_collection_of_the_name(desk: PurgeDesk) -> None:
    ann, bob = desk.person("ann"), desk.person("bob")
    policies(desk, ann, TRAINS)
    hers = desk.told(ann, "policies", "travel.md", "Who pays for a train?", TRAINS)
    desk.lib.drop("policies", ann)
    policies(desk, bob, BICYCLES)
    run = desk.chats.runs_of(ann, hers)[0]
    kept = desk.traces.get(ann, run)
    guessing = desk.chats.create(bob, title="guesses", collections=["policies"], strategy="extract").chat_id
    for guess in GUESSES:
        desk.chats.ask(bob, guessing, guess)

    done = desk.purge(bob, "policies", "travel.md")
    assert desk.said(ann, hers) == ["Who pays for a train?", TRAINS]
    assert desk.traces.get(ann, run) == kept
    assert desk.said(bob, guessing) == GUESSES, "which of them is right cannot be seen"
    assert (done.chats, done.messages, done.traces) == (0, 0, 0)


def test_a_purge_takes_the_document_out_of_what_everybody_was_told_since_the_collection_was_made(
    desk: PurgeDesk,
) -> None:
    ann, bob = desk.person("ann"), desk.person("bob")
    policies(desk, ann, TRAINS)
    hers = desk.told(ann, "policies", "travel.md", "Who pays for a train?", TRAINS)
    desk.lib.drop("policies", ann)
    policies(desk, bob, BICYCLES)
    with desk.lib.database.write() as connection:
        set_member(connection, bob, "policies", "ann", "reader")
    desk.told(ann, "policies", "travel.md", "What is paid for on Mondays?", BICYCLES, hers)
    new = desk.told(ann, "policies", "travel.md", "And bicycles are paid for on Mondays?", BICYCLES)

    desk.purge(bob, "policies", "travel.md")
    assert desk.said(ann, hers) == ["Who pays for a train?", TRAINS, "What is paid for on Mondays?", MARKER]
    assert desk.said(ann, new) == [f"And {MARKER}?", MARKER]
    for chat in (hers, new):
        assert BICYCLES not in str(desk.traces.get(ann, desk.chats.runs_of(ann, chat)[-1]))
    assert TRAINS in str(desk.traces.get(ann, desk.chats.runs_of(ann, hers)[0]))


def test_a_purge_takes_all_that_has_the_name_out_of_ones_own_conversations(desk: PurgeDesk) -> None:
    bob = desk.person("bob")
    policies(desk, bob, BICYCLES)
    chat = desk.told(bob, "policies", "travel.md", "What is paid for?", BICYCLES)
    desk.lib.drop("policies", bob)
    policies(desk, bob, BICYCLES)  # the same file once more
    done = desk.purge(bob, "policies", "travel.md")
    assert desk.said(bob, chat) == ["What is paid for?", MARKER]
    assert (done.messages, done.traces) == (1, 1)
