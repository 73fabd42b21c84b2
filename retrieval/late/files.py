"""An index of token vectors as one file of arrays (safetensors), looked through before it is believed.

Whether the bytes are those that were written is the caller's to check; here, whether they can be an index at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from core.errors import IndexDamaged
from retrieval.files import move_into_place, storage_errors
from retrieval.late.codec import Bits, Codec
from retrieval.late.compressed import CompressedLateIndex

VERSION = 2  # of what is in the file, and of how tokens are read and compressed; 2: from packed ones, pooled before

_Arrays = Mapping[str, NDArray[Any]]


def to_arrays(index: CompressedLateIndex) -> dict[str, NDArray[Any]]:
    """All that ``from_arrays`` needs."""
    codec = index.codec
    rows, lengths, codes, packed = index.content()
    return {
        "numbers": np.array([VERSION, codec.bits, codec.trained_on, index.pooling], dtype=np.int64),
        "projection": np.ascontiguousarray(codec.projection),
        "centroids": np.ascontiguousarray(codec.centroids),
        "step": codec.step,
        "rows": rows,
        "lengths": lengths.astype(np.int32),
        "codes": codes,
        "packed": np.ascontiguousarray(packed),
    }


def from_arrays(arrays: _Arrays, source: str) -> CompressedLateIndex:
    """
    Args:
        source: names where they came from, for messages.

    Raises:
        IndexDamaged: they do not fit together.
    """
    wanted: dict[str, tuple[type, int]] = {
        "numbers": (np.int64, 1), "projection": (np.float32, 2), "centroids": (np.float32, 2), "step": (np.float32, 1),
        "rows": (np.int64, 1), "lengths": (np.int32, 1), "codes": (np.uint16, 1), "packed": (np.uint8, 2),
    }  # fmt: skip
    for name, (kind, dimensions) in wanted.items():
        found = arrays.get(name)
        if found is None or found.dtype != kind or found.ndim != dimensions:
            raise IndexDamaged(f"{source} has no array {name!r} of {dimensions} dimensions of {np.dtype(kind)}")
    numbers, rows, lengths = arrays["numbers"].tolist(), arrays["rows"], arrays["lengths"]
    if len(numbers) != 4 or numbers[0] != VERSION or numbers[1] not in (1, 2, 4) or min(numbers) < 1:
        raise IndexDamaged(f"{source} is of another version or compression: {numbers}")
    codec = Codec(
        cast(Bits, numbers[1]), arrays["projection"], arrays["centroids"], arrays["step"], trained_on=numbers[2]
    )
    n_tokens = int(lengths.sum(dtype=np.int64))
    fits = (
        codec.centroids.shape[1] == codec.reduced == len(codec.step)
        and len(rows) == len(lengths)
        and arrays["codes"].shape == (n_tokens,)
        and arrays["packed"].shape == (n_tokens, codec.bytes_per_token - 2)
        and int(lengths.min(initial=1)) >= 1
        and int(rows.min(initial=0)) >= 0
        and len(np.unique(rows)) == len(rows)
        and int(arrays["codes"].max(initial=0)) < len(codec.centroids)
        and all(np.isfinite(a).all() for a in (codec.projection, codec.centroids, codec.step))
    )
    if not fits:
        raise IndexDamaged(f"the arrays of {source} do not fit together")
    index = CompressedLateIndex(codec, numbers[3])
    index.add_compressed((rows, lengths.astype(np.int64), arrays["codes"], arrays["packed"]))
    return index


def save(index: CompressedLateIndex, path: Path) -> None:
    """Writes a file that is whole or absent. Raises StorageFailed."""
    temporary = path.with_name(path.name + ".tmp")
    with storage_errors(f"write the token vectors to {path}"):
        try:
            safetensors.numpy.save_file(to_arrays(index), temporary)
            move_into_place(temporary, path)
        except SafetensorError as e:  # what it makes of a failed write
            raise OSError(str(e)) from e
        finally:
            temporary.unlink(missing_ok=True)


def load(path: Path) -> CompressedLateIndex:
    """Raises IndexDamaged."""
    try:
        arrays = safetensors.numpy.load_file(path)
    except (OSError, SafetensorError, KeyError, ValueError) as e:
        raise IndexDamaged(f"{path} cannot be read: {e}") from e
    return from_arrays(arrays, str(path))
