"""Indexes are built anew beside what serves, and through damage and failure nothing is lost."""

from __future__ import annotations

import os
import shutil

import pytest
from sqlalchemy import text

from core.errors import NotReady
from tests.support.engines import answers, brute_force, fill, manifests, sentence, stop_background, uris
from tests.support.hash_encoder import HashEncoder
from tests.support.library import library

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
