"""What the store keeps, for whom, and that it never keeps half of anything."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sqlalchemy import event, text

from core.errors import Conflict, Forbidden, InvalidRequest, NotFound
from core.ids import document_id
from core.types import PageSpan, Principal
from retrieval.store import Store
from retrieval.tables import TEXT_BLOCK, members
from tests.support.hash_encoder import HashEncoder
from tests.support.library import CHUNKER, LOCAL, make_document, migrated_database

STRANGER = Principal(user_id="stranger")
READER = Principal(user_id="reader")
EDITOR = Principal(user_id="editor")
ADMIN = Principal(user_id="root", is_admin=True)
ENCODER = HashEncoder(4)


@pytest.fixture
def store(tmp_path):
    database = migrated_database(tmp_path)
    store = Store(database, tmp_path / "originals", also_held=lambda _: frozenset())
    with database.write() as connection:
        store.create_collection(connection, "a", "local")
    yield store
    database.close()


def put(store, collection, uri, words, *, revision=None, chunker=CHUNKER, principal=None, **extra):
    document, chunks = make_document(collection, uri, words, **extra)
    vectors = ENCODER.encode_documents([c.text for c in chunks] or ["x"])[: len(chunks)]
    with store.database.write() as connection:
        return store.put_document(
            connection, document, chunks, vectors, revision or ENCODER.revision, chunker, principal=principal
        )


def delete(store, principal, uri, collection="a"):
    with store.database.write() as connection:
        return store.delete_document(connection, principal, document_id(collection, uri))


def counts(store):
    with store.database.read() as connection:
        return {
            name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            for name in ("documents", "texts", "chunks", "vectors", "changes")
        }


def test_a_document_comes_back_as_it_was_put(store):
    words = "Ein Satz mit Umlauten: äöü, ein Emoji 😀 und\n\nein Absatz. " * 3
    document, chunks = make_document(
        "a", "über.txt", words, pages=(PageSpan(number=1, start=0, end=20),), metadata={"year": 2024, "by": ["x"]}
    )
    put(store, "a", "über.txt", words, pages=document.pages, metadata=document.metadata)
    assert store.get_document(LOCAL, document.doc_id) == document
    assert store.list_chunks(LOCAL, document.doc_id) == chunks
    info = store.get_document_info(LOCAL, document.doc_id)
    assert (info.characters, info.pages, info.chunks) == (len(words), 1, len(chunks))


@pytest.mark.parametrize("length", [0, 1, TEXT_BLOCK - 1, TEXT_BLOCK, TEXT_BLOCK + 1, 3 * TEXT_BLOCK + 5])
def test_text_and_passages_are_whole_whatever_block_they_lie_in(store, length):
    words = ("😀ä b " * (length // 4 + 1))[:length].replace("\n", " ")
    change = put(store, "a", "long", words, words_per_chunk=50)
    document, chunks = make_document("a", "long", words, words_per_chunk=50)
    assert store.get_document(LOCAL, document.doc_id).text == words
    found = store.chunks_by_row(LOCAL, list(change.added_rows))
    assert [found[row].chunk for row in change.added_rows] == chunks
    for start, end in [(0, 3), (TEXT_BLOCK - 2, TEXT_BLOCK + 2), (5, length + 100)]:
        assert store.text_slice(LOCAL, document.doc_id, start, end) == words[start:end]


def test_the_same_bytes_again_change_nothing(store):
    first = put(store, "a", "x", "one two three")
    again = put(store, "a", "x", "one two three")
    assert again.is_noop and again.number == first.number
    assert not again.added_rows and not again.removed_rows
    assert counts(store)["changes"] == 1


def test_other_bytes_under_the_same_name_replace_it(store):
    first = put(store, "a", "x", "one two three")
    second = put(store, "a", "x", "four five six seven")
    assert second.removed_rows == list(first.added_rows)
    assert set(second.added_rows).isdisjoint(first.added_rows)
    assert second.freed_originals == (make_document("a", "x", "one two three")[0].sha256,)
    assert counts(store) == {"documents": 1, "texts": 1, "chunks": 1, "vectors": 1, "changes": 2}


@pytest.mark.parametrize("other", [{"revision": "hash-2"}, {"chunker": "words-2"}])
def test_another_pipeline_replaces_the_same_bytes(store, other):
    first = put(store, "a", "x", "one two three")
    second = put(store, "a", "x", "one two three", **other)
    assert second.removed_rows == list(first.added_rows)
    assert second.freed_originals == (), "the file is still the document's"


def test_row_ids_are_never_given_twice(store):
    first = put(store, "a", "x", "one two three")
    delete(store, LOCAL, "x")
    second = put(store, "a", "x", "one two three")
    assert min(second.added_rows) > max(first.added_rows)


def test_one_file_in_two_collections_shares_nothing(store):
    with store.database.write() as connection:
        store.create_collection(connection, "b", "local")
    put(store, "a", "x", "one two")
    put(store, "b", "x", "one two")
    assert document_id("a", "x") != document_id("b", "x")
    delete(store, LOCAL, "x", "a")
    assert store.get_document(LOCAL, document_id("b", "x")).text == "one two"


def test_a_write_that_is_not_committed_never_happened(store):
    put(store, "a", "x", "one two three")
    before = counts(store)
    document, chunks = make_document("a", "x", "other words here")
    with pytest.raises(RuntimeError, match="stop"), store.database.write() as connection:
        store.put_document(connection, document, chunks, ENCODER.encode_documents(["a"]), ENCODER.revision, CHUNKER)
        raise RuntimeError("stop")
    assert counts(store) == before
    assert store.get_document(LOCAL, document.doc_id).text == "one two three"


def test_a_collection_goes_with_everything_in_it(store):
    for i in range(3):
        put(store, "a", f"f{i}", f"words of file {i}")
    with store.database.write() as connection:
        change = store.delete_collection(connection, LOCAL, "a")
    assert len(change.removed_rows) == 3 and len(change.freed_originals) == 3
    assert counts(store) == {"documents": 0, "texts": 0, "chunks": 0, "vectors": 0, "changes": 4}
    assert store.list_collections(LOCAL) == []


# ---------------------------------------------------------------- who


@pytest.fixture
def shared(store):
    """Collection "a": local owns it, reader reads it, editor edits it; one document "x"."""
    put(store, "a", "x", "secret words")
    with store.database.write() as connection:
        cid = store.readable_collections(LOCAL, ["a"])["a"]
        for user in ("reader", "editor"):
            connection.execute(members.insert().values(collection_id=cid, user_id=user, role=user))
    return store


def test_a_stranger_sees_nothing_and_learns_nothing(shared):
    doc_id = document_id("a", "x")
    assert shared.list_collections(STRANGER) == []
    assert shared.chunks_by_row(STRANGER, list(range(10))) == {}

    def message(attempt, *arguments):
        with pytest.raises(NotFound) as caught:
            attempt(*arguments)
        return caught.value.message

    reads = [shared.get_document, shared.get_document_info, shared.list_chunks]
    for read in [*reads, lambda p, d: shared.text_slice(p, d, 0, 4), lambda p, d: delete(shared, p, "x")]:
        seen, absent = message(read, STRANGER, doc_id), message(read, STRANGER, doc_id)
        assert seen == absent and "secret" not in seen
    for name in ("a", "nothing-of-this-name"):
        assert (
            message(shared.list_documents, STRANGER, name)
            == f"no collection {name!r}: you have none yet; create it first"
        )


@pytest.mark.parametrize(("who", "role"), [(LOCAL, "owner"), (EDITOR, "editor"), (READER, "reader"), (ADMIN, "owner")])
def test_members_see_the_collection_in_their_role(shared, who, role):
    (info,) = shared.list_collections(who)
    assert (info.name, info.documents, info.chunks, info.role) == ("a", 1, 1, role)
    assert shared.get_document(who, document_id("a", "x")).text == "secret words"


def test_a_reader_may_not_write_and_is_told_so(shared):
    with pytest.raises(Forbidden, match="you are reader"):
        delete(shared, READER, "x")
    with pytest.raises(Forbidden), shared.database.write() as connection:
        shared.delete_collection(connection, EDITOR, "a")
    with pytest.raises(Forbidden):
        put(shared, "a", "y", "more words", principal=READER)
    put(shared, "a", "y", "more words", principal=EDITOR)
    assert delete(shared, EDITOR, "x").removed_rows


def test_a_revoked_member_is_a_stranger(shared):
    with shared.database.write() as connection:
        connection.execute(members.delete().where(members.c.user_id == "reader"))
    assert shared.list_collections(READER) == []
    with pytest.raises(NotFound):
        shared.get_document(READER, document_id("a", "x"))


def test_an_unknown_collection_is_answered_with_the_known_ones(shared):
    with pytest.raises(NotFound, match="no collection 'b': you have a"):
        shared.readable_collections(LOCAL, ["a", "b"])


# ---------------------------------------------------------------- bad input


def test_names_are_checked_and_taken_once(store):
    with store.database.write() as connection:
        with pytest.raises(InvalidRequest):
            store.create_collection(connection, "Not A Name", "local")
        with pytest.raises(Conflict, match="'a' is in use"):
            store.create_collection(connection, "a", "somebody")
        store.create_collection(connection, "b", "local")
    assert [c.name for c in store.list_collections(LOCAL)] == ["a", "b"]


def test_a_document_needs_its_collection(store):
    with pytest.raises(NotFound, match="'gone' is gone"):
        put(store, "gone", "x", "words")


def broken(part):
    document, chunks = make_document("a", "x", "one two three four", words_per_chunk=2)
    vectors = ENCODER.encode_documents([c.text for c in chunks])
    match part:
        case "text":
            chunks[1] = dataclasses.replace(chunks[1], text="not a slice")
        case "range":
            chunks[1] = dataclasses.replace(chunks[1], end=99)
        case "empty":
            chunks[1] = dataclasses.replace(chunks[1], end=chunks[1].start, text="")
        case "document":
            chunks[1] = dataclasses.replace(chunks[1], doc_id="d0")
        case "twice":
            chunks[1] = chunks[0]
        case "too few vectors":
            vectors = vectors[:1]
        case "nan":
            vectors[0, 0] = np.nan
        case "float64":
            vectors = vectors.astype(np.float64)
        case "surrogate":
            document = dataclasses.replace(document, text=document.text + "\ud800")
        case "metadata":
            document = dataclasses.replace(document, metadata={"x": object()})
    return document, chunks, vectors


@pytest.mark.parametrize(
    "part",
    ["text", "range", "empty", "document", "twice", "nan", "float64", "surrogate", "metadata", "too few vectors"],
)
def test_what_does_not_fit_together_is_refused_whole(store, part):
    document, chunks, vectors = broken(part)
    with pytest.raises(InvalidRequest), store.database.write() as connection:
        store.put_document(connection, document, chunks, vectors, "r", "c")
    assert counts(store)["documents"] == 0


def test_listing_pages_through_everything_once_newest_first(store):
    for i in range(7):
        put(store, "a", f"f{i}", f"words {i}")
    seen, cursor = [], None
    while True:
        page, cursor = store.list_documents(LOCAL, "a", 3, cursor)
        seen += [d.uri for d in page]
        if cursor is None:
            break
    assert seen == [f"f{i}" for i in (6, 5, 4, 3, 2, 1, 0)]
    for limit, bad in ((0, None), (1001, None), (10, "x"), (10, "-1")):
        with pytest.raises(InvalidRequest):
            store.list_documents(LOCAL, "a", limit, bad)


# ---------------------------------------------------------------- originals


def test_a_deleted_documents_file_goes_after_commit_unless_needed_elsewhere(tmp_path):
    database = migrated_database(tmp_path)
    queued: set[str] = set()
    store = Store(database, tmp_path / "originals", also_held=lambda _: queued)
    with database.write() as connection:
        store.create_collection(connection, "a", "local")
        store.create_collection(connection, "b", "local")
    body = "the very same words"
    with store.originals.receiving([body.encode()], 100) as (sha256, _):
        put(store, "a", "x", body)
        put(store, "b", "x", body)
    store.remove_freed(delete(store, LOCAL, "x", "a"))
    assert store.originals.stored() == [sha256], "collection b has it too"
    queued.add(sha256)
    change = delete(store, LOCAL, "x", "b")
    store.remove_freed(change)
    assert store.originals.stored() == [sha256], "a job that waits needs it"
    queued.clear()
    store.remove_freed(change)
    assert store.originals.stored() == []
    database.close()


def test_without_knowing_who_else_needs_files_none_is_removed(store, tmp_path):
    careful = Store(store.database, tmp_path / "originals")
    sha256, _ = careful.originals.put_stream([b"words"], 10)
    careful.originals.release(sha256)
    careful.sweep_originals()
    assert careful.originals.stored() == [sha256]
    store.sweep_originals()
    assert careful.originals.stored() == []


def test_reading_hits_takes_a_few_queries_however_many_there_are(store):
    change = put(store, "a", "x", "w " * 2000, words_per_chunk=5)
    statements = []
    event.listen(store.database.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    assert len(store.chunks_by_row(LOCAL, list(change.added_rows))) == 400
    assert len([s for s in statements if s.startswith("SELECT")]) == 3  # chunks, their text, pages


@pytest.mark.parametrize(
    ("start", "end", "numbers"),
    [(0, 1, [1]), (0, 10, [1]), (9, 11, [1, 2]), (10, 10, []), (10, 30, [2, 3]), (29, 99, [3]), (30, 40, [])],
)
def test_a_passage_names_the_pages_it_touches(start: int, end: int, numbers: list[int]) -> None:
    from retrieval.document_rows import touched

    pages = [[1, 0, 10], [2, 10, 20], [3, 20, 30]]
    assert [p.number for p in touched(pages, start, end)] == numbers
