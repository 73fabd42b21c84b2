"""An index over texts that nobody stores, kept between runs: taking in a corpus token by token takes minutes.

It is given what the store would give, packed (``retrieval.late.packed``), so that what is measured is what is searched.

A cache only, as ``retrieval.vector_cache``: it can be deleted at any time, and a file that is damaged is made anew.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from core.errors import OpenbookError, StorageFailed
from core.protocols import Encoder
from core.types import Vectors
from retrieval.late import files
from retrieval.late.codec import sample_size, train
from retrieval.late.compressed import CompressedLateIndex
from retrieval.late.exact import FEW, ExactLateIndex
from retrieval.late.packed import Packed, unpack_pooled
from retrieval.late.reading import read_packed, token_dim
from retrieval.vector_cache import cache_key, read_arrays, write_arrays

logger = logging.getLogger(__name__)

_AT_ONCE = 32


def late_index_cached(
    encoder: Encoder,
    texts: Sequence[str],
    folder: Path,
    report: Callable[[int, int], None] = lambda done, total: None,
    packed: Sequence[Packed] = (),
) -> CompressedLateIndex | ExactLateIndex | None:
    """Row i is text i; None where there are no texts.

    Args:
        report: told (texts taken in, all texts).
        packed: token vectors of all texts, where they are there already; else they are read.
    """
    if not texts:
        return None

    @functools.cache
    def dim() -> int:  # the encoder is asked, so not where all is kept
        return token_dim(encoder)

    def tokens_of(places: Sequence[int]) -> list[Vectors]:
        some = [packed[i] for i in places] if packed else read_packed(encoder, [texts[i] for i in places])
        return [unpack_pooled(of_text, dim()) for of_text in some]

    if len(texts) < FEW:
        tokens = tokens_of(range(len(texts)))
        few = ExactLateIndex(tokens[0].shape[1])
        few.add(np.arange(len(texts), dtype=np.int64), tokens)
        report(len(texts), len(texts))
        return few
    path = folder / f"{cache_key(encoder, texts, f'late-{files.VERSION}')}.late.safetensors"
    if path.exists():
        try:
            found = files.from_arrays(read_arrays(path), str(path))
            report(len(texts), len(texts))
            return found
        except (OSError, SafetensorError, KeyError, ValueError, OpenbookError) as e:
            logger.warning("the cached token vectors %s are not used and are made anew: %s", path, e)
    index = build_late_index(len(texts), tokens_of, report)
    try:
        write_arrays(path, files.to_arrays(index))
    except StorageFailed as e:
        logger.warning("token vectors are not kept for the next run: %s", e)
    return index


def build_late_index(
    n: int,
    tokens_of: Callable[[Sequence[int]], list[Vectors]],
    report: Callable[[int, int], None] = lambda done, total: None,
) -> CompressedLateIndex:
    """Trains a codec on some of ``n`` ≥ 1 texts, then takes in all.

    Args:
        tokens_of: places → the pooled token vectors of the texts there.
    """
    order = np.random.default_rng(n).permutation(n).tolist()
    sample: list[Vectors] = []
    n_tokens = 0
    for start in range(0, n, _AT_ONCE):
        for vectors in tokens_of(order[start : start + _AT_ONCE]):
            sample.append(vectors.astype(np.float16))
            n_tokens += len(vectors)
        if n_tokens >= sample_size(round(n_tokens / len(sample) * n)):
            break
    expected = round(n_tokens / len(sample) * n)
    index = CompressedLateIndex(train(np.concatenate(sample).astype(np.float32), n_tokens=expected))
    for start in range(0, n, _AT_ONCE):
        places = range(start, min(n, start + _AT_ONCE))
        index.add(np.array(places, dtype=np.int64), tokens_of(places))
        report(places.stop, n)
    return index
