"""The packaged MiniLM on the CPU through OpenVINO.

Texts are sorted by length and cut into batches of a token budget, so that little is computed on padding. Batches run
side by side, one on each of a few streams, rather than each over all threads: there is nothing to wait for at the end
of every product, which matters most when the cores have other work as well.
Not known here: chunking, storage, and what the vectors are for.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest, ModelUnavailable
from core.types import Vectors
from models.convert import converted, revision_of
from models.openvino_bert import SENTENCES, TOKENS
from models.packaged import MINILM, verify
from models.tokenizer import PieceTokenizer

Precision = Literal["auto", "fp32", "bf16"]
_HINT = {"fp32": "f32", "bf16": "bf16"}
_DIM = 384
_MAX_TOKENS = 256  # sentence_bert_config.json; the model was trained on shorter texts and reads no further
_MAX_STREAMS = 4  # each holds the activations of one batch; past this, threads go to the streams that there are
_MAX_PADDING = 64  # tokens; to start one more batch costs about as much as 24
# Prepared products that the plugin keeps, one for each shape it has met and layer it is in. With its own 5,000 it grew by
# 70 MB over 1,100 batches of mixed shapes, and went on; with these by 33, as fast. With none it is larger still.
_KEPT_SHAPES = 100
_FEWEST_TOKENS = 256  # a batch is not cut smaller than this to give every stream one


class OpenVinoEncoder:
    """all-MiniLM-L6-v2: mean pooling over the mask, L2 norm, no prompts. Building it does nothing; the first use loads.

    Thread-safe: calls from several threads share the loaded model.
    """

    def __init__(
        self,
        cache_dir: Path,
        precision: Precision = "auto",
        threads: int = 0,
        batch_tokens: int = 1024,
        progress: Callable[[str], object] | None = None,
    ) -> None:
        """
        Args:
            cache_dir: where the converted model is kept (rebuildable).
            precision: "auto" is bf16 where the CPU computes in it, else fp32.
            threads: CPU threads; 0 is as many as this process may use.
            batch_tokens: word pieces in one batch, padding included.
            progress: is told in one line each what takes time while loading.

        Raises:
            InvalidRequest: an unknown precision, or a number out of range.
        """
        if precision not in ("auto", "fp32", "bf16"):
            raise InvalidRequest(f"unknown encoder precision {precision!r}: choose auto, fp32 or bf16")
        if threads < 0 or batch_tokens < 1:
            raise InvalidRequest(
                f"threads={threads} and batch_tokens={batch_tokens}: use threads ≥ 0, batch_tokens ≥ 1"
            )
        self._cache_dir = cache_dir
        self._precision = precision
        self._threads = threads or len(os.sched_getaffinity(0))
        self._batch_tokens = batch_tokens
        self._progress = progress
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def load(self) -> None:
        """Verifies, converts if need be, and compiles; later calls do nothing.

        Raises:
            ModelUnavailable: weights absent or damaged, or bf16 was asked of a CPU without it.
            StorageFailed: the cache folder cannot be written.
        """
        self._load()

    @property
    def dim(self) -> int:
        return _DIM

    @property
    def max_tokens(self) -> int:
        return _MAX_TOKENS

    @property
    def revision(self) -> str:
        return f"{revision_of(MINILM)}-mean-{self._load().precision}"

    @property
    def tokenizer(self) -> PieceTokenizer:
        return self._load().tokenizer

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """(n, dim); the model has no query prompt."""
        return self._encode(texts)

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """(n, dim); each text is cut at ``max_tokens``."""
        return self._encode(texts)

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Per text (n_tokens, dim), L2-normalised, [CLS] and [SEP] included."""
        loaded = self._load()
        inputs = loaded.inputs(texts)
        vectors: list[Vectors] = [np.zeros((0, _DIM), np.float32)] * len(inputs)
        for rows, out in loaded.run(inputs, TOKENS, self._batch_tokens):  # (batch, length, dim)
            for i, states in zip(rows, out, strict=True):
                vectors[i] = _normalised(states[: len(inputs[i])])
        return vectors

    def _encode(self, texts: Sequence[str]) -> Vectors:
        loaded = self._load()
        inputs = loaded.inputs(texts)
        vectors = np.zeros((len(inputs), _DIM), np.float32)
        for rows, out in loaded.run(inputs, SENTENCES, self._batch_tokens):
            vectors[rows] = out
        return _normalised(vectors)

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = _Loaded(self._cache_dir, self._precision, self._threads, self._progress)
            return self._loaded


