"""The engine follows the database: at once, in both indexes, through damage, failure and restart."""

from __future__ import annotations

import os
import shutil
import threading
import time

import numpy as np
import pytest
from sqlalchemy import select, text

from core.errors import NotReady
from retrieval.tables import index_manifests
from tests.support.hash_encoder import HashEncoder
from tests.support.library import library

WORDS = [f"word{i}" for i in range(40)]


def sentence(seed: int, n: int = 24) -> str:
    rng = np.random.default_rng(seed)
    return " ".join(rng.choice(WORDS, n)) + f" unique{seed}"


def fill(lib, n=20, collection="a"):
    lib.create(collection)
    lib.put_many(collection, {f"f{i}": sentence(i) for i in range(n)})


def uris(hits):
    return {h.title for h in hits}


def stop_background(lib):
    """From here on nothing happens by itself."""
    lib.engine._builder.stop()
    lib.engine._keeper.stop()


def manifests(lib):
    with lib.database.read() as connection:
        return {row.kind: row for row in connection.execute(select(index_manifests))}


def answers(lib, retrievers=("bm25", "dense", "hybrid")):
    """What every retriever says to some questions, as (chunk, score to 4 digits)."""
    return {
        (r, q): [(h.chunk.chunk_id, round(h.score, 4)) for h in lib.search(q, 8, retriever=r)]
        for r in retrievers
        for q in (sentence(3), "word7 word8", "unique5")
    }


def brute_force(lib, query, k):
    """Cosine of the query with every stored vector."""
    with lib.database.read() as connection:
        stored = connection.execute(text("SELECT row_id, vector FROM vectors ORDER BY row_id")).all()
    vectors = np.stack([np.frombuffer(v, dtype="<f4") for _, v in stored])
    scores = vectors @ lib.encoder.encode_queries([query])[0]
    order = np.lexsort((np.arange(len(scores)), -scores))[:k]
    return [round(float(scores[i]), 4) for i in order]


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


# ---------------------------------------------------------------- HNSW generations


def test_a_generation_is_built_beside_and_taken_up_after_a_restart(tmp_path):
    encoder = HashEncoder()
    with library(tmp_path, encoder) as lib:
        fill(lib, 20)
        assert lib.engine.settle(30)
        assert lib.engine.status().dense_kind == "exact" and "dense" not in manifests(lib)
    with library(tmp_path, encoder, dense_hnsw_from=30) as lib:
        assert lib.engine.settle(30)
        status = lib.engine.status()
        assert (status.dense_kind, status.dense_delta) == ("hnsw", 0)
        manifest = manifests(lib)["dense"]
        assert manifest.n_rows == status.rows and manifest.revision == encoder.revision
        lib.put("a", "later", sentence(77))
        lib.delete("a", "f3")
        assert lib.engine.status().dense_delta > 0
        assert uris(lib.search("unique77", 1, retriever="dense")) == {"later"}
        assert "f3" not in uris(lib.search("unique3", 50, retriever="dense"))
    with library(tmp_path, encoder, dense_hnsw_from=30) as lib:
        assert lib.engine.settle(30)
        assert lib.engine.status().dense_kind == "hnsw"
        assert manifests(lib)["dense"].generation == manifest.generation, "loaded, not built again"
        assert uris(lib.search("unique77", 1, retriever="dense")) == {"later"}
        assert "f3" not in uris(lib.search("unique3", 50, retriever="dense"))
        exact = [h.chunk.chunk_id for h in lib.search(sentence(5), 10, retriever="dense", dense="exact")]
        assert [h.chunk.chunk_id for h in lib.search(sentence(5), 10, retriever="dense", dense="hnsw")] == exact


def test_hnsw_asked_for_by_name_is_built_however_few_rows_there_are(tmp_path):
    with library(tmp_path, dense="hnsw") as lib:
        fill(lib, 3)
        assert lib.engine.settle(30)
        assert lib.engine.status().dense_kind == "hnsw"


def mostly_slow(*ways):
    """The first two in the fast suite, all in the slow one."""
    return [*ways[:2], *(pytest.param(way, marks=pytest.mark.slow) for way in ways[2:])]


