"""An index over texts that nobody stores, kept between runs: reading a corpus token by token takes minutes.

A cache only, as ``retrieval.vector_cache``: it can be deleted at any time, and a file that is damaged is made anew.
"""

from __future__ import annotations

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
from retrieval.late.pooling import POOLING, pool_neighbours
from retrieval.late.reading import read_passages
from retrieval.vector_cache import cache_key, read_arrays, write_arrays

logger = logging.getLogger(__name__)

_AT_ONCE = 32


def late_index_cached(
    encoder: Encoder,
    texts: Sequence[str],
    folder: Path,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> CompressedLateIndex | ExactLateIndex | None:
    """Row i is text i; None where there are no texts.

    Args:
        report: told (texts read, all texts).
    """
    if not texts:
        return None
    if len(texts) < FEW:
        tokens = read_passages(encoder, texts)
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
    index = build_late_index(encoder, texts, report)
    try:
        write_arrays(path, files.to_arrays(index))
    except StorageFailed as e:
        logger.warning("token vectors are not kept for the next run: %s", e)
    return index


def build_late_index(
    encoder: Encoder, texts: Sequence[str], report: Callable[[int, int], None] = lambda done, total: None
) -> CompressedLateIndex:
    """Reads some of the texts to train a codec, then all of them. At least one text."""
    order = np.random.default_rng(len(texts)).permutation(len(texts))
    sample: list[Vectors] = []
    n_tokens = 0
    for start in range(0, len(order), _AT_ONCE):
        for vectors in read_passages(encoder, [texts[i] for i in order[start : start + _AT_ONCE]]):
            pooled = pool_neighbours(vectors, POOLING)
            sample.append(pooled.astype(np.float16))
            n_tokens += len(pooled)
        if n_tokens >= sample_size(round(n_tokens / len(sample) * len(texts))):
            break
    expected = round(n_tokens / len(sample) * len(texts))
    index = CompressedLateIndex(train(np.concatenate(sample).astype(np.float32), n_tokens=expected), POOLING)
    for start in range(0, len(texts), _AT_ONCE):
        some = texts[start : start + _AT_ONCE]
        index.add(np.arange(start, start + len(some), dtype=np.int64), read_passages(encoder, some))
        report(start + len(some), len(texts))
    return index
