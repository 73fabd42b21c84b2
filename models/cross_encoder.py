"""Cross-encoders on the CPU through OpenVINO: two texts in, one number out.

A model is a folder. Either it is published by others and whole:

    config.json  model.safetensors  tokenizer.json          (BertForSequenceClassification with one label)

or it is trained in this repository from the packaged encoder, and holds only the tensors that training changed:

    config.json          BERT's own keys, and "base": {"name", "sha256"}, "pooling": "cls" | "mean", "max_length",
                         "mixing_weight" (of its score against the order before it, in [0, 1]; or null)
    model.safetensors    fp16 or fp32, under the names of BertForSequenceClassification; "classifier.*" at least
    README.md            the model card

What such a folder lacks is taken from the base, whose file must be the very one that it was trained from.
Not known here: what the number is for.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest, ModelUnavailable
from models.openvino_bert import LOGITS, Pooling, Weights, build_cross_encoder
from models.openvino_run import CompiledBert, Precision, check_precision
from models.packaged import MINILM, PackagedModel, sha256_of, verify
from models.tokenizer import PieceTokenizer

SHIPPED_RERANKER = Path(__file__).parent / "shipped" / "reranker"  # where the one of this repository lies, once trained

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
_OWN_NAMES = ("classifier.weight", "classifier.bias")
_PREFIX = "bert."
_SPECIAL = 3  # [CLS] a [SEP] b [SEP]
_LONGEST = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEncoderFiles:
    """A folder, read and checked. ``revision`` names the weights."""

    weights: Weights
    config: Mapping[str, Any]
    pooling: Pooling
    max_tokens: int
    tokenizer: Path
    revision: str
    mixing_weight: float | None = None


class OpenVinoCrossEncoder:
    """Building it does nothing; the first use loads. Thread-safe: calls from several threads share the loaded model."""

    def __init__(
        self, folder: Path, *, precision: Precision = "auto", threads: int = 0, batch_tokens: int = 1024
    ) -> None:
        """
        Args:
            folder: see this module.
            precision: "auto" is bf16 where the CPU computes in it, else fp32.
            threads: CPU threads; 0 is as many as this process may use.
            batch_tokens: word pieces in one batch, padding included.

        Raises:
            InvalidRequest: an unknown precision, or a number out of range.
        """
        check_precision(precision, "cross-encoder")
        if threads < 0 or batch_tokens < 1:
            raise InvalidRequest(
                f"threads={threads} and batch_tokens={batch_tokens}: use threads ≥ 0, batch_tokens ≥ 1"
            )
        self._folder = folder
        self._precision = precision
        self._threads = threads or len(os.sched_getaffinity(0))
        self._batch_tokens = batch_tokens
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def load(self) -> None:
        """Reads, checks and compiles; later calls do nothing.

        Raises:
            ModelUnavailable: no such folder, another architecture, damaged files, or bf16 asked of a CPU without it.
        """
        self._load()

    @property
    def revision(self) -> str:
        """Names weights, pooling and precision."""
        loaded = self._load()
        return f"{loaded.files.revision}-{loaded.files.pooling}-{loaded.bert.precision}"

    @property
    def mixing_weight(self) -> float | None:
        """How much its score counts against the order before it, in [0, 1]; None if the model does not say."""
        return self._load().files.mixing_weight

    @property
    def max_tokens(self) -> int:
        """Longest pair in word pieces, special tokens included; the longer text is cut."""
        return self._load().files.max_tokens

    @property
    def tokenizer(self) -> PieceTokenizer:
        return self._load().tokenizer

    def logits(self, first: str, seconds: Sequence[str]) -> NDArray[np.float32]:
        """(n,): the model's number for ``first`` with each of ``seconds``; higher is a better match, unbounded."""
        loaded = self._load()
        ids, types = loaded.pairs(first, seconds)
        found = np.zeros(len(ids), np.float32)
        for rows, out in loaded.bert.run(ids, LOGITS, self._batch_tokens, types):  # (batch, 1)
            found[rows] = out[:, 0]
        return found

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = _Loaded(read_cross_encoder(self._folder), self._precision, self._threads)
            return self._loaded


class _Loaded:
    """The compiled model and its tokenizer."""

    def __init__(self, files: CrossEncoderFiles, precision: Precision, threads: int) -> None:
        self.files = files
        self.tokenizer = PieceTokenizer.from_file(files.tokenizer)
        self._cls, self._sep, pad = (self.tokenizer.token_id(p) for p in ("[CLS]", "[SEP]", "[PAD]"))
        graph = build_cross_encoder(files.weights, files.config, files.pooling)
        self.bert = CompiledBert(graph, precision=precision, threads=threads, pad=pad, longest=files.max_tokens)

    def pairs(self, first: str, seconds: Sequence[str]) -> tuple[list[list[int]], list[list[int]]]:
        """Ids and segments of [CLS] first [SEP] second [SEP]."""
        room = self.files.max_tokens - _SPECIAL
        a, *rest = self.tokenizer.first_ids([first, *seconds], room)
        ids, types = [], []
        for b in rest:
            n_a, n_b = longest_first(len(a), len(b), room)
            ids.append([self._cls, *a[:n_a], self._sep, *b[:n_b], self._sep])
            types.append([0] * (n_a + 2) + [1] * (n_b + 1))
        return ids, types