class _Loaded:
    """The compiled model and its tokenizer."""

    def __init__(
        self, cache_dir: Path, precision: Precision, threads: int, progress: Callable[[str], object] | None
    ) -> None:
        import openvino as ov

        source = verify(MINILM, only=("tokenizer.json",))
        self.tokenizer = PieceTokenizer.from_file(source / "tokenizer.json")
        self._cls, self._sep, self._pad = (self.tokenizer.token_id(p) for p in ("[CLS]", "[SEP]", "[PAD]"))
        core = ov.Core()
        self.precision = resolve_precision(precision, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        path = converted(cache_dir, MINILM, progress)
        self._streams = min(threads, _MAX_STREAMS)
        try:
            self._compiled = core.compile_model(
                str(path),
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": _HINT[self.precision],
                    "INFERENCE_NUM_THREADS": threads,
                    "NUM_STREAMS": self._streams,
                    "CPU_RUNTIME_CACHE_CAPACITY": _KEPT_SHAPES,
                },
            )
        except RuntimeError as e:
            raise ModelUnavailable(f"OpenVINO cannot run {path}: {e}") from e
        self._idle: deque[Any] = deque()  # infer requests that no call is using; a deque's ends are thread-safe

    def inputs(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text with [CLS] and [SEP], cut at the model's length."""
        return [[self._cls, *ids, self._sep] for ids in self.tokenizer.first_ids(texts, _MAX_TOKENS - 2)]

    def run(
        self, inputs: Sequence[Sequence[int]], output: str, batch_tokens: int
    ) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
        """Computes ``output`` of all inputs; yields (row numbers, their values) as batches come in."""
        lengths = [len(ids) for ids in inputs]
        share = max(_FEWEST_TOKENS, -(-sum(lengths) // self._streams))
        running: deque[tuple[list[int], Any]] = deque()
        for rows in batches(lengths, min(batch_tokens, share)):
            if len(running) == self._streams:
                yield self._finish(*running.popleft(), output)
            request = self._request()
            request.start_async(self._padded([inputs[i] for i in rows]))
            running.append((rows, request))
        while running:
            yield self._finish(*running.popleft(), output)

    def _padded(self, inputs: Sequence[Sequence[int]]) -> dict[int, NDArray[np.int32]]:
        shape = (len(inputs), max(map(len, inputs)))
        ids = np.full(shape, self._pad, np.int32)
        mask = np.zeros(shape, np.int32)
        for row, one in enumerate(inputs):
            ids[row, : len(one)] = one
            mask[row, : len(one)] = 1
        return {0: ids, 1: mask}

    def _request(self) -> Any:
        try:
            return self._idle.pop()
        except IndexError:
            return self._compiled.create_infer_request()

    def _finish(self, rows: list[int], request: Any, output: str) -> tuple[list[int], NDArray[np.float32]]:
        request.wait()
        values = np.array(request.get_tensor(output).data, dtype=np.float32)  # a copy: the request is used again
        self._idle.append(request)
        return rows, values


def resolve_precision(wanted: Precision, capabilities: Sequence[str]) -> Literal["fp32", "bf16"]:
    """What "auto" means on a CPU with these OpenVINO ``capabilities``.

    Raises:
        ModelUnavailable: bf16 was asked for and the CPU has none.
    """
    has_bf16 = "BF16" in capabilities
    if wanted == "bf16" and not has_bf16:
        raise ModelUnavailable(
            f"encoder precision 'bf16' was asked for, but this CPU offers {', '.join(capabilities)} "
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


def _normalised(vectors: NDArray[np.float32]) -> Vectors:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    result: Vectors = vectors / np.maximum(norms, np.float32(1e-12))
    return result
