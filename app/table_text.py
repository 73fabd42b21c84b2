"""A file that somebody gives as a table, as text. It knows nothing of what the table is for."""

from __future__ import annotations

import codecs
from pathlib import PurePath
from typing import Literal

from core.errors import InvalidRequest


def text_of_table(data: bytes) -> str:
    """UTF-8, or UTF-16 that says so in its first two bytes, as spreadsheets write "Unicode text".

    Raises:
        InvalidRequest: it is neither.
    """
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as e:
        raise InvalidRequest(
            f"the file is not text in UTF-8 (byte {e.start:,}): save the table as “CSV UTF-8”, or as JSON lines; a workbook is "
            "no table of text yet",
            code="bad-dataset",
        ) from e
    return text


def form_of_table(name: str) -> Literal["csv", "jsonl"]:
    """What a file of questions is by the end of its name, in any case; whatever is not JSON is a table of columns.

    Raises:
        InvalidRequest: one JSON document, which has no rows to map.
    """
    ending = PurePath(name).suffix.lower()
    if ending == ".json":
        raise InvalidRequest(
            f"{name}: a .json file is one document, and questions are taken from a table: save it as JSON lines, one question a line, "
            "named .jsonl (SQuAD and HotpotQA as they are published are read by `openbook eval qa --dataset`)",
            code="bad-dataset",
        )
    return "jsonl" if ending in (".jsonl", ".ndjson") else "csv"
