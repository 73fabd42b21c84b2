"""Nothing of what was purged stays in a file of an index, whether or not that index is the one in use."""

from __future__ import annotations

from pathlib import Path

from retrieval.dense.hnsw import HnswIndex
from retrieval.sparse.tantivy import TantivyIndex
from tests.support.engines import manifests
from tests.support.hash_encoder import HashEncoder
from tests.support.library import Library, library


def fill(lib: Library) -> None:
    lib.create("c")
    lib.put("c", "a.md", "the quinceberry grows in the north")
    lib.put("c", "b.md", "something else entirely")
    assert lib.engine.settle(30)


def purge(lib: Library) -> None:
    lib.delete("c", "a.md")
    lib.engine.forget_removed()
    assert lib.engine.settle(30)


def test_terms_on_the_disk_are_forgotten_where_another_engine_is_in_use(tmp_path: Path) -> None:
    with library(tmp_path) as lib:
        fill(lib)
        path = tmp_path / "indexes" / manifests(lib)["sparse"].name
        assert words_known(lib) == ["quinceberry", "something"]
    with library(tmp_path, sparse="rank-bm25") as lib:
        purge(lib)
        assert not path.exists() and "sparse" not in manifests(lib)
        assert [hit.title for hit in lib.search("something", retriever="bm25")] == ["b.md"]
    with library(tmp_path) as lib:
        assert lib.engine.settle(30)
        assert words_known(lib) == ["something"]
        assert [hit.title for hit in lib.search("something", retriever="bm25")] == ["b.md"]


def words_known(lib: Library) -> list[str]:
    index = lib.engine.sparse_index("tantivy")
    assert isinstance(index, TantivyIndex)
    return index.among_words(["quinceberry", "something"])


def test_a_graph_on_the_disk_is_forgotten_where_search_is_exact(tmp_path: Path) -> None:
    with library(tmp_path, dense="hnsw") as lib:
        fill(lib)
        path = tmp_path / "indexes" / manifests(lib)["dense"].name
        assert len(HnswIndex.load(path)) > 0
    with library(tmp_path, dense="exact") as lib:
        purge(lib)
        assert not path.exists() and "dense" not in manifests(lib)
        assert [hit.title for hit in lib.search("something", retriever="dense")] == ["b.md"]


def test_a_graph_of_another_encoder_is_forgotten_where_too_few_passages_want_one(tmp_path: Path) -> None:
    with library(tmp_path, dense="hnsw") as lib:
        fill(lib)
        path = tmp_path / "indexes" / manifests(lib)["dense"].name
    with library(tmp_path, HashEncoder(revision="hash-2")) as lib:
        purge(lib)
        assert not path.exists() and "dense" not in manifests(lib)
