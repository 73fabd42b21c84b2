"""The steps of making a second edition of collection ``c`` by hand, with an encoder for tests in the place of a worker."""

from __future__ import annotations

from collections.abc import Mapping

from retrieval import edition_copies, edition_switch, editions
from retrieval.audit import audit_documents, audit_editions, audit_vectors
from retrieval.records import Change
from tests.support.hash_encoder import HashEncoder
from tests.support.library import Library, make_document

VERSION = "words-new"
NEW = HashEncoder(8, "hash-2")


def begin(lib: Library, encoder: HashEncoder = NEW) -> int:
    with lib.database.write() as connection:
        return editions.begin(
            connection,
            "c",
            serving={"chunker": "old"},
            pipeline={"chunker": "new"},
            chunker_version=VERSION,
            encoder_revision=encoder.revision,
            job_id="j1",
        )


def copy(lib: Library, edition_id: int, uri: str, text: str, encoder: HashEncoder = NEW, *, words: int = 3) -> bool:
    document, chunks = make_document("c", uri, text, words_per_chunk=words)
    vectors = encoder.encode_documents([c.text for c in chunks])
    with lib.database.write() as connection:
        edition = editions.get(connection, edition_id)
        return edition is not None and edition_copies.put_copy(
            connection,
            edition,
            document,
            chunks,
            vectors,
            (),
            encoder_revision=encoder.revision,
            chunker_version=VERSION,
        )


def copy_all(lib: Library, edition_id: int, texts: Mapping[str, str], encoder: HashEncoder = NEW) -> None:
    for uri, text in texts.items():
        if not copy(lib, edition_id, uri, text, encoder):
            raise AssertionError(f"{uri} was not taken")


def switch(lib: Library, edition_id: int, encoder: HashEncoder = NEW) -> Change | None:
    lib.engine.add_encoder(encoder)
    lib.engine.prepare(edition_id)
    with lib.database.write() as connection:
        edition = editions.get(connection, edition_id)
        change = edition_switch.switch(connection, edition) if edition is not None else None
    if change is not None:
        lib.engine.publish(change)
    lib.engine.unprepare()
    return change


def roll_back(lib: Library, *, prepared: bool = True) -> None:
    with lib.database.read() as connection:
        kept = editions.kept(connection, "c")
    if prepared and kept is not None:
        lib.engine.prepare(kept.edition_id)
    with lib.database.write() as connection:
        change = edition_switch.roll_back(connection, "c")
    lib.engine.publish(change)


def sweep(lib: Library) -> int:
    """Deletes all that is leaving; returns in how many transactions."""
    n = 0
    while True:
        with lib.database.write() as connection:
            if not editions.sweep(connection):
                return n
        n += 1


def check(lib: Library) -> None:
    """Nothing is wrong, in the database or in the indexes."""
    assert lib.engine.settle(30)
    assert lib.engine.audit() == []
    with lib.database.read() as connection:
        assert [f for _, wrong in audit_documents(connection) for f in wrong] == []
        assert audit_vectors(connection)[1] == []
        assert audit_editions(connection)[1] == []
