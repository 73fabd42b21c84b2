"""The dates that documents say of themselves, told where sources disagree. Part of the wiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.sources import DatesOf
from core.errors import NotFound
from core.types import Principal
from retrieval.filters import date_of
from retrieval.store import Store


def document_dates(store: Store, principal: Principal) -> DatesOf:
    """The date that each document says of itself (created, else dated, else modified), as YYYY-MM-DD."""

    def dates(doc_ids: Sequence[str]) -> Mapping[str, str]:
        known: dict[str, str] = {}
        for doc_id in dict.fromkeys(doc_ids):
            try:
                found = date_of(store.get_document_info(principal, doc_id).metadata, "date", "")
            except NotFound:
                continue  # deleted since it was found
            if found is not None:
                known[doc_id] = found.date().isoformat()
        return known

    return dates
