"""Shared by the tests of parsers."""

from __future__ import annotations

import pytest

from ingest.parse import ParseLimits, parse_file


@pytest.fixture
def parse_bytes(tmp_path):
    """Parses bytes (or a str) under a name, in this process."""

    def parse(content, filename, limits=None):
        path = tmp_path / "content"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return parse_file(path, filename, limits or ParseLimits())

    return parse
