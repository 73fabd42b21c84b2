"""What ships: the trained tensors in half precision, the config that says what they lie over, and a model card.

    DIR/model.safetensors    trained tensors alone, fp16
        config.json          the base's keys, and "base", "pooling", "max_length", "trained", "mixing_weight"
        README.md            the model card, made from the run

``models.cross_encoder`` reads such a folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from core.errors import InvalidRequest, TooLarge
from models.train.bert import Base
from models.train.dev import Measured

MOST_BYTES = 12_000_000
_BERT_KEYS = (
    "model_type",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "layer_norm_eps",
    "max_position_embeddings",
    "type_vocab_size",
    "vocab_size",
)


def save_model(
    folder: Path,
    tensors: Mapping[str, Tensor],
    base: Base,
    said: Mapping[str, Any],
    card: str,
    most_bytes: int = MOST_BYTES,
) -> int:
    """Writes the folder and returns the size of the weights in bytes.

    Args:
        tensors: what was trained, by name.
        said: further keys of config.json.
        card: the text of README.md.

    Raises:
        TooLarge: more than ``most_bytes``; nothing is written.
        InvalidRequest: a tensor does not fit into half precision.
    """
    half: dict[str, Tensor] = {}
    for name, tensor in sorted(tensors.items()):
        half[name] = tensor.detach().to("cpu", torch.float16).contiguous()
        if not torch.isfinite(half[name]).all():
            raise InvalidRequest(f"{name} holds numbers that half precision has not: train with a lower --rate")
    size = sum(t.numel() * 2 for t in half.values())
    if size > most_bytes:
        raise TooLarge(
            f"the trained tensors take {size / 1e6:.1f} MB in half precision, and {most_bytes / 1e6:.0f} MB may ship: "
            "train fewer layers (--trainable-layers 3 takes 10.7)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    save_file(half, folder / "model.safetensors")
    config = {k: base.config[k] for k in _BERT_KEYS if k in base.config}
    config |= {"base": {"name": base.name, "sha256": base.sha256}, "trained": sorted(half), **said}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")
    (folder / "README.md").write_text(card, "utf-8")
    return size


def model_card(
    *,
    title: str,
    what: str,
    command: str,
    manifest: Mapping[str, Any],
    run: Mapping[str, Any],
    measured: Measured | None,
    not_for: Sequence[str],
) -> str:
    """The card in Markdown.

    Args:
        what: one paragraph.
        command: as it was typed, without paths of the machine.
        manifest: of the mined pairs.
        run: facts of the run, in the order to show.
        measured: on dev; None where nothing was.
        not_for: what it does not do, one sentence each.
    """
    lines = [f"# {title}", "", what, "", "## Made by", "", f"    {manifest.get('command', '')}", f"    {command}", ""]
    lines += [f"- {name}: {value}" for name, value in run.items()]
    lines += ["", "## Data", "", "| field | groups | licence |", "|---|---|---|"]
    licences = manifest.get("licences", {})
    lines += [f"| {name} | {n} | {licences.get(name, '')} |" for name, n in manifest.get("groups", {}).items()]
    lines += [
        "",
        "Train splits alone. Groups that touched a dev query or a passage relevant to one were dropped before: "
        f"{json.dumps(manifest.get('overlaps', {}))}. Test splits were not read.",
        "",
        "## Results on dev",
        "",
    ]
    if measured is None:
        lines += ["Nothing was measured.", ""]
    else:
        lines += [
            f"nDCG@10 of the hybrid's candidates. Mixed: {measured.weight} · this model + {1 - measured.weight:.1f} · fused, both "
            "min-max normalised; that weight and the number of steps were chosen on these very queries, so that the "
            "figures flatter. p: paired randomisation test of mixed against hybrid.",
            "",
            "| field | queries | hybrid | model alone | mixed | difference | p |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {f.n} | {f.fused:.4f} | {f.alone:.4f} | {f.mixed:.4f} | {f.mixed - f.fused:+.4f} | {f.p:.4f} |"
            for name, f in measured.fields.items()
        ]
        lines.append("")
    lines += ["## What it does not do", "", *(f"- {sentence}" for sentence in not_for), ""]
    return "\n".join(lines)
