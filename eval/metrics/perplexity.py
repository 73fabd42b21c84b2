"""Perplexity: how unlikely a model found what it wrote itself, as the number of tokens that it might as well have chosen among.

It says how sure the model was, not whether it was right, and is comparable between answers of one model only: another tokenizer
cuts another number of tokens.
"""

from __future__ import annotations

import math


def perplexity(mean_logprob: float) -> float:
    """exp(−Σ log p(token) / n), 1 where each token was certain.

    Args:
        mean_logprob: Σ log p(token) / n, natural logarithms, over the tokens of one answer.
    """
    return math.exp(-mean_logprob)
