"""Which encoder revisions may be searched together: those of the same weights and pooling, computed in another precision.

An encoder that is told nothing computes in bf16 where the processor does and in fp32 where it does not, so a data directory that is
carried to another machine holds vectors of the other precision. They lie so near (docs/decisions/0293) that one query finds both.
Knows names and no models.
"""

from __future__ import annotations

import re

PRECISIONS = ("fp32", "bf16")
# "…-mean-bf16", and with the name of a prompt "…-512-bf16-passage": the last part that is a precision.
_PRECISION = re.compile(rf"(.+)-(?:{'|'.join(PRECISIONS)})((?:-[^-]+)?)")


def alike(revision: str) -> tuple[str, ...]:
    """``revision`` itself, then those that differ from it in precision alone."""
    found = _PRECISION.fullmatch(revision)
    if found is None:
        return (revision,)
    others = (f"{found[1]}-{precision}{found[2]}" for precision in PRECISIONS)
    return tuple(dict.fromkeys((revision, *others)))
