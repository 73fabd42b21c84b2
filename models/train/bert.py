"""The packaged BERT in plain torch, to train: tensors under the names of Hugging Face's BertForSequenceClassification.

    ids, types, mask  (batch, length)
      └─ embeddings ─ n layers ─ "states" (batch, length, dim)
           └─ pooled (batch, dim): mean over the mask, or tanh(pooler([CLS]))
                └─ classifier ─ logits (batch,)

Lower layers that are not trained run without a graph, so that they cost a forward pass and no memory.
Not known here: text, losses, files that are written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from core.errors import InvalidRequest, ModelUnavailable
from models.packaged import MINILM, verify

Pooling = Literal["mean", "cls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What training starts from: ``name`` and ``sha256`` say which file the shipped tensors will lie over."""

    tensors: Mapping[str, Tensor]  # under the names of BertModel
    config: Mapping[str, Any]
    tokenizer: Path
    name: str
    sha256: str


def read_base(folder: Path | None = None) -> Base:
    """The packaged MiniLM, or the copy of it in half precision that ``models.train.pack`` makes for another machine.

    Raises:
        ModelUnavailable: absent or damaged, or a folder without base.json.
    """
    name, sha256 = MINILM.name, MINILM.files[MINILM.main_file]
    try:
        if folder is None:
            folder = verify(MINILM)
        else:
            said = json.loads((folder / "base.json").read_text("utf-8"))
            name, sha256 = said["name"], said["sha256"]
        tensors = {k: v.float() for k, v in load_file(folder / "model.safetensors").items() if v.is_floating_point()}
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError, KeyError, SafetensorError) as e:
        raise ModelUnavailable(
            f"cannot read a base model in {folder}: {e}; make one with: python -m models.train.pack --out DIR"
        ) from e
    return Base(tensors=tensors, config=config, tokenizer=folder / "tokenizer.json", name=name, sha256=sha256)


class Bert(nn.Module):
    """Post-norm BERT with exact GELU (Devlin et al. 2019) and, on top, a classifier with one output."""

    def __init__(self, config: Mapping[str, Any], pooling: Pooling = "mean") -> None:
        super().__init__()
        if pooling not in ("mean", "cls"):
            raise InvalidRequest(f"unknown pooling {pooling!r}: choose mean or cls")
        self.pooling = pooling
        self.n_layers = int(config["num_hidden_layers"])
        self.dim = int(config["hidden_size"])
        self.dropout = float(config.get("hidden_dropout_prob", 0.1))
        self.bert = nn.ModuleDict(
            {
                "embeddings": _Embeddings(config),
                "encoder": nn.ModuleDict({"layer": nn.ModuleList(_Layer(config) for _ in range(self.n_layers))}),
            }
        )
        if pooling == "cls":
            self.bert["pooler"] = nn.ModuleDict({"dense": nn.Linear(self.dim, self.dim)})
        self.classifier = nn.Linear(self.dim, 1)
        nn.init.zeros_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)
        self.trained_layers = self.n_layers

    def train_last(self, layers: int) -> None:
        """Freezes all but the last ``layers`` and what is above them; all of them include the embeddings."""
        if not 0 <= layers <= self.n_layers:
            raise InvalidRequest(f"--trainable-layers {layers}: this model has 0 to {self.n_layers}")
        self.trained_layers = layers
        first = self.n_layers - layers
        for name, parameter in self.named_parameters():
            if name.startswith("bert.embeddings."):
                parameter.requires_grad_(layers == self.n_layers)
            elif name.startswith("bert.encoder.layer."):
                parameter.requires_grad_(int(name.split(".")[3]) >= first)

    def states(self, ids: Tensor, types: Tensor, mask: Tensor) -> Tensor:
        """The last layer, (batch, length, dim)."""
        first = self.n_layers - self.trained_layers
        with torch.set_grad_enabled(torch.is_grad_enabled() and first == 0):
            x = self.bert["embeddings"](ids, types)
        return self.upper(self.lower(x, mask), mask)

    def lower(self, x: Tensor, mask: Tensor) -> Tensor:
        """Through the layers that are not trained. They run without dropout: nothing of them can overfit."""
        first = self.n_layers - self.trained_layers
        with torch.no_grad():
            for layer in self._layers()[:first]:
                x = layer(x, mask, 0.0)
        return x

    def upper(self, x: Tensor, mask: Tensor) -> Tensor:
        """Through the layers that are trained."""
        rate = self.dropout if self.training else 0.0
        for layer in self._layers()[self.n_layers - self.trained_layers :]:
            x = layer(x, mask, rate)
        return x

    def pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        """(batch, dim)."""
        if self.pooling == "cls":
            return torch.tanh(self.bert["pooler"]["dense"](states[:, 0]))  # type: ignore[index]
        column = mask.unsqueeze(-1).to(states.dtype)
        return (states * column).sum(1) / column.sum(1).clamp(min=1)

    def forward(self, ids: Tensor, types: Tensor, mask: Tensor) -> Tensor:
        """Logits, (batch,), float32."""
        pooled = self.pooled(self.states(ids, types, mask), mask).float()
        with torch.autocast(device_type=ids.device.type, enabled=False):
            logits: Tensor = self.classifier(F.dropout(pooled, self.dropout, self.training)).squeeze(-1)
        return logits

    def trained(self) -> dict[str, Tensor]:
        """The tensors that training changes, by name."""
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}

    def trained_parameters(self) -> list[nn.Parameter]:
        return [p for p in self.parameters() if p.requires_grad]

    def _layers(self) -> Any:
        return self.bert["encoder"]["layer"]  # type: ignore[index]


