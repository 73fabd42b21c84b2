"""A BERT of a few thousand weights with a vocabulary of words, and a toy task that it can learn in seconds."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace

from models.tokenizer import PieceTokenizer
from models.train.batches import Cutter
from models.train.bert import Base, Bert
from models.train.cross_encoder import arguments
from models.train.pairs import DevQuery, Group, Mined, Passage

WORDS = ("good", "bad", "red", "blue", "green", "tall", "round", "what", "is", "title")
CONFIG = {
    "model_type": "bert",
    "vocab_size": 4 + len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
}


def tiny_base(folder: Path, seed: int = 0) -> Base:
    """A random base; its tokenizer lies in ``folder``."""
    vocabulary = {w: i for i, w in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(seed)
    model = Bert(CONFIG, "cls")
    tensors = {k.removeprefix("bert."): v.clone() for k, v in model.state_dict().items() if k.startswith("bert.")}
    return Base(tensors=tensors, config=CONFIG, tokenizer=folder / "tokenizer.json", name="tiny", sha256="0" * 64)


def toy(n: int = 24) -> Mined:
    """Groups whose positive says "good" and whose negatives say "bad", and a dev field of the same."""
    colours = ("red", "blue", "green", "tall", "round")
    passages: dict[str, Passage] = {}
    groups, dev = [], []
    for i in range(n):
        colour = colours[i % 5]
        for j in range(4):
            key = f"p{i}.{j}"
            text = f"{colour} is {'good' if j == 0 else 'bad'} {colours[(i + j) % 5]}"
            passages[key] = Passage(id=key, title="title", heading="", text=text)
        ids = tuple(f"p{i}.{j}" for j in range(4))
        groups.append(
            Group(
                id=f"g{i}",
                field="toy" if i % 2 else "other",
                query=f"what is {colour}",
                positives=ids[:1],
                negatives=ids[1:],
                fused=(1.0, 0.5, 0.25, 0.0),
                late=(0.9, 0.8, 0.2, 0.1),
            )
        )
        dev.append(
            DevQuery(
                id=f"q{i}", query=f"what is {colour}", candidates=ids[::-1], fused=(4, 3, 2, 1), relevant={ids[0]: 1}
            )
        )
    manifest = {"command": "a test", "groups": {"toy": n}, "licences": {"toy": "none"}, "overlaps": {}, "pairs": 4 * n}
    return Mined(passages=passages, groups=tuple(groups), dev={"toy": tuple(dev)}, manifest=manifest)


def options(folder: Path, *more: str) -> argparse.Namespace:
    """Options of the cross-encoder's command, small."""
    here = ["--pairs", str(folder / "pairs"), "--out", str(folder / "out"), "--run", str(folder / "out.run")]
    small = [
        "--device",
        "cpu",
        "--rate",
        "5e-3",
        "--trainable-layers",
        "2",
        "--batch-pairs",
        "16",
        "--max-length",
        "32",
    ]
    return arguments([*here, *small, *more])


def cutter(base: Base, mined: Mined, max_length: int = 32) -> Cutter:
    return Cutter(PieceTokenizer.from_file(base.tokenizer), mined.passages, max_length)
