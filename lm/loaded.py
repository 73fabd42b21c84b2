"""A causal model that is in memory, with its tokenizer and the models beside it: what a prompt is to it, and when it has ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.types import Message
from lm.alone import Alone
from lm.answering import Answering, Request
from lm.batch import Batch
from lm.chat import PLAIN_STOPS, defuse, plain_prompt, room_for_answer
from lm.thinking import begins_in_thought, knows_thought


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """``batch`` is None where the model can only write one answer after the other."""

    name: str
    tokenizer: Any
    model: Any
    has_chat_template: bool
    control_tokens: Sequence[str]
    context_tokens: int
    alone: Alone
    batch: Batch | None

    @property
    def thinks(self) -> bool:
        return self.has_chat_template and knows_thought(str(self.tokenizer.chat_template))

    def encode(self, messages: Sequence[Message]) -> list[int]:
        return self._tokens(self._prompt(messages))

    def _prompt(self, messages: Sequence[Message]) -> str:
        if not self.has_chat_template:
            return plain_prompt([Message(role=m.role, content=defuse(m.content)) for m in messages])
        clean = [{"role": m.role, "content": defuse(m.content, self.control_tokens)} for m in messages]
        prompt: str = self.tokenizer.apply_chat_template(clean, tokenize=False, add_generation_prompt=True)
        return prompt

    def _tokens(self, prompt: str) -> list[int]:
        # A chat template writes the special tokens itself.
        ids: list[int] = self.tokenizer(prompt, add_special_tokens=not self.has_chat_template)["input_ids"]
        return ids

    def begin(self, request: Request) -> tuple[list[int], int, Answering]:
        """The prompt of ``request``, how many tokens it may say, thoughts included, and where they go.

        Raises:
            TooLarge: the prompt leaves no room for an answer.
        """
        params = request.params
        prompt = self._prompt(request.messages)
        ids = self._tokens(prompt)
        thought = params.thought_tokens if self.thinks else 0
        room = room_for_answer(self.name, len(ids), self.context_tokens, params.max_tokens, thought)
        stops = (*params.stop, *(() if self.has_chat_template else PLAIN_STOPS))
        answering = Answering(
            request,
            len(ids),
            room,
            self.alone.ends,
            stops,
            self._decode,
            in_thought=not params.regex and begins_in_thought(prompt),
        )
        return ids, room.most, answering

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True)
        return text


def end_tokens(tokenizer: Any, model: Any) -> list[int]:
    """The tokens that end an answer, by what the model and its tokenizer say."""
    said = model.generation_config.eos_token_id
    ends = said if isinstance(said, list) else [said]
    return sorted({e for e in (*ends, tokenizer.eos_token_id) if e is not None})
