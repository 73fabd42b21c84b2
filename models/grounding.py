"""Models by others that say whether a text supports a claim, through transformers; what each says is made one thing.

| kind | is told by | supported is |
|---|---|---|
| NLI | a label that begins with "entail" | p(entailment); "contradiction", where there is one, contradicts |
| two classes (MiniCheck, HHEM as classifier) | two labels, none of them "entail…" | the one that is named so, else the second |
| one number (HHEM, a cross-encoder) | one label | σ(logit) |
| tokens (LettuceDetect) | …ForTokenClassification | 1 − the highest p(unsupported) of a token of the claim |

The text comes first and the claim second. A text longer than the model reads is read in overlapping windows: the best
window supports, and a token is unsupported only if it is in every window.
Code that a model's folder brings along is never run: models that need it (HHEM-2.1, T5-based MiniCheck) are refused.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from core.errors import ModelUnavailable

Kind: TypeAlias = Literal["classes", "number", "tokens"]

_LONGEST = 8192
_SUPPORTING = ("support", "consistent", "factual", "grounded", "faithful", "true", "yes")
_UNSUPPORTING = ("halluc", "unsupport", "not_support", "inconsist", "false", "no", "not_entail", "non_entail")
_BATCH = 8  # windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """Probabilities in [0, 1]; ``contradicted`` is 0 for models that do not tell it from silence."""

    supported: float
    contradicted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Which output means what. ``supported`` of kind "tokens" is the label of tokens that are."""

    kind: Kind
    supported: int
    contradicted: int | None


def heads_of(architecture: str, labels: Mapping[int, str]) -> Heads:
    """How the outputs of a model are read.

    Raises:
        ModelUnavailable: another architecture, or labels that mean nothing here.
    """
    names = {i: label.casefold().replace("-", "_").replace(" ", "_") for i, label in labels.items()}
    against = {i for i, n in names.items() if n.startswith(_UNSUPPORTING) or any(w in n for w in ("halluc", "unsupp"))}
    if architecture.endswith("ForTokenClassification") and len(names) == 2:
        return Heads(kind="tokens", supported=1 if against == {0} else 0, contradicted=None)
    if architecture.endswith("ForSequenceClassification"):
        if len(names) == 1:
            return Heads(kind="number", supported=0, contradicted=None)
        entailed = [i for i, n in names.items() if n.startswith("entail")]
        if len(entailed) == 1:
            opposite = [i for i, n in names.items() if n.startswith("contra")]
            return Heads(kind="classes", supported=entailed[0], contradicted=opposite[0] if opposite else None)
        if len(names) == 2:
            told = [i for i, n in names.items() if i not in against and any(w in n for w in _SUPPORTING)]
            supported = told[0] if len(told) == 1 else 1 - min(against) if len(against) == 1 else 1
            return Heads(kind="classes", supported=supported, contradicted=None)
    raise ModelUnavailable(
        f"a {architecture} with the labels {', '.join(labels.values())} does not say whether a text supports a claim: "
        "choose a sequence classifier with an entailment label, with two labels or with one, or a token classifier "
        "with two (an NLI, MiniCheck-, HHEM- or LettuceDetect-style model)"
    )


class GroundingModel:
    """Building it does nothing; the first use loads. Thread-safe: one call computes at a time.

    Args:
        name: a folder or a hub name.
        device: as torch names it; "auto" is CUDA where there is one.
    """

    def __init__(self, name: str, *, device: str = "auto") -> None:
        self.name = name
        self._device = device
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def load(self) -> None:
        """Reads the model; later calls do nothing. Raises ModelUnavailable as ``judge``."""
        self._load()

    def judge(self, claim: str, text: str) -> Grounding:
        """How well ``text`` supports ``claim``.

        Raises:
            ModelUnavailable: no such model, or one that does not say this.
        """
        loaded = self._load()
        with self._lock:
            return loaded.judge(claim, text)

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = _Loaded(self.name, self._device)
            return self._loaded


class _Loaded:
    def __init__(self, name: str, device: str) -> None:
        import torch
        from transformers import (
            AutoConfig,
            AutoModelForSequenceClassification,
            AutoModelForTokenClassification,
            AutoTokenizer,
        )

        try:
            config: Any = AutoConfig.from_pretrained(name, trust_remote_code=False)
            architecture = (getattr(config, "architectures", None) or ["unknown model"])[0]
            self._heads = heads_of(architecture, {int(i): str(n) for i, n in config.id2label.items()})
            auto: Any = (
                AutoModelForTokenClassification if self._heads.kind == "tokens" else AutoModelForSequenceClassification
            )
            self._model: Any = auto.from_pretrained(name, trust_remote_code=False, use_safetensors=True)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as e:
            raise ModelUnavailable(
                f"cannot load the verifier model {name!r}: {e}; set verifier_model to a folder with config.json, "
                "model.safetensors and tokenizer.json, or to a hub name that can be reached"
            ) from e
        self._torch: Any = torch
        self._device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._model = self._model.to(self._device).eval()
        said = [getattr(config, "max_position_embeddings", 0), self._tokenizer.model_max_length, _LONGEST]
        self._longest = min(int(n) for n in said if isinstance(n, int | float) and n > 0)
        if getattr(config, "model_type", "") in ("roberta", "xlm-roberta", "camembert"):
            self._longest -= 2  # their first two positions are padding's

    def judge(self, claim: str, text: str) -> Grounding:
        torch = self._torch
        room = max(1, self._longest // 2)
        claim = self._cut(claim, room)
        encoded = self._tokenizer(
            text,
            claim,
            truncation="only_first",
            max_length=self._longest,
            stride=min(64, self._longest // 4),
            return_overflowing_tokens=True,
            padding=True,
            return_tensors="pt",
        )
        n = encoded["input_ids"].shape[0]
        of_claim = torch.tensor([[s == 1 for s in encoded.sequence_ids(i)] for i in range(n)])  # (n, length)
        inputs = {k: v for k, v in encoded.items() if k in ("input_ids", "attention_mask", "token_type_ids")}
        logits: list[Any] = []
        with torch.no_grad():
            for a in range(0, n, _BATCH):
                part = {k: v[a : a + _BATCH].to(self._device) for k, v in inputs.items()}
                logits.append(self._model(**part).logits.float().cpu())
        return self._grounding(torch.cat(logits), of_claim)

    def _grounding(self, logits: Any, of_claim: Any) -> Grounding:
        heads = self._heads
        if heads.kind == "number":
            return Grounding(supported=float(logits[:, 0].sigmoid().max()), contradicted=0.0)
        p = logits.softmax(-1)
        if heads.kind == "tokens":
            per_window = [row[mask, heads.supported] for row, mask in zip(p, of_claim, strict=True)]
            best = self._torch.stack(per_window).max(0).values  # (n_claim_tokens,)
            return Grounding(supported=float(best.min()) if len(best) else 0.0, contradicted=0.0)
        contradicted = 0.0 if heads.contradicted is None else float(p[:, heads.contradicted].max())
        return Grounding(supported=float(p[:, heads.supported].max()), contradicted=contradicted)

    def _cut(self, text: str, pieces: int) -> str:
        """The beginning of ``text`` that has at most so many pieces: a claim must leave room for its evidence."""
        offsets = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        return text if len(offsets) <= pieces else text[: offsets[pieces - 1][1]]
