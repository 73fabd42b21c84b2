"""Bytes of real files are flipped and cut, rows are changed behind our back: found, and mended where that can be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text as sql

from app.upkeep.opened import Opened
from app.upkeep.repair import Repaired, repair
from app.upkeep.verify import Verified, verify
from core.database import open_database
from core.ids import document_id
from core.settings import Settings
from core.types import Principal
from ingest.ledger import Ledger
from ingest.ledger_listing import get_job, list_jobs
from retrieval.store import Store
from tests.support.hash_encoder import HashEncoder
from tests.support.library import LOCAL, Library, library

TEXTS = {
    "rocket": "the saturn rocket stood over one hundred metres tall on its pad before launch",
    "bread": "a loaf of sourdough rises slowly because wild yeast is scarce in the dough",
    "whale": "whales breathe air and sing songs that travel through whole oceans at night",
}


def add(lib: Library, uri: str, text: str) -> None:
    with lib.store.originals.receiving([text.encode()], 10_000):
        lib.put("a", uri, text)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three documents with originals, a term index and a vector graph, closed in good order."""
    folder = tmp_path_factory.mktemp("sound") / "data"
    with library(folder, dense="hnsw") as lib:
        lib.create("a")
        for uri, text in TEXTS.items():
            add(lib, uri, text)
        assert lib.engine.settle(60)
    assert {p.name.partition("-")[0] for p in (folder / "indexes").iterdir()} == {"dense", "sparse"}
    return folder


@pytest.fixture
def data(sound: Path, tmp_path: Path) -> Path:
    """One's own copy, to be harmed."""
    return Path(shutil.copytree(sound, tmp_path / "data"))


@contextmanager
def opened(data_dir: Path) -> Iterator[Opened]:
    database = open_database(data_dir)
    ledger = Ledger()
    store = Store(database, data_dir / "originals", also_held=ledger.held_originals)
    try:
        yield Opened(settings=Settings(data_dir=data_dir), database=database, store=store, ledger=ledger)
    finally:
        database.close()


def verified(data_dir: Path) -> Verified:
    with opened(data_dir) as here:
        return verify(here.store, here.data_dir, stopped=True)


def codes(found: Verified) -> list[str]:
    return sorted({f.code for f in found.findings})


def repaired(data_dir: Path) -> Repaired:
    with opened(data_dir) as here:
        return repair(here, HashEncoder)


def flip(path: Path, needle: bytes, offset: int = 0, bit: int = 1) -> None:
    """Flips one bit of the file where ``needle`` lies, as a failing disk would."""
    body = bytearray(path.read_bytes())
    at = body.index(needle) + offset
    body[at] ^= bit
    path.write_bytes(bytes(body))


def change(data_dir: Path, statement: str, **values: object) -> None:
    with closing(open_database(data_dir)) as database, database.write() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        connection.execute(sql(statement), values)


def test_a_sound_data_directory_is_said_to_be_sound_with_what_was_read(data: Path) -> None:
    found = verified(data)
    assert found.findings == []
    counts = {"originals": 3, "documents": 3, "passages": 6, "vectors": 6, "token vectors": 0, "jobs": 0, "indexes": 2}
    assert found.checked == counts
    assert json.loads(json.dumps(found.json()))["ok"] is True


def test_a_flipped_bit_in_a_stored_text_is_found_though_sqlite_does_not_notice(data: Path) -> None:
    flip(data / "openbook.db", b"loaf of sourdough rises")
    found = verified(data)
    assert codes(found) == ["text-damaged"]
    assert found.findings[0].subject == document_id("a", "bread")
    done = repaired(data)
    assert done.left == []
    with opened(data) as here:  # it waits to be read again, and will not be taken for what is stored already
        (job,), _ = list_jobs(here.database, Principal(user_id="local"))
        assert (job.job_id, job.state, job.uri) == (done.jobs[0], "queued", "bread")
        assert here.store.get_document_info(LOCAL, document_id("a", "bread")).chunker_version == "damaged"
        assert here.store.originals.path(job.sha256).read_text() == TEXTS["bread"]


def test_a_damaged_text_without_its_original_cannot_be_mended_and_that_is_said(data: Path) -> None:
    flip(data / "openbook.db", b"loaf of sourdough rises")
    with opened(data) as here:
        here.store.originals.path(here.store.get_document_info(LOCAL, document_id("a", "bread")).sha256).unlink()
    done = repaired(data)
    assert {f.code for f in done.left} == {"text-damaged", "original-missing"}
    assert all("upload the same file again" in f.fix and not f.repairable for f in done.left)
    assert done.jobs == []


