"""A small head over named numbers: a linear part and one hidden layer, and a probability that was calibrated.

    DIR/model.safetensors    mean, scale, linear (d,), hidden (d, h), hidden_bias (h,), out (h,), bias (1,)
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
_HOW = "make it with: python -m bench.fit_verifier --write"

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierHead:
    """``supported_from`` and ``partial_from`` are probabilities."""

    features: tuple[str, ...]
    mean: Matrix  # (d,)
    scale: Matrix  # (d,)
    linear: Matrix  # (d,)
    hidden: Matrix  # (d, h); h may be 0
    hidden_bias: Matrix  # (h,)
    out: Matrix  # (h,)
    bias: float
    supported_from: float
    partial_from: float

    def logits(self, x: Matrix) -> Matrix:
        """z·linear + tanh(z·hidden + hidden_bias)·out + bias with z = (x − mean) / scale, held to ±4.

        Args:
            x: (…, d).

        Returns:
            (…,). Calibration is part of the weights: σ of it is the probability.
        """
        z = np.clip((x - self.mean) / self.scale, -4, 4)
        found: Matrix = z @ self.linear + np.tanh(z @ self.hidden + self.hidden_bias) @ self.out + self.bias
        return found

    def probability(self, x: Matrix) -> float:
        """Of one row (d,)."""
        return float(1 / (1 + np.exp(-np.clip(self.logits(x), -40, 40))))


def read_head(folder: Path) -> VerifierHead:
    """Reads a folder; raises ModelUnavailable if a file is absent, damaged or does not fit the others."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        tensors = {k: np.asarray(v, np.float64) for k, v in load_file(folder / WEIGHTS).items()}
        head = VerifierHead(
            features=tuple(config["features"]),
            **{k: tensors[k] for k in ("mean", "scale", "linear", "hidden", "hidden_bias", "out")},
            bias=float(tensors["bias"][0]),
            supported_from=float(config["supported_from"]),
            partial_from=float(config["partial_from"]),
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as e:
        raise ModelUnavailable(f"cannot read the verifier in {folder}: {e}; {_HOW}") from e
    d, h = len(head.features), len(head.out)
    shapes = (head.mean.shape, head.scale.shape, head.linear.shape, head.hidden.shape, head.hidden_bias.shape)
    if shapes != ((d,), (d,), (d,), (d, h), (h,)):
        raise ModelUnavailable(f"the verifier in {folder} has tensors {shapes} for {d} features; {_HOW}")
    return head


def save_head(folder: Path, head: VerifierHead, said: Mapping[str, Any], card: str) -> None:
    """Writes the folder; ``said`` are further keys of config.json."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: np.ascontiguousarray(getattr(head, name), np.float32)
        for name in ("mean", "scale", "linear", "hidden", "hidden_bias", "out")
    }
    save_file({**tensors, "bias": np.array([head.bias], np.float32)}, folder / WEIGHTS)
    config = {
        "features": list(head.features),
        "supported_from": head.supported_from,
        "partial_from": head.partial_from,
        **said,
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    (folder / CARD).write_text(card, "utf-8")
