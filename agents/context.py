"""What a language model is shown: instructions in one message, data in another, and the data marked.

Passages stand between lines that open with a mark that no document can know, since it follows from the id of the run.
What could pass for the machinery of a conversation (role tokens, our own marks) is taken apart in the copy that the
model sees; the stored text, and every quote from it, stays as it is. This lowers the odds of an injection; what makes
one harmless is that there is no tool here to call.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.prompts import Prompts
from core.errors import InvalidRequest
from core.text import sentence_spans
from core.types import Hit, Message

SYSTEM = "rag_system.j2"
USER = "rag_user.j2"

# Role and turn tokens of the usual chat templates.
_MACHINERY = re.compile(
    r"<\|[^<>|\n]{0,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>|<(?=\|)|(?<=\|)>"
    r"|^\s*#{0,3}\s*(?:system|assistant|user|human|instruction)s?\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_HEADING_CHARACTERS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One numbered passage as the model sees it, and the hit that it is."""

    number: int  # 1-based: the n that the model may cite
    heading: str
    text: str
    hit: Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A prompt that fits, and what had to be left out for that."""

    messages: tuple[Message, ...]
    bare: tuple[Message, ...]  # the question alone, as it would be asked without a library
    passages: tuple[Passage, ...]
    dropped: int  # passages, from the tail
    shortened: bool  # the only passage left was cut at a sentence

    def note(self, context_tokens: int) -> str:
        """One line for the trace; empty if everything fitted."""
        if self.dropped:
            return f"{self.dropped} of {self.dropped + len(self.passages)} passages left out: the model reads {context_tokens} tokens."
        return "The passage was shortened to what the model reads." if self.shortened else ""


def mark_for(run_id: str) -> str:
    """The line opening of this run's data."""
    return "DATA-" + hashlib.sha256(run_id.encode()).hexdigest()[:8]


def inert(text: str, mark: str = "") -> str:
    """``text`` without anything that could pass for the machinery of the conversation; for the model's copy only."""
    broken = _MACHINERY.sub(lambda m: " ".join(m.group()), text)
    return broken.replace(mark, " ".join(mark)) if mark else broken


def passage(number: int, hit: Hit, mark: str) -> Passage:
    page = f", page {hit.chunk.page}" if hit.chunk.page is not None else ""
    title = " › ".join(" ".join(p.split()) for p in (hit.title, *hit.chunk.heading_path) if p)
    if len(title) > _HEADING_CHARACTERS:
        title = title[: _HEADING_CHARACTERS - 1] + "…"
    return Passage(number=number, heading=inert(title, mark) + page, text=inert(hit.chunk.text, mark), hit=hit)


def fit(
    question: str,
    hits: Sequence[Hit],
    *,
    prompts: Prompts,
    mark: str,
    count_tokens: Callable[[Sequence[Message]], int],
    room: int,
) -> Context:
    """Builds the prompt with as many of ``hits``, from the first on, as ``room`` tokens hold.

    Raises:
        InvalidRequest: not even the question and a part of one passage fit.
    """
    system = Message(role="system", content=prompts.render(SYSTEM, mark=mark))
    bare = (Message(role="user", content=question),)
    numbered = [passage(n, hit, mark) for n, hit in enumerate(hits, 1)]

    def build(passages: Sequence[Passage]) -> tuple[Message, ...]:
        return (
            system,
            Message(role="user", content=prompts.render(USER, mark=mark, passages=passages, question=question)),
        )

    # The largest number that fits, by bisection: counting reads the whole prompt.
    low, high = 0, len(numbered)
    while low < high:
        middle = (low + high + 1) // 2
        if count_tokens(build(numbered[:middle])) <= room:
            low = middle
        else:
            high = middle - 1
    if low:
        return Context(
            messages=build(numbered[:low]),
            bare=bare,
            passages=tuple(numbered[:low]),
            dropped=len(numbered) - low,
            shortened=False,
        )
    if numbered:
        first = numbered[0]
        for _, end in reversed(sentence_spans(first.text)[:-1]):
            shorter = Passage(number=1, heading=first.heading, text=first.text[:end], hit=first.hit)
            if count_tokens(build([shorter])) <= room:
                return Context(
                    messages=build([shorter]), bare=bare, passages=(shorter,), dropped=len(numbered) - 1, shortened=True
                )
    raise InvalidRequest(
        f"the question and one passage do not fit into the {room} tokens that the model can read: ask a shorter "
        "question, or use a model with a longer context",
        code="context-too-small",
    )
