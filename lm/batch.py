"""Several answers of one model side by side: one forward pass gives each of them its next token. Knows tokens, not text. Imported
where torch is.

A row is one answer. Its prompt is read in pieces, by itself; then its attention cache is laid beside those of the others, with
padding on the left, and it leaves when it has ended. transformers' own continuous batching was not used: see
docs/decisions/0240.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil
import torch
import transformers
from transformers.cache_utils import DynamicLayer

from lm.choosing import Choice

PIECE_TOKENS = 256  # of a prompt, read at a time: what the other answers wait for
_SHARE_OF_MEMORY = {"cuda": 0.6, "cpu": 0.25}  # of what is free once the model is loaded: for caches
_NEEDS = ("attention_mask", "position_ids", "past_key_values", "logits_to_keep")
# Whose angles depend on the longest text of a batch: one answer would change the others.
_ROPE_BY_LENGTH = ("dynamic", "longrope")


def batches(model: Any) -> bool:
    """Whether rows of ``model`` can be laid side by side: each of its layers keeps keys and values of all tokens, and a row's
    angles depend on that row alone. Not so with sliding windows, states (Mamba), layers that share a cache, or angles by length."""
    config = model.config.get_text_config(decoder=True)
    angles = getattr(config, "rope_parameters", None) or {}
    kinds = [angles] if "rope_type" in angles else [a for a in angles.values() if isinstance(a, dict)]
    if any(a.get("rope_type") in _ROPE_BY_LENGTH for a in kinds) or getattr(config, "num_kv_shared_layers", None):
        return False
    if model.config.is_encoder_decoder or not set(_NEEDS) <= set(inspect.signature(model.forward).parameters):
        return False
    layers = transformers.DynamicCache(config=model.config).layers
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def budget_tokens(model: Any) -> int:
    """How many tokens the caches of all rows may hold together, padding included, in the memory that is free now."""
    config = model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    one = 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize  # bytes: a key and a value in each layer
    kind = model.device.type
    free = torch.cuda.mem_get_info(model.device)[0] if kind == "cuda" else psutil.virtual_memory().available
    return int(free * _SHARE_OF_MEMORY.get(kind, 0.25) / one)


@dataclass(eq=False, slots=True)
class Row:
    """One answer while it is written.

    Args:
        tokens: of the prompt; what is said is appended.
        longest: tokens of prompt and answer together, at most.
        owner: whoever asked; not looked at here.
    """

    tokens: list[int]
    longest: int
    choice: Choice
    owner: Any = None
    read: int = 0  # of ``tokens``, so many are in the cache
    cache: Any = field(default=None, repr=False)  # while it is read by itself


Said = tuple[Row, int, float]  # a row, its next token, and the token's log-probability under the model itself


class Batch:
    """The rows that are written side by side.

    Args:
        budget: see ``budget_tokens``; a row that is alone may be longer.
    """

    def __init__(self, model: Any, budget: int) -> None:
        self._model = model
        self._budget = budget
        self._cache: Any = None
        self.rows: list[Row] = []

    def has_room(self, row: Row) -> bool:
        """Whether ``row`` may join, were every answer to become as long as it may."""
        longest = max([row.longest, *(r.longest for r in self.rows)])
        return not self.rows or (len(self.rows) + 1) * longest <= self._budget

    @torch.inference_mode()
    def read(self, row: Row) -> Said | None:
        """Reads the next piece of the prompt of ``row``, which has not joined. Its first token, if that was the last piece."""
        if row.cache is None:
            row.cache = transformers.DynamicCache(config=self._model.config)
        piece = row.tokens[row.read : row.read + PIECE_TOKENS]
        logits = self._pass([piece], row.cache, [0], row.read)
        row.read += len(piece)
        return self._choose([row], logits)[0] if row.read == len(row.tokens) else None

    @torch.inference_mode()
    def join(self, row: Row) -> None:
        """Lays ``row``, which has been read, beside the others."""
        mine, row.cache = row.cache, None
        if self._cache is None:
            self._cache = mine
        else:
            for ours, theirs in zip(self._cache.layers, mine.layers, strict=True):
                n = max(ours.keys.shape[-2], theirs.keys.shape[-2])
                ours.keys = torch.cat([_padded(ours.keys, n), _padded(theirs.keys, n)])
                ours.values = torch.cat([_padded(ours.values, n), _padded(theirs.values, n)])
        self.rows.append(row)

    @torch.inference_mode()
    def step(self) -> list[Said]:
        """The next token of each row."""
        width = max(row.read for row in self.rows)
        logits = self._pass(
            [row.tokens[-1:] for row in self.rows], self._cache, [width - r.read for r in self.rows], width
        )
        for row in self.rows:
            row.read += 1
        return self._choose(self.rows, logits)

    @torch.inference_mode()
    def leave(self, gone: Sequence[Row]) -> None:
        """Takes rows out; the others are not touched."""
        if not gone or not self.rows:
            return
        kept = [i for i, row in enumerate(self.rows) if row not in gone]
        if not kept:
            self.clear()
            return
        width = max(row.read for row in self.rows)
        self.rows = [self.rows[i] for i in kept]
        unused = width - max(row.read for row in self.rows)  # columns that are padding in every row by now
        index = torch.tensor(kept, device=self._model.device)
        for layer in self._cache.layers:
            layer.keys = layer.keys.index_select(0, index)[:, :, unused:]
            layer.values = layer.values.index_select(0, index)[:, :, unused:]

    def clear(self) -> None:
        """Takes all rows out and frees their memory."""
        self.rows, self._cache = [], None

    def _pass(self, tokens: list[list[int]], cache: Any, padding: list[int], width: int) -> torch.Tensor:
        """What the model says after ``tokens``: (rows, vocabulary) float32.

        Args:
            tokens: the same number of each row, which are not in ``cache`` yet.
            padding: columns of ``cache`` that are none of a row's, on its left.
            width: columns of ``cache``.
        """
        device = self._model.device
        new = torch.arange(width, width + len(tokens[0]), device=device)  # (n,)
        left = torch.tensor(padding, device=device).unsqueeze(1)  # (rows, 1)
        mask = None
        if any(padding):
            mask = (torch.arange(width + len(tokens[0]), device=device) >= left).long()  # (rows, width + n)
        out = self._model(
            input_ids=torch.tensor(tokens, device=device),  # (rows, n)
            attention_mask=mask,
            position_ids=new - left,  # (rows, n)
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        found: torch.Tensor = out.logits[:, -1].float()
        return found

    def _choose(self, rows: Sequence[Row], logits: torch.Tensor) -> list[Said]:
        best = logits.argmax(-1).tolist()
        chosen = [
            best[i] if row.choice.likeliest else row.choice(logits[i : i + 1], row.tokens) for i, row in enumerate(rows)
        ]
        index = torch.tensor(chosen, device=logits.device).unsqueeze(1)  # (rows, 1)
        likely = (logits.gather(1, index).squeeze(1) - logits.logsumexp(-1)).tolist()
        for row, token in zip(rows, chosen, strict=True):
            row.tokens.append(token)
        return list(zip(rows, chosen, likely, strict=True))


def _padded(cached: torch.Tensor, width: int) -> torch.Tensor:
    """(rows, heads, n, d) → (rows, heads, width, d), zeros on the left."""
    return torch.nn.functional.pad(cached, (0, 0, width - cached.shape[-2], 0))
