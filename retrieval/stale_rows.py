"""Passages whose vectors no loaded encoder made: what they are found by is their words alone, and that is said."""

from __future__ import annotations

import numpy as np

from core.types import Allowed
from retrieval.catalogue import Catalogue
from retrieval.following import Following
from retrieval.vector_spaces import VectorSpaces


class StaleRows:
    """Counted anew only when something moved. Thread-safe: at worst two count the same."""

    def __init__(self, spaces: VectorSpaces, catalogue: Catalogue, following: Following) -> None:
        self._spaces = spaces
        self._catalogue = catalogue
        self._following = following
        self._known = (-1, -1, 0)  # change, rows in the spaces; how many lack there

    def count(self) -> int:
        """Of all that is visible."""
        newest, held = self._catalogue.newest(), len(self._spaces)
        if self._known[:2] != (newest.change, held):
            hidden = sum(map(len, self._following.prepared_rows()))
            self._known = (newest.change, held, max(0, len(newest.alive()) + hidden - held))
        return self._known[2]

    def among(self, allowed: Allowed) -> int:
        """Of these."""
        if not self.count():
            return 0
        lacking, held = allowed.rows.copy(), self._spaces.rows()
        lacking[held[held < len(lacking)]] = False
        return int(np.count_nonzero(lacking))

    def problems(self) -> tuple[str, ...]:
        """For ``IndexStatus``: one line, or none."""
        if not (stale := self.count()):
            return ()
        return (
            f"{stale:,} of {len(self._catalogue.newest().alive()):,} passages have vectors of another encoder than "
            f"{self._spaces.encoder.revision} and are found by their words alone: `openbook reindex COLLECTION` makes them anew",
        )
