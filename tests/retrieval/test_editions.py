"""A second edition of a collection: seen by nobody while it is made, switched to at once, and back again."""

from __future__ import annotations

import pytest

from core.database import open_database
from core.errors import Conflict, InvalidRequest, NotFound
from core.ids import document_id
from retrieval import edition_copies, edition_switch, editions
from retrieval.audit import audit_editions
from retrieval.generations import Generations
from retrieval.index_audit import audit_indexes
from retrieval.mend import drop_copy
from tests.support import edition_steps as steps
from tests.support.edition_steps import NEW
from tests.support.hash_encoder import HashEncoder
from tests.support.library import LOCAL, make_document, open_library

OLD = HashEncoder(16)
TEXTS = {
    "a": "red round things roll down the green hill and stop at the blue wall of the old mill",
    "b": "square boxes stand in the yellow yard behind the mill where nobody looks at them",
    "c": "nothing here but sand",
}


class Bench:
    """A library with documents, and hands that make an edition of them."""

    def __init__(self, folder):
        self.folder = folder
        self.lib = open_library(folder, OLD)
        self.lib.create("c")
        for uri, text in TEXTS.items():
            self.lib.put("c", uri, text, words_per_chunk=8)

    def reopen(self):
        self.lib.close()
        self.lib = open_library(self.folder, OLD)
        self.lib.engine.add_encoder(NEW)

    def begin(self, encoder=NEW):
        self.encoder = encoder
        self.edition_id = steps.begin(self.lib, encoder)

    def get(self, connection):
        return editions.get(connection, self.edition_id)

    def copy(self, uri, text):
        return steps.copy(self.lib, self.edition_id, uri, text, self.encoder)

    def copy_all(self):
        steps.copy_all(self.lib, self.edition_id, TEXTS, self.encoder)

    def switch(self):
        return steps.switch(self.lib, self.edition_id, self.encoder)

    def roll_back(self):
        steps.roll_back(self.lib)

    def sweep(self):
        return steps.sweep(self.lib)

    def check(self):
        steps.check(self.lib)

    def seen(self, retriever="dense", query="red", k=100):
        """{(uri, words of the passage)}"""
        hits = self.lib.search(query, k, retriever=retriever)
        return {(h.title, len(h.chunk.text.split())) for h in hits}


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.lib.close()


# Words per document: 18, 15 and 4, cut after every 8 before, and after every 3 now.
OLD_SEEN = {("a", 8), ("a", 2), ("b", 8), ("b", 7), ("c", 4)}
NEW_SEEN = {("a", 3), ("b", 3), ("c", 3), ("c", 1)}


def test_while_it_is_made_the_old_one_is_searched_and_listed(bench):
    bench.begin()
    bench.copy_all()
    assert bench.seen() == OLD_SEEN
    assert bench.seen("bm25", "mill") == {("a", 2), ("b", 7)}
    (info,) = bench.lib.store.list_collections(LOCAL)
    assert info.documents == 3
    assert len(bench.lib.store.list_documents(LOCAL, "c")[0]) == 3
    bench.check()
    bench.reopen()
    assert bench.seen() == OLD_SEEN
    bench.check()


def test_a_switch_shows_all_of_the_new_one_and_none_of_the_old(bench):
    bench.begin()
    bench.copy_all()
    assert bench.switch() is not None
    assert bench.seen() == NEW_SEEN
    assert {n for _, n in bench.seen("bm25", "mill")} <= {1, 2, 3}
    assert {n for _, n in bench.seen("hybrid", "mill")} <= {1, 2, 3}
    bench.check()
    bench.reopen()
    assert bench.seen() == NEW_SEEN
    bench.check()


def test_it_is_not_switched_to_before_every_document_is_made(bench):
    bench.begin()
    bench.copy("a", TEXTS["a"])
    assert bench.switch() is None
    with bench.lib.database.read() as connection:
        edition = bench.get(connection)
        assert [d.uri for d in edition_copies.unmade(connection, edition, 9)] == ["b", "c"]
        assert [d.uri for d in edition_copies.unmade(connection, edition, 9, {document_id("c", "b")})] == ["c"]
        found = edition_copies.progress(connection, edition)
    lengths = {uri: len(text) for uri, text in TEXTS.items()}
    assert (found.documents, found.done) == (3, 1)
    assert (found.characters, found.characters_done) == (sum(lengths.values()), lengths["a"])


