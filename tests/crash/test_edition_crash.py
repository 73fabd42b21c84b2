"""Killed at any step of making a collection anew: it is searched as before, or wholly as after, and goes on from there."""

from __future__ import annotations

import shutil

import pytest

from core.types import Principal
from retrieval import edition_copies, editions
from tests.crash.test_store_crash import BEFORE, KILLED, Driver
from tests.support import edition_steps as steps
from tests.support.library import LOCAL, library

OLD_WORDS, NEW_WORDS = 8, 3
# What is prepared before the operation, and whether the new passages are searched (before it, after it).
OPERATIONS = {"copy": (False, False), "switch": (False, True), "roll-back": (True, False), "abandon": (False, False)}


@pytest.fixture(scope="module")
def driver():
    driver = Driver()
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Operation → the data directory in which it is done."""
    folders = {}
    for operation in OPERATIONS:
        folder = tmp_path_factory.mktemp(operation) / "data"
        with library(folder) as lib:
            lib.create("c")
            for text in BEFORE.values():
                lib.store.originals.put_stream([text.encode()], 1000)
            lib.put_many("c", BEFORE, words_per_chunk=OLD_WORDS)
            if operation != "copy":
                edition_id = steps.begin(lib)
                assert edition_id == 1
                steps.copy_all(lib, edition_id, BEFORE)
            if operation == "roll-back":
                steps.switch(lib, edition_id)
                steps.sweep(lib)
        folders[operation] = folder
    return folders


def is_new(lib):
    """Which passages are searched: all the new ones or all the old ones, the same by every retriever."""
    expected = {
        words: {
            (uri, " ".join(text.split()[i : i + words]))
            for uri, text in BEFORE.items()
            for i in range(0, len(text.split()), words)
        }
        for words in (OLD_WORDS, NEW_WORDS)
    }
    seen = {(h.title, h.chunk.text) for h in lib.search("words", 100, retriever="dense")}
    assert seen in expected.values(), seen
    new = seen == expected[NEW_WORDS]
    with_words = {(h.title, h.chunk.text) for h in lib.search("words", 100, retriever="bm25")}
    assert with_words == {hit for hit in seen if "words" in hit[1].split()}
    listed, _ = lib.store.list_documents(LOCAL, "c")
    assert {d.uri for d in listed} == set(BEFORE)
    assert {d.chunker_version == steps.VERSION for d in listed} == {new}
    return new


def check_after_kill(folder, operation, acknowledged, where):
    before, after = OPERATIONS[operation]
    with library(folder) as lib:
        lib.engine.add_encoder(steps.NEW)
        new = is_new(lib)
        assert new == after or (new == before and not acknowledged), where
        steps.check(lib)
        assert is_new(lib) == new, f"{where}: it changed by itself"
        kept = {lib.store.originals.path(s).read_text() for s in lib.store.originals.stored()}
        assert kept == set(BEFORE.values()), where
        # And it goes on from here: what is half made is made, or what is made is gone back from.
        steps.sweep(lib)
        with lib.database.read() as connection:
            building = editions.building(connection, "c")
        if not new:
            edition_id = building.edition_id if building is not None else steps.begin(lib)
            with lib.database.read() as connection:
                edition = editions.get(connection, edition_id)
                left = {d.uri for d in edition_copies.unmade(connection, edition, 99)}
            steps.copy_all(lib, edition_id, {uri: BEFORE[uri] for uri in left})
            assert steps.switch(lib, edition_id) is not None
            assert is_new(lib)
        steps.roll_back(lib)
        assert not is_new(lib)
        # A document that is deleted now is in none of them.
        lib.delete("c", "f1", Principal(user_id=LOCAL.user_id))
        steps.roll_back(lib)
        assert "f1" not in {h.title for h in lib.search("words", 100, retriever="dense")}
        steps.check(lib)


def kill_at(driver, prepared, tmp_path, operation, at):
    for step in at:
        folder = tmp_path / f"{operation}-{step}"
        shutil.copytree(prepared[operation], folder)
        status, acknowledged, _ = driver(folder, operation, step)
        assert status in (KILLED, 0), f"{operation} failed at step {step} by itself"
        check_after_kill(folder, operation, acknowledged, f"{operation} killed at step {step}")
        shutil.rmtree(folder)


def count_steps(driver, prepared, tmp_path, operation):
    folder = tmp_path / f"{operation}-count"
    shutil.copytree(prepared[operation], folder)
    status, acknowledged, n = driver(folder, operation)
    assert (status, acknowledged) == (0, True)
    assert n > 10
    check_after_kill(folder, operation, acknowledged, f"{operation}, killed after the end")
    return n


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_a_kill_at_some_steps_leaves_one_whole_generation(driver, prepared, tmp_path, operation):
    n = count_steps(driver, prepared, tmp_path, operation)
    kill_at(driver, prepared, tmp_path, operation, range(n // 6, n, n // 3))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_a_kill_at_any_step_leaves_one_whole_generation(driver, prepared, tmp_path, operation):
    n = count_steps(driver, prepared, tmp_path, operation)
    kill_at(driver, prepared, tmp_path, operation, range(1, n + 1))
