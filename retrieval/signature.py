"""What of a text is compared to tell whether another says nearly the same: a MinHash of its shingles.

The share of equal values in two signatures estimates the Jaccard similarity of the texts' sets of five words in a row
(Broder 1997), with a standard error of √(J(1−J)/128): 0.035 at J = 0.8.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Signature = NDArray[np.uint32]  # (N_VALUES,)

N_VALUES = 128
SHINGLE_WORDS = 5
# Texts at least this alike are near-duplicates.
NEAR = 0.8
# Candidates share all values of a band: 1 − (1 − 0.8⁵)²⁵ = 99.995 % of the pairs at 0.8, 0.6 % of those at 0.3 … of
# which the signatures then decide.
BANDS, BAND_VALUES = 25, 5
_BATCH = 8192  # shingles
_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, its bits without pattern: 2⁶⁴ over the golden ratio
# A script without spaces gives a word per character.
_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")


def _nothing() -> None:
    pass


def signature_of(text: str, tick: Callable[[], None] = _nothing) -> Signature | None:
    """The signature of a text; None if it has no word. ``tick`` is called now and then in a long one."""
    from datasketch import MinHash

    sketch = MinHash(num_perm=N_VALUES, seed=1, hashfunc=int)  # what it is given is hashed already
    words = map(zlib.crc32, (w.encode("utf-8", "surrogatepass") for w in words_of(text)))
    carried = list(islice(words, SHINGLE_WORDS - 1))
    if not carried:
        return None
    first = True
    while True:
        some = carried + list(islice(words, _BATCH))
        if len(some) == len(carried) and not first:
            break
        sketch.update_batch(np.unique(_shingle_hashes(some)).tolist())
        carried, first = some[-(SHINGLE_WORDS - 1) :], False
        tick()
    return np.asarray(sketch.hashvalues, dtype=np.uint32)


def _shingle_hashes(words: list[int]) -> NDArray[np.uint32]:
    """Of each run of words in a row; of all of them where there are fewer than a run has."""
    hashes = np.array(words, dtype=np.uint64)
    n = max(1, len(hashes) - SHINGLE_WORDS + 1)
    mixed = np.zeros(n, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for i in range(min(SHINGLE_WORDS, len(hashes))):
            mixed = (mixed ^ hashes[i : i + n]) * _MIX
            mixed ^= mixed >> np.uint64(29)
    return (mixed >> np.uint64(32)).astype(np.uint32)


def words_of(text: str) -> Iterator[str]:
    """Its words without case; of a script without spaces, its characters."""
    return (m.group() for m in _WORDS.finditer(text.casefold()))


def similarity(a: Signature, b: Signature) -> float:
    """Share of equal values, in [0, 1]."""
    return float(np.count_nonzero(a == b)) / N_VALUES


def band_keys(signature: Signature) -> list[int]:
    """BANDS signed 64-bit numbers; near-duplicates have one in common, nearly always."""
    packed = signature.astype("<u4")
    keys = []
    for band in range(BANDS):
        part = packed[band * BAND_VALUES : (band + 1) * BAND_VALUES].tobytes()
        digest = hashlib.blake2b(part, digest_size=8, salt=band.to_bytes(8, "little")).digest()
        keys.append(int.from_bytes(digest, "little", signed=True))
    return keys


def to_bytes(signature: Signature) -> bytes:
    return signature.astype("<u4").tobytes()


def from_bytes(data: bytes) -> Signature:
    return np.frombuffer(data, dtype="<u4").astype(np.uint32)
