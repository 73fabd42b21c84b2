"""How a language model decodes, by settings: laid over what a strategy asks, wherever the strategy leaves it off."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields, replace

from core.around import AroundLM
from core.events import LMEvent
from core.protocols import LanguageModel, contrasts
from core.types import Message, SamplingParams, ToolSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """As in ``SamplingParams``. ``top_p``, ``top_k`` and ``min_p`` concern requests that sample, ``beams`` those that do not."""

    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    beams: int = 1
    contrast: float = 0.0

    def over(self, params: SamplingParams) -> SamplingParams:
        """``params``, with ours wherever theirs is off. What is to have a form keeps to that form: no beams, no penalties."""
        off = SamplingParams()
        names = ["contrast"] if params.without else []
        if not params.regex and not params.schema:
            names += ["repetition_penalty", "no_repeat_ngram"]
            names += ["top_p", "top_k", "min_p"] if params.temperature > 0 else ["beams"]
        ours = {n: getattr(self, n) for n in names if getattr(params, n) == getattr(off, n)}
        return replace(params, **ours)


class DecodingLM(AroundLM):
    """``lm``, decoding as settings say."""

    def __init__(self, lm: LanguageModel, decoding: Decoding) -> None:
        super().__init__(lm)
        self._decoding = decoding

    @property
    def name(self) -> str:
        """With what is laid over, since it is what traces record."""
        off = Decoding()
        names = [f.name for f in fields(Decoding)]
        ours = {n: v for n in names if (v := getattr(self._decoding, n)) != getattr(off, n)}
        return f"{self._lm.name} ({', '.join(f'{n} {v}' for n, v in ours.items())})" if ours else self._lm.name

    @property
    def contrasting(self) -> bool:
        return self._decoding.contrast > 0 and contrasts(self._lm)

    def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], params: SamplingParams
    ) -> AsyncIterator[LMEvent]:
        # A call of a tool is a form too, which a penalty on repetition breaks: names and keys come again and again.
        return self._lm.stream(messages, tools, params if tools else self._decoding.over(params))
