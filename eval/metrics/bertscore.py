"""BERTScore: each token against the most similar one of the other text (Zhang et al. 2020), F1, without idf and rescaling.

The vectors are those of the packaged sentence encoder's last layer, so that the values are comparable among themselves
and not with published ones, which come from other models: unrelated texts score well above 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def bert_f1(prediction: NDArray[np.float32], gold: NDArray[np.float32]) -> float:
    """F1 of the mean greatest cosine of each side's tokens.

    Args:
        prediction, gold: (n_tokens, dim), L2-normalised rows.
    """
    if not len(prediction) or not len(gold):
        return float(len(prediction) == len(gold))
    similar = prediction @ gold.T  # (n_prediction, n_gold)
    precision, recall = float(similar.max(axis=1).mean()), float(similar.max(axis=0).mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
