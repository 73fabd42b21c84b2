"""Any sentence-transformers model, by name or folder, with its own prompts, pooling and length; the encoder for CUDA.

A model that was trained for late interaction is read as what it is (``retrieval.encoders.multi_vector``).

torch and sentence_transformers are imported by ``load``, not by this module. Weights are safetensors or refused.
Not known here: chunking, storage, and what the vectors are for.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidRequest, ModelUnavailable
from core.types import Vectors
from models.openvino_run import check_precision
from models.packaged import sha256_of
from models.tokenizer import PieceTokenizer, check_texts, readable
from retrieval.encoders.multi_vector import (
    every_token,
    is_multi_vector,
    read_length,
    read_multi_vector,
    scored_tokens,
)

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder, SentenceTransformer

_Model = TypeVar("_Model")

Precision = Literal["auto", "fp32", "bf16"]
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")
_LEAST_ROOM = 4  # word pieces for a document, special ones included
_UNBOUNDED = 8192  # for a model that states no length: more than any chunk


class SentenceTransformersEncoder:
    """Building it does nothing; the first use loads. Thread-safe: one call computes at a time."""

    def __init__(
        self,
        model_name_or_path: str,
        device: str = "auto",
        precision: Precision = "auto",
        batch_size: int = 64,
    ) -> None:
        """
        Args:
            model_name_or_path: a hub name ("BAAI/bge-m3", once it is in the local hub cache or may be fetched) or a folder.
            device: "auto" is CUDA where there is one, else the CPU; or a torch device such as "cuda:1".
            precision: "auto" is bf16 on CUDA, else fp32.
            batch_size: texts computed together.

        Raises:
            InvalidRequest: an unknown precision, or a number out of range.
        """
        check_precision(precision, "encoder")
        if batch_size < 1:
            raise InvalidRequest(f"batch_size={batch_size}: use 1 or more")
        self._name = model_name_or_path
        self._device = device
        self._precision = precision
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self._loaded: _Loaded | _LoadedLate | None = None

    def load(self) -> None:
        """Reads the model; later calls do nothing.

        Raises:
            ModelUnavailable: no such model, no safetensors, or no such device.
        """
        self._load()

    @property
    def dim(self) -> int:
        return self._load().dim

    @property
    def max_tokens(self) -> int:
        return self._load().max_tokens

    @property
    def revision(self) -> str:
        return self._load().revision

    @property
    def tokenizer(self) -> PieceTokenizer:
        return self._load().tokenizer

    @property
    def device(self) -> str:
        """Where it computes, for example "cuda:0"."""
        return str(self._load().model.device)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """(n, dim), with the model's query prompt if it has one."""
        return self._encode(texts, "query")

    def encode_documents(self, texts: Sequence[str]) -> Vectors:
        """(n, dim), with the model's document prompt if it has one."""
        return self._encode(texts, "document")

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Per text (n_tokens, dim) before pooling, L2-normalised, special tokens included, without a prompt."""
        check_texts(texts)
        loaded = self._load()
        if not texts:
            return []
        with self._lock:
            return loaded.tokens([readable(t) for t in texts], self._batch_size)

    def encode_late(self, texts: Sequence[str], kind: Literal["query", "document"]) -> list[Vectors] | None:
        """See ``core.protocols.LateEncoder``."""
        check_texts(texts)
        loaded = self._load()
        if not isinstance(loaded, _LoadedLate):
            return None
        if not texts:
            return []
        with self._lock:
            return loaded.scored([readable(t) for t in texts], kind, self._batch_size)

    def _encode(self, texts: Sequence[str], kind: Literal["query", "document"]) -> Vectors:
        check_texts(texts)
        loaded = self._load()
        if not texts:
            return np.zeros((0, loaded.dim), np.float32)
        # The tokenizer inside cannot be shared by threads, and the device computes one batch at a time.
        with self._lock:
            return loaded.vectors([readable(t) for t in texts], kind, self._batch_size)

    def _load(self) -> _Loaded | _LoadedLate:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._name, self._device, self._precision)
            return self._loaded


def _load(name: str, device: str, precision: Precision) -> _Loaded | _LoadedLate:
    import torch

    device = resolve_device(device, torch)
    on_cuda = torch.device(device).type == "cuda"
    kept = ("bf16" if on_cuda else "fp32") if precision == "auto" else precision
    with no_progress_bars():
        kind = _LoadedLate if is_multi_vector(name) else _Loaded
    return kind(name, device, torch.bfloat16 if kept == "bf16" else torch.float32, kept)


class _Loaded:
    """The model on its device, and a tokenizer of our own that no truncation of its own can touch."""

    def __init__(self, name: str, device: str, dtype: Any, kept: str) -> None:
        self.model = _read(name, device, dtype, _read_pooled)
        self.dim = _dimension(self.model)
        length = int(self.model.get_max_seq_length() or _UNBOUNDED)
        self.tokenizer = _own_tokenizer(self.model, name)
        named, self.document_prompt = _document_prompt(self.model)
        self.max_tokens = _room(length, self.document_prompt, self.tokenizer, name)
        # Those that sentence-transformers does not find were left out before: other vectors, so another revision.
        found_here = f"-{named}" if named not in ("", "document") else ""
        self.revision = f"{_identity(name, self.model)}-{length}-{kept}{found_here}"

    def vectors(self, texts: list[str], kind: Literal["query", "document"], batch_size: int) -> Vectors:
        """(n, dim)"""
        encode = self.model.encode_query if kind == "query" else self.model.encode_document
        prompt = None if kind == "query" else self.document_prompt  # None: the model's own "query"
        found = encode(texts, prompt=prompt, batch_size=batch_size, convert_to_numpy=True, show_progress_bar=False)
        return _normalised(np.asarray(found, dtype=np.float32))

    def tokens(self, texts: list[str], batch_size: int) -> list[Vectors]:
        """Per text (n_tokens, dim)."""
        states = self.model.encode(
            texts, prompt="", output_value="token_embeddings", batch_size=batch_size, show_progress_bar=False
        )
        return [_normalised(one.float().cpu().numpy()) for one in states]


class _LoadedLate:
    """The same of a model that was trained for late interaction. A text's one vector is the mean of those that it is scored by."""

    def __init__(self, name: str, device: str, dtype: Any, kept: str) -> None:
        self.model = _read(name, device, dtype, read_multi_vector)
        self.dim = int(self.model.get_embedding_dimension() or 0)
        length = read_length(self.model) or _UNBOUNDED
        self.tokenizer = _own_tokenizer(self.model, name)
        _, marker = _document_prompt(self.model)
        self.max_tokens = _room(length, marker, self.tokenizer, name)
        self._n_marker = length - self.max_tokens
        # Without its projection the same folder gave other vectors under another name.
        self.revision = f"{_identity(name, self.model)}-{length}-{kept}-late"

    def vectors(self, texts: list[str], kind: Literal["query", "document"], batch_size: int) -> Vectors:
        """(n, dim)"""
        return _normalised(np.stack([one.mean(axis=0) for one in self.scored(texts, kind, batch_size)]))

    def tokens(self, texts: list[str], batch_size: int) -> list[Vectors]:
        """Per text (n_tokens, dim)."""
        return [_normalised(one) for one in every_token(self.model, texts, self._n_marker, batch_size)]

    def scored(self, texts: list[str], kind: Literal["query", "document"], batch_size: int) -> list[Vectors]:
        """Per text (n_tokens, dim); see ``core.protocols.LateEncoder``."""
        return [_normalised(one) for one in scored_tokens(self.model, texts, kind, batch_size)]


