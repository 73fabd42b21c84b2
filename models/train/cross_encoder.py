"""Trains the small cross-encoder from the packaged MiniLM on mined groups.

    python -m models.train.cross_encoder --pairs build/pairs --out models/shipped/reranker

The loss is a softmax over each group (listwise), mixed with a distance to the mined teacher (hybrid and late interaction)
where ``--distill`` is above 0. Training stops when the mean over dev fields of nDCG@10, mixed with the fused score at the
best common weight, gets no better.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import OpenbookError
from models.tokenizer import PieceTokenizer
from models.train import options as common
from models.train.batches import Batch, Cutter, batches
from models.train.bert import Bert, build, read_base
from models.train.dev import Measured, Scores, measure, some_of
from models.train.loop import Outcome, Run
from models.train.losses import distillation, listwise
from models.train.pairs import DevQuery, Group, Mined, read_mined
from models.train.save import model_card, save_model

COMMAND = "models.train.cross_encoder"
_WHAT = (
    "A small cross-encoder for reranking: query and passage in, one number out. The last layers of all-MiniLM-L6-v2 and a "
    "classifier, trained here; what is not in model.safetensors is the packaged model's own."
)
_NOT_FOR = (
    "It reads English best: other languages than those trained on are as good as the base's vocabulary lets them be.",
    "It reads query and passage together up to max_length word pieces; the rest of a passage is cut off.",
    "Its number orders passages for one query; it is no probability and not comparable between queries.",
    "It does not say whether a passage supports a claim: a passage that refutes the query ranks as high.",
)


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    try:
        run(options)
    except OpenbookError as e:
        say(e.message)
        return 1
    return 0


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line, read."""
    found = common.parser(COMMAND, __doc__, "models/shipped/reranker")
    found.add_argument("--pooling", choices=("mean", "cls"), default="mean")
    found.add_argument("--max-length", type=int, default=256, help="word pieces of query and passage together")
    found.add_argument("--batch-pairs", type=int, default=64, help="pairs in a batch, at most")
    found.add_argument("--distill", type=float, default=0.0, help="weight of the teacher in the loss, in [0, 1]")
    found.add_argument("--temperature", type=float, default=0.5, help="of the teacher's standardised scores")
    found.add_argument("--late-weight", type=float, default=0.5, help="of late interaction in the teacher")
    return found.parse_args(argv)


def run(options: argparse.Namespace) -> Measured | None:
    """Trains, measures on every dev query, saves; returns what was measured.

    Raises:
        OpenbookError: as the parts do.
    """
    common.use_threads(options.threads)
    common.seeded(options.seed)
    device = common.device_of(options.device)
    mined, base = read_mined(options.pairs), read_base(options.base)
    groups = common.chosen(mined, options.fields)
    model = build(base, options.pooling, options.trainable_layers)
    cutter = Cutter(PieceTokenizer.from_file(base.tokenizer), mined.passages, options.max_length)
    while_training = some_of(mined.dev, options.dev_queries, options.dev_depth, options.seed)
    outcome = train(
        model,
        groups,
        cutter,
        while_training,
        options,
        device,
        identity=common.identity(COMMAND, options, base.sha256),
    )
    load(model, outcome.tensors, device)
    half = options.precision == "bf16" or (options.precision == "auto" and device.type == "cuda")
    measured = measure_all(model, cutter, some_of(mined.dev, 0, options.dev_depth, options.seed), device, half)
    size = save_model(
        options.out,
        outcome.tensors,
        base,
        {
            "pooling": options.pooling,
            "max_length": options.max_length,
            "mixing_weight": measured.weight if measured is not None else None,
        },
        card(mined, options, outcome, measured, device),
    )
    say(f"{options.out}: {size / 1e6:.1f} MB")
    for name, field in (measured.fields if measured is not None else {}).items():
        say(f"{name}: hybrid {field.fused:.4f}, alone {field.alone:.4f}, mixed {field.mixed:.4f} (p {field.p:.4f})")
    return measured


