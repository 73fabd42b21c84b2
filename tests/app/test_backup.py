"""A backup under load is of one moment and restores to it; a bad one is refused before anything is switched."""

from __future__ import annotations

import io
import json
import random
import shutil
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from app.datadir import DataDirLock
from app.prompt_files import prompts_of
from app.upkeep.archive import read_archive, write_archive
from app.upkeep.backup import Backup
from app.upkeep.restore import finish_restore, restore
from core.errors import Conflict, InvalidRequest, OpenbookError, StorageFailed
from tests.support.library import LOCAL, Library, library

WORDS = [f"word{i}" for i in range(60)]


def text_of(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=24))


def put(lib: Library, uri: str, text: str) -> int:
    """Puts a document with its original, as an upload does; returns the change."""
    with lib.store.originals.receiving([text.encode()], 10_000):
        return lib.put("a", uri, text).number


def backup_to(lib: Library, path: Path, *, compress: bool = False) -> int:
    with closing(Backup(lib.store, lib.data_dir)) as made:
        write_archive(made, path, compress=compress)
        return made.manifest.change


def documents(lib: Library) -> dict[str, str]:
    found, _ = lib.store.list_documents(LOCAL, "a", limit=1000)
    return {d.uri: lib.store.get_document(LOCAL, d.doc_id).text for d in found}


def answers(lib: Library, queries: list[str]) -> list[list[tuple[str, str]]]:
    found = []
    for query in queries:
        for retriever in ("bm25", "dense", "hybrid"):
            hits = lib.search(query, 10, retriever=retriever)
            found.append([(h.title, h.chunk.text) for h in hits])
    return found


class Writers:
    """Two threads that add and delete documents, and a journal of what the library held after each change."""

    def __init__(self, lib: Library) -> None:
        self._lib = lib
        self._turn = threading.Lock()
        self._stop = threading.Event()
        self._now: dict[str, str] = {}
        self.journal: dict[int, dict[str, str]] = {}
        self.broke: Exception | None = None
        self._threads = [threading.Thread(target=self._run, args=(seed,)) for seed in (1, 2)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, seed: int) -> None:
        rng = random.Random(seed)
        try:
            while not self._stop.is_set():
                with self._turn:  # so that the journal knows which change made what
                    if self._now and rng.random() < 0.4:
                        uri = rng.choice(sorted(self._now))
                        number = self._lib.delete("a", uri).number
                        del self._now[uri]
                    else:
                        uri, text = f"{rng.randrange(40)}.txt", text_of(rng)
                        number = put(self._lib, uri, text)
                        self._now.pop(uri, None)
                        self._now[uri] = text
                    self.journal[number] = dict(self._now)
        except OpenbookError as e:
            self.broke = e


def test_a_backup_under_load_restores_to_the_same_answers(tmp_path: Path) -> None:
    check_backup_under_load(tmp_path, backups=2, per_backup=25, n_queries=30, compress=True)


@pytest.mark.slow
def test_backups_under_load_restore_to_the_same_top_ten_of_five_hundred_queries(tmp_path: Path) -> None:
    check_backup_under_load(tmp_path, backups=4, per_backup=80, n_queries=500, compress=False)


