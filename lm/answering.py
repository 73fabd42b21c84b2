"""One request to a language model in this process, and what becomes of its tokens: text, log-probabilities, an end. Knows no model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.errors import OpenbookError
from core.events import LMDone, LMEvent
from core.offload import Channel
from core.types import FinishReason, Message, SamplingParams, Usage
from lm.detokenize import Detokenizer
from lm.spoken import Spoken
from lm.thinking import Room


@dataclass(eq=False, slots=True)
class Request:
    """``cancelled`` is set by whoever asked; nothing is said to it after that."""

    messages: Sequence[Message]
    params: SamplingParams
    channel: Channel[LMEvent | OpenbookError]
    cancelled: threading.Event = field(default_factory=threading.Event)


class Answering:
    """Passes the tokens of one answer on as text.

    Args:
        room: how long it may become.
        ends: tokens that end it.
        stops: strings that do.
        decode: token ids to text, without special tokens.
        in_thought: whether the prompt has opened a thought.
    """

    def __init__(
        self,
        request: Request,
        prompt_tokens: int,
        room: Room,
        ends: Sequence[int],
        stops: Sequence[str],
        decode: Callable[[Sequence[int]], str],
        *,
        in_thought: bool = False,
    ) -> None:
        self.request = request
        self._prompt_tokens = prompt_tokens
        self._room = room
        self._ends = frozenset(ends)
        self._detokenizer = Detokenizer(decode)
        self._spoken = Spoken(stops, in_thought=in_thought)
        self._began = time.monotonic()
        self._counted = 0
        self._ended = False

    def hear(self, token: int, logprobs: Sequence[float], *, last: bool = False) -> bool:
        """Takes the next token; True if the answer is over, as it is with one that is known to be the ``last``."""
        self._counted += 1
        self._ended = last or token in self._ends
        if (said := self._spoken.feed(self._detokenizer.feed([token]), logprobs)) is not None:
            self.request.channel.put(said)
        full = self._room.take(thinking=self._spoken.thinking)
        over = self._ended or self._spoken.stopped or full
        return over or self.request.cancelled.is_set()

    def finish(self) -> None:
        """Says what was held back, and that the answer is over. Nothing where nobody listens."""
        if self.request.cancelled.is_set():
            return
        spoken = self._spoken
        if not spoken.stopped and (said := spoken.end(self._detokenizer.flush())) is not None:
            self.request.channel.put(said)
        finish: FinishReason = "stop" if spoken.stopped or self._ended else "length"
        usage = Usage(
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._counted,
            duration_s=time.monotonic() - self._began,
        )
        self.request.channel.put(LMDone(finish_reason=finish, usage=usage, thought=spoken.thought))