def train(
    model: Bert,
    groups: Sequence[Group],
    cutter: Cutter,
    dev: Mapping[str, Sequence[DevQuery]],
    options: argparse.Namespace,
    device: torch.device,
    *,
    identity: str,
) -> Outcome:
    """Runs, or goes on with, a training run.

    Args:
        dev: measured while training; empty trains to the end.
        options: as the command line gives them.
    """

    def stream(epoch: int, start: int) -> Iterator[Batch]:
        return batches(
            groups,
            cutter,
            pairs=options.batch_pairs,
            title_dropout=options.title_dropout,
            late_weight=options.late_weight,
            seed=options.seed,
            epoch=epoch,
            start=start,
        )

    def loss(batch: Batch) -> Tensor:
        b = batch.to(device)
        table = b.table(model(b.ids, b.types, b.mask))
        found = listwise(table, b.right, b.there)
        if options.distill > 0:
            taught = distillation(table, b.teacher, b.there, options.temperature)
            found = (1 - options.distill) * found + options.distill * taught
        return found

    def look() -> tuple[float, dict[str, Any]]:
        found = measure(dev, scorer(model, cutter, device))
        return found.mean, {"weight": found.weight, "fields": {n: asdict(f) for n, f in found.fields.items()}}

    pairs = sum(len(g.positives) + len(g.negatives) for g in groups)
    work: Run[Batch] = Run(
        model,
        common.plan_of(options, max(1, round(pairs / options.batch_pairs))),
        common.run_folder(options),
        stream=stream,
        loss=loss,
        measure=look if dev else None,
        device=device,
        identity=identity,
        say=say,
    )
    return work.train()


def load(model: Bert, tensors: Mapping[str, Tensor], device: torch.device) -> None:
    """Puts the trained tensors into the model, through half precision, as they ship."""
    own = model.state_dict()
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor.to(device, torch.float16).float())


def scorer(
    model: Bert, cutter: Cutter, device: torch.device, batch: int = 128
) -> Callable[[Sequence[DevQuery]], list[Scores]]:
    """Scores the candidates of dev queries; pairs of like length are computed together."""

    def score(queries: Sequence[DevQuery]) -> list[Scores]:
        inputs: list[tuple[list[int], int]] = []
        for query in queries:
            (asked,) = cutter.pieces([query.query])
            texts = [cutter.text(i, with_title=True, with_heading=query.with_heading) for i in query.candidates]
            inputs += [cutter.pair(asked, passage) for passage in cutter.pieces(texts)]
        logits = np.zeros(len(inputs))
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i][0]))
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            logits[rows] = _logits(model, [inputs[i] for i in rows], cutter.pad, device)
        ends = np.cumsum([len(q.candidates) for q in queries])[:-1]
        return [np.asarray(part) for part in np.split(logits, ends)]

    return score


def measure_all(
    model: Bert, cutter: Cutter, dev: Mapping[str, Sequence[DevQuery]], device: torch.device, half: bool
) -> Measured | None:
    """The model as it stands on every dev query; None where there is no dev field. ``half``: computed in bf16."""
    model.eval()
    if not dev:
        return None
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=half):
        return measure(dev, scorer(model, cutter, device))


def _logits(
    model: Bert, inputs: Sequence[tuple[list[int], int]], pad: int, device: torch.device
) -> np.ndarray[Any, Any]:
    length = max(len(ids) for ids, _ in inputs)
    ids = torch.full((len(inputs), length), pad)
    types = torch.zeros(len(inputs), length, dtype=torch.long)
    mask = torch.zeros(len(inputs), length, dtype=torch.bool)
    for i, (found, first) in enumerate(inputs):
        ids[i, : len(found)] = torch.tensor(found)
        types[i, first : len(found)] = 1
        mask[i, : len(found)] = True
    with torch.no_grad():
        logits: np.ndarray[Any, Any] = model(ids.to(device), types.to(device), mask.to(device)).cpu().double().numpy()
    return logits


def card(
    mined: Mined, options: argparse.Namespace, outcome: Outcome, measured: Measured | None, device: torch.device
) -> str:
    p = outcome.progress
    return model_card(
        title="openbook reranker",
        what=_WHAT,
        command=common.command_line(COMMAND, options),
        manifest=mined.manifest,
        run={
            "steps": f"{p.step}, the best after {p.best_step}" + (", stopped early" if outcome.stopped_early else ""),
            "pairs": mined.manifest.get("pairs"),
            "time": f"{p.seconds / 60:.1f} minutes on {device.type}, torch {torch.__version__.split('+')[0]}",
            "seed": options.seed,
        },
        measured=measured,
        not_for=_NOT_FOR,
    )


def say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
