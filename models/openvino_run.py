"""Runs a BERT graph on the CPU: batches cut by length, side by side on a few streams.

Texts are sorted by length and cut into batches of a token budget, so that little is computed on padding. Batches run
one on each stream rather than each over all threads: there is nothing to wait for at the end of every product, which
matters most when the cores have other work as well.
Not known here: what the ids mean, and what the outputs are for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest, ModelUnavailable

Precision = Literal["auto", "fp32", "bf16"]
_HINT = {"fp32": "f32", "bf16": "bf16"}
_MAX_STREAMS = 4  # each holds the activations of one batch; past this, threads go to the streams that there are
_MAX_PADDING = 64  # tokens; to start one more batch costs about as much as 24
# Prepared products that the plugin keeps, one for each shape it has met and layer it is in. With its own 5,000 it grew by
# 70 MB over 1,100 batches of mixed shapes, and went on; with these by 33, as fast. With none it is larger still.
_KEPT_SHAPES = 100
_FEWEST_TOKENS = 256  # a batch is not cut smaller than this to give every stream one
# Rows of a batch are filled to a multiple of this. The plugin prepares its products anew for every shape, which took a fifth of
# the time where each batch had a length of its own: decision 0267.
_STRIDE = 16

_FIRST = threading.Lock()


class CompiledBert:
    """A compiled graph and its idle infer requests. Thread-safe."""

    def __init__(self, model: Any, *, precision: Precision, threads: int, pad: int, longest: int) -> None:
        """
        Args:
            model: an ``openvino.Model`` of ``models.openvino_bert``, or the path of a saved one.
            precision: "auto" is bf16 where the CPU computes in it, else fp32.
            threads: CPU threads, 1 or more.
            pad: the id that fills a batch.
            longest: how many ids the model reads at most; no batch is filled beyond.

        Raises:
            ModelUnavailable: bf16 was asked of a CPU without it, or OpenVINO cannot run the graph.
        """
        import openvino as ov

        # The binding looks numpy up at its first use, behind a lock of its own that it keeps while others may have the
        # interpreter's: of two threads that come first at once each waits for the other, and the process with them.
        with _FIRST:
            _ = ov.Tensor(np.zeros(1, np.float32)).data
        core = ov.Core()
        self.precision = resolve_precision(precision, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        self._streams = min(threads, _MAX_STREAMS)
        self._pad = pad
        self._longest = longest
        # A query alone: in float32 what is computed more costs as much as what need not be prepared.
        self._stride_alone = _STRIDE if self.precision == "bf16" else 1
        try:
            self._compiled = core.compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": _HINT[self.precision],
                    "INFERENCE_NUM_THREADS": threads,
                    "NUM_STREAMS": self._streams,
                    "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_SHAPES,
                },
            )
        except RuntimeError as e:
            raise ModelUnavailable(f"OpenVINO cannot run {model}: {e}") from e
        self._idle: deque[Any] = deque()  # infer requests that no call is using; a deque's ends are thread-safe

    def run(
        self,
        inputs: Sequence[Sequence[int]],
        output: str,
        batch_tokens: int,
        types: Sequence[Sequence[int]] | None = None,
    ) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        """``run_all`` of one output."""
        for rows, (values,) in self.run_all(inputs, (output,), batch_tokens, types):
            yield rows, values

    def run_all(
        self,
        inputs: Sequence[Sequence[int]],
        outputs: Sequence[str],
        batch_tokens: int,
        types: Sequence[Sequence[int]] | None = None,
    ) -> Iterator[tuple[list[int], list[NDArray[np.float32]]]]:
        """Computes ``outputs`` of all inputs; yields (row numbers, values of each output) as batches come in.

        Args:
            inputs: ids of each row, special tokens included.
            outputs: their names in the graph.
            batch_tokens: ids in one batch, padding included.
            types: the segment of each id, for a graph that has segments.
        """
        stride = _STRIDE if len(inputs) > 1 else self._stride_alone
        lengths = [max(len(ids), min(-(-len(ids) // stride) * stride, self._longest)) for ids in inputs]
        share = max(_FEWEST_TOKENS, -(-sum(lengths) // self._streams))
        running: deque[tuple[list[int], Any]] = deque()
        for rows in batches(lengths, min(batch_tokens, share)):
            if len(running) == self._streams:
                yield self._finish(*running.popleft(), outputs)
            request = self._request()
            request.start_async(self._padded(rows, max(lengths[row] for row in rows), inputs, types))
            running.append((rows, request))
        while running:
            yield self._finish(*running.popleft(), outputs)

    def _padded(
        self, rows: Sequence[int], length: int, inputs: Sequence[Sequence[int]], types: Sequence[Sequence[int]] | None
    ) -> dict[int, NDArray[np.int32]]:
        shape = (len(rows), length)
        ids = np.full(shape, self._pad, np.int32)
        mask = np.zeros(shape, np.int32)
        segments = np.zeros(shape, np.int32)
        for at, row in enumerate(rows):
            n = len(inputs[row])
            ids[at, :n] = inputs[row]
            mask[at, :n] = 1
            if types is not None:
                segments[at, :n] = types[row]
        return {0: ids, 1: mask} if types is None else {0: ids, 1: mask, 2: segments}

    def _request(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return self._compiled.create_infer_request()

    def _finish(
        self, rows: list[int], request: Any, outputs: Sequence[str]
    ) -> tuple[list[int], list[NDArray[np.float32]]]:
        request.wait()
        # Copies: the request is used again.
        values = [np.array(request.get_tensor(output).data, dtype=np.float32) for output in outputs]
        self._idle.append(request)
        return rows, values


def check_precision(precision: str, what: str) -> None:
    """Raises InvalidRequest for a precision that there is not; ``what`` is whose it is."""
    if precision not in ("auto", "fp32", "bf16"):
        raise InvalidRequest(f"unknown {what} precision {precision!r}: choose auto, fp32 or bf16")


def resolve_precision(wanted: Precision, capabilities: Sequence[str]) -> Literal["fp32", "bf16"]:
    """What "auto" means on a CPU with these OpenVINO ``capabilities``.

    Raises:
        ModelUnavailable: bf16 was asked for and the CPU has none.
    """
    has_bf16 = "BF16" in capabilities
    if wanted == "bf16" and not has_bf16:
        raise ModelUnavailable(
            f"precision 'bf16' was asked for, but this CPU offers {', '.join(capabilities)} "
            "(bf16 needs avx512_bf16 or amx_bf16): use 'auto' or 'fp32'",
            code="precision-unavailable",
        )
    if wanted == "auto":
        return "bf16" if has_bf16 else "fp32"
    return wanted


def batches(lengths: Sequence[int], batch_tokens: int, padding: int = _MAX_PADDING) -> Iterator[list[int]]:
    """Row numbers in batches, longest first.

    A batch is at most ``batch_tokens`` long after padding, of which at most ``padding`` tokens are padding; one row
    always fits.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        stop, wasted = start + 1, 0
        while stop < len(order) and longest * (stop + 1 - start) <= batch_tokens:
            wasted += longest - lengths[order[stop]]
            if wasted > padding:
                break
            stop += 1
        yield order[start:stop]
        start = stop
