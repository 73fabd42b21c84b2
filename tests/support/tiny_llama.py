"""A tiny randomly initialised Llama with a tiny tokenizer, in a folder as a hub has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]


def build_llama(
    folder: Path,
    *,
    template: str | None = TEMPLATE,
    context: int = 512,
    layers: int = 2,
    seed: int = 5,
    letters: int = 256,
) -> Path:
    """32 wide, with a byte-level vocabulary of 260, or of fewer letters; the same ``seed`` makes the same model."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())[:letters]
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", additional_special_tokens=SPECIAL[1:]
    )
    wrapped.chat_template = template
    wrapped.save_pretrained(folder)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(alphabet) + len(SPECIAL),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=context,
        eos_token_id=wrapped.eos_token_id,
        bos_token_id=None,
        pad_token_id=None,
    )
    model: Any = LlamaForCausalLM(config)
    # So that a random model does not end its answers by itself.
    with torch.no_grad():
        model.lm_head.weight[len(alphabet) :] = 0.0
    model.save_pretrained(folder)
    return folder
