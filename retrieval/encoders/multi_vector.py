"""Models that were trained for late interaction (ColBERT), as sentence-transformers' MultiVectorEncoder reads them.

They have a projection behind the transformer, and read questions otherwise than passages: each behind a marker of its own, a
question filled up to a length with tokens that stand for what it does not say (Khattab and Zaharia 2020). Two layouts on disk lack
what would make sentence-transformers' other class see that: ColBERT's own ("HF_ColBERT"), whose projection it drops without a word, and
PyLate's, which it refuses. Weights are safetensors or refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from core.errors import ModelUnavailable
from core.types import Vectors

if TYPE_CHECKING:
    from sentence_transformers import MultiVectorEncoder

_OWN_LAYOUT = "HF_ColBERT"  # of ``architectures`` in config.json
_TYPES = ("MultiVectorEncoder", "ColBERT")  # ``model_type`` in config_sentence_transformers.json: its own, and PyLate's


def is_multi_vector(name: str) -> bool:
    """Whether a folder, or a model on the hub, says that it is one. A model that is not to be had says nothing."""
    own, modules = _config(name, "config.json"), _config(name, "modules.json")
    return (
        _OWN_LAYOUT in (own.get("architectures") or [])
        or _config(name, "config_sentence_transformers.json").get("model_type") in _TYPES
        or any(str(module.get("type", "")).startswith("pylate.") for module in modules.get("modules", []))
    )


def read_multi_vector(name: str, device: str, dtype: Any) -> MultiVectorEncoder:
    """
    Raises:
        ModelUnavailable: the projection is not safetensors.
        OSError, ValueError, RuntimeError, ImportError: as sentence-transformers, for what else is wrong with it.
    """
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.util import load_file_path

    modules = _config(name, "modules.json").get("modules", [])
    parts = [str(module.get("path") or "") for module in modules if "Dense" in str(module.get("type"))]
    for part in parts if modules else [""]:
        if load_file_path(name, "model.safetensors", subfolder=part) is None:
            where = f"its part {part!r}" if part else "it"
            raise ModelUnavailable(
                f"cannot load the encoder {name!r}: {where} has no model.safetensors, and weights in other files may hold code: "
                "save it anew as safetensors, or choose another model"
            )
    return MultiVectorEncoder(
        name, device=device, trust_remote_code=False, model_kwargs={"dtype": dtype, "use_safetensors": True}
    ).to(dtype=dtype)


def read_length(model: MultiVectorEncoder) -> int | None:
    """Word pieces that it reads of a passage, markers and special ones included; None if it states none."""
    stated = [n for n in (getattr(model[0], "document_length", None), model.max_seq_length) if n]
    return min(stated) if stated else None


def scored_tokens(
    model: MultiVectorEncoder, texts: Sequence[str], kind: Literal["query", "document"], batch_size: int
) -> list[Vectors]:
    """Per text (n, dim): all that the model's own MaxSim is summed over, or looks among."""
    encode = model.encode_query if kind == "query" else model.encode_document
    found: Any = encode(list(texts), batch_size=batch_size, show_progress_bar=False)  # a list, since it was given one
    return [one.float().cpu().numpy() for one in found]


def every_token(model: MultiVectorEncoder, texts: Sequence[str], n_marker: int, batch_size: int) -> list[Vectors]:
    """Per text (n, dim): its word pieces as parts of a passage between two special ones, also those that the model does not score.

    Args:
        n_marker: word pieces of what it reads before each passage; they are left out.
    """
    found: Any = model.encode_document(list(texts), output_value=None, batch_size=batch_size, show_progress_bar=False)
    padding = model.tokenizer.pad_token_id
    states = [one["token_embeddings"][one["input_ids"] != padding].float().cpu().numpy() for one in found]
    return [np.concatenate([one[:1], one[1 + n_marker :]]) for one in states]


def _config(name: str, file: str) -> dict[str, Any]:
    """A JSON file of a model; a list is under "modules". Empty if it is not there."""
    from sentence_transformers.util import load_file_path

    try:
        # What is here is not asked for again: without a network the hub's client tries for half a minute, file by file.
        path = load_file_path(name, file, local_files_only=True) or load_file_path(name, file)
        if path is None:
            return {}
        found = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # whoever loads the model says what is wrong with it
    return found if isinstance(found, dict) else {"modules": found}
