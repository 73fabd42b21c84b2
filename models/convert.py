"""The packaged encoder as OpenVINO files, made once and kept with their checksums.

    <cache_dir>/openvino/<revision>/model.xml  model.bin  checksums.json      (named last, so whole or absent)
    <cache_dir>/openvino/<revision>.lock                                      (held by whoever makes or checks them)

The folder is a cache: what does not match its checksums is made again from the packaged safetensors, which are
verified first. ``python -m models.convert --cache-dir DIR`` does it ahead of the first use.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import ModelUnavailable, OpenbookError, StorageFailed
from models.openvino_bert import GRAPH_VERSION, build_bert
from models.packaged import MINILM, PackagedModel, sha256_of, verify

Progress = Callable[[str], object]
_FILES = ("model.xml", "model.bin")
_CHECKSUMS = "checksums.json"


def revision_of(model: PackagedModel) -> str:
    """Names the converted files: the weights' hash and the version of the graph made of them."""
    return f"{model.name}-{model.files[model.main_file][:12]}-g{GRAPH_VERSION}"


def converted(cache_dir: Path, model: PackagedModel = MINILM, progress: Progress | None = None) -> Path:
    """Returns the path of a verified ``model.xml`` (``model.bin`` beside it), converting first if need be.

    Safe for several processes at once: one converts, the others wait and use its files.

    Args:
        cache_dir: the folder of rebuildable files; made if absent.
        model: a packaged BERT.
        progress: is told in one line each what takes time.

    Raises:
        ModelUnavailable: the packaged weights are absent or damaged.
        StorageFailed: the cache folder cannot be written.
    """
    root = cache_dir / "openvino"
    folder = root / revision_of(model)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _lock(root / f"{folder.name}.lock"):
            if (problem := _problem(folder)) is not None:
                if progress is not None:
                    again = "" if problem == "absent" else f"again: {problem}, "
                    progress(f"converting the encoder ({again}once)…")
                _convert(model, folder)
    except OSError as e:
        raise StorageFailed(
            f"cannot keep the converted encoder in {folder}: {e.strerror or e}; "
            "free some space, or let the data directory be one that you may write to"
        ) from e
    return folder / _FILES[0]


def _problem(folder: Path) -> str | None:
    """What is wrong with the converted files, or None."""
    try:
        expected = json.loads((folder / _CHECKSUMS).read_text("utf-8"))
        for name in _FILES:
            if sha256_of(folder / name) != expected[name]:
                return f"{name} does not match its checksum"
    except FileNotFoundError as e:
        return "absent" if not folder.exists() else f"{Path(e.filename).name} is missing"
    except (ValueError, KeyError, TypeError):
        return f"{_CHECKSUMS} is damaged"
    return None


def _convert(model: PackagedModel, folder: Path) -> None:
    import openvino as ov
    from safetensors.numpy import load_file

    source = verify(model)
    config = json.loads((source / "config.json").read_text("utf-8"))
    graph = build_bert(load_file(source / model.main_file), config)
    fresh = folder.with_name(f"{folder.name}.new")  # one name: the lock is ours, and what a crash left is swept here
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        ov.save_model(graph, fresh / _FILES[0], compress_to_fp16=False)
    except RuntimeError as e:
        raise ModelUnavailable(f"{model.name} could not be converted in {fresh}: {e}") from e
    checksums = {name: sha256_of(fresh / name) for name in _FILES}
    (fresh / _CHECKSUMS).write_text(json.dumps(checksums, indent=1) + "\n", "utf-8")
    for path in (*(fresh / name for name in (*_FILES, _CHECKSUMS)), fresh):
        _sync(path)
    if folder.exists():
        shutil.rmtree(folder)
    fresh.rename(folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Holds an advisory lock; the kernel lets go of it when its holder dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(argv: list[str] | None = None) -> int:
    """Converts the packaged encoder; prints the path of its files."""
    parser = argparse.ArgumentParser(prog="python -m models.convert", description=main.__doc__)
    parser.add_argument("--cache-dir", type=Path, required=True, help="for example data/cache")
    arguments = parser.parse_args(argv)
    try:
        path = converted(arguments.cache_dir, progress=lambda line: sys.stderr.write(line + "\n"))
    except OpenbookError as e:
        sys.stderr.write(e.message + "\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
