"""At which looks at the clock a run's time was up, so that a replay meets that limit where the run met it.

A budget looks at the clock before all that it awaits, and wherever it is asked what is left. A replay takes no time, but looks as
often and in the same order: looks that were late are late again. What runs side by side takes turns as its words come in, so each of
these branches counts its own looks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

from core.types import Limits

# "1." of the second of several, "1.0." of the first within it
_BRANCH: ContextVar[str] = ContextVar("branch", default="")


def branch(n: int) -> Context:
    """What the ``n``-th of several that run side by side is to run in."""
    context = copy_context()
    context.run(_BRANCH.set, f"{_BRANCH.get()}{n}.")
    return context


@dataclass(slots=True, kw_only=True)
class Watch:
    """Of one run and of all runs within it. Looks are numbered from 1 within their branch: "3", "1.3".

    Attributes:
        max_seconds: the run's limit, for the words of whoever is late.
        up: looks that found nothing left.
        broken: looks before something that was awaited until the time was up, and the how manieth of all each was; of such things
            that are in one another the innermost.
        replaying: whether ``up`` and ``broken`` are a recorded run's, and hold again.
        last: the last look, and ``n_looks`` how many there were.
    """

    max_seconds: float
    up: set[str] = field(default_factory=set)
    broken: dict[str, int] = field(default_factory=dict)
    replaying: bool = False
    last: str = ""
    n_looks: int = 0
    _n_of: dict[str, int] = field(default_factory=dict)  # branch → how many looks it had

    def look(self, left: float) -> float:
        """The seconds left, as this look finds them; ``left`` is what the clock says."""
        here = _BRANCH.get()
        self._n_of[here] = self._n_of.get(here, 0) + 1
        self.last = f"{here}{self._n_of[here]}"
        self.n_looks += 1
        if self.replaying:
            return 0.0 if self.last in self.up else left
        if left <= 0:
            self.up.add(self.last)
        return left

    def broken_within(self, n_look: int) -> bool:
        """Whether something was given up that this branch, or one within it, began to await after the look that was the ``n_look``-th."""
        here = _BRANCH.get()
        return any(n > n_look and look.startswith(here) for look, n in self.broken.items())

    def recorded(self) -> Mapping[str, Any]:
        """As JSON; empty of a run that was never late."""
        if not (self.up or self.broken):
            return {}
        return {"late": {"up": sorted(self.up), "broken": sorted(self.broken)}}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsWatched(Limits):
    """Limits with the watch that is kept over them."""

    watch: Watch | None = field(default=None, compare=False, repr=False)


def watched(limits: Limits, watch: Watch) -> LimitsWatched:
    return LimitsWatched(**{name: getattr(limits, name) for name in Limits.__dataclass_fields__}, watch=watch)


def replayed(limits: Limits, late: Mapping[str, Collection[str]] | None, max_seconds: float) -> LimitsWatched:
    """``limits`` of a replay: late where the recorded run was, in the words of its own ``max_seconds``.

    ``late`` is None of one that is changed: it asks those who are there now, and is late by its own clock.
    """
    if late is None:
        return watched(limits, Watch(max_seconds=limits.max_seconds))
    up, broken = (dict.fromkeys(map(str, late.get(name, ())), 0) for name in ("up", "broken"))
    return watched(limits, Watch(max_seconds=max_seconds, up=set(up), broken=broken, replaying=True))
