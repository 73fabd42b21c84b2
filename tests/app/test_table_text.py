"""Files that are given as tables, whatever wrote them."""

from __future__ import annotations

import pytest

from app.table_text import text_of_table
from core.errors import InvalidRequest


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_spreadsheets_write_as_unicode_is_read(encoding: str) -> None:
    assert text_of_table("Frage;Antwort\nWer?;Käthe 石\n".encode(encoding)) == "Frage;Antwort\nWer?;Käthe 石\n"


@pytest.mark.parametrize("data", ["Käthe".encode("cp1252"), b"PK\x03\x04\xff\xfe", b"\xff\xfeA"])
def test_what_is_no_unicode_text_is_refused_with_what_would_do(data: bytes) -> None:
    with pytest.raises(InvalidRequest, match="save the table as “CSV UTF-8”"):
        text_of_table(data)
