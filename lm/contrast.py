"""Contrastive decoding: what one reading says, weighed against what another says. Imported where torch is.

Both follow their papers' definitions. A second reading keeps a cache of its own, so a step costs one more forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import transformers

PLAUSIBLE = 0.1  # α of Li et al. 2022, their value for all models


def against_context(within: torch.Tensor, without: torch.Tensor, weight: float) -> torch.Tensor:
    """(1 + weight) · log p(token | context) − weight · log p(token | no context): Shi et al. 2023, "Trusting Your Evidence".

    Args:
        within, without: (batch, vocabulary) logits, or log-probabilities.

    Returns:
        (batch, vocabulary) logits, which are not normalised.
    """
    return (1 + weight) * within.log_softmax(-1) - weight * without.log_softmax(-1)


def against_amateur(expert: torch.Tensor, amateur: torch.Tensor, plausible: float = PLAUSIBLE) -> torch.Tensor:
    """log p(token | expert) − log p(token | amateur), where p(token | expert) is at least ``plausible`` times its highest, and
    −inf elsewhere: Li et al. 2022, "Contrastive Decoding".

    Args:
        expert, amateur: (batch, vocabulary) logits, or log-probabilities.
    """
    sure = expert.log_softmax(-1)
    least = sure.amax(-1, keepdim=True) + torch.log(torch.tensor(plausible, dtype=sure.dtype))
    return (sure - amateur.log_softmax(-1)).masked_fill(sure < least, -torch.inf)


class SecondReading:
    """What ``model`` would say next after ``prompt`` and what has been said, whoever said it."""

    def __init__(self, model: Any, prompt: Sequence[int]) -> None:
        self._model = model
        self._unread = torch.tensor([list(prompt)], device=model.device)  # (1, n)
        self._cache: Any = None
        self._heard = 0

    def logits(self, said: torch.Tensor) -> torch.Tensor:
        """(1, vocabulary), of the token after ``said``, (1, n): all that has been said since the prompt."""
        new = said[:, self._heard :].to(self._unread.device)
        read = new if self._cache is not None else torch.cat([self._unread, new], dim=1)
        self._heard = said.shape[1]
        out = self._model(input_ids=read, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self._cache = out.past_key_values
        found: torch.Tensor = out.logits[:, -1].float()
        return found


class ContextContrast(transformers.LogitsProcessor):
    """``against_context`` with what the model says of the prompt without passages."""

    def __init__(self, second: SecondReading, prompt_tokens: int, weight: float) -> None:
        self._second = second
        self._prompt_tokens = prompt_tokens
        self._weight = weight

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        other = self._second.logits(input_ids[:, self._prompt_tokens :]).to(scores.device)
        return against_context(scores, other, self._weight)


class AmateurContrast(transformers.LogitsProcessor):
    """``against_amateur`` with what a smaller model says of the same prompt."""

    def __init__(self, second: SecondReading, prompt_tokens: int) -> None:
        self._second = second
        self._prompt_tokens = prompt_tokens

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        other = self._second.logits(input_ids[:, self._prompt_tokens :]).to(scores.device)
        return against_amateur(scores, other)
