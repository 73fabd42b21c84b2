"""Arrays that were made, kept within a number of bytes. Knows neither what they are nor how they were made."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

K = TypeVar("K", bound=Hashable)


class ArrayMemory(Generic[K]):
    """What was used last stays. Thread-safe; what is put in is not to be changed afterwards.

    Args:
        limit_bytes: of all arrays together; 0 keeps nothing.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._kept: OrderedDict[K, tuple[NDArray[Any], ...]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> tuple[NDArray[Any], ...] | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: K, *arrays: NDArray[Any]) -> None:
        with self._lock:
            self._used += _size(arrays) - _size(self._kept.pop(key, ()))
            self._kept[key] = arrays
            while self._used > self._limit:
                _, gone = self._kept.popitem(last=False)
                self._used -= _size(gone)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._used = 0


def _size(arrays: tuple[NDArray[Any], ...]) -> int:
    return sum(array.nbytes for array in arrays)
