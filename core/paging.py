"""Where a page of a list ended, as the cursor that the next one begins after.

A cursor is the place itself, not a row that stands there: the row may be deleted, or move to the top, before the next page is
asked for. It knows nothing of whose rows they are: what a place can be asked about, the query says.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, and_, or_

from core.errors import InvalidRequest

_PLACE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)~([\w-]{1,100})", re.ASCII)  # core.clock's moments
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)  # what a row can be numbered


def place_of(moment: str, ident: str) -> str:
    """The cursor of a row in a list by moments, the newest first, and by ids where moments are the same."""
    return f"{moment}~{ident}"


def after_place(moment: ColumnElement[Any], ident: ColumnElement[Any], cursor: str) -> ColumnElement[bool]:
    """What comes after that place in such a list. Raises InvalidRequest, code "bad-cursor"."""
    found = _PLACE.fullmatch(cursor)
    if found is None:
        raise no_cursor(cursor)
    return or_(moment < found[1], and_(moment == found[1], ident > found[2]))


def row_number(cursor: str) -> int:
    """The place in a list by numbers of rows. Raises InvalidRequest, code "bad-cursor"."""
    if _NUMBER.fullmatch(cursor) is None:
        raise no_cursor(cursor)
    return int(cursor)


def no_cursor(cursor: str) -> InvalidRequest:
    return InvalidRequest(
        f"{cursor[:100]!r} is not a cursor: pass on the next_cursor that the page before gave", code="bad-cursor"
    )
