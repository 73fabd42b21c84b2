"""Answers that must be written by themselves, through transformers' ``generate``: beams, a second reading that weighs every token,
drafts that another model proposes, and all answers of models whose caches cannot be laid side by side. Imported where torch is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import transformers

from core.types import SamplingParams
from lm.choosing import WithinForm
from lm.contrast import AmateurContrast, ContextContrast, SecondReading
from lm.own_logprobs import OwnLogprobs
from lm.vocabulary import Vocabulary

# Hears of a token, and of its log-probability if that is known; True ends the answer.
OnToken = Callable[[int, Sequence[float]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """One model, with those beside it, answering one request.

    Args:
        ends: tokens that end an answer.
        pad: a token for places that have none.
        vocabulary: called where an answer is to have a form.
    """

    model: Any
    draft: Any
    amateur: Any
    ends: Sequence[int]
    pad: int
    vocabulary: Callable[[], Vocabulary]

    def wanted(self, params: SamplingParams) -> bool:
        """Whether ``params`` ask for something that several answers at once cannot have."""
        return params.beams > 1 or self.amateur is not None or _contrasts(params) or self._drafts(params)

    def generate(self, ids: list[int], bare: list[int], params: SamplingParams, room: int, on_token: OnToken) -> None:
        """Runs the model until ``on_token`` says stop or ``room`` tokens were said. With beams it hears of no token before the last,
        and of no log-probability.

        Args:
            ids: the prompt.
            bare: the prompt without passages, where ``params`` contrast with it.
        """
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            if params.seed is None:
                torch.seed()
            else:
                torch.manual_seed(params.seed)
            self._generate(ids, bare, params, room, on_token)

    def _generate(self, ids: list[int], bare: list[int], params: SamplingParams, room: int, on_token: OnToken) -> None:
        beams = params.beams > 1
        drafted = self._drafts(params)
        own = None if beams else OwnLogprobs(self.model, len(ids), drafted=drafted)
        prompt = torch.tensor([ids], device=self.model.device)  # (1, n)
        heard = 0

        def hear(said: Any) -> bool:  # (n,), with the prompt
            nonlocal heard
            tokens = said[len(ids) + heard :].tolist()
            logprobs = own.take(tokens) if own is not None else []
            for i, token in enumerate(tokens):
                heard += 1
                if on_token(int(token), logprobs[i : i + 1]):
                    return True
            return False

        def criterion(input_ids: Any, _scores: Any, **_: Any) -> Any:  # (1, n) -> (1,)
            stop = hear(input_ids[0])  # a draft brings several tokens at once
            return torch.full((input_ids.shape[0],), stop, dtype=torch.bool, device=input_ids.device)

        with own or nullcontext():
            found = self.model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                generation_config=self._config(params, room),
                logits_processor=transformers.LogitsProcessorList(self._weighed(ids, bare, params)),
                stopping_criteria=transformers.StoppingCriteriaList([] if beams else [criterion]),
                **({"assistant_model": self.draft} if drafted else {}),
            )
        if beams:
            hear(found[0])

    def _config(self, params: SamplingParams, room: int) -> Any:
        sampling: dict[str, Any] = {"do_sample": False, "num_beams": params.beams}
        if params.temperature > 0:
            sampling = {
                "do_sample": True,
                "temperature": params.temperature,
                "top_p": params.top_p,
                "top_k": params.top_k,
                "min_p": params.min_p or None,
            }
        make_config: Any = transformers.GenerationConfig
        return make_config(
            max_new_tokens=room,
            repetition_penalty=params.repetition_penalty,
            no_repeat_ngram_size=params.no_repeat_ngram,
            eos_token_id=list(self.ends) or None,
            pad_token_id=self.pad,
            **sampling,
        )

    def _weighed(self, ids: list[int], bare: list[int], params: SamplingParams) -> list[Any]:
        """What changes the model's choice: a second reading, of the prompt without passages or by the amateur, and a form."""
        found: list[Any] = []
        if self.amateur is not None and params.beams == 1:  # a second reading follows one hypothesis
            found.append(AmateurContrast(SecondReading(self.amateur, ids), len(ids)))
        if _contrasts(params) and params.beams == 1:
            found.append(ContextContrast(SecondReading(self.model, bare), len(ids), params.contrast))
        if params.regex:
            found.append(WithinForm(params.regex, self.vocabulary(), len(ids)))
        return found

    def _drafts(self, params: SamplingParams) -> bool:
        """Whether a draft would leave the tokens what they are: greedy, and nothing that depends on who proposes or what was said."""
        greedy = params.temperature == 0 and params.beams == 1 and not _contrasts(params) and not params.regex
        return self.draft is not None and greedy


def _contrasts(params: SamplingParams) -> bool:
    return params.contrast > 0 and bool(params.without)
