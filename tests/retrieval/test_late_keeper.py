"""Collections that ask for late interaction are read token by token in the background, and only they."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import func, select

from core.errors import Conflict, Forbidden, NotFound, NotReady
from core.types import Principal, Where
from retrieval.collection_rows import set_late
from retrieval.explain import explain
from retrieval.late import keeper as keepers
from retrieval.late.packed import mean_max_sims
from retrieval.late.reading import read_packed, read_query
from retrieval.search_record import SearchRecord
from retrieval.tables import index_manifests, token_vectors
from retrieval.token_rows import set_tokens
from tests.support.hash_encoder import HashEncoder
from tests.support.library import LOCAL, library

WORDS = [f"word{i}" for i in range(40)]


def sentence(seed, n=24):
    return " ".join(np.random.default_rng(seed).choice(WORDS, n)) + f" unique{seed}"


@pytest.fixture(autouse=True)
def few_are_worth_a_file(monkeypatch):
    monkeypatch.setattr(keepers, "_UNSAVED", 4)
    monkeypatch.setattr(keepers, "FEW", 8)


def ask_for_late(lib, name, late=True, principal=LOCAL):
    with lib.database.write() as connection:
        set_late(connection, principal, name, late)
    lib.engine.follow_late()


def fill(lib, name="a", n=12, late=True):
    lib.create(name)
    if late:
        ask_for_late(lib, name)
    lib.put_many(name, {f"{name}{i}": sentence(i) for i in range(n)})
    assert lib.engine.settle()


def late(lib, query, k=5, **choices):
    return lib.search(query, k, retriever="late", **choices)


def manifest(lib):
    with lib.database.read() as connection:
        return connection.execute(select(index_manifests).where(index_manifests.c.kind == "late")).one_or_none()


def test_a_passage_is_found_by_its_words_with_rank_and_score_of_the_stage(tmp_path):
    with library(tmp_path) as lib:
        fill(lib)
        best, *rest = late(lib, "unique7")
        assert best.title == "a7" and best.source == "late"
        assert best.parts["late"].rank == 1 and best.parts["late"].score == best.score
        assert all(best.score >= hit.score for hit in rest)


def test_a_collection_that_does_not_ask_for_it_is_not_searched_and_the_error_says_how_to(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, "plain", n=3, late=False)
        with pytest.raises(Conflict, match="openbook collections set plain --late") as caught:
            late(lib, "unique1")
        assert caught.value.code == "late-off"
        assert manifest(lib) is None
        fill(lib, "other", n=3)
        with pytest.raises(Conflict, match="'plain'"):
            late(lib, "unique1", collections=("other", "plain"))
        assert late(lib, "unique1", collections=("other",))[0].title == "other1"


def test_nothing_is_read_token_by_token_unless_asked_for(tmp_path):
    encoder = HashEncoder()
    read = []
    encoder.encode_tokens = lambda texts: read.append(texts)
    with library(tmp_path, encoder) as lib:
        fill(lib, n=5, late=False)
        lib.search("unique1")
    assert read == []


def test_a_document_that_is_added_is_found_and_one_that_is_deleted_is_not(tmp_path):
    with library(tmp_path) as lib:
        fill(lib)
        lib.put("a", "new", "a lighthouse on the coast")
        assert late(lib, "a lighthouse on the coast")[0].title == "new"  # a search waits for a few passages
        lib.delete("a", "new")
        assert all(h.title != "new" for h in late(lib, "lighthouse", 100))
        lib.put("a", "a3", "a windmill by the river")
        assert late(lib, "a windmill by the river")[0].title == "a3"
        assert not any("unique3" in h.chunk.text for h in late(lib, "unique3", 100))


def test_filters_and_strangers_are_kept_to(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, "mine", n=12)
        (hit,) = late(lib, "unique7", 1, filters={"uri": ("mine4",)})
        assert hit.title == "mine4"
        stranger = Principal(user_id="stranger")
        with pytest.raises(NotFound):
            late(lib, "unique7", collections=("mine",), principal=stranger)
        assert late(lib, "unique7", principal=stranger) == []
        with pytest.raises(NotFound), lib.database.write() as connection:
            set_late(connection, stranger, "mine", False)


def test_only_the_owner_decides(tmp_path):
    from retrieval.tables import members

    with library(tmp_path) as lib:
        lib.create("a")
        with lib.database.write() as connection:
            connection.execute(members.insert().values(collection_id=1, user_id="editor", role="editor"))
        with pytest.raises(Forbidden):
            ask_for_late(lib, "a", principal=Principal(user_id="editor"))


def test_switching_it_on_reads_what_is_there_and_off_forgets_it(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, n=12, late=False)
        ask_for_late(lib, "a")
        assert lib.engine.settle()
        assert late(lib, "unique7")[0].title == "a7"
        assert lib.engine.status().late_rows == lib.engine.status().rows > 0
        path = tmp_path / "indexes" / manifest(lib).name
        assert path.exists()
        ask_for_late(lib, "a", False)
        assert lib.engine.settle()
        assert lib.engine.status().late_rows == 0
        assert manifest(lib) is None and not path.exists()


def test_until_it_is_read_a_search_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(keepers, "_WAIT_S", 0.01)
    with library(tmp_path) as lib:
        lib.engine._reader.stop()
        lib.create("a")
        ask_for_late(lib, "a")
        lib.put("a", "x", "alpha beta gamma")
        with pytest.raises(NotReady, match="1 of 1 passages are still to be read") as caught:
            late(lib, "alpha")
        assert caught.value.code == "late-building"
        assert lib.search("alpha")


def test_a_restart_reads_nothing_that_was_written_down(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, n=12)
        wanted = [(h.chunk.chunk_id, h.score) for h in late(lib, "unique7 word3", 20)]
    encoder = HashEncoder()
    with library(tmp_path, encoder) as lib:
        assert lib.engine.settle()
        before = encoder.encoded
        assert [(h.chunk.chunk_id, h.score) for h in late(lib, "unique7 word3", 20)] == wanted
        assert encoder.encoded - before == 2 and before == 0  # the words of the query
        assert lib.engine.audit() == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_file_is_noticed_and_made_anew(tmp_path, damage):
    with library(tmp_path) as lib:
        fill(lib, n=12)
        path = tmp_path / "indexes" / manifest(lib).name
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 4
        path.write_bytes(data[: len(data) // 3] if damage == "cut" else data)
    with library(tmp_path) as lib:
        assert lib.engine.settle()
        assert late(lib, "unique7")[0].title == "a7"
        assert any("damaged" in p for p in lib.engine.status().problems)
        assert lib.engine.audit() == []


def test_what_was_deleted_while_nobody_looked_is_not_in_the_loaded_index(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, n=12)
    with library(tmp_path) as lib:
        lib.engine._reader.stop()
        lib.delete("a", "a7")
        lib.commit("a", "a9", "a lighthouse on the coast")
    with library(tmp_path) as lib:
        assert lib.engine.settle()
        assert len(lib.engine.late.rows()) == lib.engine.status().rows
        assert late(lib, "a lighthouse on the coast")[0].title == "a9"
        assert lib.engine.audit() == []


def test_few_passages_are_compared_as_they_are_stored_and_many_are_compressed(tmp_path, monkeypatch):
    monkeypatch.setattr(keepers, "FEW", 20)
    with library(tmp_path) as lib:
        fill(lib, n=4)  # 4 documents of 25 words: 4 passages each
        hit = late(lib, "unique2", 1)[0]
        packed = read_packed(lib.encoder, [hit.chunk.text])
        wanted = mean_max_sims(read_query(lib.encoder, "unique2"), packed)[0]
        assert hit.title == "a2" and hit.score == pytest.approx(wanted, abs=1e-6)
        assert manifest(lib) is None
        lib.put_many("a", {f"more{i}": sentence(100 + i) for i in range(4)})
        assert lib.engine.settle()
        assert late(lib, sentence(102), 1)[0].title == "more2"
        assert manifest(lib).n_rows == lib.engine.status().late_rows == 32


def test_a_collection_that_has_outgrown_its_codec_gets_another(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, n=3)
        small = lib.engine.late._index.codec
        lib.put_many("a", {f"more{i}": sentence(100 + i) for i in range(20)})
        assert lib.engine.settle()
        large = lib.engine.late._index.codec
        assert large.trained_on > 4 * small.trained_on and len(large.centroids) > len(small.centroids)
        assert late(lib, "unique115")[0].title == "more15"
        assert lib.engine.status().late_lacking == 0


def test_purging_leaves_nothing_of_a_deleted_document_in_the_file(tmp_path):
    from retrieval.late import files

    with library(tmp_path) as lib:
        fill(lib, n=12)
        row = lib.put("a", "secret", "a lighthouse on the coast").added_rows[0]
        lib.engine.forget_removed()
        assert lib.engine.settle()
        assert row in files.load(tmp_path / "indexes" / manifest(lib).name).rows()
        lib.delete("a", "secret")
        lib.engine.forget_removed()
        assert lib.engine.settle()
        assert row not in files.load(tmp_path / "indexes" / manifest(lib).name).rows()


def test_what_is_purged_while_a_codec_is_made_is_in_neither_memory_nor_file(tmp_path):
    """The index that is being filled is not yet the one that removals go to."""
    from retrieval.late import files

    with library(tmp_path) as lib:
        fill(lib, n=1)
        assert isinstance(lib.engine.late._index, keepers.ExactLateIndex)
        lib.engine._reader.stop()
        lib.put_many("a", {f"more{i}": sentence(100 + i) for i in range(15)})
        names = iter(range(15))
        purged = []

        def purge_one() -> bool:
            """Asked before each few passages that are read: by then, those of the first documents have been taken in."""
            if (i := next(names, None)) is not None:
                purged.extend(row for run in lib.delete("a", f"more{i}").removed for row in run)
                lib.engine.forget_removed()
                assert lib.engine._keeper.settle(10)
            return False

        while lib.engine.late.step(purge_one):
            pass
        assert len(purged) > 16
        assert not set(purged) & set(lib.engine.late.rows().tolist())
        assert not set(purged) & set(files.load(tmp_path / "indexes" / manifest(lib).name).rows().tolist())
        assert lib.engine.audit() == []


@pytest.mark.parametrize("how", ["of another encoder", "damaged"])
def test_purging_removes_a_file_that_is_not_in_use(tmp_path, how):
    with library(tmp_path) as lib:
        fill(lib, n=12)
        lib.put("a", "short", "a lighthouse")
        for i in range(1, 12):
            lib.delete("a", f"a{i}")
        assert lib.engine.settle()
    (file,) = (tmp_path / "indexes").glob("late-*")
    if how == "damaged":
        file.write_bytes(file.read_bytes()[:-1])
    with library(tmp_path, HashEncoder(revision="hash-1" if how == "damaged" else "hash-2")) as lib:
        assert lib.engine.settle()
        assert isinstance(lib.engine.late._index, keepers.ExactLateIndex)  # five passages are too few for a file
        lib.delete("a", "a0")
        lib.engine.forget_removed()
        assert lib.engine.settle()
        assert manifest(lib) is None and not file.exists()


def test_another_encoder_reads_everything_anew(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, n=12)
        before = manifest(lib).revision
    with library(tmp_path, HashEncoder(revision="hash-2")) as lib:
        assert lib.engine.settle()
        assert late(lib, "unique7")[0].title == "a7"
        assert manifest(lib).revision != before


def test_what_explains_it_speaks_of_late_interaction_alone(tmp_path):
    with library(tmp_path) as lib:
        fill(lib)
        record = SearchRecord()
        retriever = lib.engine.retriever("late", record=record)
        where = Where(principal=LOCAL, collections=("a",))
        hits = retriever.search("unique7", 3, where)
        explained = explain("unique7", hits, where, retriever, record, lib.encoder, 0.1)
        assert [stage.name for stage in explained.stages] == ["late"]
        assert {miss.code for miss in explained.near_misses} == {"rank"}
        assert all(not why.terms and not why.fused for why in explained.explanations)


def n_stored(lib):
    with lib.database.read() as connection:
        return connection.execute(select(func.count()).select_from(token_vectors)).scalar_one()


def test_passages_whose_token_vectors_are_stored_are_not_read_again(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a", tokens=True)
        lib.put_many("a", {f"a{i}": sentence(i) for i in range(12)})
        assert lib.engine.settle()
        before = lib.encoder.encoded
        ask_for_late(lib, "a")
        assert lib.engine.settle()
        assert lib.encoder.encoded - before == 1  # one word, for the dimension
        assert lib.engine.status().late_rows == n_stored(lib) == 48
        wanted = [(h.title, h.chunk.start, h.score) for h in late(lib, "unique7 word3", 20)]
    with library(tmp_path / "other") as lib:  # read, not stored: the same passages at the same scores
        fill(lib)
        assert [(h.title, h.chunk.start, h.score) for h in late(lib, "unique7 word3", 20)] == wanted
        assert n_stored(lib) == 0


def test_what_had_to_be_read_is_stored_where_the_collection_keeps_it(tmp_path):
    with library(tmp_path) as lib:
        fill(lib, n=4)
        assert n_stored(lib) == 0  # this one keeps none
        lib.engine.tokens.step = lambda cancelled: False  # so that it is late interaction that comes first
        lib.create("b", tokens=True)
        ask_for_late(lib, "b")
        lib.put_many("b", {f"b{i}": sentence(50 + i) for i in range(4)})
        assert lib.engine.settle()
        assert n_stored(lib) == 16
        del lib.engine.tokens.step
        before = lib.encoder.encoded
        lib.engine.follow_late()
        assert lib.engine.settle()
        assert lib.encoder.encoded == before
        assert lib.engine.status().token_lacking == 0
        with lib.database.write() as connection:
            set_tokens(connection, LOCAL, "b", False)
        assert late(lib, "unique52")[0].title == "b2"  # the index has its own


def test_an_index_of_damaged_token_vectors_is_never_built(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a", tokens=True)
        lib.put_many("a", {f"a{i}": sentence(i) for i in range(12)})
        assert lib.engine.settle()
        ask_for_late(lib, "a")
        assert lib.engine.settle()
        wanted = [(h.title, h.score) for h in late(lib, "unique7", 20)]
        ask_for_late(lib, "a", False)
        assert lib.engine.settle()
        with lib.database.write() as connection:
            connection.execute(token_vectors.update().where(token_vectors.c.row_id < 20).values(packed=bytes(24)))
        ask_for_late(lib, "a")
        assert lib.engine.settle()
        assert [(h.title, h.score) for h in late(lib, "unique7", 20)] == wanted
