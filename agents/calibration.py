"""The fitted numbers of extraction, as they are shipped in ``agents/data/extract.json``.

``python -m bench.fit_extract`` makes what it says of English, ``python -m bench.fit_extract_reach`` what it says of other
languages; from which data and with what error stands there. The weights belong to one encoder; with another they still
rank, but the probability is no longer one, which ``fitted_for`` tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from agents.scoring import ANSWER_FEATURES, SENTENCE_FEATURES, Matrix
from core.errors import InvalidRequest
from core.reach import REACHES, Reach

FILE = "extract.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """weights · features + bias."""

    weights: NDArray[np.float64]  # (n_features,)
    bias: float

    def __call__(self, features: Matrix) -> NDArray[np.float64]:
        values: NDArray[np.float64] = features @ self.weights + self.bias
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractFit:
    """``ranker`` orders the sentences; ``answerable`` gives the log-odds that the best one answers."""

    ranker: Linear
    answerable: Linear
    threshold: float  # probability from which an answer is given

    def probability(self, answer_features: NDArray[np.float64]) -> float:
        log_odds = float(self.answerable(answer_features))
        return float(1 / (1 + np.exp(-np.clip(log_odds, -40, 40))))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractCalibration:
    """A fit for each reach of the models into a language (``core.reach``); English is always there."""

    fits: Mapping[Reach, ExtractFit]
    encoder: str  # the revision that the weights were fitted with, up to how its graph is run

    def fit(self, reach: Reach) -> ExtractFit:
        """That for ``reach``; English where there is none."""
        return self.fits.get(reach) or self.fits["english"]

    def fitted_for(self, revision: str) -> bool:
        return revision.startswith(self.encoder)


def load_extract_calibration(text: str | None = None) -> ExtractCalibration:
    """Reads the shipped file, or ``text`` of that shape; raises InvalidRequest where it does not fit this code."""
    if text is None:
        text = shipped_text()
    try:
        data = json.loads(text)
        found: dict[Reach, ExtractFit] = {
            reach: ExtractFit(
                ranker=_linear(data[reach]["ranker"], SENTENCE_FEATURES),
                answerable=_linear(data[reach]["answerable"], ANSWER_FEATURES),
                threshold=float(data[reach]["threshold"]),
            )
            for reach in REACHES
            if reach in data or reach == "english"
        }
        return ExtractCalibration(fits=found, encoder=str(data["encoder"]))
    except (KeyError, TypeError, ValueError) as e:
        raise InvalidRequest(
            f"{FILE} does not fit this version ({e}): make it anew with python -m bench.fit_extract",
            code="bad-calibration",
        ) from e


def shipped_text() -> str:
    """The file that comes with this version."""
    return resources.files("agents.data").joinpath(FILE).read_text("utf-8")


def _linear(data: dict[str, float], features: Sequence[str]) -> Linear:
    named = {name: float(value) for name, value in data.items() if name != "bias"}
    unknown = sorted(set(named) - set(features))
    if unknown:
        raise ValueError(f"unknown features {', '.join(unknown)}")
    return Linear(weights=np.array([named.get(name, 0.0) for name in features]), bias=float(data["bias"]))
