"""Token vectors in the store: how they come there, what reranking makes of them, and how they go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.settings import Settings
from core.types import Hit, Principal, Where
from retrieval.adhoc import AdhocRetriever, build_adhoc
from retrieval.late.packed import pack
from retrieval.late.reading import packed_revision, read_both, read_packed, read_passages
from retrieval.rerank.late import LateInteractionReranker
from retrieval.rerank.mixing import MixingReranker
from retrieval.rerank.retriever import RerankingRetriever
from retrieval.search_record import found_id
from retrieval.tables import token_vectors
from retrieval.token_rows import TokenVectors, set_tokens
from tests.support.hash_encoder import HashEncoder
from tests.support.library import CHUNKER, LOCAL, Library, library, make_document

TEXTS = {
    "cats": "cats purr at night when they are content and warm near a stove in winter",
    "dogs": "dogs bark at night when somebody passes by the garden gate without a word",
    "fish": "fish swim in cold water and say nothing at all by day or by night",
}
ANYWHERE = Where(principal=LOCAL)


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[Library]:
    with library(tmp_path) as opened:
        opened.create("c", tokens=True)
        yield opened


def rows(lib: Library) -> int:
    with lib.database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(token_vectors)).scalar_one())


def reranker(lib: Library) -> MixingReranker:
    return MixingReranker([LateInteractionReranker(lib.encoder, lib.engine.kept_tokens, cache_bytes=0)], 0.5)


def settle(lib: Library) -> None:
    assert lib.engine.settle()


def test_passages_without_token_vectors_are_given_some_in_the_background(lib: Library) -> None:
    lib.put_many("c", TEXTS)
    settle(lib)
    assert (lib.engine.status().token_rows, lib.engine.status().token_lacking) == (6, 0)  # 3 documents of 2 passages
    hits = lib.search("night", k=6)
    kept = lib.engine.kept_tokens(lib.encoder, hits)
    for hit, packed in zip(hits, read_packed(lib.encoder, [h.chunk.text for h in hits]), strict=True):
        assert kept[found_id(hit)].tolist() == packed.tolist()


def test_what_is_stored_is_not_read_and_scores_as_if_it_had_been(lib: Library) -> None:
    lib.put_many("c", TEXTS)
    settle(lib)
    hits = lib.search("night garden", k=6)
    before = lib.encoder.encoded
    stored = LateInteractionReranker(lib.encoder, lib.engine.kept_tokens).score("night garden", hits)
    assert lib.encoder.encoded - before == 2  # the words of the query
    read = LateInteractionReranker(lib.encoder).score("night garden", hits)
    assert stored.tolist() == read.tolist()
    some = {found_id(h) for h in hits[::2]}
    mixed = LateInteractionReranker(
        lib.encoder, lambda by, asked: {k: v for k, v in lib.engine.kept_tokens(by, asked).items() if k in some}
    )
    assert mixed.score("night garden", hits).tolist() == read.tolist()


def test_token_vectors_that_come_with_a_document_are_not_made_again(lib: Library) -> None:
    document, chunks = make_document("c", "cats", TEXTS["cats"])
    vectors = lib.encoder.encode_documents([c.text for c in chunks])
    packed = [pack(v) for v in read_passages(lib.encoder, [c.text for c in chunks])]
    tokens = TokenVectors(revision=packed_revision(lib.encoder), packed=packed)
    with lib.database.write() as connection:
        change = lib.store.put_document(
            connection, document, chunks, vectors, lib.encoder.revision, CHUNKER, tokens=tokens
        )
    before = lib.encoder.encoded
    lib.engine.publish(change)
    settle(lib)
    assert lib.encoder.encoded == before
    assert lib.engine.status().token_rows == 2


def test_what_is_deleted_or_replaced_takes_its_token_vectors_along(lib: Library) -> None:
    lib.put_many("c", TEXTS)
    settle(lib)
    old = lib.search("cats purr", k=1)
    lib.put("c", "cats", "a cat is a small animal")
    assert lib.engine.kept_tokens(lib.encoder, old) == {}
    settle(lib)
    assert rows(lib) == 5
    lib.delete("c", "cats")
    assert rows(lib) == 4
    lib.drop("c")
    assert rows(lib) == 0


def test_a_collection_may_keep_none_and_change_its_mind(lib: Library) -> None:
    lib.put_many("c", TEXTS)
    settle(lib)
    with lib.database.write() as connection:
        set_tokens(connection, LOCAL, "c", False)
    lib.engine.follow_late()
    settle(lib)
    assert rows(lib) == 0
    assert (lib.engine.status().token_rows, lib.engine.status().token_lacking) == (0, 0)
    with lib.database.write() as connection:
        set_tokens(connection, LOCAL, "c", True)
    lib.engine.follow_late()
    settle(lib)
    assert rows(lib) == 6


def test_vectors_of_another_encoder_are_not_compared_but_made_anew(tmp_path: Path) -> None:
    with library(tmp_path) as lib:
        lib.create("c", tokens=True)
        lib.put_many("c", TEXTS)
        settle(lib)
    other = HashEncoder(revision="hash-2")
    with library(tmp_path, other) as lib:
        hits = lib.search("night", k=6, retriever="bm25")
        kept = lib.engine.kept_tokens(other, hits)
        assert len(kept) in (0, 2, 4, 6)  # however far the background has come: whole documents of this revision alone
        settle(lib)
        assert len(lib.engine.kept_tokens(other, hits)) == len(hits)
        assert lib.engine.kept_tokens(HashEncoder(), hits) == {}


def test_a_search_with_too_much_unread_keeps_its_order_and_says_why(lib: Library) -> None:
    with lib.database.write() as connection:
        set_tokens(connection, LOCAL, "c", False)
    lib.put_many("c", TEXTS)
    settle(lib)
    said: list[str] = []
    found = RerankingRetriever(lib.engine.retriever(), reranker(lib).within(8), tell=said.append)
    hits = found.search("night garden", 6, ANYWHERE)
    assert [h.chunk for h in hits] == [h.chunk for h in lib.search("night garden", k=6)]
    assert {h.source for h in hits} == {"fused"}
    assert len(said) == 1 and "6 of 6 candidates have no token vectors yet" in said[0]
    patient = RerankingRetriever(lib.engine.retriever(), reranker(lib), tell=said.append)
    assert {h.source for h in patient.search("night garden", 6, ANYWHERE)} == {"rerank"}
    enough = RerankingRetriever(lib.engine.retriever(), reranker(lib).within(1000), tell=said.append)
    assert {h.source for h in enough.search("night garden", 6, ANYWHERE)} == {"rerank"}
    assert len(said) == 1


def test_reranking_shows_a_stranger_nothing(lib: Library) -> None:
    lib.put_many("c", TEXTS)
    settle(lib)
    lib.create("theirs", owner="somebody", tokens=True)
    stranger = Where(principal=Principal(user_id="somebody"))
    found = RerankingRetriever(lib.engine.retriever(), reranker(lib))
    assert found.search("night garden", 6, stranger) == []
    filtered = Where(principal=LOCAL, filters={"doc_id": (lib.search("fish", k=1)[0].chunk.doc_id,)})
    hits: list[Hit] = found.search("night garden", 6, filtered)
    assert hits and {h.title for h in hits} == {"fish"}


def test_an_answer_of_before_is_not_taken_for_one_of_after(lib: Library) -> None:
    with lib.database.write() as connection:
        set_tokens(connection, LOCAL, "c", False)
    lib.put_many("c", TEXTS)
    before = lib.engine.search_state(ANYWHERE)
    with lib.database.write() as connection:
        set_tokens(connection, LOCAL, "c", True)
    lib.engine.follow_late()
    settle(lib)
    assert lib.engine.search_state(ANYWHERE) != before


def test_a_corpus_that_nobody_stores_keeps_them_between_runs(tmp_path: Path) -> None:
    encoder = HashEncoder()
    corpus = [(f"d{i}", "", f"{text} {i}") for i in range(30) for text in TEXTS.values()]
    corpus = [(f"{doc_id}-{n}", title, text) for n, (doc_id, title, text) in enumerate(corpus)]

    def build(tokens: bool = True) -> AdhocRetriever:
        return build_adhoc(Settings(), corpus, encoder, tmp_path / "cache", tokens=tokens)

    first = build()
    read = encoder.encoded
    again = build()
    assert encoder.encoded == read
    hits = again.search("night garden", 20, ANYWHERE)
    assert hits == first.search("night garden", 20, ANYWHERE)
    before = encoder.encoded
    stored = LateInteractionReranker(encoder, again.kept_tokens).score("night garden", hits)
    assert encoder.encoded - before == 2  # the words of the query
    assert stored.tolist() == LateInteractionReranker(encoder).score("night garden", hits).tolist()
    assert again.kept_tokens(HashEncoder(revision="other"), hits) == {}
    assert build(tokens=False).kept_tokens(encoder, hits) == {}
    (damaged,) = (path for path in (tmp_path / "cache").iterdir() if path.stat().st_size > 90 * 20 * 4)
    damaged.write_bytes(damaged.read_bytes()[:-5])
    assert build().search("night garden", 20, ANYWHERE) == hits


@pytest.mark.slow
def test_one_pass_gives_what_two_give(model_cache: Path) -> None:
    import numpy as np

    from retrieval.encoders.openvino import OpenVinoEncoder

    encoder = OpenVinoEncoder(model_cache, threads=1)
    long = "The weather was fine on that day and nobody had anything to say about it. " * 30
    texts = ["cats purr", "", TEXTS["dogs"], long + "Penguins cannot fly."]
    vectors, tokens = read_both(encoder, texts)
    assert np.abs(vectors - encoder.encode_documents(texts)).max() < 1e-6
    for ours, theirs in zip(tokens, read_passages(encoder, texts), strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() < 1e-5
    assert len(tokens[3]) == len(encoder.tokenizer.spans(texts[3]))
