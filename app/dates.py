"""The dates of documents, told where sources disagree. Part of the wiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.sources import DatesOf, SourceDate
from core.errors import NotFound
from core.types import Principal
from retrieval.filters import date_of
from retrieval.store import Store


def document_dates(store: Store, principal: Principal) -> DatesOf:
    """The date that each document says of itself (created, else dated, else modified); else the day it was added."""

    def dates(doc_ids: Sequence[str]) -> Mapping[str, SourceDate]:
        known: dict[str, SourceDate] = {}
        for doc_id in dict.fromkeys(doc_ids):
            try:
                info = store.get_document_info(principal, doc_id)
            except NotFound:
                continue  # deleted since it was found
            own = date_of(info.metadata, "date", "")
            day = own or date_of(info.metadata, "added", info.created_at)
            if day is not None:
                known[doc_id] = SourceDate(day.date().isoformat(), added=own is None)
        return known

    return dates
