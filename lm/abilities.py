"""What an OpenAI-compatible server turns out to be able to do. Nothing is assumed of it: it is asked at the start (``lm.probing``), and what not
every server knows is asked for until it has been refused, or left unheeded. Knows bodies and answers, no network."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

from core.errors import InvalidRequest
from core.json_replies import fits_schema
from core.types import SamplingParams
from lm.forms import compiled
from lm.thinking import closes_thought

Wish = Literal["logprobs", "form", "schema"]
# What a body has for each; vLLM reads structured_outputs, SGLang reads regex, and both ignore the other.
_KEYS: Mapping[Wish, tuple[str, ...]] = {
    "logprobs": ("logprobs", "top_logprobs"),
    "form": ("structured_outputs", "regex"),
    "schema": ("response_format",),
}


class Abilities:
    """Of one server; ``None`` is not known yet."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Nothing is known any more: the server went away, and may come again with other options."""
        self._known: dict[Wish, bool | None] = dict.fromkeys(_KEYS)
        self.tools: bool | None = None  # whether a request with tools is answered
        self.seed: bool | None = None  # whether the same seed says the same
        self.thinks: bool | None = None  # whether the model thinks before it answers
        self.opens_thought: bool | None = (
            None  # whether its template opens the thought, so that answers begin within it
        )

    @property
    def logprobs(self) -> bool | None:
        return self._known["logprobs"]

    @property
    def form(self) -> bool | None:
        """Whether answers have the form that was asked for."""
        return self._known["form"]

    @property
    def schema(self) -> bool | None:
        """Whether answers are of the schema that was asked for."""
        return self._known["schema"]

    def has(self, wish: Wish, heeded: bool) -> None:
        """Notes what an answer showed. Log-probabilities that came once may stay out for one answer; a form may not."""
        if wish != "logprobs" or self._known[wish] is None or heeded:
            self._known[wish] = heeded

    def heard(self, params: SamplingParams, text: str, *, whole: bool) -> None:
        """Notes whether ``text`` is what ``params`` wanted of it; one that was cut off may still be the beginning of that."""
        if params.schema:
            # Servers space JSON as they like, so what is cut off tells only whether it is JSON at all.
            if whole or not text.lstrip().startswith("{"[: len(text.lstrip())]):
                self.has("schema", whole and fits_schema(params.schema, text))
        elif whole:
            self.has("form", re.fullmatch(params.regex, text) is not None)
        elif not _may_become(params.regex, text):
            self.has("form", False)

    def wishes(self, params: SamplingParams, *, tools: bool, first: bool) -> Collection[Wish]:
        """What a request is to ask for: what is not known to be missing; after a failed attempt, what is known to be there. Beside
        tools nothing, which some servers refuse."""
        wanted: dict[Wish, bool] = {"logprobs": True, "form": bool(params.regex), "schema": bool(params.schema)}
        return [
            wish
            for wish, known in self._known.items()
            if wanted[wish] and not tools and (known or (known is None and first))
        ]

    def thought(self, thought: str, text: str, *, whole: bool) -> None:
        """Notes whether the model thought before it said ``text``, and who opened the thought. That is told by its first answer, as a
        rule the probe's, and by no later one: a later one may speak of the mark that closes thoughts."""
        if self.opens_thought is None and (whole or closes_thought(text)):
            self.opens_thought = closes_thought(text)
            self.thinks = self.opens_thought or self.thinks
        if thought:
            self.thinks = True
        elif text and self.thinks is None:
            self.thinks = False

    def doubtful(self, body: Mapping[str, Any]) -> list[Wish]:
        """What ``body`` asks for that may be why it was refused: what is not known to be heeded, and every form, since a server may
        read one and not another."""
        asked = [wish for wish, keys in _KEYS.items() if keys[0] in body]
        return [wish for wish in asked if wish != "logprobs" or self._known[wish] is None]

    def told(self) -> str:
        """In one line, for whoever runs the server."""
        found: dict[str, bool | None] = {
            "tool calls": self.tools,
            "JSON by schema": self.schema,
            "text by form": self.form,
            "log-probabilities": self.logprobs,
            "the same text for a seed": self.seed,
            "thinks first": self.thinks,
        }
        return ", ".join(
            f"{what}: {'not known' if has is None else 'yes' if has else 'no'}" for what, has in found.items()
        )


def _may_become(regex: str, text: str) -> bool:
    try:
        form = compiled(regex)
    except InvalidRequest:  # a form that only the server can read
        return True
    return bool(form.step(form.start, text))


def leave_out(body: dict[str, Any], wish: Wish) -> None:
    """Takes out of ``body`` what it asks for by ``wish``."""
    for key in _KEYS[wish]:
        body.pop(key, None)
