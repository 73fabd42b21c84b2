"""Each kind of file in the confined child, and cut off or spoilt in every way: text or a reason, and the next is read."""

from __future__ import annotations

import random

import pytest

from core.errors import OpenbookError, ParseFailed, TooLarge
from ingest.parse import ParseLimits, parse_file
from ingest.parse.kinds import EXTENSIONS, MIME_TYPES, NAMES, SUPPORTED
from ingest.parse.sandbox import Sandbox
from tests.support.every_kind import every_kind

FILES = every_kind()


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(ParseLimits(timeout_s=30, stall_s=4, memory_bytes=512 * 2**20)) as shared:
        yield shared


@pytest.mark.parametrize("name", FILES)
def test_it_is_read_in_the_child_that_may_do_nothing(name, sandbox, tmp_path):
    path = tmp_path / name
    path.write_bytes(FILES[name])
    document = sandbox.parse(path, name)
    assert "kept" in document.text
    assert not document.partial
    assert document.warnings == ()
    for heading in document.headings:
        assert " ".join(document.text[heading.start :].split()).startswith(heading.text) or name == "a.md"


@pytest.mark.parametrize("name", FILES)
def test_under_another_name_it_is_told_from_its_content(name, tmp_path):
    if EXTENSIONS["." + name.split(".")[1]] in ("markdown", "rst", "csv", "json", "code", "text"):
        pytest.skip("told by its name alone")
    path = tmp_path / "unnamed"
    path.write_bytes(FILES[name])
    assert "kept" in parse_file(path, "unnamed", ParseLimits()).text


@pytest.mark.parametrize("name", FILES)
def test_cut_off_or_spoilt_it_ends_with_text_or_a_reason(name, tmp_path):
    chance = random.Random(name)
    whole = FILES[name]
    path = tmp_path / name
    for i in range(25):
        data = bytearray(whole)
        if i % 2:
            data = data[: chance.randrange(1, len(data) + 1)]
        else:
            for _ in range(chance.randrange(1, 20)):
                data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            document = parse_file(path, name, ParseLimits())
        except OpenbookError as e:
            assert isinstance(e, (ParseFailed, TooLarge))
            assert e.message.startswith(name)
        else:
            assert document.text.strip()
            document.text.encode("utf-8")


def test_every_kind_has_a_type_a_name_and_is_announced():
    kinds = set(MIME_TYPES)
    assert kinds == set(NAMES)
    assert set(EXTENSIONS.values()) <= kinds
    assert {"XLSX", "PPTX", "EML", "EPUB"} <= set(SUPPORTED)