def test_a_page_that_is_read_again_is_still_the_page_of_its_url(data: Path) -> None:
    source = {"url": "https://example.org/?id=5", "name": "birds.csv", "fetched_at": "2026-03-01T08:00:00.000Z"}
    text = "species and how many of each were seen at the pond in the first week of march"
    with library(data) as lib, lib.store.originals.receiving([text.encode()], 10_000):
        lib.put("a", source["url"], text, metadata={"source": source})
    flip(data / "openbook.db", b"seen at the pond")
    done = repaired(data)
    with opened(data) as here:
        job = get_job(here.database, LOCAL, done.jobs[0])
    assert (job.file, job.lane) == (source["url"], "files"), "it is read from its original, not fetched"
    assert job.origin == {**source, "of_index": False}


@pytest.mark.parametrize("how", ["bytes", "zero", "nan", "short", "missing"])
def test_a_wrong_vector_is_found_and_made_again_from_the_text(data: Path, how: str) -> None:
    with library(data) as lib:
        before = [(h.title, h.chunk.text, h.score) for h in lib.search("sourdough loaf", 6, retriever="dense")]
    with opened(data) as here, here.database.read() as connection:
        row, vector = connection.execute(sql("SELECT row_id, vector FROM vectors ORDER BY row_id LIMIT 1")).one()
    match how:
        case "bytes":
            flip(data / "openbook.db", vector, offset=7, bit=0x40)  # an exponent: 2^±64
        case "missing":
            change(data, "DELETE FROM vectors WHERE row_id = :row", row=row)
        case _:
            value = {"zero": b"\0" * 64, "nan": np.full(16, np.nan, "<f4").tobytes(), "short": vector[:60]}[how]
            change(data, "UPDATE vectors SET vector = :v WHERE row_id = :row", v=value, row=row)
    found = verified(data)
    assert "vectors-damaged" in codes(found)
    done = repaired(data)
    assert done.left == []
    assert verified(data).findings == []
    with library(data) as lib:
        assert lib.engine.settle(60)
        after = [(h.title, h.chunk.text, h.score) for h in lib.search("sourdough loaf", 6, retriever="dense")]
    assert after == before


def test_vectors_of_another_encoder_are_made_again_by_reading_the_document_again(data: Path) -> None:
    change(data, "UPDATE vectors SET vector = zeroblob(64)")
    change(data, "UPDATE documents SET encoder_revision = 'older'")
    done = repaired(data)
    assert len(done.jobs) == 3


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ('UPDATE chunks SET "end" = 100000 WHERE row_id = 1', "chunks-damaged"),
        ("UPDATE chunks SET start = start + 1 WHERE row_id = 2", "chunks-damaged"),
        ("UPDATE documents SET n_chunks = 1 WHERE doc_number = 1", "chunks-damaged"),
        ("UPDATE documents SET n_characters = n_characters + 9 WHERE doc_number = 1", "text-damaged"),
        ("DELETE FROM texts WHERE doc_number = 1", "text-damaged"),
    ],
)
def test_rows_that_do_not_fit_together_are_found_and_the_document_is_read_again(
    data: Path, statement: str, code: str
) -> None:
    change(data, statement)
    assert code in codes(verified(data))
    done = repaired(data)
    assert len(done.jobs) == 1
    assert [f.code for f in done.left if f.code != "index-damaged"] == []


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM parents WHERE parent_id = 'p1'",
        'UPDATE parents SET "end" = "end" - 1',
        "UPDATE parents SET start = 1",
        'UPDATE parents SET "end" = 100000',
        "UPDATE chunks SET parent_id = NULL WHERE row_id = 1",
    ],
)
def test_what_is_read_in_place_of_a_passage_must_be_there_and_around_it(data: Path, statement: str) -> None:
    place = "SELECT 'p1', doc_number, start, \"end\", n_tokens, page, heading_path FROM chunks WHERE row_id = 1"
    change(data, f'INSERT INTO parents (parent_id, doc_number, start, "end", n_tokens, page, heading_path) {place}')
    change(data, "UPDATE chunks SET parent_id = 'p1' WHERE row_id = 1")
    assert verified(data).ok
    change(data, statement)
    assert codes(verified(data)) == ["chunks-damaged"]
    assert len(repaired(data).jobs) == 1


def test_a_reference_into_nowhere_is_found_and_removed(data: Path) -> None:
    database = open_database(data)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("DELETE FROM documents WHERE uri = 'whale'")
        connection.commit()
    database.close()
    assert "reference-broken" in codes(verified(data))
    assert repaired(data).left == []
    assert verified(data).findings == []
    with library(data) as lib:
        assert {d.uri for d in lib.store.list_documents(LOCAL, "a")[0]} == {"rocket", "bread"}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_database_cut_short_is_said_to_be_damaged_and_how_to_get_it_back(data: Path, share: float) -> None:
    body = (data / "openbook.db").read_bytes()
    (data / "openbook.db").write_bytes(body[: int(len(body) * share)])
    found = verified(data)
    assert "database-damaged" in codes(found)
    assert "openbook restore" in next(f for f in found.findings if f.code == "database-damaged").fix


