"""Uploaded files: whole or absent, one per content, kept as long as somebody needs them."""

from __future__ import annotations

import errno
import hashlib
import threading

import pytest

from core.errors import NotFound, StorageFailed, TooLarge
from retrieval.originals import Originals


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def everything(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def originals(tmp_path):
    return Originals(tmp_path / "originals")


def test_a_file_is_named_by_its_content(originals):
    digest, size = originals.put_stream([b"ab", b"", b"cd"], limit=4)
    assert (digest, size) == (sha(b"abcd"), 4)
    assert originals.path(digest).read_bytes() == b"abcd"
    assert everything(originals.directory) == [f"{digest[:2]}/{digest}"]
    assert originals.size(digest) == 4


def test_an_empty_file_is_a_file(originals):
    digest, size = originals.put_stream([], limit=10)
    assert size == 0 and originals.path(digest).read_bytes() == b""


def test_the_same_bytes_are_kept_once_and_heal_a_damaged_file(originals):
    digest, _ = originals.put_stream([b"same"], limit=10)
    originals.path(digest).write_bytes(b"rotten")
    assert originals.put_stream([b"sa", b"me"], limit=10)[0] == digest
    assert originals.path(digest).read_bytes() == b"same"
    assert len(everything(originals.directory)) == 1


def test_the_limit_is_counted_while_streaming(originals):
    taken = []

    def pieces():
        for i in range(1000):
            taken.append(i)
            yield b"x" * 10

    with pytest.raises(TooLarge, match="larger than 25 bytes"):
        originals.put_stream(pieces(), limit=25)
    assert len(taken) == 3, "10 + 10 + 10 > 25: nothing after the third piece is asked for"
    assert everything(originals.directory) == []


def test_a_sender_that_breaks_off_leaves_nothing(originals):
    def pieces():
        yield b"begun"
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        originals.put_stream(pieces(), limit=100)
    assert everything(originals.directory) == []


class FullDisk:
    """A file whose disk is full after ``room`` bytes."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def write(self, data):
        if len(data) > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._room -= len(data)
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)


def test_a_full_disk_is_said_and_nothing_is_left(tmp_path):
    originals = Originals(tmp_path / "o", open_new=lambda path: FullDisk(path.open("xb"), room=5))
    with pytest.raises(StorageFailed, match="the disk is full") as caught:
        originals.put_stream([b"1234", b"5678"], limit=100)
    assert caught.value.code == "disk-full"
    assert everything(tmp_path) == []
    assert originals.put_stream([b"1234"], limit=100)[1] == 4, "a smaller file still fits"


def test_a_name_that_is_no_hash_never_becomes_a_path(originals):
    for name in ("../../etc/passwd", "", "ab", "A" * 64, "/" + "a" * 63):
        with pytest.raises(NotFound):
            originals.path(name)


def test_an_unneeded_file_goes_and_a_needed_one_stays(originals):
    kept, _ = originals.put_stream([b"kept"], limit=10)
    gone, _ = originals.put_stream([b"gone"], limit=10)
    for digest in (kept, gone):
        originals.release(digest)
    assert originals.remove_unneeded([kept, gone], lambda: {kept}) == [gone]
    assert originals.stored() == [kept]


def test_a_file_whose_row_is_not_committed_yet_is_pinned(originals):
    digest, _ = originals.put_stream([b"new"], limit=10)
    assert originals.remove_unneeded([digest], set) == []
    originals.release(digest)
    assert originals.remove_unneeded([digest], set) == [digest]


def test_two_uploads_of_the_same_bytes_hold_two_pins(originals):
    with originals.receiving([b"twice"], 10) as (digest, _):
        with originals.receiving([b"twice"], 10):
            pass
        assert originals.remove_unneeded([digest], set) == []
    assert originals.remove_unneeded([digest], set) == [digest]


def test_sweeping_takes_what_a_crash_left_and_not_what_is_arriving(originals):
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        yield b"first "
        begun.set()
        go_on.wait(10)
        yield b"second"

    results = []
    uploader = threading.Thread(target=lambda: results.append(originals.put_stream(slow(), 100)))
    uploader.start()
    begun.wait(10)
    (originals.directory / "tmp" / "left-by-a-crash").write_bytes(b"?")
    originals.sweep_temp()
    assert len(everything(originals.directory)) == 1
    go_on.set()
    uploader.join()
    assert originals.path(results[0][0]).read_bytes() == b"first second"
    assert everything(originals.directory) == [f"{results[0][0][:2]}/{results[0][0]}"]
