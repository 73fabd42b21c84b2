"""Memory stays flat while files are taken in: a server and its worker, watched from outside."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from app.client import Client
from bench.memory import save_tiny_encoder, watched
from bench.served import served

FILES, EVERY, WARM = 500, 250, 100
MOST_WORDS, FEWEST_WORDS = 12_000, 60  # a few files are two hundred times as long as most: what fragments the heap
VOCABULARY = 20_000
# Since the first look, after the warm files. Measured: 11 and 7, of which the indexes need 1.5, and caches that fill up the rest. Before
# the allocator was bounded they were 26 and 80.
SERVER_MIB, WORKER_MIB = 20.0, 30.0


@pytest.mark.slow
def test_server_and_worker_hardly_grow_with_the_files(tmp_path: Path) -> None:
    chance = random.Random(1)
    paths = []
    for n in range(WARM + FILES):
        length = min(MOST_WORDS, int(FEWEST_WORDS / (1 - chance.random())))
        text = " ".join(f"w{int(VOCABULARY * chance.random() ** 3)}" for _ in range(length))
        paths.append(tmp_path / f"{n:05}.txt")
        paths[-1].write_text(f"Note {n} of house {n * 7919}\n\n{text}\n")
    environment = {
        "OPENBOOK_LM_RUNTIME": "none",
        "OPENBOOK_ENCODER_RUNTIME": "sentence-transformers",
        "OPENBOOK_ENCODER_MODEL": str(save_tiny_encoder(tmp_path / "encoder")),
    }
    with served(tmp_path / "data", environment) as server, Client(server.url, token=server.token) as client:
        first, *_, last = list(watched(client, server.pid, paths, EVERY))
    assert last.files == WARM + FILES
    grown = {part: last.anonymous[part] - first.anonymous[part] for part in ("server", "worker")}
    assert grown["server"] < SERVER_MIB and grown["worker"] < WORKER_MIB, grown
    assert last.anonymous["parser"] < 100
