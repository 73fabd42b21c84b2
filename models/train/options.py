"""What both training commands can be told, and what they say of it afterwards."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch

from core.errors import InvalidRequest
from models.train.loop import Plan
from models.train.pairs import GROUPS, Group, Mined

_PATHS = ("pairs", "out", "run", "base", "device")


def parser(command: str, doc: str | None, out: str) -> argparse.ArgumentParser:
    """The options that the cross-encoder and the encoder share."""
    found = argparse.ArgumentParser(prog=f"python -m {command}", description=(doc or "").split("\n", 1)[0])
    found.add_argument("--pairs", type=Path, required=True, metavar="DIR", help="what bench mine-pairs made")
    found.add_argument("--out", type=Path, required=True, help=f"the folder to write, for example {out}")
    found.add_argument("--run", type=Path, help="checkpoints and log (default build/NAME.run); a stopped run goes on")
    found.add_argument("--base", type=Path, help="what models.train.pack made (default: the packaged MiniLM)")
    found.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    found.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="auto: bf16 on CUDA")
    found.add_argument("--threads", type=int, default=0, help="CPU threads (0: torch's own choice)")
    found.add_argument("--fields", default="", help="train on these alone, comma-separated (default: all)")
    found.add_argument("--steps", type=int, default=0, help="updates (default: --epochs)")
    found.add_argument("--epochs", type=float, default=2.0)
    found.add_argument("--trainable-layers", type=int, default=3)
    found.add_argument("--rate", type=float, default=5e-5, help="peak learning rate")
    found.add_argument("--warmup", type=float, default=0.06, help="share of the steps")
    found.add_argument("--weight-decay", type=float, default=0.01)
    found.add_argument("--clip", type=float, default=1.0, help="largest norm of the gradient")
    found.add_argument("--title-dropout", type=float, default=0.3, help="share of groups read without titles")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--checkpoint-every", type=int, default=200)
    found.add_argument("--dev-every", type=int, default=200)
    found.add_argument("--dev-queries", type=int, default=100, help="of each field while training (0: all)")
    found.add_argument("--dev-depth", type=int, default=50, help="candidates that are reranked")
    found.add_argument("--patience", type=int, default=6, help="measurements without a new best (0: to the end)")
    return found


def plan_of(options: argparse.Namespace, steps_per_epoch: int) -> Plan:
    """The plan; ``--steps`` wins over ``--epochs``."""
    return Plan(
        steps=options.steps or max(1, round(options.epochs * steps_per_epoch)),
        peak_rate=options.rate,
        warmup=options.warmup,
        weight_decay=options.weight_decay,
        clip=options.clip,
        seed=options.seed,
        checkpoint_every=options.checkpoint_every,
        dev_every=options.dev_every,
        patience=options.patience,
        precision=options.precision,
    )


def run_folder(options: argparse.Namespace) -> Path:
    """Where checkpoints go: never beside what ships."""
    folder: Path = options.run or Path("build") / f"{options.out.name}.run"
    return folder


def device_of(name: str) -> torch.device:
    """Raises InvalidRequest for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as e:
        raise InvalidRequest(f"unknown device {name!r}: choose auto, cpu or cuda") from e
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InvalidRequest(
            f"--device {name}: torch sees no CUDA device here; use --device cpu, or torch's CUDA build"
        )
    return device


def chosen(mined: Mined, fields: str) -> tuple[Group, ...]:
    """The groups of the fields asked for; raises InvalidRequest for a field that is not there."""
    wanted = [f for f in fields.split(",") if f]
    there = {g.field for g in mined.groups}
    if unknown := [f for f in wanted if f not in there]:
        raise InvalidRequest(f"no groups of the field {unknown[0]!r}: there are {', '.join(sorted(there))}")
    return tuple(g for g in mined.groups if not wanted or g.field in wanted)


def command_line(command: str, options: argparse.Namespace) -> str:
    """The command without the machine's own paths, every option spelled out."""
    said = [
        f"--{k.replace('_', '-')} {v}" for k, v in vars(options).items() if k not in (*_PATHS, "threads") and v != ""
    ]
    return f"python -m {command} --pairs DIR --out {options.out.name} {' '.join(said)}"


def identity(command: str, options: argparse.Namespace, base_sha256: str) -> str:
    """What a checkpoint must share to be resumed: the data's bytes and every option that changes the computation."""
    digest = hashlib.sha256((options.pairs / GROUPS).read_bytes()).hexdigest()
    kept = {k: v for k, v in vars(options).items() if k not in (*_PATHS, "threads")}
    return json.dumps([command, digest, base_sha256, kept], sort_keys=True)


def use_threads(n: int) -> None:
    if n > 0:
        torch.set_num_threads(n)


def seeded(seed: int) -> None:
    """Before the model is built. CUDA sums in an order of its own: the same seed is the same weights on the CPU alone."""
    torch.manual_seed(seed)
