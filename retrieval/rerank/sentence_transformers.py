"""Any sentence-transformers CrossEncoder, by name or folder; the reranker for CUDA.

torch and sentence_transformers are imported by ``load``, not by this module. Weights are safetensors or refused.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import InvalidRequest, ModelUnavailable
from core.types import Hit
from models.openvino_run import Precision, check_precision
from models.tokenizer import readable
from retrieval.rerank.cross_encoder import CROSS
from retrieval.rerank.order import Scores, check_rerank, ordered, passage_text

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder


class SentenceTransformersReranker:
    """A ``core.protocols.Reranker``. Building it does nothing; the first use loads.

    Thread-safe: one call computes at a time.
    """

    stage = CROSS

    def __init__(
        self, model_name_or_path: str, device: str = "auto", precision: Precision = "auto", batch_size: int = 32
    ) -> None:
        """
        Args:
            model_name_or_path: a hub name ("BAAI/bge-reranker-v2-m3", once it is in the local hub cache or may be
                fetched) or a folder.
            device: "auto" is CUDA where there is one, else the CPU; or a torch device such as "cuda:1".
            precision: "auto" is bf16 on CUDA, else fp32.
            batch_size: pairs computed together.

        Raises:
            InvalidRequest: an unknown precision, or a number out of range.
        """
        check_precision(precision, "reranker")
        if batch_size < 1:
            raise InvalidRequest(f"batch_size={batch_size}: use 1 or more")
        self._name = model_name_or_path
        self._device = device
        self._precision = precision
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self._model: CrossEncoder | None = None

    def mixing_weight(self, query: str, hits: Sequence[Hit]) -> float | None:
        """None: no model says."""
        del query, hits
        return None

    def load(self) -> None:
        """Reads the model; later calls do nothing.

        Raises:
            ModelUnavailable: no such model, no safetensors, several labels, or no such device.
        """
        with self._lock:
            self._load()

    def reads(self, query: str) -> bool:
        """True: which languages a model was made for, it does not say."""
        return True

    def rerank(self, query: str, hits: Sequence[Hit], k: int) -> list[Hit]:
        """The best ``k`` of ``hits`` by the model alone; raises InvalidRequest for an empty query or ``k`` below 1."""
        check_rerank(query, k)
        return ordered(hits, {CROSS: self.score(query, hits)}, CROSS, k)

    def score(self, query: str, hits: Sequence[Hit]) -> Scores:
        """(n,): the model's outputs before any sigmoid, so that both runtimes mix alike."""
        if not hits:
            return np.zeros(0)
        import torch

        pairs = [(readable(query), readable(passage_text(hit))) for hit in hits]
        with (
            self._lock
        ):  # the tokenizer inside cannot be shared by threads, and the device computes one batch at a time
            found = self._load().predict(
                pairs, batch_size=self._batch_size, activation_fn=torch.nn.Identity(), show_progress_bar=False
            )
        return np.asarray(found, dtype=np.float64)

    def _load(self) -> CrossEncoder:
        if self._model is None:
            self._model = _read(self._name, self._device, self._precision)
        return self._model


def _read(name: str, device: str, precision: Precision) -> CrossEncoder:
    import torch
    from sentence_transformers import CrossEncoder

    from retrieval.encoders.sentence_transformers import no_progress_bars, resolve_device

    device = resolve_device(device, torch)
    on_cuda = torch.device(device).type == "cuda"
    kept = ("bf16" if on_cuda else "fp32") if precision == "auto" else precision
    options: dict[str, Any] = {
        "dtype": torch.bfloat16 if kept == "bf16" else torch.float32,
        "use_safetensors": True,
    }
    try:
        with no_progress_bars():
            model: CrossEncoder = CrossEncoder(name, device=device, trust_remote_code=False, model_kwargs=options)
    except (OSError, ValueError, RuntimeError, ImportError) as e:
        first_line = (str(e).splitlines() or [type(e).__name__])[0]
        raise ModelUnavailable(
            f"cannot load the reranker {name!r}: {first_line} "
            "(give a folder saved by sentence-transformers with safetensors weights, or a hub name that is in the local "
            "hub cache or can be fetched)"
        ) from e
    if model.num_labels != 1:
        raise ModelUnavailable(f"the reranker {name!r} has {model.num_labels} labels: a reranker has one")
    return model
