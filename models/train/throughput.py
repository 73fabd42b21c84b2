"""How many pairs a second training takes, by layers trained; and what keeping the frozen layers' output would save and cost.

    python -m models.train.throughput [--device cuda] [--threads 2]

Invented pieces of the lengths that mined pairs have: no data is needed. Times are of whole steps (forward, backward, update).
On a CPU they are of processor time over all threads, divided by the threads: on a busy machine the clock says nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from core.errors import OpenbookError
from models.train.bert import Bert, build, read_base
from models.train.losses import listwise
from models.train.options import device_of, use_threads

_GROUP = 8
_SIZES = (136_000, 400_000)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m models.train.throughput", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--base", type=Path)
    parser.add_argument("--pairs", type=int, default=64, help="in a batch")
    parser.add_argument("--length", type=int, default=200, help="word pieces of a pair")
    parser.add_argument("--layers", default="6,3,2")
    parser.add_argument("--steps", type=int, default=3, help="the fastest counts: other work only ever slows")
    parser.add_argument("--precision", default="fp32,bf16")
    options = parser.parse_args(argv)
    try:
        use_threads(options.threads)
        device, base = device_of(options.device), read_base(options.base)
        lines = [
            f"{device.type}, torch {torch.__version__}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}, "
            f"batches of {options.pairs} pairs of {options.length} pieces",
            "",
            "| layers trained | precision | frozen layers | pairs/s | 136k pairs | 400k pairs | kept on disk for 136k |",
            "|---|---|---|---|---|---|---|",
        ]
        for layers in (int(n) for n in options.layers.split(",")):
            for precision in options.precision.split(","):
                model = build(base, "mean", layers).to(device).train()
                for kept in (False, True) if layers < model.n_layers else (False,):
                    speed = _speed(model, device, options, precision == "bf16", kept)
                    times = " | ".join(f"{n / speed / 60:.1f} min" for n in _SIZES)
                    disk = f"{_SIZES[0] * options.length * model.dim * 2 / 1e9:.0f} GB" if kept else ""
                    below = "none" if layers == model.n_layers else "kept" if kept else "computed"
                    lines.append(f"| {layers} | {precision} | {below} | {speed:.1f} | {times} | {disk} |")
                    sys.stderr.write(lines[-1] + "\n")
    except OpenbookError as e:
        sys.stderr.write(e.message + "\n")
        return 1
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _speed(model: Bert, device: torch.device, options: argparse.Namespace, half: bool, kept: bool) -> float:
    """Pairs a second of the fastest step."""
    optimizer = torch.optim.AdamW(model.trained_parameters(), lr=1e-5)
    generator = torch.Generator().manual_seed(0)
    shape = (options.pairs, options.length)
    ids = torch.randint(1000, 20_000, shape, generator=generator).to(device)
    types = (torch.arange(options.length) >= options.length // 8).long().expand(shape).to(device)
    mask = torch.ones(shape, dtype=torch.bool, device=device)
    rows = options.pairs // _GROUP
    right = (torch.arange(_GROUP) == 0).expand(rows, _GROUP).to(device)
    there = torch.ones_like(right)
    with torch.no_grad():
        below = model.lower(model.bert["embeddings"](ids, types), mask) if kept else None

    def logits() -> Tensor:
        if below is None:
            found: Tensor = model(ids, types, mask)
            return found
        pooled = model.pooled(model.upper(below, mask), mask).float()
        head: Tensor = model.classifier(pooled).squeeze(-1)
        return head

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            loss = listwise(logits()[: rows * _GROUP].float().view(rows, _GROUP), right, there)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.trained_parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return float(options.pairs / _fastest(step, options.steps, device))


def _fastest(work: Callable[[], None], repeats: int, device: torch.device) -> float:
    work()
    best = float("inf")
    for _ in range(repeats):
        _wait(device)
        started = _now(device)
        work()
        _wait(device)
        best = min(best, _now(device) - started)
    return best


def _now(device: torch.device) -> float:
    """Seconds: of the clock on a GPU; of each thread's processor time on a CPU."""
    if device.type == "cuda":
        return time.perf_counter()
    return time.process_time() / int(torch.get_num_threads())


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    sys.exit(main())
