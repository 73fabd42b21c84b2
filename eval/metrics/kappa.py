"""Cohen's κ: how far two judges agree beyond what their habits alone would give."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def cohens_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """κ = (p_o − p_e) / (1 − p_e) (Cohen 1960); None where chance alone would agree always, and of no pairs.

    Args:
        pairs: what each of the two says of one thing.
    """
    if not pairs:
        return None
    n = len(pairs)
    names = {name for pair in pairs for name in pair}
    observed = sum(x == y for x, y in pairs) / n
    expected = sum((sum(x == c for x, _ in pairs) / n) * (sum(y == c for _, y in pairs) / n) for c in names)
    return (observed - expected) / (1 - expected) if expected < 1 else None
