"""Chooses one answer's next token from what the model gives it. Knows neither the model nor the other answers. Imported where torch is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers

from core.types import SamplingParams
from lm.forms import Form, compiled
from lm.vocabulary import At, Vocabulary

_TRIES = 64  # tokens that are tried before all of the vocabulary is looked at


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
        vocabulary: called where ``params`` want a form.
    """

    def __init__(
        self, params: SamplingParams, device: torch.device, vocabulary: Callable[[], Vocabulary] | None = None
    ) -> None:
        self._processors = processors(params)
        self._random: torch.Generator | None = None
        if params.temperature > 0:
            self._random = torch.Generator(device=device)
            if params.seed is None:
                self._random.seed()
            else:
                self._random.manual_seed(params.seed)
        self._form: Form | None = None
        if params.regex and vocabulary is not None:
            self._form, self._vocabulary = compiled(params.regex), vocabulary()
            self._at: At = self._vocabulary.start(self._form)

    @property
    def likeliest(self) -> bool:
        """Whether it takes the largest logit, so that many such answers can be chosen at once."""
        return self._random is None and not self._processors and self._form is None

    @property
    def complete(self) -> bool:
        """Whether the answer has the whole of its form, and nothing may follow."""
        return self._form is not None and not self._at[1] and self._form.must_end(self._at[0])

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
        return self._draw(scores) if self._form is None else self._draw_within(self._form, scores, logits)

    def _draw(self, scores: torch.Tensor) -> int:
        if self._random is None:
            return int(scores.argmax())
        return int(torch.multinomial(scores.softmax(-1), 1, generator=self._random))

    def _draw_within(self, form: Form, scores: torch.Tensor, logits: torch.Tensor) -> int:
        """A token that the form allows. Drawing again after one that it does not is drawing from those that it allows, and most of the
        time the first will do; only after ``_TRIES`` is every token looked at."""
        for _ in range(_TRIES):
            token = self._draw(scores)
            after = self._vocabulary.after(form, self._at, token)
            if after is not None:
                self._at = after
                return token
            scores[0, token] = -torch.inf
            if bool(scores.isneginf().all()):
                break  # top-k and the like had left none that is allowed
        allowed = self._vocabulary.allowed(form, self._at)
        if not allowed:
            # No token says the next character: the answer ends here, and whoever asked sees that it is not whole.
            self._at = frozenset(), b""
            return min(self._vocabulary.ends, default=0)
        index = torch.tensor(list(allowed), device=scores.device)
        rest = torch.full_like(scores, -torch.inf)
        kept = scores[0, index]
        # Where top-k and the like had cut all of them off, they are drawn as the model finds them.
        rest[0, index] = kept if bool(kept.isfinite().any()) else logits[0, index]
        token = self._draw(rest)
        self._at = self._vocabulary.after(form, self._at, token) or self._at
        return token


class WithinForm(transformers.LogitsProcessor):
    """The same for answers that ``generate`` writes: leaves only the tokens that the form allows, for each hypothesis."""

    def __init__(self, regex: str, vocabulary: Vocabulary, prompt_tokens: int) -> None:
        self._form = compiled(regex)
        self._vocabulary = vocabulary
        self._prompt_tokens = prompt_tokens

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        left = torch.full_like(scores, -torch.inf)
        for row, said in enumerate(input_ids[:, self._prompt_tokens :].tolist()):
            at = self._vocabulary.start(self._form)
            for token in said:
                at = self._vocabulary.after(self._form, at, token) or (frozenset(), b"")
            allowed = list(self._vocabulary.allowed(self._form, at)) or sorted(self._vocabulary.ends) or [0]
            index = torch.tensor(allowed, device=scores.device)
            left[row, index] = scores[row, index]
        return left
