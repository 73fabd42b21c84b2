"""A small head over named numbers: a linear part, their products in pairs, and a probability that was calibrated.

    DIR/model.safetensors    mean, scale, linear (d,), pairs (d, d), bias (1,)
        config.json          {"features": [...], "supported_from", "partial_from", "made_by", …}
        README.md            the model card

Not known here: what the numbers are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelUnavailable

SHIPPED_VERIFIER = Path(__file__).parent / "shipped" / "verifier"
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
TENSORS = ("mean", "scale", "linear", "pairs")
_FARTHEST = 4.0  # standard deviations; what lies farther out is held there
_HOW = "make it with: python -m bench.fit_verifier --write"

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierHead:
    """``supported_from`` and ``partial_from`` are probabilities."""

    features: tuple[str, ...]
    mean: Matrix  # (d,)
    scale: Matrix  # (d,)
    linear: Matrix  # (d,)
    pairs: Matrix  # (d, d), upper triangle
    bias: float
    supported_from: float
    partial_from: float

    def logits(self, x: Matrix) -> Matrix:
        """z·linear + zᵀ·pairs·z + bias with z = (x − mean) / scale, held to ±4.

        Args:
            x: (…, d).

        Returns:
            (…,). Calibration is part of the weights: σ of it is the probability.
        """
        z = standardised(x, self.mean, self.scale)
        found: Matrix = z @ self.linear + ((z @ self.pairs) * z).sum(axis=-1) + self.bias
        return found

    def probability(self, x: Matrix) -> float:
        """Of one row (d,)."""
        return float(1 / (1 + np.exp(-np.clip(self.logits(x), -40, 40))))


def standardised(x: Matrix, mean: Matrix, scale: Matrix) -> Matrix:
    """(x − mean) / scale, held to ±4."""
    z: Matrix = np.clip((x - mean) / scale, -_FARTHEST, _FARTHEST)
    return z


def read_head(folder: Path) -> VerifierHead:
    """Reads a folder; raises ModelUnavailable if a file is absent, damaged or does not fit the others."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        tensors = {k: np.asarray(v, np.float64) for k, v in load_file(folder / WEIGHTS).items()}
        head = VerifierHead(
            features=tuple(config["features"]),
            **{k: tensors[k] for k in TENSORS},
            bias=float(tensors["bias"][0]),
            supported_from=float(config["supported_from"]),
            partial_from=float(config["partial_from"]),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as e:
        raise ModelUnavailable(f"cannot read the verifier in {folder}: {e}; {_HOW}") from e
    d = len(head.features)
    shapes = tuple(getattr(head, name).shape for name in TENSORS)
    if shapes != ((d,), (d,), (d,), (d, d)):
        raise ModelUnavailable(f"the verifier in {folder} has tensors {shapes} for {d} features; {_HOW}")
    return head


def save_head(folder: Path, head: VerifierHead, said: Mapping[str, Any], card: str) -> None:
    """Writes the folder; ``said`` are further keys of config.json."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: np.ascontiguousarray(getattr(head, name), np.float32) for name in TENSORS}
    save_file({**tensors, "bias": np.array([head.bias], np.float32)}, folder / WEIGHTS)
    config = {
        "features": list(head.features),
        "supported_from": head.supported_from,
        "partial_from": head.partial_from,
        **said,
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    (folder / CARD).write_text(card, "utf-8")
