"""Whether memory stays flat while many files are taken in, and where it goes if not.

    python -m bench.memory [--files 2500] [--characters 4000] [--every 250] [--encoder tiny|packaged] [--env NAME=VALUE …]

The beginnings of text files drawn by a fixed seed go through ``openbook serve`` and its worker, in processes of their own. With
"tiny" an encoder of one random layer takes the packaged one's place, so that thousands of files take minutes: what grows with the files is
the same, but for what the encoder itself holds. Memory is told apart as the kernel does: what is the process's alone (anonymous: objects,
vectors, what the allocator keeps) and what is mapped from files (libraries, the term index), which the kernel may drop at any time.
``--env`` is for the server and its worker, to try settings of the allocator.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from app.cli.ingest import FILES_PER_UPLOAD
from app.client import Client
from bench.collection import ARCHIVE
from bench.ingest import draw
from bench.served import served
from ingest.job import FINAL_STATES

_PARTS = {"server": "app.server", "worker": "app.worker", "parser": "ingest.parse.child"}
_WARM_FILES = 100  # until models, language profiles and caches are there
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Look:
    """Anonymous and file-backed MiB of each part, after so many files."""

    files: int
    passages: int
    seconds: float
    anonymous: Mapping[str, float]
    mapped: Mapping[str, float]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--archive", type=Path, default=ARCHIVE)
    parser.add_argument("--files", type=int, default=2500)
    parser.add_argument("--characters", type=int, default=4000, help="of each file, from its beginning; 0: whole")
    parser.add_argument("--every", type=int, default=250, help="files between two looks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--encoder", choices=("tiny", "packaged"), default="tiny")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as folder:
        paths = draw(args.archive, args.files + _WARM_FILES, args.seed, Path(folder, "files"))
        for path in paths:
            path.write_bytes(path.read_bytes()[: args.characters or None])
        environment = {"OPENBOOK_LM_RUNTIME": "none", **dict(pair.split("=", 1) for pair in args.env)}
        if args.encoder == "tiny":
            environment["OPENBOOK_ENCODER_RUNTIME"] = "sentence-transformers"
            environment["OPENBOOK_ENCODER_MODEL"] = str(save_tiny_encoder(Path(folder, "encoder")))
        with served(Path(folder, "data"), environment) as server, Client(server.url, token=server.token) as client:
            looks = []
            for look in watched(client, server.pid, paths, args.every):
                looks.append(look)
                print_look(look, first=len(looks) == 1)
    report(looks)
    return 0


def watched(client: Client, server_pid: int, paths: Sequence[Path], every: int) -> Iterator[Look]:
    """Takes ``paths`` in and looks after every so many, when all before are searchable."""
    client.create_collection("memory")
    begun = time.perf_counter()
    done = 0
    for step in (_WARM_FILES, *([every] * (-(-(len(paths) - _WARM_FILES) // every)))):
        for start in range(done, min(done + step, len(paths)), FILES_PER_UPLOAD):
            client.upload("memory", paths[start : min(start + FILES_PER_UPLOAD, done + step)])
        done = min(done + step, len(paths))
        while any(n for state, n in client.job_page(limit=1)["counts"].items() if state not in FINAL_STATES):
            time.sleep(0.2)
        yield look_at(client, server_pid, done, time.perf_counter() - begun)


def look_at(client: Client, server_pid: int, files: int, seconds: float) -> Look:
    """What the server, its worker and the worker's parsers hold now."""
    anonymous, mapped = dict.fromkeys(_PARTS, 0.0), dict.fromkeys(_PARTS, 0.0)
    supervisor = psutil.Process(server_pid).parent()
    for process in supervisor.children(recursive=True) if supervisor else []:
        command = " ".join(process.cmdline())
        part = next((name for name, module in _PARTS.items() if module in command), None)
        if part is not None:
            sizes = rollup(process.pid)
            anonymous[part] += sizes["Anonymous"] / _MIB
            mapped[part] += (sizes["Rss"] - sizes["Anonymous"]) / _MIB
    passages = sum(int(c["chunks"]) for c in client.collections())
    return Look(files, passages, seconds, anonymous, mapped)


def rollup(pid: int) -> dict[str, int]:
    """Bytes by name of /proc/PID/smaps_rollup (Linux)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: 1024 * int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}


def print_look(look: Look, *, first: bool) -> None:
    if first:
        print("| files | passages | s | " + " | ".join(f"{p} MiB (+ mapped)" for p in _PARTS) + " |")
        print("|---:|---:|---:|" + "---:|" * len(_PARTS))
    held = " | ".join(f"{look.anonymous[p]:.0f} (+ {look.mapped[p]:.0f})" for p in _PARTS)
    print(f"| {look.files:,} | {look.passages:,} | {look.seconds:.0f} | {held} |", flush=True)


def report(looks: Sequence[Look]) -> None:
    """Least squares through all looks but the first, which is from before everything was warm."""
    later = looks[1:]
    if len(later) < 2:
        return
    files, passages = (np.array([getattr(look, of) for look in later], dtype=float) for of in ("files", "passages"))
    for part in ("server", "worker"):
        held = np.array([look.anonymous[part] for look in later])
        per_1000_files = 1000 * float(np.polyfit(files, held, 1)[0])
        per_passage = 1024 * float(np.polyfit(passages, held, 1)[0])
        print(f"\n{part}: {held[0]:.0f} → {held[-1]:.0f} MiB ({held[-1] / held[0] - 1:+.0%}), "
              f"{per_1000_files:+.1f} MiB per 1,000 files, {per_passage:+.2f} KiB per passage", end="")  # fmt: skip
    print()


def save_tiny_encoder(folder: Path, dim: int = 64) -> Path:
    """A random BERT of one layer with the packaged encoder's own tokenizer, as sentence-transformers saves it."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import AutoTokenizer, BertConfig, BertModel

    from models.packaged import MINILM, verify

    tokenizer = AutoTokenizer.from_pretrained(str(verify(MINILM, only=("tokenizer.json",))))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=dim,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=2 * dim,
        max_position_embeddings=256,
        initializer_range=0.5,  # wide, so that different texts land far apart
    )
    raw = folder.with_name(folder.name + "-raw")
    BertModel(config).save_pretrained(raw)
    tokenizer.save_pretrained(raw)
    transformer = Transformer(str(raw), max_seq_length=256)
    SentenceTransformer(modules=[transformer, Pooling(dim, pooling_mode="mean")], device="cpu").save(str(folder))
    return folder


if __name__ == "__main__":
    sys.exit(main())