def resolve_device(device: str, torch: Any) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError as e:
        raise InvalidRequest(f"unknown device {device!r}: choose auto, cpu, cuda or cuda:N") from e
    if kind == "cuda" and not torch.cuda.is_available():
        raise ModelUnavailable(f"device {device!r} was asked for, but torch finds no CUDA device: use 'auto' or 'cpu'")
    return device


def _read_pooled(name: str, device: str, dtype: Any) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(
        name, device=device, trust_remote_code=False, model_kwargs={"dtype": dtype, "use_safetensors": True}
    )


def _read(name: str, device: str, dtype: Any, read: Callable[[str, str, Any], _Model]) -> _Model:
    try:
        with no_progress_bars():
            return read(name, device, dtype)
    except (OSError, ValueError, RuntimeError, ImportError) as e:
        first_line = (str(e).splitlines() or [type(e).__name__])[0]
        raise ModelUnavailable(
            f"cannot load the encoder {name!r}: {first_line} "
            "(give a folder saved by sentence-transformers with safetensors weights, or a hub name that is in the local "
            "hub cache or can be fetched)"
        ) from e


@contextmanager
def no_progress_bars() -> Iterator[None]:
    from transformers.utils import logging as logging_

    logging: Any = logging_  # its functions carry no types
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _dimension(model: SentenceTransformer) -> int:
    dim = model.get_embedding_dimension()
    return int(dim) if dim else int(model.encode(["a"], show_progress_bar=False).shape[1])


def _document_prompt(model: SentenceTransformer | MultiVectorEncoder) -> tuple[str, str]:
    """(its name, what stands before a document): the first of the usual names under which the model has one; else ("", "").

    Said to ``encode_document`` outright: of itself sentence-transformers 6 looks no further than "document", which every
    model has, be it empty, and so never finds a prompt that is called "passage" or "corpus".
    """
    prompts: dict[str, str | None] = dict(model.prompts or {})
    return next(((name, text) for name in _DOCUMENT_PROMPTS if (text := prompts.get(name))), ("", ""))


def _room(length: int, prompt: str, tokenizer: PieceTokenizer, name: str) -> int:
    """What is left of the model's length for a document behind its prompt: the end of a longer one would go unread."""
    room = length - tokenizer.count([prompt])[0] if prompt else length
    if room < _LEAST_ROOM:
        raise ModelUnavailable(
            f"the encoder {name!r} reads {length} word pieces, and its own document prompt leaves {room}: choose another"
        )
    return room


def _own_tokenizer(model: SentenceTransformer | MultiVectorEncoder, name: str) -> PieceTokenizer:
    from tokenizers import Tokenizer

    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelUnavailable(
            f"the encoder {name!r} has no fast tokenizer (tokenizer.json), which chunking needs: choose another model"
        )
    return PieceTokenizer(Tokenizer.from_str(backend.to_str()))


def _identity(name: str, model: SentenceTransformer | MultiVectorEncoder) -> str:
    """The hub name with its commit, or a folder's name with a hash of its files; safe in a file name."""
    folder = Path(name)
    if folder.is_dir():
        digest = hashlib.sha256()
        for path in sorted(p for p in folder.rglob("*") if p.suffix in (".safetensors", ".json", ".txt", ".model")):
            digest.update(f"{path.relative_to(folder).as_posix()}:{sha256_of(path)}\n".encode())
        label, version = folder.resolve().name, digest.hexdigest()[:12]
    else:
        config = getattr(model[0].auto_model, "config", None)
        label, version = name.replace("/", "--"), str(getattr(config, "_commit_hash", None) or "unknown")[:12]
    return re.sub(r"[^\w.-]", "_", f"{label}-{version}")


def _normalised(vectors: NDArray[np.float32]) -> Vectors:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    result: Vectors = vectors / np.maximum(norms, np.float32(1e-12))
    return result
