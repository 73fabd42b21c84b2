"""A claim checker over what a server holds, and the dates of its documents. Part of the wiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agents.check import CheckedClaim, ClaimChecker
from agents.sources import DatesOf
from app.retrievers import retriever_for
from app.services import Services
from app.shapes import citation_json, conflict_json, sentence_json
from app.wiring import build_verifier
from core.errors import NotFound
from core.types import Principal
from retrieval.filters import date_of
from retrieval.store import Store


def build_checker(services: Services, principal: Principal) -> ClaimChecker:
    """Raises NotReady while the indexes load."""
    return ClaimChecker(
        retriever=retriever_for(services),
        verifier=build_verifier(services.settings),
        k=services.settings.k,
        dates=document_dates(services.store, principal),
    )


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


def checked_json(checked: CheckedClaim, seconds: float) -> dict[str, Any]:
    """The document of `openbook check --json`."""
    return {
        "claim": checked.claim,
        "verdict": checked.verdict,
        "score": checked.score,
        "reason": checked.reason,
        "sentences": [sentence_json(s) for s in checked.sentences],
        "passages": [citation_json(c) for c in checked.citations],
        "conflicts": [conflict_json(c) for c in checked.conflicts],
        "seconds": seconds,
    }