def build(base: Base, pooling: Pooling, trained_layers: int) -> Bert:
    """A model with the base's tensors and an untrained head that says 0 for everything.

    Raises:
        ModelUnavailable: the base lacks a tensor, or has it in another shape.
    """
    model = Bert(base.config, pooling)
    missing, unexpected = [], []
    own = model.state_dict()
    for name, tensor in own.items():
        if name.startswith("classifier."):
            continue
        found = base.tensors.get(name.removeprefix("bert."))
        if found is None or found.shape != tensor.shape:
            missing.append(name)
        else:
            tensor.copy_(found)
    unexpected = [
        n for n in base.tensors if f"bert.{n}" not in own and not n.startswith(("pooler.", "embeddings.position_ids"))
    ]
    if missing or unexpected:
        raise ModelUnavailable(f"not the BERT that config.json describes: {(missing + unexpected)[:3]} do not fit")
    model.train_last(trained_layers)
    return model


class _Embeddings(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim = int(config["hidden_size"])
        self.word_embeddings = nn.Embedding(int(config["vocab_size"]), dim)
        self.position_embeddings = nn.Embedding(int(config["max_position_embeddings"]), dim)
        self.token_type_embeddings = nn.Embedding(int(config["type_vocab_size"]), dim)
        self.LayerNorm = nn.LayerNorm(dim, eps=float(config["layer_norm_eps"]))

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        places = self.position_embeddings.weight[: ids.shape[1]]
        x: Tensor = self.LayerNorm(self.word_embeddings(ids) + places + self.token_type_embeddings(types))
        return x


class _Layer(nn.Module):
    """Names as in Hugging Face's BertLayer, which is why the parts lie so deep."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        dim, wide = int(config["hidden_size"]), int(config["intermediate_size"])
        eps = float(config["layer_norm_eps"])
        self.heads = int(config["num_attention_heads"])
        self.attention = nn.ModuleDict(
            {
                "self": nn.ModuleDict({part: nn.Linear(dim, dim) for part in ("query", "key", "value")}),
                "output": nn.ModuleDict({"dense": nn.Linear(dim, dim), "LayerNorm": nn.LayerNorm(dim, eps=eps)}),
            }
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(dim, wide)})
        self.output = nn.ModuleDict({"dense": nn.Linear(wide, dim), "LayerNorm": nn.LayerNorm(dim, eps=eps)})

    def forward(self, x: Tensor, mask: Tensor, rate: float) -> Tensor:
        n, length, dim = x.shape
        parts: Any = self.attention["self"]
        query, key, value = (
            parts[part](x).view(n, length, self.heads, dim // self.heads).transpose(1, 2)  # (n, heads, length, head)
            for part in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        out: Any = self.attention["output"]
        x = out["LayerNorm"](x + F.dropout(out["dense"](mixed.transpose(1, 2).reshape(n, length, dim)), rate))
        wide = F.gelu(self.intermediate["dense"](x))
        found: Tensor = self.output["LayerNorm"](x + F.dropout(self.output["dense"](wide), rate))
        return found
