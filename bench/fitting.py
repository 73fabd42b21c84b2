"""Two small fits for the shipped weights, and the split that keeps them honest. Deterministic; numpy and scipy only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


def fold_of(group: str, n_folds: int, seed: int = 0) -> int:
    """The fold of a group of samples that share a document: all of them are held out together."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{group}".encode()).digest()[:8], "big") % n_folds


def fit_logistic(
    x: Array, y: Flags, l2: float, weights: Array | None = None, *, standardise: bool = True
) -> tuple[Array, float]:
    """L2-regularised logistic regression on standardised features; returns (weights, bias) for the raw ones.

    Args:
        x: (n, d).
        y: (n,).
        l2: per sample; the bias is free.
        weights: (n,) of the samples; they are normalised to mean 1.
        standardise: False fits the features as they are.
    """
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    if not standardise:
        mean, scale = np.zeros_like(mean), np.ones_like(scale)
    z = (x - mean) / scale
    sign = np.where(y, 1.0, -1.0)
    w_sample = np.ones(len(y)) if weights is None else weights / weights.mean()

    def loss(w: Array) -> tuple[float, Array]:
        margins = sign * (z @ w[:-1] + w[-1])
        value = float((w_sample * np.logaddexp(0, -margins)).mean() + l2 * w[:-1] @ w[:-1])
        slope = -sign * w_sample / (1 + np.exp(np.clip(margins, -40, 40))) / len(y)
        return value, np.append(z.T @ slope + 2 * l2 * w[:-1], slope.sum())

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    raw = found[:-1] / scale
    return raw, float(found[-1] - raw @ mean)


def fit_listwise(groups: Sequence[tuple[Array, Flags]], l2: float) -> Array:
    """Weights under which a softmax over each group puts most mass on its right members.

    Loss: mean over groups of −log Σ_right p. Groups without a right or without a wrong member say nothing.
    """
    groups = [(x, y) for x, y in groups if y.any() and not y.all()]
    every = np.concatenate([x for x, _ in groups])
    scale = every.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    scaled = [(x / scale, y) for x, y in groups]

    def loss(w: Array) -> tuple[float, Array]:
        value, slope = float(l2 * w @ w), 2 * l2 * w
        for x, y in scaled:
            s = x @ w
            p = np.exp(s - s.max())
            p /= p.sum()
            right = float(p[y].sum())
            value -= np.log(max(right, 1e-300)) / len(scaled)
            slope = slope - x.T @ (p * y / max(right, 1e-300) - p) / len(scaled)
        return value, slope

    found: Array = minimize(loss, np.zeros(every.shape[1]), jac=True, method="L-BFGS-B").x
    return found / scale


def auroc(scores: Array, y: Flags) -> float:
    """The probability that a right one scores above a wrong one; ties count half."""
    right, wrong = scores[y], scores[~y]
    if not len(right) or not len(wrong):
        return float("nan")
    above = (right[:, None] > wrong[None, :]).mean() + 0.5 * (right[:, None] == wrong[None, :]).mean()
    return float(above)


def balanced_accuracy(said: Flags, y: Flags) -> float:
    """Mean of the shares of right among the positives and among the negatives."""
    return float((said[y].mean() + (~said[~y]).mean()) / 2)
