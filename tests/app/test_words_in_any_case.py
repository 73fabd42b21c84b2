"""Words are found in any case in any script, wherever people look for them, and a purge knows them again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.shared_chats import SharedChats
from app.traces import TraceFilter
from app.upkeep.scrub import MARKER, Scrub
from core.ids import document_id
from retrieval.access import searched_ids
from retrieval.members import set_member
from tests.support.library import LOCAL
from tests.support.purge_desk import PurgeDesk, purge_desk

# What is written, what is looked for, and what must not be found by that.
CASES = [
    ("Отчёт: Москва выросла", "МОСКВА", "Омск вырос"),
    ("Ο Δρόμος της Αθήνας", "ΑΘΉΝΑΣ", "Ο Δρόμος της Σπάρτης"),
    ("28 ΜΑΪ́ΟΥ", "Μαΐου", "28 Ιουνίου"),
    ("ÜBER die Straße", "über STRASSE", "unter der Brücke"),
    ("The Quay 100%", "quay 100%", "The Quay 1000"),
]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[PurgeDesk]:
    with purge_desk(tmp_path) as made:
        made.create("c")
        yield made


@pytest.mark.parametrize(("written", "words", "other"), CASES)
def test_lists_find_words_in_any_case(desk: PurgeDesk, written: str, words: str, other: str) -> None:
    reader = desk.person("reader")
    with desk.lib.database.write() as connection:
        set_member(connection, LOCAL, "c", "reader", "reader")
        searched = searched_ids(connection, LOCAL, ["c"])
    titled, asked, told = (
        desk.chats.create(LOCAL, title=t, collections=["c"], strategy="extract") for t in (written, "a", "b")
    )
    desk.chats.create(LOCAL, title=other, collections=["c"], strategy="extract")
    for chat, question, answer in ((titled, "hm", other), (asked, written, "hm"), (told, other, f"It is {written}.")):
        message = desk.chats.ask(LOCAL, chat.chat_id, question)
        desk.chats.answer(LOCAL, chat.chat_id, message, content=answer, searched=searched)
        with desk.lib.database.write() as connection:
            desk.chats.share(connection, LOCAL, chat.chat_id, True)
    for run_id, question in (("r1", written), ("r2", other)):
        trace = {"run_id": run_id, "strategy": "extract", "question": question, "stop_reason": "answered"}
        desk.traces.save(LOCAL, {**trace, "duration_s": 1.0, "usage": {"prompt_tokens": 0, "completion_tokens": 0}})
    desk.lib.put_many("c", {"named.md": "one", f"{written}.md": "two", f"{other}.md": "three"})
    desk.lib.put("c", "titled.md", "four", title=written)

    three = {titled.chat_id, asked.chat_id, told.chat_id}
    assert {chat.chat_id for chat in desk.chats.list_chats(LOCAL, words=words)[0]} == three
    shared = SharedChats(desk.lib.database)
    assert {chat.chat_id for chat in shared.list_shared(reader, 10, words=words)[0]} == three
    runs, _ = desk.traces.list_traces(LOCAL, TraceFilter(words=words), 10)
    assert [run.run_id for run in runs] == ["r1"]
    found, _ = desk.lib.store.list_documents(LOCAL, "c", words=words)
    assert {document.uri for document in found} == {f"{written}.md", "titled.md"}


def test_nobody_finds_another_persons_conversations_by_their_words(desk: PurgeDesk) -> None:
    chat = desk.chats.create(LOCAL, title="", collections=["c"], strategy="extract")
    desk.chats.ask(LOCAL, chat.chat_id, "Москва")
    assert desk.chats.list_chats(desk.person("ann"), words="москва") == ([], None)


@pytest.mark.parametrize(("mine", "theirs"), [("Москва", "МОСКВА"), ("Ägypten", "ÄGYPTEN"), ("Αθήνας", "ΑΘΉΝΑΣ")])
def test_a_purge_leaves_a_word_that_another_document_has_in_another_case(
    desk: PurgeDesk, mine: str, theirs: str
) -> None:
    desk.lib.put("c", "a.md", f"Of {mine} and Zwirbelstadt.")
    desk.lib.put("c", "b.md", f"Of {theirs}, too.")
    purged = document_id("c", "a.md")
    scrub = Scrub(purged, f"Of {mine} and Zwirbelstadt.", (), lambda word: not desk.lib.store.says(word, but=purged))
    assert scrub.text(f"What of {mine}?") == f"What of {mine}?"
    assert scrub.text("What of ZWIRBELSTADT?") == f"What of {MARKER}"
