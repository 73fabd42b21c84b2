"""Models of a few thousand random weights, made on the spot: the real file formats with nothing downloaded."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

WORDS = ("word", "hello", "world", "after", "before", "short", "else", "passage", "query")


def save_tiny_sentence_transformer(
    folder: Path,
    *,
    max_tokens: int = 32,
    pooling: str = "mean",
    prompts: Mapping[str, str] | None = None,
    dim: int = 16,
) -> Path:
    """Saves a two-layer random BERT as sentence-transformers does and returns its folder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=dim,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * dim,
        max_position_embeddings=64,
        initializer_range=0.5,  # wide, so that different texts land far apart
    )
    raw = folder.with_name(folder.name + "-raw")
    BertModel(config).save_pretrained(raw)
    tokenizer = BertTokenizerFast(vocab={piece: i for i, piece in enumerate(vocabulary)})
    tokenizer.save_pretrained(raw)
    transformer = Transformer(str(raw), max_seq_length=max_tokens)
    model = SentenceTransformer(
        modules=[transformer, Pooling(dim, pooling_mode=pooling)], prompts=dict(prompts or {}), device="cpu"
    )
    model.save(str(folder))
    return folder


def save_tiny_colbert(
    folder: Path, layout: Literal["colbert", "pylate"], *, dim: int = 8, hidden: int = 16, query_tokens: int = 12
) -> Path:
    """Saves a two-layer random BERT with a projection as ColBERT does ("HF_ColBERT"), or PyLate; returns its folder."""
    import torch
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = [*_vocabulary(), "[unused0]", "[unused1]"]
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    weights = {name: value.clone().contiguous() for name, value in BertModel(config).state_dict().items()}
    projection = {"linear.weight": torch.randn(dim, hidden)}
    BertTokenizerFast(vocab={piece: i for i, piece in enumerate(vocabulary)}).save_pretrained(folder)
    known = {"format": "pt"}
    files: dict[str, object] = {}
    if layout == "colbert":
        save_file(
            {f"bert.{name}": value for name, value in weights.items()} | projection, folder / "model.safetensors", known
        )
        files["config.json"] = config.to_dict() | {"architectures": ["HF_ColBERT"]}
        files["artifact.metadata"] = {
            "dim": dim,
            "query_token_id": "[unused0]",
            "doc_token_id": "[unused1]",
            "query_maxlen": query_tokens,
            "doc_maxlen": 32,
        }
    else:
        (folder / "1_Dense").mkdir()
        save_file(weights, folder / "model.safetensors", known)
        save_file(projection, folder / "1_Dense" / "model.safetensors", known)
        files["config.json"] = config.to_dict() | {"architectures": ["BertModel"]}
        files["modules.json"] = [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
        ]
        files["1_Dense/config.json"] = {
            "in_features": hidden,
            "out_features": dim,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
        }
        files["sentence_bert_config.json"] = {"max_seq_length": 32, "do_lower_case": False}
        files["config_sentence_transformers.json"] = {
            "__version__": {"sentence_transformers": "3.3.1"},
            "prompts": {},
            "similarity_fn_name": "MaxSim",
            "query_prefix": "[unused0] ",
            "document_prefix": "[unused1] ",
            "query_length": query_tokens,
            "document_length": 32,
        }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def save_tiny_cross_encoder(folder: Path, *, dim: int = 16, labels: int = 1, max_tokens: int = 32) -> Path:
    """Saves a two-layer random BERT with a classifier as transformers does, with its tokenizer; returns its folder."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary()
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=dim,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * dim,
        max_position_embeddings=64,
        initializer_range=0.5,
        num_labels=labels,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer = BertTokenizerFast(vocab={piece: i for i, piece in enumerate(vocabulary)}, model_max_length=max_tokens)
    tokenizer.save_pretrained(folder)
    return folder


def save_tiny_grounding(
    folder: Path, labels: Sequence[str], *, bias: Sequence[float], tokens: bool = False, max_tokens: int = 32
) -> Path:
    """Saves a classifier of texts, or of tokens, with these labels, whose answer is its bias whatever it reads."""
    import torch
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        BertForTokenClassification,
        BertTokenizerFast,
    )

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary()
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    model = (BertForTokenClassification if tokens else BertForSequenceClassification)(config)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor(bias))
    model.save_pretrained(folder)
    tokenizer = BertTokenizerFast(vocab={piece: i for i, piece in enumerate(vocabulary)}, model_max_length=max_tokens)
    tokenizer.save_pretrained(folder)
    return folder


NAME_WORDS = ("Jane", "Doe", "Jean", "Luc", "Kowal", "J", "Ana")


def save_tiny_names(
    folder: Path,
    labels: Sequence[str] = ("O", "B-PER", "I-PER", "B-ORG"),
    *,
    max_tokens: int = 32,
    names: Sequence[str] = NAME_WORDS,
) -> Path:
    """Saves a token classifier that tags ``names`` as the second label and every other piece as the first.

    It really computes: a name is a direction of its embeddings, which the layers pass on and the classifier reads.
    """
    import torch
    from transformers import BertConfig, BertForTokenClassification, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = list(dict.fromkeys([*_vocabulary(), *names, *string.ascii_uppercase, "##ski", "met", "Acme"]))
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    model = BertForTokenClassification(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm" not in name:
                parameter.zero_()
        words = model.bert.embeddings.word_embeddings.weight
        words[:, 0] = 1.0
        for name in names:
            words[vocabulary.index(name), :2] = torch.tensor([0.0, 1.0])
        for label in range(min(2, len(labels))):
            model.classifier.weight[label, label] = 5.0
    model.save_pretrained(folder)
    tokenizer = BertTokenizerFast(
        vocab={piece: i for i, piece in enumerate(vocabulary)}, model_max_length=max_tokens, do_lower_case=False
    )
    tokenizer.save_pretrained(folder)
    return folder


def _vocabulary() -> list[str]:
    symbols = string.ascii_lowercase + string.digits + string.punctuation
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *symbols, *(f"##{s}" for s in symbols)]
