"""From a file to what is read: small passages are found, the larger ones around them are read, once, and go with their document."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json

import numpy as np
import pytest
from sqlalchemy import func, select

from agents.extract import ExtractStrategy
from agents.verify import RuleVerifier
from app.handover import Result, pack, unpack
from app.shapes import hit_json
from core.errors import InvalidRequest, NotFound
from core.events import RunDone
from core.ids import document_id
from core.offload import Offload
from core.settings import Settings
from core.types import Limits, Principal, Where
from ingest.parse.sandbox import Sandbox
from ingest.pipeline import parse_limits, process, version_of
from retrieval.tables import parents
from tests.support.library import LOCAL, library, make_document

STRANGER = Principal(user_id="stranger")
SUBJECTS = ["foxes hunt mice", "oaks grow slowly", "rivers carry sand", "bakers bake bread"]
# Each subject has five sentences, so that it is a parent of its own with several children.
TEXT = "\n\n".join(
    " ".join(f"{subject.capitalize()} in the {place} of the land every single year." for place in
             ("north", "south", "east", "west", "middle"))
    for subject in SUBJECTS
)  # fmt: skip
SETTINGS = Settings(chunker="parent-child", chunk_tokens=70, chunk_overlap_tokens=10)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(parse_limits(Settings())) as shared:
        yield shared


@pytest.fixture
def lib(tmp_path):
    with library(tmp_path) as lib:
        lib.create("a")
        yield lib


@pytest.fixture
def ingest(tmp_path, lib, sandbox):
    def ingest(text=TEXT, uri="a.txt", settings=SETTINGS):
        path = tmp_path / "content"
        path.write_text(text)
        made = process(
            path, uri, collection="a", uri=uri, sha256=hashlib.sha256(text.encode()).hexdigest(), settings=settings,
            encoder=lib.encoder, report=lambda *_: None, cancelled=lambda: False, sandbox=sandbox,
        )  # fmt: skip
        with lib.database.write() as connection:
            change = lib.store.put_document(
                connection, made.document, made.chunks, made.vectors, lib.encoder.revision, made.chunker_version,
                parents_=made.parents,
            )  # fmt: skip
        lib.engine.publish(change)
        return made

    return ingest


def n_parents(lib):
    with lib.database.read() as connection:
        return connection.execute(select(func.count()).select_from(parents)).scalar_one()


@pytest.mark.parametrize("retriever", ["bm25", "dense", "hybrid"])
def test_the_parent_of_what_is_found_is_read(lib, ingest, retriever):
    made = ingest()
    assert len(made.parents) == 4
    assert len(made.chunks) > 8
    best = lib.search("rivers carry sand in the west", retriever=retriever)[0]
    assert best.chunk in made.parents
    assert best.chunk.text.count("Rivers carry sand") == 5
    assert best.matched in made.chunks
    assert "west" in best.matched.text
    assert best.matched.parent_id == best.chunk.chunk_id
    assert made.document.text[best.chunk.start : best.chunk.end] == best.chunk.text


@pytest.mark.parametrize("retriever", ["bm25", "dense", "hybrid"])
def test_children_of_one_parent_are_one_hit_and_the_list_is_filled_up(lib, ingest, retriever):
    made = ingest()
    hits = lib.search("land year", 3, retriever=retriever)
    assert [h.rank for h in hits] == [1, 2, 3], "many children match; three parents are still asked for"
    assert len({h.chunk.chunk_id for h in hits}) == 3
    everything = lib.search("land year", 100, retriever=retriever)
    assert {h.chunk.chunk_id for h in everything} == {p.chunk_id for p in made.parents}
    assert [h.score for h in everything] == sorted((h.score for h in everything), reverse=True)


def test_however_many_children_one_parent_has_the_others_are_found(lib):
    # 40 children of one parent match better than the one other passage: for two hits the best 2, 8, 32 are not enough.
    document, words = make_document("a", "many.txt", "fox " * 40, words_per_chunk=1)
    parent = dataclasses.replace(words[0], chunk_id="p1", text=document.text.strip(), end=len(document.text.strip()))
    children = [dataclasses.replace(c, parent_id="p1") for c in words]
    vectors = lib.encoder.encode_documents([c.text for c in children])
    with lib.database.write() as connection:
        change = lib.store.put_document(
            connection, document, children, vectors, lib.encoder.revision, "v", parents_=[parent]
        )
    lib.engine.publish(change)
    lib.put("a", "one.txt", "a fox and a hen and several more words")
    for retriever in ("bm25", "dense", "hybrid"):
        assert [h.title for h in lib.search("fox", 2, retriever=retriever)] == ["many.txt", "one.txt"]


def test_parents_are_no_passages(lib, ingest):
    made = ingest()
    assert lib.store.get_document_info(LOCAL, made.document.doc_id).chunks == len(made.chunks)
    assert lib.store.list_collections(LOCAL)[0].chunks == len(made.chunks)
    assert lib.engine.status().rows == len(made.chunks)
    assert lib.store.list_chunks(LOCAL, made.document.doc_id) == made.chunks
    assert lib.store.list_parents(LOCAL, made.document.doc_id) == made.parents
    with pytest.raises(NotFound):
        lib.store.list_parents(STRANGER, made.document.doc_id)


def test_they_are_replaced_and_deleted_with_their_document(lib, ingest):
    ingest()
    assert n_parents(lib) == 4
    ingest(TEXT.split("\n\n")[0])
    assert n_parents(lib) == 1
    assert all("Foxes" in h.chunk.text for h in lib.search("rivers carry sand"))
    ingest(settings=Settings(chunk_overlap_tokens=10))
    assert n_parents(lib) == 0
    assert lib.search("rivers carry sand")[0].matched is None
    ingest()
    assert n_parents(lib) == 4
    lib.delete("a", "a.txt")
    assert n_parents(lib) == 0
    assert lib.search("rivers carry sand") == []


def test_the_same_again_changes_nothing(lib, ingest):
    made = ingest()
    stored = lib.store.get_document_info(LOCAL, document_id("a", "a.txt"))
    assert stored.chunker_version == version_of(SETTINGS, lib.encoder) == made.chunker_version
    with lib.database.write() as connection:
        change = lib.store.put_document(
            connection, made.document, made.chunks, made.vectors, lib.encoder.revision, made.chunker_version,
            parents_=made.parents,
        )  # fmt: skip
    assert change.is_noop


def test_a_child_without_its_parent_is_refused(lib, ingest):
    made = ingest()
    for wrong in ([], made.parents[:-1], [*made.parents, made.parents[0]]):
        with pytest.raises(InvalidRequest), lib.database.write() as connection:
            lib.store.put_document(
                connection, made.document, made.chunks, made.vectors, "other", made.chunker_version, parents_=wrong
            )
    assert n_parents(lib) == 4


def test_a_result_keeps_its_parents_on_the_way_to_the_server(lib, ingest):
    made = ingest()
    result = Result(
        document=made.document, chunks=tuple(made.chunks), vectors=made.vectors, encoder_revision="r",
        chunker_version=made.chunker_version, warnings=(), partial=False, seconds=1.0, parents=tuple(made.parents),
    )  # fmt: skip
    back = unpack(pack(result))
    assert (back.chunks, back.parents) == (result.chunks, result.parents)
    assert np.array_equal(back.vectors, result.vectors)


def test_the_api_gives_the_text_to_read_and_says_what_was_found(lib, ingest):
    made = ingest()
    hit = lib.search("rivers carry sand in the west")[0]
    said = json.loads(json.dumps(hit_json(hit)))
    assert said["text"] == made.document.text[said["start"] : said["end"]] == hit.chunk.text
    assert said["matched"] == {
        "chunk_id": hit.matched.chunk_id,
        "start": hit.matched.start,
        "end": hit.matched.end,
    }
    assert said["start"] <= said["matched"]["start"] < said["matched"]["end"] <= said["end"]


def test_an_answer_reads_each_parent_once_and_quotes_the_stored_text(lib, ingest):
    made = ingest()
    read = []

    class Told:
        def search(self, query, k, where):
            read.extend(lib.engine.retriever("hybrid").search(query, k, where))
            return list(read)

    offload = Offload(1)
    strategy = ExtractStrategy(
        retriever=Told(), encoder=lib.encoder, verifier=RuleVerifier(), offload=offload, threshold=0.0, k=4
    )

    async def ask():
        where = Where(principal=LOCAL)
        events = strategy.run("What do rivers carry?", history=(), limits=Limits(), where=where, run_id="r1")
        return [e async for e in events]

    done = asyncio.run(ask())[-1]
    offload.close()
    assert isinstance(done, RunDone)
    spans = [(h.chunk.start, h.chunk.end) for h in read]
    assert len(set(spans)) == len(spans) == 4
    assert done.answer.citations
    for c in done.answer.citations:
        assert c.quote == made.document.text[c.start : c.end]
        assert c.chunk_id in {p.chunk_id for p in made.parents}
