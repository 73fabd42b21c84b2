"""How likely a transformers model itself found the tokens that were said, read off while it generates. Imported where torch is.

What is read is log softmax of the logits as the model gives them: before temperature, top-k, top-p, penalties and contrasts. So
the figures of two ways to decode are of one distribution. It costs one reduction over the vocabulary a token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch


class OwnLogprobs:
    """Hears each forward pass of ``model`` while it is entered. Of one sequence, not of beams.

    Args:
        prompt_tokens: of the prompt, which the first pass reads.
        drafted: whether a pass may bring several tokens, which another model proposed.
    """

    def __init__(self, model: Any, prompt_tokens: int, *, drafted: bool) -> None:
        self._model = model
        self._known = prompt_tokens  # tokens of the next pass that are no proposals
        self._drafted = drafted
        self._logits: torch.Tensor | None = None  # (n, vocabulary): of the tokens that come next
        self._hook: Any = None

    def __enter__(self) -> OwnLogprobs:
        self._hook = self._model.register_forward_hook(self._hear, with_kwargs=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def take(self, tokens: Sequence[int]) -> list[float]:
        """The log-probabilities of ``tokens``, which were chosen after the last pass."""
        if self._logits is None:
            return []
        rows = self._logits[: len(tokens)].float()
        self._logits, self._known = None, 1
        chosen = torch.tensor(tokens, device=rows.device).unsqueeze(1)  # (n, 1)
        found: list[float] = (rows.gather(1, chosen).squeeze(1) - rows.logsumexp(-1)).tolist()
        return found

    def _hear(self, _model: Any, _args: Any, given: Mapping[str, Any], output: Any) -> None:
        if self._logits is not None:
            return  # the model's second reading, of another prompt; see lm.contrast
        n = given["input_ids"].shape[1] - self._known + 1 if self._drafted else 1
        self._logits = output.logits[0, -n:].clone()  # a processor may write into them