def check_backup_under_load(tmp_path: Path, *, backups: int, per_backup: int, n_queries: int, compress: bool) -> None:
    queries = [text_of(random.Random(n))[:40] for n in range(n_queries)]  # each by 3 retrievers
    with library(tmp_path / "data") as lib:
        lib.create("a")
        with Writers(lib) as writers:
            changes = []
            for n in range(backups):
                while len(writers.journal) < per_backup * (n + 1) and writers.broke is None:
                    threading.Event().wait(0.01)
                changes.append(backup_to(lib, tmp_path / f"{n}.tar", compress=compress))
        assert writers.broke is None
        assert len(set(changes)) == backups
        assert list((tmp_path / "data").glob("backup-*")) == []
        lib.store.sweep_originals()
        kept = {t.encode() for t in documents(lib).values()}
        assert {lib.store.originals.path(s).read_bytes() for s in lib.store.originals.stored()} == kept
    for n, change in enumerate(changes):
        manifest, aside = restore(tmp_path / f"{n}.tar", tmp_path / f"restored-{n}", replace=False)
        assert (manifest.change, manifest.missing, aside) == (change, (), None)
        then = writers.journal[change]
        with library(tmp_path / f"restored-{n}") as restored, library(tmp_path / f"fresh-{n}") as fresh:
            assert documents(restored) == then
            for text in then.values():
                assert text.encode() in {
                    restored.store.originals.path(s).read_bytes() for s in restored.store.originals.stored()
                }
            fresh.create("a")
            for uri, text in then.items():  # in the order of their changes
                put(fresh, uri, text)
            assert restored.engine.settle(60)
            assert restored.engine.status().problems == ()
            assert answers(restored, queries) == answers(fresh, queries)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A data directory with two documents, and its backup beside it."""
    with library(tmp_path / "data") as lib:
        lib.create("a")
        put(lib, "x", "some words of the first file")
        put(lib, "y", "other words of the second file")
        backup_to(lib, tmp_path / "good.tar")
    return tmp_path


def state_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def rewritten(source: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The archive with its members changed."""
    with tarfile.open(source) as archive:
        members = {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    change(members)
    with tarfile.open(target, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return target


def _flip_database(members: dict[str, bytes]) -> None:
    data = bytearray(members["openbook.db"])
    data[len(data) // 2] ^= 1
    members["openbook.db"] = bytes(data)


def _drop_an_original(members: dict[str, bytes]) -> None:
    del members[next(n for n in members if n.startswith("originals/"))]


def _add(name: str) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        manifest = members.pop("manifest.json")
        members[name] = b"evil"
        members["manifest.json"] = manifest

    return change


def _no_manifest(members: dict[str, bytes]) -> None:
    del members["manifest.json"]


def _longer_original(members: dict[str, bytes]) -> None:
    members[next(n for n in members if n.startswith("originals/"))] += b"!"


def _newer(members: dict[str, bytes]) -> None:
    members["manifest.json"] = json.dumps({**json.loads(members["manifest.json"]), "format": 2}).encode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_flip_database, "the bytes of openbook.db"),
        (_drop_an_original, "lacks originals/"),
        (_longer_original, "the bytes of originals/"),
        (_no_manifest, "manifest is missing"),
        (_newer, "format 2"),
        (_add("../evil"), "'../evil'"),
        (_add("/tmp/evil"), "evil"),
        (_add("originals/../../evil"), "evil"),
        (_add("originals/ab/" + "c" * 64), "no backup does"),
        (_add("openbook.toml"), "no backup does"),
    ],
)
def test_a_backup_that_was_tampered_with_is_refused_and_nothing_changes(
    small: Path, change: Callable[[dict[str, bytes]], None], words: str
) -> None:
    before = state_of(small / "data")
    bad = rewritten(small / "good.tar", small / "bad.tar", change)
    with pytest.raises(OpenbookError, match=words):
        restore(bad, small / "data", replace=True)
    assert state_of(small / "data") == before
    assert not (small / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_folders_and_devices_are_refused(small: Path, kind: bytes) -> None:
    before = state_of(small / "data")
    with tarfile.open(small / "bad.tar", "w") as archive:
        info = tarfile.TarInfo("openbook.db")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(StorageFailed, match="not a plain file"):
        restore(small / "bad.tar", small / "data", replace=True)
    assert state_of(small / "data") == before


def test_a_backup_cut_off_anywhere_is_refused(small: Path) -> None:
    whole = (small / "good.tar").read_bytes()
    before = state_of(small / "data")
    for share in range(0, 100, 7):
        (small / "cut.tar").write_bytes(whole[: len(whole) * share // 100])
        with pytest.raises((StorageFailed, InvalidRequest), match="cut"):
            restore(small / "cut.tar", small / "data", replace=True)
    assert state_of(small / "data") == before


def test_what_is_no_backup_is_said_to_be_none(small: Path) -> None:
    (small / "letter.txt").write_text("Dear all, " * 200)
    with pytest.raises(InvalidRequest, match="not a backup"):
        restore(small / "letter.txt", small / "new", replace=False)
    with pytest.raises(InvalidRequest, match="cannot read"):
        restore(small / "nowhere.tar", small / "new", replace=False)


def test_a_directory_in_use_is_replaced_only_if_asked_and_kept_whole(small: Path) -> None:
    with library(small / "data") as lib:
        put(lib, "z", "words written after the backup")
    with pytest.raises(Conflict, match="--replace"):
        restore(small / "good.tar", small / "data", replace=False)
    _, aside = restore(small / "good.tar", small / "data", replace=True)
    assert aside is not None
    with library(small / "data") as lib, library(aside) as old:
        assert set(documents(lib)) == {"x", "y"}
        assert set(documents(old)) == {"x", "y", "z"}
        assert old.search("after the backup", 1)[0].title == "z"
        assert len(old.store.originals.stored()) == 3


def test_a_folder_that_is_not_ours_is_left_alone(small: Path) -> None:
    (small / "letters").mkdir()
    (small / "letters" / "dear.txt").write_text("Dear all")
    with pytest.raises(InvalidRequest, match=r"dear\.txt"):
        restore(small / "good.tar", small / "letters", replace=True)


def test_a_lost_original_is_named_in_the_backup_and_the_rest_is_restored(small: Path) -> None:
    with library(small / "data") as lib:
        damaged, lost = lib.store.originals.stored()
        lib.store.originals.path(damaged).write_bytes(b"other bytes")
        lib.store.originals.path(lost).unlink()
        backup_to(lib, small / "poor.tar")
    manifest, _ = restore(small / "poor.tar", small / "new", replace=False)
    assert sorted(manifest.missing) == sorted([damaged, lost])
    with library(small / "new") as lib:
        assert set(documents(lib)) == {"x", "y"}


def test_own_prompts_come_back_as_they_were(small: Path) -> None:
    """Those of one collection too; what is no prompt is not ours to keep; a change while it is copied does no harm."""
    data, own = small / "data", small / "data" / "prompts"
    (own / "farm").mkdir(parents=True)
    shipped = resources.files("agents.prompts")
    (own / "rag_user.j2").write_bytes(shipped.joinpath("rag_user.j2").read_bytes() + b"Be brief.")
    (own / "farm" / "rag_user.j2").write_bytes(shipped.joinpath("rag_user.j2").read_bytes() + b"Be long.")
    (own / "notes.txt").write_text("mine")
    with library(data) as lib, closing(Backup(lib.store, data)) as made:
        (own / "rag_user.j2").write_text("changed while the backup is taken")
        write_archive(made, small / "own.tar", compress=False)
    assert not list(data.glob("backup-*"))
    _, aside = restore(small / "own.tar", data, replace=True)
    assert prompts_of(data).overrides["rag_user.j2"].endswith("Be brief.")
    assert prompts_of(data, ["farm"]).overrides["rag_user.j2"].endswith("Be long.")
    assert aside is not None and (aside / "prompts" / "notes.txt").read_text() == "mine"
    restore(small / "good.tar", data, replace=True)  # which had none
    assert not prompts_of(data).overrides


def test_an_interrupted_switch_is_finished_by_whoever_opens_next(small: Path) -> None:
    """Every prefix of the renames is a state that a kill can leave; from each the restore comes to its end."""
    (small / "data" / "prompts").mkdir()
    with library(small / "data") as lib:
        put(lib, "z", "words written after the backup")
    renames = 0
    while True:
        folder = small / f"try-{renames}"
        shutil.copytree(small / "data", folder)
        done = _restore_stopping_at(folder, small / "good.tar", renames)
        finish_restore(folder)
        with library(folder) as lib:
            now = set(documents(lib))
        assert now in ({"x", "y"}, {"x", "y", "z"})
        assert not list(folder.glob("restore*"))
        if done:
            assert now == {"x", "y"}
            break
        renames += 1
    assert renames > 5


class _Killed(BaseException):
    pass


def _restore_stopping_at(folder: Path, backup: Path, renames: int) -> bool:
    """Restores, stopping dead before the given rename; True if it came to its end."""
    left = [renames]
    real = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if left[0] == 0:
            raise _Killed
        left[0] -= 1
        return real(self, target)

    patched = pytest.MonkeyPatch()
    patched.setattr(Path, "rename", rename)
    try:
        restore(backup, folder, replace=True)
    except _Killed:
        return False
    finally:
        patched.undo()
    return True


def test_nothing_of_a_backup_is_readable_by_others(small: Path) -> None:
    assert (small / "good.tar").stat().st_mode & 0o077 == 0
    manifest = read_archive(small / "good.tar", None)
    assert {e.name for e in manifest.files} >= {"openbook.db"}
    assert not any(e.name.startswith("indexes") for e in manifest.files)


def test_a_second_process_cannot_restore_what_is_in_use(small: Path) -> None:
    from app.upkeep.opened import locked

    lock = DataDirLock(small / "data")
    lock.acquire()
    with pytest.raises(StorageFailed, match="another process"), locked(small / "data", "restore"):
        pass
    lock.release()
