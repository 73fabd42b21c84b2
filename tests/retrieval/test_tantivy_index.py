"""What is the tantivy index's own: when changes show, what is on disk, and damage."""

from __future__ import annotations

import random
import shutil
import threading
from pathlib import Path

import pytest

from core.errors import IndexDamaged, NotReady, StorageFailed
from retrieval.sparse.analyse import Analyser
from retrieval.sparse.tantivy import TantivyIndex
from tests.contract.sparse_index_suite import WORDS, allow, everything, fill, invented, passage, rows_of


def test_a_search_sees_the_last_commit(tmp_path: Path) -> None:
    index = TantivyIndex(tmp_path)
    fill(index, {1: "apple"})
    index.add([2], [passage("apple")], [""], [1])
    index.remove([1])
    assert rows_of(index.search("apple", 5, everything())) == [1]
    index.commit()
    assert rows_of(index.search("apple", 5, everything())) == [2]
    index.close()


def test_what_was_committed_is_there_after_opening_again_and_nothing_else(tmp_path: Path) -> None:
    index = TantivyIndex(tmp_path)
    fill(index, {1: "apple", 5: "pear", 900: "apple"})
    index.add([6], [passage("apple")], [""], [1])
    index.close()
    index = TantivyIndex(tmp_path)
    assert index.rows().tolist() == [1, 5, 900]
    assert rows_of(index.search("apple", 5, everything())) == [1, 900]
    fill(index, {5: "apple"})  # a replay of a row that is older than the newest
    assert rows_of(index.search("apple", 5, everything())) == [1, 5, 900]
    assert len(index) == 3
    index.close()


def test_one_writer_only(tmp_path: Path) -> None:
    index = TantivyIndex(tmp_path)
    with pytest.raises(StorageFailed, match="cannot be written"):
        TantivyIndex(tmp_path)
    index.close()
    TantivyIndex(tmp_path).close()


def test_a_closed_index_takes_nothing_more(tmp_path: Path) -> None:
    index = TantivyIndex(tmp_path)
    fill(index, {1: "apple"})
    index.close()
    index.close()
    with pytest.raises(NotReady, match="closed"):
        index.add([2], [passage("pear")], [""], [1])
    assert rows_of(index.search("apple", 5, everything())) == [1]


def test_settling_merges_and_changes_no_answer(tmp_path: Path) -> None:
    index = TantivyIndex(tmp_path)
    texts = invented(200)
    for start in range(1, 201, 10):
        fill(index, {row: texts[row] for row in range(start, start + 10)})
    before = index.search(f"{WORDS[3]} {WORDS[11]}", 50, everything())
    index.settle()
    assert index.segments <= 8
    assert index.search(f"{WORDS[3]} {WORDS[11]}", 50, everything()) == before
    fill(index, {201: "still writable"})
    assert rows_of(index.search("writable", 5, everything())) == [201]
    index.close()


def test_an_index_of_other_terms_does_not_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TantivyIndex(tmp_path).close()
    monkeypatch.setattr("retrieval.sparse.tantivy_query.TERMS", "terms_0")
    with pytest.raises(IndexDamaged, match="delete the folder"):
        TantivyIndex(tmp_path)


def test_a_folder_of_something_else_is_not_an_index(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(IndexDamaged):
        TantivyIndex(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_damage_is_noticed_or_does_no_harm(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    index = TantivyIndex(whole)
    for start in (1, 101, 201):
        fill(index, {row: text for row, text in invented(300).items() if start <= row < start + 100})
    index.remove([7, 150])
    index.commit()
    query = f"{WORDS[1]} {WORDS[15]}"
    wanted = index.search(query, 50, everything())
    index.close()
    generator = random.Random(0)
    files = sorted(file.name for file in whole.iterdir() if file.stat().st_size)
    noticed = 0
    for trial in range(60):
        copy = tmp_path / str(trial)  # a folder of its own: what is open stays mapped into memory
        shutil.copytree(whole, copy)
        file = copy / generator.choice(files)
        data = bytearray(file.read_bytes())
        if trial % 3:
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        else:
            del data[generator.randrange(len(data)) :]
        file.write_bytes(data)
        try:
            index = TantivyIndex(copy)
        except IndexDamaged:
            noticed += 1
        else:
            assert index.search(query, 50, everything()) == wanted, file.name
            index.close()
    assert noticed > 40


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    index = TantivyIndex(tmp_path)
    fill(index, invented(20))
    index.close()
    next(tmp_path.glob("*.idx")).unlink()
    with pytest.raises(IndexDamaged, match=r"\.idx"):
        TantivyIndex(tmp_path)


def test_few_allowed_rows_of_a_large_collection_are_all_found(tmp_path: Path) -> None:
    index = TantivyIndex(None)
    fill(index, {row: "common words" if row % 50 else "common words rare" for row in range(1, 5001)})
    # By rows, by collection, and by neither: the three ways to the same rows.
    for share in (20, 2000, 4000):
        chosen = list(range(5000 - share + 1, 5001))
        hits = index.search("common rare", 15, allow(chosen))
        rare = [row for row in chosen if row % 50 == 0]
        assert rows_of(hits)[: len(rare[:15])] == rare[:15]
        assert len(hits) == 15


def test_two_threads_may_analyse_at_once() -> None:
    analyser = Analyser()
    texts = [
        " ".join(f"generality{i}ing{j}".strip("0123456789") + chr(97 + i % 26) * 3 for j in range(50))
        for i in range(200)
    ]
    wanted = [Analyser().terms(text) for text in texts]
    results: list[list[list[str]]] = []
    threads = [threading.Thread(target=lambda: results.append([analyser.terms(t) for t in texts])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [wanted] * 4
