"""What is in a zip archive: members that are read, those that are not and why, and bombs that do not go off."""

from __future__ import annotations

import io
import stat
import struct
import time
import zipfile
from pathlib import Path

import pytest

from core.errors import EmptyDocument, ParseFailed, RunCancelled, TooLarge
from ingest.parse.document import ParseLimits
from ingest.parse.members import Survey, read_member, survey
from ingest.parse.sandbox import Sandbox
from ingest.parse.source import MemoryFile
from tests.support.zips import zip_of

LIMITS = ParseLimits()


def found(data: bytes, **limits: int) -> Survey:
    return survey(MemoryFile(data), "a.zip", ParseLimits(**limits))


def only_reason(data: bytes) -> str:
    """Of an archive with one good member and one that is not read."""
    seen = found(data)
    assert [m.name for m in seen.members] == ["good.md"]
    ((_, reason),) = seen.skipped
    return reason


def with_entry(name: str, data: bytes = b"x", *, mode: int = 0, good: bool = True) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        if good:
            archive.writestr("good.md", "good")
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, data)
    return out.getvalue()


def patched(data: bytes, name: bytes, offset_in_central: int, value: bytes) -> bytes:
    """``data`` with bytes of one central directory record replaced."""
    at = data.index(b"PK\x01\x02")
    while data[at + 46 : at + 46 + len(name)] != name:
        at = data.index(b"PK\x01\x02", at + 1)
    at += offset_in_central
    return data[:at] + value + data[at + len(value) :]


def test_members_come_in_their_order_with_their_counted_sizes() -> None:
    data = zip_of(
        {"b/x.md": "hello", "a.txt": "", "b/": "", ".hidden": "no", "__MACOSX/b/._x.md": "no", "Thumbs.db": "no"}
    )
    seen = found(data)
    assert [(m.name, m.size) for m in seen.members] == [("b/x.md", 5), ("a.txt", 0)]
    assert seen.skipped == ()
    assert b"".join(read_member(MemoryFile(data), "a.zip", seen.members[0].index, LIMITS)) == b"hello"


@pytest.mark.parametrize(
    "name", ["../up.md", "a/../../up.md", "/etc/passwd", "C:\\x.md", "..\\up.md", "a/..", "//server/x", "c:x.md"]
)
def test_a_name_that_points_out_of_the_archive_is_not_read(name: str) -> None:
    assert only_reason(with_entry(name)) == "its name points out of the archive"


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (stat.S_IFLNK | 0o777, "a link to another file"), (stat.S_IFIFO | 0o644, "a device or a pipe"),
        (stat.S_IFCHR | 0o644, "a device or a pipe"), (stat.S_IFBLK | 0o644, "a device or a pipe"),
        (stat.S_IFSOCK | 0o644, "a device or a pipe"),
    ],
)  # fmt: skip
def test_only_plain_files_are_read(mode: int, reason: str) -> None:
    assert reason in only_reason(with_entry("odd", b"/etc/passwd", mode=mode))


def test_names_of_two_files_an_overlong_name_and_control_characters() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        assert "another file of this name" in only_reason(with_entry("good.md"))
    assert "over the limit of 400" in only_reason(with_entry("n" * 401))
    assert [m.name for m in found(with_entry("a\u202efdp.exe\n", good=False)).members] == ["afdp.exe"]


def test_names_in_old_encodings_are_read() -> None:
    data = with_entry("xxxxxx.md", good=False).replace(b"xxxxxx.md", "größ".encode() + b".md")
    assert [m.name for m in found(data).members] == ["größ.md"], "UTF-8 without its flag"
    data = with_entry("xx.md", good=False).replace(b"xx.md", b"\x84\x94.md")
    assert [m.name for m in found(data).members] == ["äö.md"], "the old IBM encoding"


def test_an_encrypted_member_and_an_unknown_method_are_not_read() -> None:
    data = with_entry("bad.md")
    assert "encrypted" in only_reason(patched(data, b"bad.md", 8, struct.pack("<H", 1)))
    reason = only_reason(patched(data, b"bad.md", 10, struct.pack("<H", 93)))
    assert "zstd" in reason or "damaged" in reason


def test_a_damaged_member_and_one_that_lies_about_its_size_are_not_read() -> None:
    data = with_entry("bad.md", b"payload of the member")
    assert "damaged" in only_reason(data.replace(b"payload of", b"PAYLOAD of"))
    assert "damaged" in only_reason(patched(data, b"bad.md", 24, struct.pack("<L", 7)))


