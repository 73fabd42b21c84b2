"""What of a model's tokens is its answer: text without thoughts and stop strings, and the log-probabilities of that text's tokens.

Knows no tokenizer: it hears pieces of text, and with each the log-probabilities of the tokens that it completes. A token belongs
to the answer if some of its text does; one without text of its own, as the end of text is, does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from core.events import TextDelta
from lm.stopping import StopScanner
from lm.thinking import ThinkingFilter


class Spoken:
    """One answer while it is said.

    Args:
        stops: strings that end it, and are no part of it. Those within a thought do not count.
        in_thought: whether it begins within a thought, which the prompt has opened.
    """

    def __init__(self, stops: Sequence[str], *, in_thought: bool = False) -> None:
        self._scanner = StopScanner(stops)
        self._thinking = ThinkingFilter(begun=in_thought)
        self._heard = 0  # characters, thoughts included
        self._said: int | None = (
            None  # those of them that lie before what is passed on next; None before the answer begins
        )
        self._early: list[float] = []  # of tokens whose text is not complete
        self._tokens: deque[tuple[int, int, float]] = deque()  # (start, end, log-probability), not yet passed on

    @property
    def thought(self) -> str:
        """What was thought before it, ``<think>…</think>`` at its beginning: no part of it."""
        return self._thinking.thought

    @property
    def thinking(self) -> bool:
        """Whether what came last was thought."""
        return self._thinking.thinking

    @property
    def stopped(self) -> bool:
        """Whether a stop string has ended it."""
        return self._scanner.stopped

    def feed(self, piece: str, logprobs: Sequence[float] = ()) -> TextDelta | None:
        """Takes the next piece, with the log-probabilities of the tokens since the last one that had text; returns what of it is
        certain to be answer."""
        self._early += logprobs
        if not piece:
            return None
        end = self._heard + len(piece)
        self._tokens += [(self._heard, end, p) for p in self._early]
        self._early.clear()
        self._heard = end
        return self._pass(self._scanner.feed(self._without_thoughts(piece)))

    def end(self, rest: str = "", *, whole: bool = False) -> TextDelta | None:
        """The text is over, but for ``rest``: what was held back is answer after all. ``whole`` as of ``ThinkingFilter.flush``."""
        parts = [self.feed(rest)]
        parts.append(self._pass(self._scanner.feed(self._begun(self._thinking.flush(whole=whole)))))
        parts.append(self._pass(self._scanner.flush()))
        said = [p for p in parts if p is not None]
        if not said:
            return None
        return TextDelta(text="".join(p.text for p in said), logprobs=tuple(x for p in said for x in p.logprobs))

    def _without_thoughts(self, piece: str) -> str:
        return self._begun(self._thinking.feed(piece))

    def _begun(self, kept: str) -> str:
        """``kept``, the end of what was heard; whatever lies before the first of it was thought."""
        if kept and self._said is None:
            self._said = self._heard - len(kept)
            while self._tokens and self._tokens[0][1] <= self._said:
                self._tokens.popleft()
        return kept

    def _pass(self, text: str) -> TextDelta | None:
        if not text or self._said is None:
            return None
        self._said += len(text)
        logprobs: list[float] = []
        while self._tokens and self._tokens[0][0] < self._said:
            logprobs.append(self._tokens.popleft()[2])
        return TextDelta(text=text, logprobs=tuple(logprobs))
