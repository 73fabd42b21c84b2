"""The engine follows the database: at once, in all indexes, and through restarts."""

from __future__ import annotations

import shutil
import threading
import time

from tests.support.engines import answers, fill, manifests, sentence, stop_background, uris
from tests.support.hash_encoder import HashEncoder
from tests.support.library import library

# ---------------------------------------------------------------- at once


def test_a_published_document_is_found_by_every_retriever(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, 3)
        for retriever in ("bm25", "dense", "hybrid"):
            (best, *_) = lib.search("unique1", retriever=retriever)
            assert best.title == "f1" and "unique1" in best.chunk.text, retriever


def test_a_committed_document_is_invisible_until_published_and_then_everywhere(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        stop_background(lib)  # which would publish it by itself, within a second
        change = lib.commit("a", "x", "alpha beta gamma")
        assert lib.search("alpha", retriever="bm25") == lib.search("alpha", retriever="dense") == []
        lib.engine.publish(change)
        assert len(lib.search("alpha", retriever="bm25")) == len(lib.search("alpha", retriever="dense")) == 1


def test_what_was_committed_without_publishing_is_followed_by_itself(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        lib.commit("a", "x", "alpha beta gamma")
        assert lib.engine.settle(30)
        assert uris(lib.search("alpha")) == {"x"}


def test_publishing_out_of_order_or_twice_does_no_harm(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        first, second = lib.commit("a", "x", "alpha one"), lib.commit("a", "y", "alpha two")
        third = lib.commit("a", "x", "alpha three")
        for change in (third, second, first, third):
            lib.engine.publish(change)
        assert sorted(h.chunk.text for h in lib.search("alpha", retriever="bm25")) == ["alpha three", "alpha two"]
        assert lib.engine.status().rows == 2


def test_a_search_with_a_held_snapshot_still_finds_what_was_deleted_since(tmp_path):
    """Rows leave the indexes only after the last search that may look at them; only then both at once."""
    with library(tmp_path) as lib:
        lib.create("a")
        lib.put("a", "x", "alpha beta")
        row = lib.put("a", "y", "alpha gamma").added_rows[0]
        vector = lib.encoder.encode_queries(["alpha"])
        with lib.engine.snapshot() as before:
            lib.delete("a", "y")
            lib.engine._leave_step()
            allowed = before.allowed([1])
            for found in (
                lib.engine.sparse_index("tantivy").search("alpha", 10, allowed),
                lib.engine.dense_index("auto").search(vector, 10, allowed)[0],
            ):
                assert row in [r for r, _ in found]
        lib.engine._leave_step()
        with lib.engine.snapshot() as after:
            everything = after.allowed([1])
            everything.rows.flags.writeable = True
            everything.rows[row] = True  # even if it were allowed it is gone
            assert row not in [r for r, _ in lib.engine.dense_index("auto").search(vector, 10, everything)[0]]
            assert row not in [r for r, _ in lib.engine.sparse_index("tantivy").search("alpha", 10, everything)]


def test_documents_appear_and_leave_in_both_retrievers_at_once_under_concurrent_searches(tmp_path):
    """While one thread writes, hybrid hits on the marker word always carry both parts, and never text of a dead version."""
    stop = threading.Event()
    failures: list[str] = []
    searches = 0

    def look(lib):
        nonlocal searches
        while not stop.is_set():
            hits = lib.search("marker", k=50)
            searches += 1
            time.sleep(0.005)  # or the writer hardly gets its turn
            # Fused deeper than there are rows: dense lists every visible row, and every row has the marker for bm25.
            lone = [h for h in hits if set(h.parts) != {"bm25", "dense", "fused"}]
            failures.extend(f"{h.title} found by {sorted(h.parts)} alone" for h in lone)
            versions = {}
            for hit in hits:
                version = hit.chunk.text.split()[1]
                if versions.setdefault(hit.title, version) != version:
                    failures.append(f"two versions of {hit.title} in one answer")
            if "always" not in uris(hits):
                failures.append("a replaced document was missing for a moment")

    with library(tmp_path) as lib:
        lib.create("a")
        lib.put("a", "always", "marker v0", words_per_chunk=2)
        threads = [threading.Thread(target=look, args=(lib,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        i = 0
        while time.monotonic() < began + 3 or i < 10:
            i += 1
            lib.put("a", "always", f"marker v{i}", words_per_chunk=2)
            lib.put("a", f"d{i % 5}", f"marker v{i} marker v{i}", words_per_chunk=2)
            if i % 3 == 0:
                lib.delete("a", f"d{i % 5}")
        stop.set()
        for thread in threads:
            thread.join()
    assert failures[:5] == []
    assert searches > 20


def test_a_document_replaced_during_every_search_is_never_missing_from_one(tmp_path):
    """The writer comes between the search and the reading of its text, however often it is tried again."""

    class Replacing(HashEncoder):
        library = None
        times = 0

        def encode_queries(self, texts):
            if self.library is not None:
                self.times += 1
                self.library.put("a", "always", f"marker v{self.times}")
            return super().encode_queries(texts)

    encoder = Replacing()
    with library(tmp_path, encoder) as lib:
        lib.create("a")
        lib.put("a", "always", "marker v0")
        encoder.library = lib
        for _ in range(3):
            assert uris(lib.search("marker")) == {"always"}
        encoder.library = None
    assert encoder.times == 6  # each search was done twice: at once, then in one transaction with the reading


# ---------------------------------------------------------------- restart


def test_a_restart_answers_the_same(tmp_path):
    encoder = HashEncoder()
    with library(tmp_path, encoder) as lib:
        fill(lib)
        lib.delete("a", "f4")
        before = answers(lib)
    with library(tmp_path, encoder) as lib:
        assert answers(lib) == before
        assert lib.engine.status().problems == ()


def test_changes_that_the_indexes_missed_are_replayed(tmp_path):
    """As after a kill between COMMIT and publish: the database moved on, the term index did not."""
    encoder = HashEncoder()
    with library(tmp_path, encoder) as lib:
        fill(lib)
    behind = shutil.copytree(tmp_path / "indexes", tmp_path / "behind")
    with library(tmp_path, encoder) as lib:
        lib.put("a", "f3", sentence(99))
        lib.delete("a", "f4")
        lib.put("a", "new", sentence(100))
        expected = answers(lib)
    shutil.rmtree(tmp_path / "indexes")
    behind.rename(tmp_path / "indexes")
    with library(tmp_path, encoder) as lib:
        assert uris(lib.search("unique99", 1, retriever="bm25")) == {"f3"}
        assert lib.search("unique4", retriever="bm25") == []
        assert {c for c, _ in answers(lib)["bm25", "unique5"]} == {c for c, _ in expected["bm25", "unique5"]}
        assert answers(lib, ["dense"]) == {k: v for k, v in expected.items() if k[0] == "dense"}
        assert lib.engine.status().problems == ()


def test_a_missing_index_folder_is_built_anew(tmp_path):
    encoder = HashEncoder()
    with library(tmp_path, encoder) as lib:
        fill(lib)
        before = answers(lib)
    shutil.rmtree(tmp_path / "indexes")
    with library(tmp_path, encoder) as lib:
        assert lib.engine.settle(30)
        assert answers(lib) == before
        assert lib.engine.status().problems != ()


def test_files_that_no_manifest_names_are_swept(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, 2)
    (tmp_path / "indexes" / "dense-000009.hnsw").write_bytes(b"unfinished")
    (tmp_path / "indexes" / "sparse-000009").mkdir()
    (tmp_path / "originals" / "tmp").mkdir(parents=True, exist_ok=True)
    (tmp_path / "originals" / "tmp" / "t1").write_bytes(b"unfinished")
    with library(tmp_path) as lib:
        assert lib.engine.settle(30)
        assert [p.name for p in (tmp_path / "indexes").iterdir()] == [manifests(lib)["sparse"].name]
        assert list((tmp_path / "originals" / "tmp").iterdir()) == []


def test_vectors_of_another_encoder_are_not_searched_and_are_counted(tmp_path):
    with library(tmp_path, HashEncoder(16, "one")) as lib:
        fill(lib, 3)
    with library(tmp_path, HashEncoder(16, "two")) as lib:
        assert lib.engine.status().stale_rows == lib.engine.status().rows > 0
        assert lib.search("unique1", retriever="dense") == []
        assert uris(lib.search("unique1", 1, retriever="bm25")) == {"f1"}
        lib.put("a", "f1", sentence(1))  # the same bytes, ingested again by the new encoder
        assert uris(lib.search("unique1", 1, retriever="dense")) == {"f1"}
