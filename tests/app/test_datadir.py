from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.datadir import DataDirLock, ServerAddress, announce_server, find_server, is_locked
from core.database import open_database
from core.errors import DataDirLocked, StorageFailed

HOLD = """
import sys, pathlib
from app.datadir import DataDirLock
DataDirLock(pathlib.Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def holder(data_dir: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    with holder(tmp_path) as first:
        assert is_locked(tmp_path)
        with pytest.raises(DataDirLocked, match="another process is using"):
            DataDirLock(tmp_path).acquire()
        first.kill()  # a killed writer leaves no lock behind
        first.wait()
    lock = DataDirLock(tmp_path)
    lock.acquire()
    lock.release()
    assert not is_locked(tmp_path)


def test_an_address_counts_only_while_its_server_holds_the_lock(tmp_path: Path) -> None:
    address = ServerAddress(url="http://127.0.0.1:1", token="secret", pid=1)
    announce_server(tmp_path, address)
    assert find_server(tmp_path) is None
    with holder(tmp_path) as process:
        assert find_server(tmp_path) == address
        process.kill()
    assert find_server(tmp_path) is None


def test_the_address_holds_a_token_and_is_for_its_owner_only(tmp_path: Path) -> None:
    announce_server(tmp_path, ServerAddress(url="http://127.0.0.1:1", token="secret", pid=1))
    assert stat.S_IMODE((tmp_path / "server.json").stat().st_mode) == 0o600


def test_a_data_directory_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(StorageFailed, match=r"cannot use .*data as the data directory"):
        DataDirLock(tmp_path / "data").acquire()


def test_a_new_data_directory_is_its_owners_alone(tmp_path: Path) -> None:
    made, given = tmp_path / "made", tmp_path / "given"
    given.mkdir(mode=0o750)
    for folder in (made, given):
        lock = DataDirLock(folder)
        lock.acquire()
        lock.release()
        open_database(folder).close()
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE(given.stat().st_mode) == 0o750  # as somebody chose
