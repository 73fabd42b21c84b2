"""The packaged encoder in half precision, to carry to a machine that trains: 45 MB in place of 91.

    python -m models.train.pack --out build/base

The folder has model.safetensors, config.json, tokenizer.json and base.json, which names the file that it was made from: what
is trained over the copy lies over that file.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from core.errors import OpenbookError
from models.packaged import MINILM, verify


def pack(out: Path) -> int:
    """Writes the folder and returns its size in bytes; raises ModelUnavailable without the packaged model."""
    source = verify(MINILM)
    out.mkdir(parents=True, exist_ok=True)
    tensors = load_file(source / MINILM.main_file)
    half = {k: v.to(torch.float16).contiguous() for k, v in tensors.items() if v.is_floating_point()}
    save_file(half, out / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(source / name, out / name)
    said = {"name": MINILM.name, "sha256": MINILM.files[MINILM.main_file], "precision": "fp16"}
    (out / "base.json").write_text(json.dumps(said, indent=1) + "\n", "utf-8")
    return sum(f.stat().st_size for f in out.iterdir())


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m models.train.pack", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)
    try:
        size = pack(options.out)
    except OpenbookError as e:
        sys.stderr.write(e.message + "\n")
        return 1
    sys.stdout.write(f"{options.out}: {size / 1e6:.0f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