def test_a_member_that_is_a_bomb_is_left_out_and_the_others_are_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.md", bytes(range(256)) * 4000)
        archive.writestr("bomb.md", bytes(30 * 2**20))
        import random

        archive.writestr("noise.bin", random.Random(1).randbytes(2**20))
    seen = found(out.getvalue())
    assert [m.name for m in seen.members] == ["good.md", "noise.bin"]
    assert "more than 100:1" in seen.skipped[0][1]


def test_an_archive_over_a_limit_is_refused_as_a_whole() -> None:
    with pytest.raises(TooLarge, match="1,001 entries"):
        found(zip_of({f"{i}.md": "x" for i in range(1001)}))
    import random

    noise = random.Random(1).randbytes(600_000)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for n in range(4):
            archive.writestr(f"{n}.bin", noise)
    assert len(found(out.getvalue()).members) == 4
    with pytest.raises(TooLarge, match="over 2 MiB once unpacked"):
        found(out.getvalue(), max_unpacked_bytes=2 * 2**20)


def test_many_small_bombs_together_are_one() -> None:
    data = zip_of({f"{i}.txt": bytes(2**20) for i in range(60)})  # each too small for a ratio of its own
    with pytest.raises(TooLarge, match="100 times its size"):
        found(data)


def test_overlapping_members_are_counted_each_time() -> None:
    """One kernel that many records of the directory point to: a small file that unpacks to much."""
    import random

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0000.txt", random.Random(1).randbytes(20_000) * 50)
    data = out.getvalue()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    record, tail = data[start:end], data[end:]
    n = 900
    records = b"".join(record.replace(b"0000.txt", b"%04d.txt" % i) for i in range(n))
    tail = tail[:8] + struct.pack("<HHL", n, n, len(records)) + tail[16:]
    begun = time.monotonic()
    try:
        seen = found(data[:start] + records + tail)
    except (TooLarge, ParseFailed):
        pass
    else:
        assert sum(m.size for m in seen.members) <= 100 * 2**20
    assert time.monotonic() - begun < 10


def test_what_is_no_archive_or_has_no_file_in_it() -> None:
    with pytest.raises(ParseFailed, match="damaged"):
        found(zip_of({"a.md": "hello"})[:-10])
    with pytest.raises(EmptyDocument):
        found(zip_of({"folder/": ""}))


def test_the_confined_child_gives_the_bytes_and_goes_on_after_one_who_stops_reading(tmp_path: Path) -> None:
    import random

    big = random.Random(1).randbytes(3 * 2**20)
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"big.bin": big, "small.md": "hello"}))
    sandbox = Sandbox(LIMITS)
    try:
        seen = sandbox.members(path, "a.zip")
        assert [(m.name, m.size) for m in seen.members] == [("big.bin", len(big)), ("small.md", 5)]
        assert b"".join(sandbox.member(path, "a.zip", 0)) == big
        pieces = sandbox.member(path, "a.zip", 0)
        next(pieces)
        pieces.close()
        assert b"".join(sandbox.member(path, "a.zip", 1)) == b"hello"
        with pytest.raises(ParseFailed):
            list(sandbox.member(path, "a.zip", 7))
        with pytest.raises(RunCancelled):
            sandbox.members(path, "a.zip", lambda: True)
    finally:
        sandbox.close()


SITEMAP = '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{}</urlset>'


def test_the_confined_child_reads_sitemaps_and_expands_no_entity(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "sitemap"
    sandbox = Sandbox(LIMITS)
    try:
        locs = "".join(f"<url><loc> http://a.org/{i} </loc></url>" for i in range(5))
        path.write_bytes(gzip.compress(SITEMAP.format(locs).encode()))
        seen = sandbox.sitemap(path, "sitemap.xml.gz", 3)
        assert (seen.kind, seen.urls, seen.more) == ("pages", ("http://a.org/0", "http://a.org/1", "http://a.org/2"), 2)
        bomb = '<!DOCTYPE u [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY x SYSTEM "file:///etc/passwd">]>'
        path.write_text(bomb + SITEMAP.format("<url><loc>http://a.org/&b;&x;</loc></url>"))
        text = "".join(sandbox.sitemap(path, "sitemap.xml", 10).urls)
        assert "root:" not in text
        assert "aaaa" not in text
        for broken in ("<urlset><url>", "<html><urlset></urlset></html>"):
            path.write_text(broken)
            with pytest.raises(ParseFailed):
                sandbox.sitemap(path, "sitemap.xml", 10)
        path.write_bytes(gzip.compress(bytes(30 * 2**20)))
        with pytest.raises(TooLarge):
            sandbox.sitemap(path, "sitemap.xml.gz", 10)
    finally:
        sandbox.close()