def damage(path, how):
    size = path.stat().st_size
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        os.truncate(path, size * 2 // 3)
    elif how == "empty":
        os.truncate(path, 0)
    else:
        with path.open("r+b") as file:
            at = int(size * float(how))
            file.seek(at)
            byte = file.read(1)
            file.seek(at)
            file.write(bytes([byte[0] ^ 0x10]))


@pytest.mark.parametrize("how", mostly_slow("0.6", "truncated", "missing", "empty", "0.0", "0.3", "0.99"))
def test_a_damaged_vector_index_is_noticed_searched_exactly_and_built_anew(tmp_path, how, caplog):
    encoder = HashEncoder()
    with library(tmp_path, encoder, dense_hnsw_from=30) as lib:
        fill(lib, 20)
        assert lib.engine.settle(30)
        before = manifests(lib)["dense"]
    damage(tmp_path / "indexes" / before.name, how)
    with library(tmp_path, encoder, dense_hnsw_from=30) as lib:
        found = [round(h.score, 4) for h in lib.search(sentence(5), 10, retriever="dense")]
        assert found == brute_force(lib, sentence(5), 10)
        assert lib.engine.settle(30)
        assert any("vector index was damaged" in p for p in lib.engine.status().problems)
        assert "vector index is damaged" in caplog.text
        assert lib.engine.status().dense_kind == "hnsw"
        assert manifests(lib)["dense"].generation > before.generation
        assert [round(h.score, 4) for h in lib.search(sentence(5), 10, retriever="dense")] == found


def term_files(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock") and p.name != ".managed.json")


@pytest.mark.parametrize("how", mostly_slow("0.5", "truncated", "missing", "empty", "0.0", "0.99"))
def test_a_damaged_term_index_is_noticed_or_harmless(tmp_path, how):
    """Every file of it in turn. Whatever is broken, the answers are those of an undamaged index."""
    encoder = HashEncoder()
    with library(tmp_path / "sound", encoder) as lib:
        fill(lib, 12)
        lib.delete("a", "f4")
        lib.engine.settle(30)
        expected = {k: {c for c, _ in v} for k, v in answers(lib, ["bm25"]).items()}
        folder = manifests(lib)["sparse"].name
    for name in term_files(tmp_path / "sound" / "indexes" / folder):
        shutil.rmtree(tmp_path / "hurt", ignore_errors=True)
        shutil.copytree(tmp_path / "sound", tmp_path / "hurt")
        damage(tmp_path / "hurt" / "indexes" / folder / name, how)
        with library(tmp_path / "hurt", encoder) as lib:
            assert {k: {c for c, _ in v} for k, v in answers(lib, ["bm25"]).items()} == expected, name
            if not name.startswith("meta"):
                assert lib.engine.status().problems, f"{name} {how} went unnoticed"


# ---------------------------------------------------------------- failures while running


def test_a_term_index_that_cannot_be_written_loses_nothing(tmp_path, caplog):
    """Its folder is gone in the middle of the work: commits fail until it is built anew."""
    with library(tmp_path) as lib:
        fill(lib, 5)
        folder = tmp_path / "indexes" / manifests(lib)["sparse"].name
        folder.rename(tmp_path / "elsewhere")
        lib.put("a", "new", sentence(50))
        assert uris(lib.search("unique50", 1, retriever="dense")) == {"new"}
        assert "the term index" in caplog.text and "failed" in caplog.text
        assert lib.engine.settle(30)
        assert uris(lib.search("unique50", 1, retriever="bm25")) == {"new"}
        assert uris(lib.search("unique3", 1, retriever="bm25")) == {"f3"}
        assert any("failed and is built anew" in p for p in lib.engine.status().problems)
        assert lib.engine.status().sparse_kind == "tantivy"


def test_without_a_writable_folder_the_term_index_lives_in_memory(tmp_path, caplog):
    tmp_path.joinpath("indexes").write_text("a file where the folder should be")
    with library(tmp_path) as lib:
        fill(lib, 3)
        assert uris(lib.search("unique1", 1, retriever="bm25")) == {"f1"}
        assert any("kept in memory" in p for p in lib.engine.status().problems)
        assert "kept in memory" in caplog.text


def test_while_the_term_index_is_rebuilt_hybrid_answers_by_vectors_and_bm25_says_why_not(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, 5)
        stop_background(lib)  # so that the rebuild does not come
        lib.engine._terms.give_up(OSError("pulled out"))
        assert lib.engine.status().sparse_kind == "rebuilding"
        (best, *_) = lib.search("unique3")
        assert best.title == "f3" and set(best.parts) == {"dense", "fused"}
        with pytest.raises(NotReady, match="being built anew"):
            lib.search("unique3", retriever="bm25")


def test_what_happens_during_a_rebuild_is_in_it(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, 5)
        stop_background(lib)
        lib.engine._terms.give_up(OSError("pulled out"))
        calls = []

        def write_in_between():  # asked before each batch of the rebuild, whose view of the database is fixed by then
            if not calls:
                calls.append(lib.put("a", "meanwhile", sentence(60)))
                calls.append(lib.delete("a", "f2"))
            return False

        lib.engine._terms.build(write_in_between)
        assert len(calls) == 2
        assert uris(lib.search("unique60", 1, retriever="bm25")) == {"meanwhile"}
        assert "f2" not in uris(lib.search("unique2", retriever="bm25"))


# ---------------------------------------------------------------- other kinds


def test_removals_are_forgotten_once_every_index_let_go(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, 3)
        lib.delete("a", "f1")
        assert lib.engine.settle(30)
        with lib.database.read() as connection:
            assert connection.execute(text("SELECT count(*) FROM removals")).scalar_one() == 0
        assert manifests(lib)["sparse"].covers_change == lib.engine.status().change


@pytest.mark.parametrize(("retriever", "sparse"), [("tfidf", None), ("bm25", "rank-bm25"), ("hybrid", "rank-bm25")])
def test_term_indexes_asked_for_by_name_follow_too(tmp_path, retriever, sparse):
    with library(tmp_path) as lib:
        fill(lib, 5)
        (best, *_) = lib.search("unique3", retriever=retriever, sparse=sparse)
        assert best.title == "f3"
        lib.put("a", "new", sentence(50))
        lib.delete("a", "f3")
        assert uris(lib.search("unique50", 1, retriever=retriever, sparse=sparse)) == {"new"}
        assert "f3" not in uris(lib.search("unique3", 50, retriever=retriever, sparse=sparse))


def test_rank_bm25_can_be_the_settings_engine_and_leaves_nothing_on_the_disk(tmp_path):
    with library(tmp_path, sparse="rank-bm25") as lib:
        fill(lib, 5)
        for sparse in (None, "tantivy"):
            assert uris(lib.search("unique3", 1, retriever="bm25", sparse=sparse)) == {"f3"}
        lib.put("a", "new", sentence(50))
        assert uris(lib.search("unique50", 1, retriever="bm25")) == {"new"}
        assert lib.engine.status().sparse_kind == "rank-bm25"
        assert lib.engine.settle(30)
        assert not list((tmp_path / "indexes").glob("sparse-*"))
