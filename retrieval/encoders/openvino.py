"""The packaged MiniLM on the CPU through OpenVINO.

Not known here: chunking, storage, and what the vectors are for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest
from core.types import Vectors
from models.convert import converted, revision_of
from models.openvino_bert import SENTENCES, TOKENS
from models.openvino_run import CompiledBert, Precision, check_precision
from models.packaged import MINILM, verify
from models.tokenizer import PieceTokenizer

_DIM = 384
_MAX_TOKENS = 256  # sentence_bert_config.json; the model was trained on shorter texts and reads no further


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
        check_precision(precision, "encoder")
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
        return f"{revision_of(MINILM)}-mean-{self._load().bert.precision}"

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
        for rows, out in loaded.bert.run(inputs, TOKENS, self._batch_tokens):  # (batch, length, dim)
            for i, states in zip(rows, out, strict=True):
                vectors[i] = _normalised(states[: len(inputs[i])])
        return vectors

    def encode_both(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        """``encode_documents`` and ``encode_tokens`` from one pass: a vector is the mean of its tokens'."""
        loaded = self._load()
        inputs = loaded.inputs(texts)
        vectors = np.zeros((len(inputs), _DIM), np.float32)
        tokens: list[Vectors] = [np.zeros((0, _DIM), np.float32)] * len(inputs)
        for rows, (means, states) in loaded.bert.run_all(inputs, (SENTENCES, TOKENS), self._batch_tokens):
            vectors[rows] = means
            for i, of_text in zip(rows, states, strict=True):
                tokens[i] = _normalised(of_text[: len(inputs[i])])
        return _normalised(vectors), tokens

    def encode_query_both(self, texts: Sequence[str]) -> tuple[Vectors, list[Vectors]]:
        """``encode_queries`` and ``encode_tokens`` from one pass: the model has no query prompt."""
        return self.encode_both(texts)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        loaded = self._load()
        inputs = loaded.inputs(texts)
        vectors = np.zeros((len(inputs), _DIM), np.float32)
        for rows, out in loaded.bert.run(inputs, SENTENCES, self._batch_tokens):
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
        source = verify(MINILM, only=("tokenizer.json",))
        self.tokenizer = PieceTokenizer.from_file(source / "tokenizer.json")
        self._cls, self._sep = (self.tokenizer.token_id(p) for p in ("[CLS]", "[SEP]"))
        path = converted(cache_dir, MINILM, progress)
        pad = self.tokenizer.token_id("[PAD]")
        self.bert = CompiledBert(str(path), precision=precision, threads=threads, pad=pad, longest=_MAX_TOKENS)

    def inputs(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text with [CLS] and [SEP], cut at the model's length."""
        return [[self._cls, *ids, self._sep] for ids in self.tokenizer.first_ids(texts, _MAX_TOKENS - 2)]


def _normalised(vectors: NDArray[np.float32]) -> Vectors:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    result: Vectors = vectors / np.maximum(norms, np.float32(1e-12))
    return result
