"""What a search can be narrowed to by what documents are: one condition per field, any of its values, all fields.

    doc_id uri title mime_type sha256     as stored
    metadata.<key>                        as stored, compared as text
    type                                  "pdf": the ending of the name, or the media type or its second half
    language                              as guessed of the text, in any case: "en"
    tag                                   one of the document's tags or keywords, or one that a person gave it, in any case
    path                                  what its uri begins with: "reports/2024-"
    date.from date.to                     of the document itself: created, else dated, else modified
    created.from created.to modified.from modified.to added.from added.to

Any of no values is nothing: an empty list lets no document through, and a date is always one. Dates are ISO 8601, a bound may
be a year, a month, a week or a day, and both ends are included: date.to = 2024 is until the end of 2024 (UTC). A document without the date, or with one that cannot be read, passes no bound on it. Nothing here asks who reads: a search
takes its documents only from what its person may read.
"""

from __future__ import annotations

import calendar
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, String, and_, cast, false, func, or_, select

from core.errors import InvalidRequest
from retrieval.tables import document_tags, documents

STORED_FIELDS = ("doc_id", "uri", "title", "mime_type", "sha256")
DATE_FIELDS = ("date", "created", "modified", "added")
FIELDS = (
    *STORED_FIELDS,
    "type",
    "language",
    "tag",
    "path",
    *(f"{name}.{end}" for name in DATE_FIELDS for end in ("from", "to")),
)
_METADATA = "metadata."
_PARTIAL = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?")
_WEEK = re.compile(r"\d{4}-?W\d\d")
_LONGEST_DAY = len("2024-W26-7")
_NAMES_IN = re.compile(r"[,;\n]")
_MOST_FACETS = 200

Filters = Mapping[str, Sequence[str]]


def check_filters(filters: Filters) -> None:
    """Raises InvalidRequest for a field that cannot be filtered by, or a date that is none; the message says what can."""
    for field, accepted in filters.items():
        if field not in FIELDS and not (field.startswith(_METADATA) and len(field) > len(_METADATA)):
            valid = ", ".join((*FIELDS, "metadata.<key>"))
            raise InvalidRequest(f"cannot filter by {field!r}: filter by {valid}", code="bad-filter")
        name, _, end = field.partition(".")
        if name in DATE_FIELDS:
            if len(accepted) != 1:
                raise InvalidRequest(f"{field} takes one date, not {len(accepted)}", code="bad-filter")
            bound(accepted[0], "to" if end == "to" else "from")
    for name in DATE_FIELDS:
        first, last = (filters.get(f"{name}.{end}") for end in ("from", "to"))
        if first and last and bound(first[0], "from") > bound(last[0], "to"):
            raise InvalidRequest(f"{name}.from {first[0]} is after {name}.to {last[0]}", code="bad-filter")


def matching_documents(connection: Connection, filters: Filters) -> NDArray[np.int64]:
    """The numbers of the documents, whosesoever, that pass every filter, ascending.

    Raises:
        InvalidRequest: as ``check_filters``.
    """
    check_filters(filters)
    query = select(documents.c.doc_number).where(documents.c.edition_id.is_(None))
    tests: list[Callable[[Any], bool]] = []
    for field, accepted in filters.items():
        condition = _condition(field, list(accepted))
        if field == "tag":
            has = tagged(connection, accepted)
            tests.append(lambda row, has=has: has(row.doc_id, row.metadata))  # type: ignore[misc]
        elif condition is None:
            tests.append(_test(field, accepted))
        else:
            query = query.where(condition)
    if tests:
        query = query.add_columns(documents.c.doc_id, documents.c.metadata, documents.c.created_at)
    found = connection.execute(query.order_by(documents.c.doc_number))
    return np.array([row.doc_number for row in found if all(test(row) for test in tests)], dtype=np.int64)


def failing_filters(connection: Connection, doc_ids: Sequence[str], filters: Filters) -> dict[str, tuple[str, ...]]:
    """Document → the fields whose filter it does not pass; those that pass all are left out."""
    this = (documents.c.doc_id.in_(list(doc_ids)), documents.c.edition_id.is_(None))
    query = select(documents.c.doc_id, documents.c.doc_number).where(*this)
    numbers = {row.doc_id: row.doc_number for row in connection.execute(query)}
    failing: dict[str, tuple[str, ...]] = {}
    for field, accepted in filters.items():
        passing = set(matching_documents(connection, {field: accepted}).tolist())
        for doc_id, number in numbers.items():
            if number not in passing:
                failing[doc_id] = (*failing.get(doc_id, ()), field)
    return failing


def facets(connection: Connection, collection_ids: Iterable[int]) -> dict[str, dict[str, int]]:
    """Types, languages and tags of the documents in these collections, each with how many have it, most frequent first.

    Under "date" the first and the last day (each with 1), or nothing where no document has a date.
    """
    inside = list(collection_ids)
    query = select(documents.c.doc_id, documents.c.uri, documents.c.mime_type, documents.c.metadata).where(
        documents.c.edition_id.is_(None), documents.c.collection_id.in_(inside)
    )
    given: dict[str, set[str]] = {}
    for row in connection.execute(select(document_tags).where(document_tags.c.collection_id.in_(inside))):
        given.setdefault(row.doc_id, set()).add(row.tag)
    kinds, languages, tags = Counter[str](), Counter[str](), Counter[str]()
    days: list[datetime] = []
    for doc_id, uri, mime_type, metadata in connection.execute(query):
        kinds[_type_of(uri, mime_type)] += 1
        if language := metadata.get("language"):
            languages[str(language)] += 1
        tags.update(tags_of(metadata) | given.get(doc_id, set()))
        if (day := date_of(metadata, "date", "")) is not None:
            days.append(day)
    found = {
        name: dict(sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:_MOST_FACETS])
        for name, counts in (("type", kinds), ("language", languages), ("tag", tags))
    }
    return found | {"date": {d.date().isoformat(): 1 for d in (min(days), max(days))} if days else {}}


