"""Loads what the transformers runtime runs: a causal model with its tokenizer, adapters, and models beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from core.errors import ModelUnavailable

DType = Literal["auto", "float32", "bfloat16", "float16"]


def load_causal(name: str, device: str, dtype: DType, setting: str) -> tuple[Any, Any]:
    """The tokenizer and the model ``name``, a hub name or a folder, on ``device``. Weights are read from safetensors only.

    Args:
        setting: what names it, for the message.

    Raises:
        ModelUnavailable: it is not there, or is not a causal language model with safetensors weights.
    """
    import transformers

    if dtype == "auto" and device == "cpu":
        dtype = "float32"
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(name, dtype=dtype, use_safetensors=True)
    except (OSError, ValueError, ImportError) as e:
        text = " ".join(str(e).split())[:300]
        raise ModelUnavailable(
            f"cannot load {name!r}: {text}; {setting} is a hub name or the folder of a causal language"
            " model with safetensors weights"
        ) from e
    model.to(device).eval()
    return tokenizer, model


def with_adapter(model: Any, adapter: Path) -> Any:
    """``model`` with the LoRA adapter in the folder ``adapter`` merged into its weights, so that it costs nothing after.

    Raises:
        ModelUnavailable: the folder is no LoRA adapter for this model, or its weights are not safetensors.
    """
    import peft

    missing = [n for n in ("adapter_config.json", "adapter_model.safetensors") if not (adapter / n).is_file()]
    if missing:
        raise ModelUnavailable(
            f"lm_adapter {str(adapter)!r} has no {' and no '.join(missing)}: it is the folder that PEFT saves a LoRA adapter to",
            code="bad-settings",
        )
    try:
        # On a key that the model lacks PEFT warns; an adapter for another model would so do nothing and seem to work.
        config = peft.PeftConfig.from_pretrained(str(adapter))
        config.base_model_name_or_path = None  # it may lie elsewhere by now; whether it fits is seen below
        wrapped = peft.get_peft_model(model, config)
        found = peft.load_peft_weights(str(adapter), device=str(model.device))
        result: Any = peft.set_peft_model_state_dict(wrapped, found)
        unknown = list(result.unexpected_keys)
        absent = [k for k in result.missing_keys if "lora_" in k]
        if unknown or absent:
            raise ValueError(f"{len(unknown)} of its weights fit nowhere and {len(absent)} are absent")
        return wrapped.merge_and_unload().eval()
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as e:
        text = " ".join(str(e).split())[:300]
        raise ModelUnavailable(
            f"lm_adapter {str(adapter)!r} does not fit the model: {text}; use an adapter that was trained for lm_model",
            code="bad-settings",
        ) from e


def speaks_alike(tokenizer: Any, other: Any) -> bool:
    """Whether two tokenizers give every token the same number."""
    ours: dict[str, int] = tokenizer.get_vocab()
    theirs: dict[str, int] = other.get_vocab()
    return ours == theirs


def stop_between_layers(model: Any, hook: Callable[..., None]) -> None:
    """Has ``hook`` called before each layer of ``model``: a cancel must end the reading of a long prompt too."""
    import torch

    for part in model.modules():
        if isinstance(part, torch.nn.ModuleList):
            for layer in part:
                layer.register_forward_pre_hook(hook)


def on_this_machine(device: str) -> str:
    """``device``, where "auto" is CUDA if there is one."""
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