def test_a_database_whose_beginning_is_overwritten_is_said_to_be_damaged(data: Path) -> None:
    with (data / "openbook.db").open("r+b") as file:
        file.write(b"\0" * 4096)
    assert codes(verified(data)) == ["database-damaged"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def _flip_middle(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 4
    path.write_bytes(bytes(body))


@pytest.mark.parametrize("harm", [_cut, _flip_middle, Path.unlink])
def test_an_original_that_was_harmed_is_named_with_its_document_and_not_mended(
    data: Path, harm: Callable[[Path], None]
) -> None:
    with opened(data) as here:
        path = here.store.originals.path(here.store.get_document_info(LOCAL, document_id("a", "whale")).sha256)
    harm(path)
    (finding,) = verified(data).findings
    assert finding.code == ("original-missing" if harm is Path.unlink else "original-damaged")
    assert "'whale' in a" in finding.message
    done = repaired(data)
    assert [f.code for f in done.left] == [finding.code]
    with library(data) as lib:  # what the fix says: uploading the file again
        add(lib, "whale", TEXTS["whale"])
    assert verified(data).findings == []


def test_an_original_that_nobody_names_is_found_and_removed(data: Path) -> None:
    with opened(data) as here:
        with here.store.originals.receiving([b"nobody's"], 100) as (sha256, _):
            assert verify(here.store, data, stopped=False).findings == []  # on its way in: no fault
        assert [f.subject for f in verify(here.store, data, stopped=True).findings] == [sha256]
    assert repaired(data).left == []
    assert verified(data).findings == []
    assert len(list((data / "originals").glob("??/*"))) == 3


@pytest.mark.parametrize("harm", [_cut, _flip_middle, Path.unlink])
@pytest.mark.parametrize("kind", ["dense-*", "sparse-*/*.term", "sparse-*/*.idx", "sparse-*/meta.json"])
def test_a_harmed_index_file_is_found_and_built_anew(data: Path, kind: str, harm: Callable[[Path], None]) -> None:
    with library(data, dense="hnsw") as lib:
        before = [(h.title, h.score) for h in lib.search("yeast songs tall", 6)]
    (path,) = list((data / "indexes").glob(kind))[:1]
    harm(path)
    assert codes(verified(data)) == ["index-damaged"]
    assert repaired(data).left == []
    assert not path.exists()
    assert verified(data).findings == []
    with library(data, dense="hnsw") as lib:
        assert lib.engine.settle(60)
        assert lib.engine.status().problems == ()
        assert [(h.title, h.score) for h in lib.search("yeast songs tall", 6)] == before
    assert verified(data).findings == []


def test_an_index_that_lacks_what_its_manifest_covers_is_found(data: Path) -> None:
    with library(data) as lib:
        index = lib.engine._terms.index
        assert index is not None
        index.remove([2])
        index.commit()
    assert codes(verified(data)) == ["index-damaged"]


def test_an_index_behind_the_database_is_no_fault(data: Path) -> None:
    with library(data) as lib:
        lib.commit("a", "late", "words that no index has seen so far")
    found = verified(data)
    assert codes(found) == ["original-missing"]  # committed without its file, by this test
    with library(data) as lib:
        assert lib.search("seen", 1)[0].title == "late"


@pytest.mark.parametrize(
    ("values", "code", "after"),
    [
        ({"state": "flying"}, "job-state", "failed"),
        ({"state": "ready", "doc_id": None}, "job-state", "failed"),
        ({"state": "encoding", "worker_id": "w1", "lease_until": 9e9}, "job-interrupted", "queued"),
        ({"collection": "gone"}, "job-homeless", "failed"),
        ({"sha256": "f" * 64}, "job-without-file", "failed"),
        ({"warnings": "not json"}, "job-damaged", "queued"),
    ],
)
def test_a_job_that_cannot_be_is_found_and_brought_to_an_end(
    data: Path, values: dict[str, object], code: str, after: str
) -> None:
    with opened(data) as here, here.database.write() as connection:
        info = here.store.list_documents(LOCAL, "a")[0][0]
        job = here.ledger.add(
            connection, principal=LOCAL, collection="a", file="f", uri="f", sha256=info.sha256, size=1, chunker="fixed"
        )
    assert verified(data).findings == []
    change(data, f"UPDATE jobs SET {', '.join(f'{k} = :{k}' for k in values)}", **values)
    found = verified(data)
    assert code in codes(found)
    assert repaired(data).left == []
    with opened(data) as here:
        assert get_job(here.database, LOCAL, job.job_id).state == after
    assert verified(data).findings == []
