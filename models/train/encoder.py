"""Tunes the encoder on the same groups: contrastive, with hard negatives.

    python -m models.train.encoder --pairs build/pairs --out build/encoder

Multiple negatives ranking: each query against its positive, its hard negatives and everything else in the batch. What it
makes ships only if it wins on fields that it was not trained on, alone and within the hybrid: compare with
``openbook eval compare``. An index belongs to one encoder, so a tuned one means encoding every collection anew.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.errors import InvalidRequest, OpenbookError
from models.tokenizer import PieceTokenizer
from models.train import options as common
from models.train.batches import Cutter
from models.train.bert import Bert, build, read_base
from models.train.cross_encoder import load, say
from models.train.dev import Scores, measure, some_of
from models.train.loop import Run
from models.train.losses import multiple_negatives
from models.train.pairs import DevQuery, Group, read_mined
from models.train.save import model_card, save_model

COMMAND = "models.train.encoder"
SCALE = 20.0
_WHAT = (
    "all-MiniLM-L6-v2 tuned on this repository's groups: mean pooling, L2 norm, no prompts. What is not in "
    "model.safetensors is the packaged model's own."
)
_NOT_FOR = (
    "The results rerank the candidates of the untuned hybrid: they say nothing of what the tuned encoder would find.",
    "Vectors of the untuned encoder cannot be searched with it.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Word pieces of queries and passages. ``right`` is each query's column, ``hidden`` what its row leaves out."""

    queries: list[list[int]]
    passages: list[list[int]]
    right: Tensor  # (n,)
    hidden: Tensor  # (n, m) bool


def main(argv: Sequence[str] | None = None) -> int:
    found = common.parser(COMMAND, __doc__, "build/encoder")
    found.add_argument("--max-length", type=int, default=256, help="word pieces of a text")
    found.add_argument("--batch-queries", type=int, default=32, help="more make more in-batch negatives")
    found.add_argument("--hard", type=int, default=3, help="hard negatives of each query in a batch")
    options = found.parse_args(argv)
    try:
        return _train(options)
    except OpenbookError as e:
        say(e.message)
        return 1


