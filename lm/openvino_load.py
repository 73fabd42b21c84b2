"""Finds a model for OpenVINO and loads it, from a converted copy where there is one. Runs in the engine process.

openvino-genai reads GGUF by building the graph and the tokenizer anew, which is most of the time to start. Its result
is kept under ``cache_dir/lm-<sha256>-<version>/`` with a manifest of checksums, written last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import ModelUnavailable

BLOCK_TOKENS = 32  # of one block of the KV cache on CPU
# Tokens of one step: what a cancel may have to wait for, and what the others wait for while one prompt is read. Where the
# processor computes in bf16 (AMX) more at once is read faster (1,900 against 2,500 a second), elsewhere it is not: docs/decisions/0020.
STEP_TOKENS, STEP_TOKENS_BF16 = 128, 512
_MANIFEST = "manifest.json"
_IR = "openvino_model.xml"
_NEEDED = (_IR, "openvino_model.bin", "openvino_tokenizer.xml", "openvino_detokenizer.xml")

Report = Callable[[str, float], None]


def find_model(path: Path) -> Path:
    """A GGUF file, or a folder with OpenVINO files; a folder with one GGUF file means that file.

    Raises:
        ModelUnavailable: neither.
    """
    if path.is_file() and path.suffix == ".gguf":
        return path
    if (path / _IR).is_file():
        return path
    inside = sorted(path.glob("*.gguf")) if path.is_dir() else []
    if len(inside) == 1:
        return inside[0]
    found = f"a folder with {len(inside)} GGUF files" if path.is_dir() else "a file" if path.exists() else "not there"
    raise ModelUnavailable(
        f"{path} is {found}: a model for OpenVINO is a .gguf file or a folder that holds {_IR} or one .gguf file"
    )


def build_pipeline(
    model: Path, cache_dir: Path | None, kv_tokens: int, threads: int, report: Report, step_tokens: int | None = None
) -> Any:
    """An openvino_genai.ContinuousBatchingPipeline over ``model`` (as ``find_model`` gives it).

    Args:
        step_tokens: read in one step at most; None is what suits the processor.

    Raises:
        ModelUnavailable: OpenVINO cannot load it.
    """
    report("starting OpenVINO", 0.05)
    import openvino
    import openvino_genai

    has_bf16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.max_num_batched_tokens = step_tokens or (STEP_TOKENS_BF16 if has_bf16 else STEP_TOKENS)
    scheduler.num_kv_blocks = -(-kv_tokens // BLOCK_TOKENS)
    scheduler.enable_prefix_caching = True  # system prompts and histories repeat
    properties: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads} if threads else {}

    def load(path: Path, *, save: bool = False) -> Any:
        saving = {"enable_save_ov_model": True} if save else {}
        try:
            return openvino_genai.ContinuousBatchingPipeline(
                str(path), scheduler, "CPU", {**properties, **saving}, saving
            )
        except RuntimeError as e:
            raise ModelUnavailable(f"OpenVINO cannot load {model}: {_first_line(e)}") from e

    if cache_dir is None or model.is_dir():
        report("loading the model", 0.3)
        return load(model)
    report("checking the model", 0.1)
    kept = kept_model(model, cache_dir)
    if _intact(kept):
        report("loading the model", 0.3)
        return load(kept)
    report("converting the model, once", 0.3)
    return _convert(model, kept, load)


def kept_model(model: Path, cache_dir: Path) -> Path:
    """Where the converted copy of a GGUF file lies, once it was loaded."""
    import openvino_genai

    return cache_dir / f"lm-{_sha256(model)[:16]}-{openvino_genai.get_version().split('-')[0]}"


def _convert(model: Path, kept: Path, load: Callable[..., Any]) -> Any:
    """Loads the GGUF file and keeps what was made of it. Without room for the copy the model still loads."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        making = Path(tempfile.mkdtemp(prefix=f"{kept.name}.", dir=kept.parent))
    except OSError as e:
        _note(f"the converted model is not kept: {e}")
        return load(model)
    try:
        # The copy is saved beside the file that was read; a link puts it where we want it.
        link = making / model.name
        link.symlink_to(model.resolve())
        try:
            pipeline = load(link, save=True)
        except ModelUnavailable as e:
            _note(f"trying again without keeping the converted model: {e.message}")
            return load(model)
        link.unlink()
        _seal(making)
        if kept.exists():  # damaged, or made by another process in the meantime
            shutil.rmtree(kept, ignore_errors=True)
        making.rename(kept)
        _sync(kept.parent)
    except OSError as e:
        _note(f"the converted model is not kept: {e}")
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return pipeline


def _seal(folder: Path) -> None:
    """Makes the files durable and writes the manifest last."""
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing:
        raise OSError(f"OpenVINO did not save {', '.join(missing)}")
    sums = {}
    for path in sorted(folder.iterdir()):
        _sync(path)
        sums[path.name] = _sha256(path)
    manifest = folder / _MANIFEST
    manifest.write_text(json.dumps(sums, indent=1), "utf-8")
    _sync(manifest)
    _sync(folder)


def _intact(folder: Path) -> bool:
    try:
        sums = json.loads((folder / _MANIFEST).read_text("utf-8"))
        return set(_NEEDED) <= set(sums) and all(_sha256(folder / name) == s for name, s in sums.items())
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as e:
        _note(f"the converted model in {folder} is damaged and is made again: {e}")
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _first_line(e: Exception) -> str:
    return " ".join(str(e).split())[:300]


def _note(text: str) -> None:
    print(f"language model: {text}", file=sys.stderr, flush=True)  # noqa: T201 (standard error is this process's log)
