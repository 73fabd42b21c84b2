"""What an OpenAI-compatible server turns out to be able to do. Nothing is assumed of it: what not every server knows is asked for until
it has been refused, or left unheeded. Knows bodies and answers, no network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from core.errors import InvalidRequest
from lm.forms import compiled

Wish = Literal["logprobs", "form"]
# What a body has for each; vLLM reads structured_outputs, SGLang reads regex, and both ignore the other.
_KEYS: Mapping[Wish, tuple[str, ...]] = {
    "logprobs": ("logprobs", "top_logprobs"),
    "form": ("structured_outputs", "regex"),
}


class Abilities:
    """Of one server; ``None`` is not known yet."""

    def __init__(self) -> None:
        self._known: dict[Wish, bool | None] = {"logprobs": None, "form": None}
        self.tools = True  # until a request with tools was refused for them

    @property
    def logprobs(self) -> bool | None:
        return self._known["logprobs"]

    @property
    def form(self) -> bool | None:
        """Whether answers have the form that was asked for."""
        return self._known["form"]

    def has(self, wish: Wish, heeded: bool) -> None:
        """Notes what an answer showed. Log-probabilities that came once may stay out for one answer; a form may not."""
        if wish == "form" or self._known[wish] is None or heeded:
            self._known[wish] = heeded

    def heard(self, regex: str, text: str, *, whole: bool) -> None:
        """Notes whether ``text``, which was to have the form ``regex``, has it; one that was cut off may still be the beginning of it."""
        if whole:
            self.has("form", re.fullmatch(regex, text) is not None)
        elif not _may_become(regex, text):
            self.has("form", False)

    def untried(self, body: Mapping[str, Any]) -> list[Wish]:
        """What ``body`` asks for of which nothing is known."""
        return [wish for wish, keys in _KEYS.items() if self._known[wish] is None and keys[0] in body]


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