def tagged(connection: Connection, tags: Sequence[str]) -> Callable[[str, Mapping[str, Any]], bool]:
    """Whether a document (by its id and its metadata) has one of these tags: of its own, or given by a person."""
    wanted = {" ".join(tag.split()).casefold() for tag in tags}
    query = select(document_tags.c.doc_id).where(document_tags.c.tag.in_(sorted(wanted)))
    given = set(connection.scalars(query))
    return lambda doc_id, metadata: doc_id in given or not wanted.isdisjoint(tags_of(metadata))


def tags_of(metadata: Mapping[str, Any]) -> set[str]:
    """A document's tags and keywords, in small letters and with single spaces; front matter's lists ("[a, b]") are taken apart."""
    front = metadata.get("front_matter")
    found: set[str] = set()
    for source in (metadata, front if isinstance(front, Mapping) else {}):
        for key in ("tags", "tag", "keywords"):
            value = source.get(key)
            listed = value if isinstance(value, list) else _NAMES_IN.split(str(value).strip("[]")) if value else []
            found.update(name for v in listed if (name := " ".join(str(v).strip(" \t\"'").split()).casefold()))
    return found


def date_of(metadata: Mapping[str, Any], name: str, added: str) -> datetime | None:
    """The date ``name`` of a document, in UTC; None if it has none that can be read."""
    front = metadata.get("front_matter")
    sources = [metadata, front] if isinstance(front, Mapping) else [metadata]
    match name:
        case "added":
            values: list[Any] = [added]
        case "created" | "modified":
            values = [s.get(name) for s in sources]
        case _:
            values = [s.get(key) for key in ("created", "date", "modified") for s in sources]
    return next((read for v in values if isinstance(v, str) and (read := _read(v)) is not None), None)


def bound(text: str, end: Literal["from", "to"]) -> datetime:
    """The first moment ("from") or the last ("to") of the year, month, week, day or moment that ``text`` names, in UTC.

    Raises:
        InvalidRequest: it names none.
    """
    text = text.strip()
    match = _PARTIAL.fullmatch(text)
    try:
        if match is None and "T" not in text and len(text) <= _LONGEST_DAY:  # 20240630, 2024-W26-7, 2024-W26
            first = datetime.combine(date.fromisoformat(text), time(), tzinfo=UTC)
            days = 7 if _WEEK.fullmatch(text) else 1
            return first if end == "from" else first + timedelta(days=days, microseconds=-1)
        if match is None:
            return _utc(datetime.fromisoformat(text))
        year, month, day = (int(g) if g else None for g in match.groups())
        if end == "from":
            return datetime(year or 1, month or 1, day or 1, tzinfo=UTC)
        last_month = month or 12
        last_day = day or calendar.monthrange(year or 1, last_month)[1]
        return datetime(year or 1, last_month, last_day, tzinfo=UTC) + timedelta(days=1, microseconds=-1)
    except (ValueError, OverflowError, calendar.IllegalMonthError) as e:
        raise InvalidRequest(
            f"{text!r} is no date: write 2024, 2024-06, 2024-06-30 or 2024-06-30T12:00:00Z", code="bad-filter"
        ) from e


def _condition(field: str, accepted: list[str]) -> ColumnElement[bool] | None:
    """What the database can decide by itself; None for what is decided document by document."""
    if field in STORED_FIELDS:
        return documents.c[field].in_(accepted)
    if field == "language":
        value = cast(documents.c.metadata["language"].as_string(), String)
        return func.lower(value).in_([code.casefold() for code in accepted])
    if field.startswith(_METADATA):
        return cast(documents.c.metadata[field.removeprefix(_METADATA)].as_string(), String).in_(accepted)
    if field == "path":
        # Not LIKE, which knows no case and has wildcards.
        return or_(false(), *(func.substr(documents.c.uri, 1, len(p)) == p for p in accepted))
    if field == "type":
        return or_(false(), *(_is_of_type(value.casefold().removeprefix(".")) for value in accepted))
    return None


def _is_of_type(value: str) -> ColumnElement[bool]:
    ending, uri, mime = f".{value}", func.lower(documents.c.uri), func.lower(documents.c.mime_type)
    named = and_(func.length(uri) >= len(ending), func.substr(uri, func.length(uri) - len(ending) + 1) == ending)
    return or_(mime == value, func.substr(mime, func.length(mime) - len(value)) == f"/{value}", named)


def _test(field: str, accepted: Sequence[str]) -> Callable[[Any], bool]:
    name, _, end = field.partition(".")
    if end == "from":
        first = bound(accepted[0], "from")
        return lambda row: (at := date_of(row.metadata, name, row.created_at)) is not None and at >= first
    last = bound(accepted[0], "to")
    return lambda row: (at := date_of(row.metadata, name, row.created_at)) is not None and at <= last


def _read(text: str) -> datetime | None:
    """What a document says its date is; years, months and days are their first moment."""
    try:
        return bound(text, "from")
    except InvalidRequest:
        return None


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _type_of(uri: str, mime_type: str) -> str:
    _, dot, ending = uri.rpartition("/")[2].rpartition(".")
    return ending.casefold() if dot and ending.isalnum() and len(ending) <= 8 else mime_type