def _train(options: Any) -> int:
    common.use_threads(options.threads)
    common.seeded(options.seed)
    device = common.device_of(options.device)
    mined, base = read_mined(options.pairs), read_base(options.base)
    groups = common.chosen(mined, options.fields)
    model = build(base, "mean", options.trainable_layers)
    for parameter in model.classifier.parameters():  # an encoder has none
        parameter.requires_grad_(False)
    cutter = Cutter(PieceTokenizer.from_file(base.tokenizer), mined.passages, options.max_length)
    dev = some_of(mined.dev, options.dev_queries, options.dev_depth, options.seed)

    def stream(epoch: int, start: int) -> Iterator[Contrast]:
        return contrasts(groups, cutter, options, epoch, start)

    def loss(batch: Contrast) -> Tensor:
        vectors = embed(model, [*batch.queries, *batch.passages], cutter, device)
        n = len(batch.queries)
        return multiple_negatives(vectors[:n], vectors[n:], batch.right.to(device), batch.hidden.to(device), SCALE)

    def look() -> tuple[float, dict[str, Any]]:
        found = measure(dev, lambda queries: cosines(model, cutter, queries, device))
        return found.mean, {"weight": found.weight, "fields": {n: asdict(f) for n, f in found.fields.items()}}

    run: Run[Contrast] = Run(
        model,
        common.plan_of(options, max(1, len(groups) // options.batch_queries)),
        common.run_folder(options),
        stream=stream,
        loss=loss,
        measure=look if dev else None,
        device=device,
        identity=common.identity(COMMAND, options, base.sha256),
        say=say,
    )
    outcome = run.train()
    load(model, outcome.tensors, device)
    model.eval()
    measured = None
    if dev:
        everything = some_of(mined.dev, 0, options.dev_depth, options.seed)
        measured = measure(everything, lambda queries: cosines(model, cutter, queries, device))
    p = outcome.progress
    card = model_card(
        title="openbook encoder",
        what=_WHAT,
        command=common.command_line(COMMAND, options),
        manifest=mined.manifest,
        run={
            "steps": f"{p.step}, the best after {p.best_step}",
            "time": f"{p.seconds / 60:.1f} minutes on {device.type}",
            "seed": options.seed,
        },
        measured=measured,
        not_for=_NOT_FOR,
    )
    said = {"pooling": "mean", "max_length": options.max_length}
    size = save_model(options.out, outcome.tensors, base, said, card)
    say(f"{options.out}: {size / 1e6:.1f} MB")
    for name, field in (measured.fields if measured is not None else {}).items():
        say(f"{name}: hybrid {field.fused:.4f}, cosine alone {field.alone:.4f}, mixed {field.mixed:.4f}")
    return 0


def contrasts(groups: Sequence[Group], cutter: Cutter, options: Any, epoch: int, start: int = 0) -> Iterator[Contrast]:
    """The batches of one epoch from the ``start``-th on; each is of one field, whose passages are harder to tell apart."""
    draw = random.Random(f"{options.seed}:{epoch}")
    by_field: dict[str, list[Group]] = {}
    for group in groups:
        by_field.setdefault(group.field, []).append(group)
    cut: list[list[Group]] = []
    for name in sorted(by_field):
        some = by_field[name]
        draw.shuffle(some)
        parts = [some[i : i + options.batch_queries] for i in range(0, len(some), options.batch_queries)]
        cut += [part for part in parts if len(part) > 1]
    draw.shuffle(cut)
    seeds = [draw.random() for _ in cut]
    for part, seed in list(zip(cut, seeds, strict=True))[start:]:
        yield contrast(part, cutter, options.hard, options.title_dropout, random.Random(seed))


def contrast(groups: Sequence[Group], cutter: Cutter, hard: int, title_dropout: float, draw: random.Random) -> Contrast:
    """A positive and ``hard`` negatives of each group. A passage that another group's query may have as an answer is
    hidden from that query: its positives, and any passage that stands twice."""
    if not groups:
        raise InvalidRequest("a batch needs a group")
    texts: list[str] = []
    ids: list[str] = []
    right: list[int] = []
    for group in groups:
        plain = draw.random() < title_dropout
        right.append(len(ids))
        chosen = [draw.choice(group.positives), *draw.sample(group.negatives, min(hard, len(group.negatives)))]
        ids += chosen
        texts += [cutter.text(i, with_title=not plain, with_heading=group.with_heading and not plain) for i in chosen]
    hidden = torch.zeros(len(groups), len(ids), dtype=torch.bool)
    for row, group in enumerate(groups):
        own = {i.removesuffix("-") for i in group.positives}  # with and without the query's sentence
        for column, found in enumerate(ids):
            hidden[row, column] = column != right[row] and found.removesuffix("-") in own
    queries = cutter.pieces([g.query for g in groups])
    return Contrast(queries=queries, passages=cutter.pieces(texts), right=torch.tensor(right), hidden=hidden)


def embed(model: Bert, texts: Sequence[list[int]], cutter: Cutter, device: torch.device) -> Tensor:
    """(n, dim), L2-normalised, float32."""
    whole = [[cutter.cls, *ids[: cutter.max_length - 2], cutter.sep] for ids in texts]
    length = max(map(len, whole))
    ids = torch.full((len(whole), length), cutter.pad)
    mask = torch.zeros(len(whole), length, dtype=torch.bool)
    for i, found in enumerate(whole):
        ids[i, : len(found)] = torch.tensor(found)
        mask[i, : len(found)] = True
    ids, mask = ids.to(device), mask.to(device)
    pooled = model.pooled(model.states(ids, torch.zeros_like(ids), mask), mask)
    return F.normalize(pooled.float(), dim=1)


def cosines(model: Bert, cutter: Cutter, queries: Sequence[DevQuery], device: torch.device) -> list[Scores]:
    """The cosine of each dev query with its candidates; each text is encoded once."""
    texts: dict[str, int] = {}
    for query in queries:
        for text in (query.query, *_candidates(query, cutter)):
            texts.setdefault(text, len(texts))
    pieces = cutter.pieces(list(texts))
    vectors = np.zeros((len(texts), model.dim), np.float32)
    order = sorted(range(len(pieces)), key=lambda i: len(pieces[i]))
    with torch.no_grad():
        for start in range(0, len(order), 128):
            rows = order[start : start + 128]
            vectors[rows] = embed(model, [pieces[i] for i in rows], cutter, device).cpu().numpy()
    return [
        (vectors[[texts[t] for t in _candidates(q, cutter)]] @ vectors[texts[q.query]]).astype(np.float64)
        for q in queries
    ]


def _candidates(query: DevQuery, cutter: Cutter) -> list[str]:
    return [cutter.text(i, with_title=True, with_heading=query.with_heading) for i in query.candidates]


if __name__ == "__main__":
    sys.exit(main())
