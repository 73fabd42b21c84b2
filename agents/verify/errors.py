"""How often the verifiers of this repository err, as measured by ``python -m bench.fit_verifier --write``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

FILE = "verifier_errors.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRates:
    """Shares in [0, 1] of human-judged pairs, held out by document."""

    wrongly_supported: float  # of the pairs that are not supported
    wrongly_doubted: float  # of the pairs that are supported
    balanced_accuracy: float
    n: int


def error_rates(verifier: str) -> Mapping[str, ErrorRates]:
    """By what was judged: "documents" (sentences about long texts), "conversation"; empty for an unmeasured verifier."""
    data = json.loads(resources.files("agents.data").joinpath(FILE).read_text("utf-8"))
    return {kind: ErrorRates(**rates) for kind, rates in data["verifiers"].get(verifier, {}).items()}
