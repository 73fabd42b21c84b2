"""The training loop: AdamW, warm-up and decay, clipping, checkpoints, early stopping. Knows losses, not what they are of.

Every step seeds the generators anew from (seed, step), and the order of batches follows from (seed, epoch): a run that was
stopped and resumed computes what it would have computed, bit for bit on one CPU. A checkpoint is a safetensors file of
the trained tensors and AdamW's two moments; it is written beside and renamed, so a stop loses ``checkpoint_every`` steps
at most.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.errors import InvalidRequest, OpenbookError
from models.train.bert import Bert
from models.train.schedule import rate

T = TypeVar("T")
Precision = Literal["auto", "fp32", "bf16"]
CHECKPOINT, BEST, LOG = "checkpoint.safetensors", "best.safetensors", "log.jsonl"
_SEED_STRIDE = 1_000_003


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``steps`` updates of ``accumulate`` batches each. Measured every ``dev_every`` steps; ends after ``patience``
    measurements without a new best (0: never)."""

    steps: int
    peak_rate: float = 5e-5
    head_factor: float = 10.0  # the classifier starts from nothing and learns this much faster
    warmup: float = 0.06
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    checkpoint_every: int = 200
    dev_every: int = 200
    patience: int = 6
    accumulate: int = 1
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if min(self.steps, self.checkpoint_every, self.dev_every, self.accumulate) < 1 or self.patience < 0:
            raise InvalidRequest(
                f"steps {self.steps}, checkpoint every {self.checkpoint_every}, dev every {self.dev_every}, accumulate "
                f"{self.accumulate}, patience {self.patience}: the first four are at least 1, the last at least 0"
            )


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where a run stands; what a checkpoint holds besides tensors."""

    step: int = 0
    epoch: int = 0
    batch: int = 0  # of the epoch, that comes next
    best: float = -math.inf
    best_step: int = 0
    since_best: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)  # of the steps since the last line of the log


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    progress: Progress
    tensors: dict[str, Tensor]  # of the best step, or of the last where nothing was measured
    stopped_early: bool


class Run(Generic[T]):
    """One training run in a folder of its own."""

    def __init__(
        self,
        model: Bert,
        plan: Plan,
        folder: Path,
        *,
        stream: Callable[[int, int], Iterator[T]],
        loss: Callable[[T], Tensor],
        measure: Callable[[], tuple[float, dict[str, Any]]] | None,
        device: torch.device,
        identity: str,
        say: Callable[[str], object],
    ) -> None:
        """
        Args:
            folder: holds checkpoint, best tensors and log; a checkpoint that is there is resumed.
            stream: (epoch, first batch) → the rest of the epoch's batches.
            loss: of one batch, with a graph.
            measure: the number to make large, and what else the log should hold; None trains to the end.
            identity: what the run is of (data, options); a checkpoint of another one is refused.
        """
        self._model, self._plan, self._folder = model.to(device), plan, folder
        self._stream, self._loss, self._measure = stream, loss, measure
        self._device, self._identity, self._say = device, identity, say
        self._optimizer = torch.optim.AdamW(_parameter_groups(model, plan), lr=plan.peak_rate)
        self._kept = "bf16" if plan.precision == "auto" and device.type == "cuda" else plan.precision

    def train(self) -> Outcome:
        """Trains to the end, or until measuring gets no better.

        Raises:
            OpenbookError: the loss is no number.
            InvalidRequest: the folder holds a checkpoint of another run, or there is nothing to train on.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        p = self._resumed()
        started = time.perf_counter() - p.seconds
        batches = self._stream(p.epoch, p.batch)
        stopped = self._out_of_patience(p)
        while p.step < self._plan.steps and not stopped:
            p.step += 1
            torch.manual_seed(self._plan.seed * _SEED_STRIDE + p.step)
            for group in self._optimizer.param_groups:
                group["lr"] = group["factor"] * rate(p.step, self._plan.steps, self._plan.peak_rate, self._plan.warmup)
            total = 0.0
            for _ in range(self._plan.accumulate):
                batch, batches = self._next(p, batches)
                total += self._backward(batch)
            torch.nn.utils.clip_grad_norm_(self._model.trained_parameters(), self._plan.clip)
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
            p.losses.append(total)
            p.seconds = time.perf_counter() - started
            if p.step % self._plan.dev_every == 0 or p.step == self._plan.steps:
                self._look(p)
                stopped = self._out_of_patience(p)
            if p.step % self._plan.checkpoint_every == 0 or stopped or p.step == self._plan.steps:
                self._save(p)
        best = self._folder / BEST
        tensors = load_file(best) if best.is_file() else {k: v.cpu() for k, v in self._model.trained().items()}
        return Outcome(progress=p, tensors=tensors, stopped_early=stopped)

    def _next(self, p: Progress, batches: Iterator[T]) -> tuple[T, Iterator[T]]:
        for _ in range(2):
            batch = next(batches, None)
            if batch is not None:
                p.batch += 1
                return batch, batches
            p.epoch, p.batch = p.epoch + 1, 0
            batches = self._stream(p.epoch, 0)
        raise InvalidRequest("there is no batch to train on: mine more groups, or choose other fields")

    def _backward(self, batch: T) -> float:
        self._model.train()
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._kept == "bf16"):
            loss = self._loss(batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise OpenbookError(f"the loss is {value}: lower --rate, or train with --precision fp32")
        (loss / self._plan.accumulate).backward()  # type: ignore[no-untyped-call]
        return value / self._plan.accumulate

    def _look(self, p: Progress) -> None:
        """Measures; keeps the tensors if they are the best so far; writes a line of the log."""
        value = math.nan
        more: dict[str, Any] = {}
        if self._measure is not None:
            self._model.eval()
            with torch.no_grad(), torch.autocast(self._device.type, torch.bfloat16, enabled=self._kept == "bf16"):
                value, more = self._measure()
            if value > p.best:
                p.best, p.best_step, p.since_best = value, p.step, 0
                _write(self._folder / BEST, self._model.trained(), {})
            else:
                p.since_best += 1
        loss = sum(p.losses) / max(1, len(p.losses))
        p.losses = []
        line = {"step": p.step, "seconds": round(p.seconds, 1), "loss": round(loss, 5), "dev": round(value, 5), **more}
        with (self._folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        self._say(f"step {p.step} of {self._plan.steps}, {p.seconds:.0f} s: loss {loss:.4f}, dev {value:.4f}")

    def _out_of_patience(self, p: Progress) -> bool:
        return 0 < self._plan.patience <= p.since_best

    def _save(self, p: Progress) -> None:
        tensors = dict(self._model.trained())
        for name, parameter in self._model.named_parameters():
            for moment, value in self._optimizer.state.get(parameter, {}).items():
                tensors[f"{moment}:{name}"] = value
        _write(
            self._folder / CHECKPOINT,
            tensors,
            {"progress": json.dumps(asdict(p)), "identity": self._identity, "plan": json.dumps(asdict(self._plan))},
        )

    def _resumed(self) -> Progress:
        path = self._folder / CHECKPOINT
        if not path.is_file():
            for stale in (BEST, LOG):
                (self._folder / stale).unlink(missing_ok=True)
            return Progress()
        try:
            with safe_open(path, "pt") as file:
                said = file.metadata()
            tensors = load_file(path)
        except (OSError, SafetensorError) as e:
            raise InvalidRequest(f"cannot read the checkpoint {path}: {e}; delete it to start anew") from e
        if said["identity"] != self._identity or json.loads(said["plan"]) != asdict(self._plan):
            raise InvalidRequest(
                f"{path} is of another run: pass that run's options and data, choose another --run folder, or delete it"
            )
        for name, parameter in self._model.named_parameters():
            if not parameter.requires_grad:
                continue
            parameter.data.copy_(tensors[name])
            moments = {m: tensors[f"{m}:{name}"] for m in ("step", "exp_avg", "exp_avg_sq") if f"{m}:{name}" in tensors}
            if moments:
                self._optimizer.state[parameter] = {
                    m: v if m == "step" else v.to(self._device) for m, v in moments.items()
                }
        p = Progress(**json.loads(said["progress"]))
        self._say(f"resumed after step {p.step}")
        return p


def _parameter_groups(model: Bert, plan: Plan) -> list[dict[str, Any]]:
    """Biases and layer norms are not decayed; the head learns faster."""
    found: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found.setdefault((parameter.ndim > 1, name.startswith("classifier.")), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": plan.weight_decay if decayed else 0.0,
            "factor": plan.head_factor if head else 1.0,
        }
        for (decayed, head), parameters in sorted(found.items())
    ]


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    fresh = path.with_suffix(".new")
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, fresh, metadata)
    fresh.replace(path)
