"""At which looks at the clock a run's time was up, so that a replay meets that limit where the run met it.

A budget looks at the clock before all that it awaits, and wherever it is asked what is left. A replay takes no time, but looks as
often and in the same order: looks that were late are late again. What runs side by side may look in another order, and such a run is
perhaps not replayed to the same end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.types import Limits


@dataclass(slots=True, kw_only=True)
class Watch:
    """Of one run and of all runs within it; looks are numbered from 1.

    Attributes:
        max_seconds: the run's limit, for the words of whoever is late.
        up: looks that found nothing left.
        broken: looks before something that was awaited until the time was up; the innermost, where such things are in one another.
        replaying: whether ``up`` and ``broken`` are a recorded run's, and hold again.
    """

    max_seconds: float
    up: set[int] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)
    replaying: bool = False
    looks: int = 0

    def look(self, left: float) -> float:
        """The seconds left, as this look finds them; ``left`` is what the clock says."""
        self.looks += 1
        if self.replaying:
            return 0.0 if self.looks in self.up else left
        if left <= 0:
            self.up.add(self.looks)
        return left

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


def replayed(limits: Limits, late: Mapping[str, Collection[int]] | None, max_seconds: float) -> LimitsWatched:
    """``limits`` of a replay: late where the recorded run was, in the words of its own ``max_seconds``.

    ``late`` is None of one that is changed: it asks those who are there now, and is late by its own clock.
    """
    if late is None:
        return watched(limits, Watch(max_seconds=limits.max_seconds))
    watch = Watch(
        max_seconds=max_seconds, up=set(late.get("up", ())), broken=set(late.get("broken", ())), replaying=True
    )
    return watched(limits, watch)
