"""Bytes of stored token vectors are flipped, cut, swapped and lost: searches notice, the audit says so, all come back as they were."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text as sql

from core.database import DATABASE_FILE, migrate, open_database
from retrieval.rerank.late import LateInteractionReranker
from tests.app.test_verify import TEXTS, add, change, codes, flip, opened, repaired, verified
from tests.support.library import MIGRATIONS, Library, library

TABLE = "SELECT row_id, revision, packed, checksum FROM token_vectors ORDER BY row_id"
HARMS = ["flipped", "cut", "longer", "empty", "swapped", "checksum", "gone"]


@pytest.fixture(scope="module")
def with_tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens") / "data"
    with library(folder) as lib:
        lib.create("a", tokens=True)
        for uri, text in TEXTS.items():
            add(lib, uri, text)
        assert lib.engine.settle(60)
    return folder


@pytest.fixture
def data(with_tokens: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(with_tokens, tmp_path / "data"))


def stored(data_dir: Path) -> list[Any]:
    with opened(data_dir) as here, here.database.read() as connection:
        return [tuple(row) for row in connection.execute(sql(TABLE))]


def harm(data_dir: Path, how: str) -> None:
    first, second = stored(data_dir)[:2]
    body: bytes = first[2]
    values = {"cut": body[:-3], "longer": body + body[:8], "empty": b"", "swapped": second[2]}
    match how:
        case "flipped":
            flip(data_dir / DATABASE_FILE, body, offset=len(body) // 2, bit=8)
        case "checksum":
            change(data_dir, "UPDATE token_vectors SET checksum = NULL WHERE row_id = :row", row=first[0])
        case "gone":
            change(data_dir, "DELETE FROM token_vectors WHERE row_id = :row", row=first[0])
        case _:
            statement = "UPDATE token_vectors SET packed = :v, checksum = :sum WHERE row_id = :row"
            # Swapped with its checksum: whole, and another passage's.
            change(data_dir, statement, row=first[0], v=values[how], sum=second[3] if how == "swapped" else first[3])


def scores(lib: Library) -> list[tuple[str, float]]:
    hits = lib.search("sourdough oceans launch", 6)
    reranker = LateInteractionReranker(lib.encoder, lib.engine.kept_tokens, cache_bytes=0)
    return [(h.chunk.chunk_id, s) for h, s in zip(hits, reranker.score("sourdough", hits).tolist(), strict=True)]


@pytest.mark.parametrize("how", HARMS)
def test_damage_is_found_taken_out_and_made_again(data: Path, how: str) -> None:
    before = stored(data)
    assert len(before) == 6 and verified(data).findings == []
    harm(data, how)
    (finding,) = verified(data).findings
    assert finding.code == "tokens-damaged" and "missing or damaged token vectors of 1 passage" in finding.message
    assert repaired(data).left == []
    assert verified(data).findings == []
    assert stored(data) == before[1:]
    with library(data) as lib:
        assert lib.engine.settle(60)
        assert lib.encoder.encoded == 8  # the words of that passage, and of no other
    assert stored(data) == before


@pytest.mark.parametrize("how", ["flipped", "cut", "swapped", "gone"])
def test_a_search_that_meets_damage_scores_as_before_says_so_and_has_it_mended(
    data: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = stored(data)
    with library(data) as lib:
        wanted = scores(lib)
    harm(data, how)
    with caplog.at_level(logging.ERROR), library(data) as lib:
        assert scores(lib) == wanted
        assert lib.engine.settle(60)
    told = [r.getMessage() for r in caplog.records if "token vectors" in r.getMessage()]
    if how == "gone":  # no damage to be seen: it is read, and the audit finds it
        assert told == []
        assert codes(verified(data)) == ["tokens-damaged"]
    else:
        assert len(told) == 1 and "are damaged" in told[0]
        assert stored(data) == before


def test_what_is_kept_for_a_collection_that_keeps_none_is_found_and_removed(data: Path) -> None:
    change(data, "UPDATE collections SET tokens = 0")
    assert [f.fix for f in verified(data).findings] == ["they are removed"] * 3
    assert repaired(data).left == []
    assert stored(data) == [] and verified(data).findings == []


def test_rows_of_passages_that_are_gone_are_found_and_removed(data: Path) -> None:
    database = open_database(data)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("INSERT INTO token_vectors VALUES (999, 'r', x'00', 1)")
        connection.commit()
    database.close()
    assert "reference-broken" in codes(verified(data))
    assert repaired(data).left == []
    assert len(stored(data)) == 6 and verified(data).findings == []


def test_rows_from_before_there_were_checksums_are_given_theirs(data: Path) -> None:
    before = stored(data)
    database = open_database(data)
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    configuration.set_main_option("path_separator", "os")
    with database.write() as connection:
        configuration.attributes["connection"] = connection
        command.downgrade(configuration, "0013")
    migrate(database, MIGRATIONS)
    database.close()
    assert stored(data) == before