def test_the_way_back_and_forth_again(bench):
    before = bench.seen(), bench.seen("bm25", "mill")
    bench.begin()
    bench.copy_all()
    bench.switch()
    for _ in range(2):
        bench.roll_back()
        assert (bench.seen(), bench.seen("bm25", "mill")) == before
        bench.check()
        bench.roll_back()
        assert bench.seen() == NEW_SEEN
        bench.check()
    bench.roll_back()
    bench.reopen()
    assert (bench.seen(), bench.seen("bm25", "mill")) == before
    bench.check()
    with bench.lib.database.read() as connection:
        assert editions.pipeline_of(connection, "c") == {"chunker": "old"}


def test_a_search_that_began_before_the_switch_ends_with_what_it_saw(bench):
    bench.begin()
    bench.copy_all()
    with bench.lib.engine.snapshot() as snapshot:
        rows = set(snapshot.alive().tolist())
        bench.switch()
        assert set(snapshot.alive().tolist()) == rows
        assert not rows & set(bench.lib.engine._catalogue.newest().alive().tolist())


def test_a_document_that_is_deleted_meanwhile_does_not_come_back(bench):
    bench.begin()
    bench.copy_all()
    bench.lib.delete("c", "a")
    assert not bench.copy("a", TEXTS["a"])  # a worker that comes too late
    assert bench.switch() is not None
    assert {uri for uri, _ in bench.seen()} == {"b", "c"}
    bench.check()
    bench.lib.delete("c", "b")
    bench.roll_back()
    assert {uri for uri, _ in bench.seen()} == {"c"}
    bench.check()


def test_a_document_that_comes_or_changes_meanwhile_is_made_too(bench):
    bench.begin()
    bench.copy_all()
    bench.lib.put("c", "a", "other words in place of the first ones", words_per_chunk=8)
    bench.lib.put("c", "d", "one more that nobody expected", words_per_chunk=8)
    assert not bench.copy("a", TEXTS["a"])  # of the old bytes
    assert bench.switch() is None
    bench.check()
    assert bench.copy("a", "other words in place of the first ones")
    assert bench.copy("d", "one more that nobody expected")
    assert bench.switch() is not None
    assert bench.seen() == {("a", 3), ("a", 2), ("b", 3), ("c", 3), ("c", 1), ("d", 3), ("d", 2)}
    bench.check()


def test_what_came_after_the_switch_stays_on_the_way_back(bench):
    bench.begin()
    bench.copy_all()
    bench.switch()
    bench.lib.put("c", "d", "one more that nobody expected", words_per_chunk=8)
    bench.lib.put("c", "a", "other words in place of the first ones", words_per_chunk=8)
    bench.roll_back()
    assert bench.seen() == {("a", 8), ("b", 8), ("b", 7), ("c", 4), ("d", 5)}
    bench.check()


def test_a_document_that_cannot_be_made_stays_searched_as_it_is(bench):
    bench.begin()
    bench.copy("a", TEXTS["a"])
    bench.copy("b", TEXTS["b"])
    with bench.lib.database.write() as connection:
        edition = bench.get(connection)
        (c,) = edition_copies.unmade(connection, edition, 9)
        assert edition_copies.note_attempt(connection, edition, c)
        edition_copies.note_failure(connection, edition.edition_id, c.doc_id, "it is broken")
    with bench.lib.database.read() as connection:
        assert edition_copies.progress(connection, edition).failures == (("c", "it is broken"),)
    assert bench.switch() is not None
    assert bench.seen() == {("a", 3), ("b", 3), ("c", 4)}  # by two encoders at once
    bench.check()


def test_a_document_that_stops_its_worker_is_given_up_after_three_attempts(bench):
    bench.begin()
    with bench.lib.database.write() as connection:
        edition = bench.get(connection)
        (a,) = edition_copies.unmade(connection, edition, 1)
        assert [edition_copies.note_attempt(connection, edition, a) for _ in range(4)] == [True, True, True, False]
        assert [d.uri for d in edition_copies.unmade(connection, edition, 9)] == ["b", "c"]
        assert "3 attempts" in dict(edition_copies.progress(connection, edition).failures)["a"]


def test_only_one_is_built_at_a_time_and_nothing_is_rolled_back_meanwhile(bench):
    bench.begin()
    with pytest.raises(Conflict, match="already"):
        bench.begin()
    with pytest.raises(Conflict, match="cancel"):
        bench.roll_back()


def test_without_an_earlier_one_there_is_no_way_back(bench):
    with pytest.raises(NotFound, match="reindex"):
        bench.roll_back()


def test_what_another_version_of_a_worker_makes_is_refused(bench):
    bench.begin()
    document, chunks = make_document("c", "a", TEXTS["a"])
    with bench.lib.database.write() as connection, pytest.raises(InvalidRequest, match="restart"):
        edition_copies.put_copy(
            connection, bench.get(connection), document, chunks, NEW.encode_documents([c.text for c in chunks]), (),
            encoder_revision=NEW.revision, chunker_version="words-other",
        )  # fmt: skip


