"""Chooses one answer's next token from what the model gives it. Knows neither the model nor the other answers. Imported where torch is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import transformers

from core.types import SamplingParams


def processors(params: SamplingParams) -> list[Any]:
    """What changes the logits of one answer before a token is drawn, in the order of transformers' ``generate``: penalties, then
    temperature, top-k, top-p and min-p. Empty where the likeliest token is taken as it is."""
    found: list[Any] = []
    if params.repetition_penalty != 1.0:
        found.append(transformers.RepetitionPenaltyLogitsProcessor(params.repetition_penalty))
    if params.no_repeat_ngram:
        found.append(transformers.NoRepeatNGramLogitsProcessor(params.no_repeat_ngram))
    if params.temperature > 0:
        if params.temperature != 1.0:
            found.append(transformers.TemperatureLogitsWarper(params.temperature))
        if params.top_k:
            found.append(transformers.TopKLogitsWarper(params.top_k))
        if params.top_p < 1.0:
            found.append(transformers.TopPLogitsWarper(params.top_p))
        if params.min_p > 0:
            found.append(transformers.MinPLogitsWarper(params.min_p))
    return found


class Choice:
    """How the tokens of one answer are chosen. A seed gives it random numbers of its own, which no other answer draws from.

    Args:
        device: on which the logits are.
    """

    def __init__(self, params: SamplingParams, device: torch.device) -> None:
        self._processors = processors(params)
        self._random: torch.Generator | None = None
        if params.temperature > 0:
            self._random = torch.Generator(device=device)
            if params.seed is None:
                self._random.seed()
            else:
                self._random.manual_seed(params.seed)

    @property
    def likeliest(self) -> bool:
        """Whether it takes the largest logit, so that many such answers can be chosen at once."""
        return self._random is None and not self._processors

    def __call__(self, logits: torch.Tensor, tokens: Sequence[int]) -> int:
        """The next token.

        Args:
            logits: (1, vocabulary), float32; left as they are.
            tokens: of prompt and answer until now.
        """
        scores = logits.clone()
        if self._processors:
            before = torch.tensor([list(tokens)], device=logits.device)  # (1, n)
            for process in self._processors:
                scores = process(before, scores)
        if self._random is None:
            return int(scores.argmax())
        return int(torch.multinomial(scores.softmax(-1), 1, generator=self._random))
