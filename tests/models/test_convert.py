"""The converted encoder is a cache: whole or absent, made by one process, made again when it is damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelUnavailable, StorageFailed
from models.convert import converted, main, revision_of
from models.openvino_bert import build_bert, check_config
from models.packaged import MINILM, sha256_of


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of this file's own, since the tests spoil it; each leaves it whole."""
    path = tmp_path_factory.mktemp("cache")
    converted(path)
    return path


def folder_of(cache: Path) -> Path:
    return cache / "openvino" / revision_of(MINILM)


def test_a_second_call_converts_nothing(cache: Path) -> None:
    said: list[str] = []
    before = (folder_of(cache) / "model.bin").stat().st_mtime_ns
    assert converted(cache, progress=said.append) == folder_of(cache) / "model.xml"
    assert said == []
    assert (folder_of(cache) / "model.bin").stat().st_mtime_ns == before


def cut_the_weights(folder: Path) -> None:
    (folder / "model.bin").write_bytes((folder / "model.bin").read_bytes()[:-1000])


def flip_a_byte(folder: Path) -> None:
    content = bytearray((folder / "model.bin").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.bin").write_bytes(content)


def lose_the_graph(folder: Path) -> None:
    (folder / "model.xml").unlink()


def garble_the_checksums(folder: Path) -> None:
    (folder / "checksums.json").write_text("{")


def empty_the_checksums(folder: Path) -> None:
    (folder / "checksums.json").write_text("{}")


@pytest.mark.parametrize(
    "spoil", [cut_the_weights, flip_a_byte, lose_the_graph, garble_the_checksums, empty_the_checksums]
)
def test_a_damaged_cache_is_made_again(cache: Path, spoil: Callable[[Path], None]) -> None:
    good = sha256_of(folder_of(cache) / "model.bin")
    spoil(folder_of(cache))
    said: list[str] = []
    path = converted(cache, progress=said.append)
    assert sha256_of(path.with_name("model.bin")) == good
    assert json.loads(path.with_name("checksums.json").read_text())["model.bin"] == good
    assert len(said) == 1
    assert said[0].startswith("converting the encoder (again: ")


def test_what_a_crash_left_half_written_is_swept_away(cache: Path) -> None:
    folder = folder_of(cache)
    left = folder.with_name(folder.name + ".new")
    left.mkdir()
    (left / "model.bin").write_bytes(b"half")
    lose_the_graph(folder)
    converted(cache)
    assert not left.exists()
    assert sorted(p.name for p in folder.iterdir()) == ["checksums.json", "model.bin", "model.xml"]


def test_two_processes_at_once_make_it_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "models.convert", "--cache-dir", str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    out = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0, 0]
    assert {stdout.strip() for stdout, _ in out} == {str(folder_of(tmp_path) / "model.xml")}
    # One of the two converted and said so; the other waited and used its files.
    assert sorted(stderr.strip() for _, stderr in out) == ["", "converting the encoder (once)…"]


def test_a_cache_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(StorageFailed, match="cannot keep the converted encoder"):
        converted(tmp_path / "cache")
    assert main(["--cache-dir", str(tmp_path / "cache")]) == 1


def test_another_architecture_is_refused() -> None:
    with pytest.raises(ModelUnavailable, match="hidden_act='relu'"):
        check_config({"model_type": "bert", "hidden_act": "relu"})
    config = {"hidden_size": 4, "num_attention_heads": 1, "layer_norm_eps": 1e-12, "num_hidden_layers": 1}
    with pytest.raises(ModelUnavailable, match=r"no tensor 'embeddings\.position_embeddings\.weight'"):
        build_bert({"other": np.zeros((1, 4), np.float32)}, config)