def test_an_abandoned_one_leaves_nothing_behind(bench):
    before = bench.seen()
    bench.begin()
    bench.copy_all()
    with bench.lib.database.write() as connection:
        editions.abandon(connection, bench.edition_id)
    assert bench.sweep() == 1
    assert bench.seen() == before
    with bench.lib.database.read() as connection:
        assert bench.get(connection) is None
        n = connection.exec_driver_sql("SELECT count(*) FROM documents").scalar()
    assert n == 3
    bench.check()


def test_the_next_switch_and_a_command_give_up_the_kept_one(bench):
    bench.begin()
    bench.copy_all()
    bench.switch()
    bench.sweep()
    bench.begin(encoder=OLD)
    bench.copy_all()
    bench.switch()
    bench.sweep()
    with bench.lib.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM documents").scalar() == 6  # searched and kept
    with bench.lib.database.write() as connection:
        editions.forget(connection, "c")
    bench.sweep()
    with bench.lib.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM documents").scalar() == 3
        assert connection.exec_driver_sql("SELECT count(*) FROM vectors").scalar() == 6 + 5 + 2
    bench.check()
    with pytest.raises(NotFound):
        bench.roll_back()


def test_deleting_the_collection_takes_every_edition_with_it(bench):
    bench.begin()
    bench.copy_all()
    bench.switch()
    bench.begin(encoder=OLD)
    bench.lib.drop("c")
    with bench.lib.database.read() as connection:
        for table in ("documents", "editions", "chunks", "vectors", "texts"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0
    bench.check()


@pytest.mark.parametrize("between", ["nothing", "terms built anew", "another index", "deleted", "not prepared"])
def test_what_was_prepared_is_found_after_the_switch_whatever_happened_between(bench, between):
    bench.begin()
    bench.copy_all()
    engine = bench.lib.engine
    engine.add_encoder(NEW)
    if between != "not prepared":
        engine.prepare(bench.edition_id)
    assert engine.settle(30)
    assert bench.seen() == OLD_SEEN
    assert bench.seen("bm25", "mill") == {("a", 2), ("b", 7)}
    assert engine.audit() == []
    match between:
        case "terms built anew":
            engine.forget_removed()
        case "another index":
            bench.lib.search("mill", 9, retriever="tfidf")
        case "deleted":
            bench.lib.delete("c", "a")
    with bench.lib.database.write() as connection:
        change = edition_switch.switch(connection, bench.get(connection))
    engine.publish(change)
    expected = {hit for hit in NEW_SEEN if hit[0] != "a" or between != "deleted"}
    assert bench.seen() == expected
    for retriever in ("bm25", "tfidf"):
        with_mill = {title for title, _ in bench.seen(retriever, "mill")}
        assert with_mill == ({"b"} if between == "deleted" else {"a", "b"})
    bench.check()
    steps.roll_back(bench.lib, prepared=between != "not prepared")
    assert bench.seen() == {hit for hit in OLD_SEEN if hit[0] != "a" or between != "deleted"}
    bench.check()


def test_what_was_prepared_in_vain_leaves_the_indexes(bench):
    bench.begin()
    bench.copy_all()
    bench.lib.engine.add_encoder(NEW)
    bench.lib.engine.prepare(bench.edition_id)
    bench.lib.engine.unprepare()
    bench.check()
    assert len(bench.lib.engine.sparse_index("tantivy")) == 6
    bench.reopen()
    bench.check()
    assert bench.seen() == OLD_SEEN


def test_a_stop_after_preparing_leaves_nothing_in_the_indexes(bench):
    bench.begin()
    bench.copy_all()
    bench.lib.engine.prepare(bench.edition_id)
    bench.lib.close()
    database = open_database(bench.folder)
    with database.read() as connection:
        assert audit_indexes(connection, Generations(database, bench.folder / "indexes"))[1] == []
    database.close()
    bench.lib = open_library(bench.folder, OLD)
    bench.lib.engine.add_encoder(NEW)
    assert bench.seen() == OLD_SEEN
    bench.check()
    assert len(bench.lib.engine.sparse_index("tantivy")) == 6


def test_a_stray_copy_is_found_and_thrown_away(bench):
    bench.begin()
    bench.copy_all()
    with bench.lib.database.write() as connection:
        connection.exec_driver_sql("UPDATE documents SET sha256 = 'other' WHERE uri = 'a' AND edition_id IS NOT NULL")
        (found,) = audit_editions(connection)[1]
        assert found.code == "copy-damaged"
        drop_copy(connection, int(found.subject))
    bench.check()
    assert bench.switch() is None  # it is made again first
    assert bench.copy("a", TEXTS["a"])
    assert bench.switch() is not None
    bench.check()