def longest_first(n_a: int, n_b: int, room: int) -> tuple[int, int]:
    """How many pieces of each text are kept so that both fit: the longer is cut first, then both to half of the room.

    What the ``tokenizers`` library calls "longest_first", which cross-encoders are trained with.
    """
    if n_a + n_b <= room:
        return n_a, n_b
    short = min(n_a, n_b)
    long = max(short, room - short)
    if short + long > room:
        short, long = room // 2, room - room // 2
    return (short, long) if n_a <= n_b else (long, short)


def read_cross_encoder(folder: Path, base: PackagedModel = MINILM) -> CrossEncoderFiles:
    """Reads a folder of either kind; see this module.

    Args:
        base: the packaged model that a folder of this repository may build on.

    Raises:
        ModelUnavailable: a file is absent or damaged, or it is not a BERT with one label.
    """
    config = _json(folder / CONFIG)
    weights: Weights = _tensors(folder / WEIGHTS)
    revision = f"{folder.resolve().name}-{sha256_of(folder / WEIGHTS)[:12]}"
    tokenizer = folder / TOKENIZER
    n_labels = len(config.get("id2label") or {0: ""})
    if n_labels != 1:
        raise ModelUnavailable(f"{folder / CONFIG} has {n_labels} labels: a reranker has one")
    pooling = config.get("pooling", "cls")
    if pooling not in ("cls", "mean"):
        raise ModelUnavailable(f"{folder / CONFIG} has pooling {pooling!r}: this graph knows 'cls' and 'mean'")
    if "base" in config:
        weights = _over(base, config["base"], weights, folder)
        tokenizer = verify(base, only=(TOKENIZER,)) / TOKENIZER
    elif not tokenizer.is_file():
        raise ModelUnavailable(
            f"{folder} has no {TOKENIZER}: save the model with a fast tokenizer, or set reranker_runtime to "
            "sentence-transformers"
        )
    return CrossEncoderFiles(
        weights=weights,
        config=config,
        pooling=pooling,
        max_tokens=_max_tokens(folder, config),
        tokenizer=tokenizer,
        revision=revision,
        mixing_weight=_mixing_weight(folder, config),
    )


def _mixing_weight(folder: Path, config: Mapping[str, Any]) -> float | None:
    found = config.get("mixing_weight")
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 1:
        raise ModelUnavailable(f"{folder / CONFIG} has mixing_weight {found!r}: it is a number in [0, 1], or null")
    return float(found)


def _over(base: PackagedModel, named: Any, trained: Weights, folder: Path) -> Weights:
    """The base's tensors with the trained ones in their place."""
    wanted = {"name": base.name, "sha256": base.files[base.main_file]}
    if not isinstance(named, Mapping) or {k: named.get(k) for k in wanted} != wanted:
        raise ModelUnavailable(
            f"{folder / CONFIG} builds on {named!r}, but the packaged model is {wanted}: train it anew from that"
        )
    whole = {_PREFIX + name: w for name, w in _tensors(verify(base) / base.main_file).items()}
    for name, tensor in trained.items():
        if name in _OWN_NAMES:
            continue
        if name not in whole:
            raise ModelUnavailable(
                f"{folder / WEIGHTS} has a tensor {name!r} that {base.name} has not: its names are those of "
                "BertForSequenceClassification, such as 'bert.encoder.layer.5.output.dense.weight'"
            )
        if tensor.shape != whole[name].shape:
            raise ModelUnavailable(
                f"{folder / WEIGHTS}: {name!r} is {tensor.shape}, and {base.name} has {whole[name].shape}"
            )
    return {**whole, **trained}


def _max_tokens(folder: Path, config: Mapping[str, Any]) -> int:
    """The shortest of what config and tokenizer say."""
    said: list[Any] = [config.get("max_length"), config.get("max_position_embeddings"), _LONGEST]
    tokenizer_config = folder / "tokenizer_config.json"
    if tokenizer_config.is_file():
        said.append(_json(tokenizer_config).get("model_max_length"))
    found = min(int(n) for n in said if isinstance(n, int | float) and n > 0)
    if found < _SPECIAL + 2:
        raise ModelUnavailable(f"{folder} reads {found} word pieces, which leaves no room for two texts")
    return found


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as e:
        raise ModelUnavailable(f"cannot read {path}: {e.strerror or e}; {_HOW}") from e
    except ValueError as e:
        raise ModelUnavailable(f"{path} is not JSON: {e}; {_HOW}") from e
    if not isinstance(found, dict):
        raise ModelUnavailable(f"{path} is not an object; {_HOW}")
    return found


def _tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {name: np.asarray(w, np.float32) for name, w in load_file(path).items() if w.dtype.kind == "f"}
    except (OSError, KeyError, SafetensorError) as e:  # a KeyError is a number format that numpy has not, as bf16
        raise ModelUnavailable(f"cannot read {path}: {e}; {_HOW}") from e


_HOW = (
    "a cross-encoder is a folder with config.json, model.safetensors and tokenizer.json, as sentence-transformers or "
    "transformers save it"
)
