"""A claim checker over what a server holds. Part of the wiring."""

from __future__ import annotations

from typing import Any

from agents.check import CheckedClaim, ClaimChecker
from app.dates import document_dates
from app.retrievers import retriever_for
from app.services import Services
from app.shapes import citation_json, conflict_json, sentence_json
from app.wiring import build_verifier
from core.types import Principal


def build_checker(services: Services, principal: Principal) -> ClaimChecker:
    """Raises NotReady while the indexes load."""
    return ClaimChecker(
        retriever=retriever_for(services),
        verifier=build_verifier(services.settings),
        k=services.settings.k,
        dates=document_dates(services.store, principal),
    )


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
