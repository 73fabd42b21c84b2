"""Where the time goes when a collection is taken in, and how fast it is against sentence-transformers' default.

    python -m bench.ingest [--files 300] [--seed 1] [--archive TAR] [--no-peer]

Draws files by a fixed seed and takes them in as a person would: through a server and its worker, in processes of their own, with the
packaged encoder; then once more with the same pipeline, but sentence-transformers encoding with its own defaults on this CPU.
The parts are measured in a third pass, file by file in this process: what is left of the first run's time is handing over,
storing, indexing and waiting. Memory is the peak of each process.
"""

from __future__ import annotations

import argparse
import random
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from app.cli.ingest import FILES_PER_UPLOAD
from app.client import Client
from app.local import local_server
from app.wiring import build_encoder
from bench.collection import ARCHIVE
from core.settings import Settings
from ingest.parse.sandbox import Sandbox
from ingest.pipeline import parse_limits, process

_SUFFIXES = (".md", ".markdown", ".rst", ".txt")
_POLL_S = 0.5


@dataclass
class Run:
    name: str
    files: int = 0
    chunks: int = 0
    wall_s: float = 0.0
    states: Counter[str] = field(default_factory=Counter)
    peak_mib: dict[str, float] = field(default_factory=dict)
    halfway_mib: dict[str, float] = field(default_factory=dict)

    @property
    def chunks_per_s(self) -> float:
        return self.chunks / self.wall_s


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    parser.add_argument("--files", type=int, default=300, help="0 takes all of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-peer", action="store_true", help="without sentence-transformers")
    parser.add_argument("--no-parts", action="store_true", help="without the pass that times the parts")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
        paths = draw(args.archive, args.files, args.seed, Path(folder, "files"))
        runs = [served("openbook", paths, Path(folder, "ours"), "openvino")]
        if not args.no_peer:
            runs.append(served("sentence-transformers", paths, Path(folder, "peer"), "sentence-transformers"))
        report(runs)
        if not args.no_parts:
            report_parts(paths, Path(folder, "parts"), runs[0])
    return 0


def draw(archive: Path, count: int, seed: int, into: Path) -> list[Path]:
    """``count`` text files of the archive, drawn by ``seed``, written below ``into``."""
    into.mkdir(parents=True)
    with tarfile.open(archive, "r:xz") as tar:
        members = [m for m in tar.getmembers() if m.isfile() and m.name.endswith(_SUFFIXES)]
        chosen = random.Random(seed).sample(members, count) if 0 < count < len(members) else members
        wanted = {m.name for m in chosen}
        paths = []
        for n, member in enumerate(m for m in members if m.name in wanted):
            source = tar.extractfile(member)
            if source is not None:
                path = into / f"{n:05}-{Path(member.name).name}"
                path.write_bytes(source.read())
                paths.append(path)
    return paths


def served(name: str, paths: Sequence[Path], data_dir: Path, runtime: str) -> Run:
    """The files through a server and its worker; the clock starts when the worker is ready and stops when all is searchable."""
    run = Run(name, files=len(paths))
    settings = Settings(data_dir=data_dir, encoder_runtime=runtime, lm_runtime="none")
    with local_server(settings, worker=True) as address, Client(address.url, address.token) as client:
        client.create_collection("bench")
        warm = data_dir / "warm.txt"
        warm.write_text("The first file loads the models.")
        _ingest(client, [warm], Run("warm"))
        with _watching(run, len(paths), client):
            begun = time.perf_counter()
            _ingest(client, paths, run)
            run.wall_s = time.perf_counter() - begun
    return run


def _ingest(client: Client, paths: Sequence[Path], run: Run) -> None:
    waiting: list[str] = []
    for start in range(0, len(paths), FILES_PER_UPLOAD):
        handles = [(p.name, p.open("rb")) for p in paths[start : start + FILES_PER_UPLOAD]]
        try:
            waiting += [job["job_id"] for job in client.upload("bench", handles)]
        finally:
            for _, handle in handles:
                handle.close()
        while len(waiting) > 2 * FILES_PER_UPLOAD:
            _settle(client, waiting, run)
    while waiting:
        _settle(client, waiting, run)


def _settle(client: Client, waiting: list[str], run: Run) -> None:
    """Takes finished jobs from the front of ``waiting``."""
    while waiting:
        job = client.job(waiting[0])
        if job["state"] not in ("ready", "partial", "failed", "cancelled"):
            time.sleep(_POLL_S / 5)
            return
        run.states[job["state"]] += 1
        run.chunks += job["chunks"] or 0
        waiting.pop(0)


class _watching:
    """Samples the memory of the server (this process) and of its worker and that one's children."""

    def __init__(self, run: Run, files: int, client: Client) -> None:
        self._run, self._files, self._client = run, files, client
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(_POLL_S):
            now: Counter[str] = Counter({"server": psutil.Process().memory_info().rss})
            for child in psutil.Process().children(recursive=True):
                try:
                    kind = "parser" if "ingest.parse.child" in " ".join(child.cmdline()) else "worker"
                    now[kind] += child.memory_info().rss
                except psutil.NoSuchProcess:  # it ended between two looks
                    continue
            for kind, size in now.items():
                self._run.peak_mib[kind] = max(self._run.peak_mib.get(kind, 0.0), size / 2**20)
                if sum(self._run.states.values()) <= self._files / 2:
                    self._run.halfway_mib[kind] = self._run.peak_mib[kind]


def report(runs: Sequence[Run]) -> None:
    print("| pipeline | files | passages | wall s | passages/s | × peer | states | peak MiB (half way → end) |")
    print("|---|---:|---:|---:|---:|---:|---|---|")
    peer = runs[-1]
    for run in runs:
        states = ", ".join(f"{n} {state}" for state, n in run.states.most_common())
        memory = ", ".join(f"{k} {run.halfway_mib.get(k, 0):.0f} → {v:.0f}" for k, v in sorted(run.peak_mib.items()))
        print(
            f"| {run.name} | {run.files} | {run.chunks} | {run.wall_s:.1f} | {run.chunks_per_s:.1f} "
            f"| {run.chunks_per_s / peer.chunks_per_s:.2f} | {states} | {memory} |"
        )


def report_parts(paths: Sequence[Path], data_dir: Path, whole: Run) -> None:
    """Parsing, chunking and encoding of each file by itself, as shares of the served run's time."""
    settings = Settings(data_dir=data_dir)
    encoder = build_encoder(settings)
    encoder.load()
    spent: Counter[str] = Counter()
    with Sandbox(parse_limits(settings)) as sandbox:
        for path in paths:
            made = process(
                path,
                path.name,
                collection="bench",
                uri=path.name,
                sha256="0" * 64,
                settings=settings,
                encoder=encoder,
                report=lambda *_: None,
                cancelled=lambda: False,
                sandbox=sandbox,
            )
            spent.update(made.seconds)
    rest = whole.wall_s - sum(spent.values())
    print("\n| part | seconds | share |\n|---|---:|---:|")
    for part, seconds in [*spent.items(), ("hand over, store, index, wait", rest)]:
        print(f"| {part} | {seconds:.1f} | {seconds / whole.wall_s:.1%} |")


if __name__ == "__main__":
    sys.exit(main())
